"""Every error, by whose fault it is and who stops for it.

::

    PollerError
    ├── ConfigError            the operator; the process ends with 78
    ├── Misused                the operator, on the command line; the process ends with 2
    ├── WrongState             the operator; the installation is not as a command needs it, the process ends with 3
    ├── ProviderError          the provider
    │   ├── Unreachable        retried inside the sweep, then the stream backs off
    │   ├── AccountTrouble
    │   │   ├── RateLimited    the account waits (until)
    │   │   ├── Unauthorized   the secret is read again, then the account pauses
    │   │   └── ClientUnusable the account waits and says why: its certificates, its proxy
    │   ├── StreamGone         that stream pauses, slow re-probe
    │   └── BadPage            that stream pauses, slow re-probe
    │       ├── CursorIgnored
    │       └── EndlessPagination
    ├── KafkaError             Kafka
    │   ├── Unavailable        polling of the shard pauses, retry
    │   │   └── RegistryUnavailable  the schema registry; run waits before it polls
    │   ├── CommitUncertain    one strike: fence anew, restore, go on
    │   ├── Fenced             the shard ends quietly until the group confirms it
    │   ├── Refused            wrong topic, missing right: said with the fix, retried slowly
    │   │   └── Denied         Kafka does not let us in: credentials, certificates; run waits
    │   │       └── RegistryDenied  the schema registry does not; run waits before it polls
    │   └── OffsetGone         the cached offset is not in this log: restore from the start
    ├── CacheError             the local disk; the shard waits and starts anew
    │   └── CorruptState       the cache is dropped and restored; twice in a row ends the shard
    ├── Broken                 our bug in one shard's life: that shard starts anew; at the root the process ends with 1
    └── AssertionError         our bug, an invariant does not hold: the process ends with 1, Kubernetes starts it again

No message of an error ever holds a text, a number, a secret or a row's value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PollerError(Exception):
    """Base of all.

    ``kind`` is the word in logs, metrics and status, ``fix`` helps the operator, ``stops`` says who stops for it and
    until when (docs/errors.md is made of it).
    """

    kind = "error"
    stops = "the process, with 1"

    def __init__(self, message: str = "", *, fix: str = "") -> None:
        super().__init__(message or (self.__doc__ or self.kind).splitlines()[0])
        self.fix = fix


class ConfigError(PollerError):
    """The configuration is invalid. ``lines`` are complete one-line reports.

    ``about`` names the secrets of an account that are wrong, where only those are: by their keys, of options by their dotted names.
    """

    kind = "config"
    stops = "the process, with 78; at run time only what the configuration names"

    def __init__(self, lines: list[str], *, about: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join(lines))
        self.lines, self.about = lines, about


class Misused(PollerError):
    """An argument on the command line makes no sense."""

    kind = "usage"
    stops = "the command, with 2"


class WrongState(PollerError):
    """The installation is not in the state that a command, or the start, needs. Nothing was changed."""

    kind = "wrong_state"
    stops = "the command, or the start of `run`, with 3"


class ProviderError(PollerError):
    """The provider did not give a usable answer.

    ``code`` is the HTTP status, where there was an answer; ``wait_s`` are the seconds to wait at least, where the
    provider said so.
    """

    kind = "provider"
    stops = "the stream backs off"

    def __init__(self, message: str = "", *, fix: str = "", code: int | None = None, wait_s: float | None = None) -> None:
        super().__init__(message, fix=fix)
        self.code, self.wait_s = code, wait_s


@contextmanager
def saying_status(status: int) -> Iterator[None]:
    """An error about an answer says with which HTTP status it came, wherever it is found out.

    So an operator sees whether a vendor said no, or said yes with something that is none.
    """
    try:
        yield
    except ProviderError as error:
        error.code = error.code or status
        raise


class Unreachable(ProviderError):
    """No usable answer: timeout, connection error, 5xx, truncated or non-JSON 200."""

    kind = "unreachable"
    stops = "as BadPage, at most max(10 s, 10 x interval) and 5 min; at least as long as the provider said; after six in a row the sweep begins anew"


class ConnectionLost(Unreachable):
    """A kept connection ended before the answer began: the request may be sent again on a new one."""

    stops = "nobody: the request is sent again once, within the rate limit; then as Unreachable"


class AccountTrouble(ProviderError):
    """None of the account's streams can be asked."""

    stops = "the account waits; the others poll on"


class RateLimited(AccountTrouble):
    """The provider asked us to wait."""

    kind = "throttled"
    stops = "the account waits as long as the provider said, at most an hour"

    def __init__(self, wait_s: float | None = None, *, code: int = 429) -> None:
        super().__init__("the provider limits the rate", code=code, wait_s=wait_s)


class Unauthorized(AccountTrouble):
    """The credentials were refused (401)."""

    kind = "unauthorized"
    stops = "the account waits, at most an hour, or until its secret changes"


class ClientUnusable(AccountTrouble):
    """No request can be sent at all: the certificates or the proxy of the account cannot be used."""

    kind = "client_unusable"
    stops = "the account waits and tries again with the next request, at most max(10 s, 10 x interval) and 5 min later"


class StreamGone(ProviderError):
    """This stream does not exist or is not ours to read (403, 404)."""

    kind = "gone"
    stops = "as BadPage"


class BadPage(ProviderError):
    """The answer has a shape that cannot be read as a page."""

    kind = "bad_page"
    stops = "the job that asked waits, at most an hour; its stream, where that asked for the newest messages; after three in a row a sweep begins anew"


class CursorIgnored(BadPage):
    """The provider did not honour the cursor or the filter."""

    kind = "cursor_not_honoured"
    stops = "as BadPage"


class EndlessPagination(BadPage):
    """A sweep went over its limit of pages."""

    kind = "endless_pagination"
    stops = "as BadPage"


class KafkaError(PollerError):
    """Kafka did not do what was asked."""

    kind = "kafka"
    stops = "one life of the shard"


class Unavailable(KafkaError):
    """Kafka cannot be reached or cannot accept now."""

    kind = "kafka_unavailable"
    stops = "one life of the shard; it is tried again within 2 s"


class RegistryUnavailable(Unavailable):
    """The schema registry cannot be reached or cannot answer now."""

    kind = "registry_unavailable"
    stops = "the start, before anything is polled; it is tried again every 2 s"


class CommitUncertain(KafkaError):
    """A transaction ended without an answer: only the log knows whether it is committed."""

    kind = "commit_uncertain"
    stops = "one life of the shard; what counts is in the log"


class Fenced(KafkaError):
    """A newer producer of this shard exists, or the transaction timed out."""

    kind = "fenced"
    stops = "one life of the shard; it begins anew when the group confirms who owns it"


class Refused(KafkaError):
    """Kafka answers, and refuses: wrong topic settings, a missing right, another group's state."""

    kind = "kafka_refused"
    stops = "the start, with 78; later one life of the shard: it is tried again every 30 s, and the fix is said"


class Denied(Refused):
    """Kafka does not accept who we are: a password, a token, a certificate."""

    kind = "kafka_denied"
    stops = "as Refused; a command ends with 77"


class RegistryDenied(Denied):
    """The schema registry does not accept our credentials."""

    kind = "registry_denied"
    stops = "the start, before anything is polled; it is tried again every 2 s; a command ends with 77"


class OffsetGone(KafkaError):
    """The offset asked for is not in this log."""

    kind = "offset_gone"
    stops = "nobody: the shard restores from the start"


class CacheError(PollerError):
    """The local cache cannot be written or opened, for example because its disk is full."""

    kind = "cache"
    stops = "one life of the shard; it begins anew"


class CorruptState(CacheError):
    """The local cache cannot be read."""

    kind = "corrupt_state"
    stops = "one life of the shard; its cache is made anew, twice in a row ends the process with 1"


class Broken(PollerError):
    """Something of ours failed that should not have."""

    kind = "broken"
    stops = "one life of the shard; at the root the process, with 1"


def broken(group: BaseExceptionGroup[BaseException]) -> Broken:
    """What nobody expected, by its type and place: its text may hold what a row held, so it is not told."""
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    frame = leaf.__traceback__
    place = ""
    while frame is not None:
        if "poller" in frame.tb_frame.f_code.co_filename:
            place = f" in {frame.tb_frame.f_code.co_name}, line {frame.tb_lineno}"
        frame = frame.tb_next
    return Broken(f"unexpected {type(leaf).__name__}{place}", fix="report this")


def first(group: BaseExceptionGroup[PollerError]) -> PollerError:
    """The one expected error behind a task group's; what is unexpected goes on by itself."""
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    assert isinstance(leaf, PollerError)
    return leaf
