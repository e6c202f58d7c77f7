"""``poller backfill``: ask the owner of a stream for a past range, and show how it goes.

The request is a record of the requests topic; the worker that owns the stream's shard sees it,
works it, and keeps progress and result in the stream's cursor, so that
killing this command, or the worker, loses nothing. Asking again is harmless.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from typing import Annotated

import anyio
from cyclopts import Parameter
from msgspec.structs import replace

from ..clock import SystemClock
from ..config.accounts import Account
from ..config.load import Config, load
from ..config.stream_names import stream_names
from ..coverage.backfill import QUOTA_SHARE, BackfillRequest, missing, parts
from ..coverage.cursor import Backfill, Cursor, Range
from ..errors import Misused, StreamGone, Unauthorized, Unreachable
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import REQUESTS, STATE
from ..kafka.public_topics import places_of
from ..kafka.topics import members
from ..model import MINUTE, SECOND, Instant, Stream
from ..providers.contract import Provider, Window, recalled
from ..providers.registry import provider_of
from ..publishing.state_records import StoredBackoff, backoff_key, cursor_key, decode_state, encode_state, request_key
from ..times import format_rfc3339
from .arguments import ConfigPath, Flag, Moment
from .process import complete

LOOK_S = 1.0
"""Seconds between two looks at the progress."""

AGAIN_S = 5.0
"""A request that nobody has taken up is written again this often."""

STALLED_S = 60.0
"""After this long without a page, or longer where pages are rare, the command says so; where the provider is known to be in trouble it ends."""

SICK_LOOKS = 10
"""Looks in a row that must see a trouble that may pass before it is believed."""

REFUSED_LOOKS = 4
"""Looks in a row that must see the account wait because its credentials are refused: corrected ones are tried within two."""

PATIENCE_S = 15.0
"""After this long without an owner, the command says so, and goes on waiting."""


def command(
    stream: str,
    *,
    config: ConfigPath,
    from_: Annotated[Moment, Parameter(name="--from")],
    to: Moment,
    dry_run: Flag = False,
) -> int:
    """Publish a past range of a stream, beside the live daemon: only what was never published.

    The running worker does it with a fifth of the account's rate limit; it goes on where it was after any kill. Ends with 77 where the
    provider refuses the credentials, with 69 where Kafka or the provider cannot be reached, with 130 when it is interrupted: the worker
    then goes on.

    Example: poller backfill --config poller.yaml heymarket/main/team --from 2026-01-01 --to 2026-02-01

    Parameters
    ----------
    stream
        provider/account/name, as on the status page.
    from_
        Where the range begins: RFC 3339, a date, or a duration ago.
    to
        Where it ends, in the same forms.
    dry_run
        Only say what would be asked.

    """
    return complete(backfill(load(config), stream, from_, to, dry_run=dry_run))


async def backfill(config: Config, stream_id: str, since: Instant, until: Instant, *, dry_run: bool) -> int:
    """Ask, wait and report. Raises Misused for a stream that is not configured, Unavailable, Refused; Unauthorized, Unreachable by the provider."""
    silence_fenced_futures()
    account, stream = _configured(config, stream_id)
    provider = provider_of(account.provider, account.options)
    if since >= until:
        raise Misused(
            f"--from {format_rfc3339(since)} is not before --to {format_rfc3339(until)}",
            fix="exchange them" if since > until else "give a range",
        )
    if since >= SystemClock().now():
        raise Misused(f"--from {format_rfc3339(since)} is in the future", fix="give a past range; polling reads what comes")
    kafka = Kafka(connection_of(config))
    for role in (STATE, REQUESTS):
        await places_of(kafka, role)
    watch = _Watch(kafka, shard_of(account.key, config.kafka.shards), stream)
    cursor = await watch.look()
    per_minute = QUOTA_SHARE * account.rate_count / account.rate_seconds * MINUTE / SECOND
    _say(f"{stream.id} from {format_rfc3339(since)} to {format_rfc3339(until)}, at most {per_minute:g} requests a minute")
    _say(f"never published completely: {_ranges(missing(cursor, since, until)) if cursor else 'not known, the stream was never polled'}")
    if dry_run:
        left = ((since, until),) if cursor is None else parts(cursor, Backfill("", since, until))
        print(_first(provider, stream, left))
        return 0
    patience_s = max(STALLED_S, 5 * len(list(stream_names(account)())) / (per_minute / 60))  # all streams may have one at once
    try:
        result = await _done(watch, BackfillRequest(secrets.token_hex(8), since, until), provider, patience_s)
    except anyio.get_cancelled_exc_class():
        _say("no longer watched; the worker goes on with it" if watch.taken else "no worker has taken it up yet: ask again")
        raise
    print(f"{result.pages} pages, {result.rows} rows, {result.events} events that had never been published")
    return 0


def _first(provider: Provider, stream: Stream, left: tuple[Range, ...]) -> str:
    """What would be asked first, for people."""
    if not left:
        return "nothing would be asked: all of it was published"
    since, until = left[-1]
    request = provider.first_page(stream, Window(since, until, SystemClock().now()), None)
    query = "?" + "&".join(f"{name}={value}" for name, value in request.query) if request.query else ""
    return f"would begin with {request.method} {request.path}{query}{' ' + request.body.decode() if request.body else ''}"


def _configured(config: Config, stream_id: str) -> tuple[Account, Stream]:
    known: list[str] = []
    for account in config.accounts:
        if not account.enabled:
            continue
        for name in stream_names(account)():
            stream = Stream(account.provider, account.name, name)
            if stream_id in (stream.id, f"{account.key}/{name}"):
                return account, stream
            known.append(stream.id)
    some = ", ".join(known[:5])
    raise Misused(
        f"no stream {stream_id} is polled by {config.path}; expected provider/account/name, such as {some}", fix="name one of them"
    )


class _Watch:
    """The stream's cursor as its owner last committed it."""

    def __init__(self, kafka: Kafka, shard: int, stream: Stream) -> None:
        self._kafka, self._shard, self._stream = kafka, shard, stream
        self._position: int | None = None
        self._cursor: Cursor | None = None
        self._waits: StoredBackoff | None = None
        self._fresh = False
        """The account's trouble was committed after the first look; an older one may be over, and not yet be said to be."""
        self.taken = False
        """Somebody works at what was asked for."""

    def trouble(self, *, stalled: bool) -> str | None:
        """Why nothing can be asked of the provider now, as the owner committed it: the kind of its error.

        ``stalled``: that nothing happens speaks for what was committed long ago.
        """
        if not (stalled or self._fresh):
            return None
        stream = None if self._cursor is None else self._cursor.waits
        return self._waits.kind if self._waits is not None else stream and stream[0]

    @property
    def refused(self) -> bool:
        """Whether the account waits because its credentials are refused, as far as its owner has said when it will try again."""
        return self._waits is not None and self._waits.kind == Unauthorized.kind and self._waits.until > SystemClock().now()

    async def owned(self) -> bool:
        """Whether any worker is there. Raises Unavailable, Refused."""
        return await members(self._kafka) > 0

    async def look(self) -> Cursor | None:
        """What is new since the last look."""
        end = await self._kafka.ends(self._shard, settled=False)
        first = self._position is None
        begin = end.begin if self._position is None else max(end.begin, self._position)
        key, waits = cursor_key(self._stream.id), backoff_key(self._stream.account_key)
        async for chunk in self._kafka.read(self._shard, begin, end.end):
            for record in chunk.records:
                if record.key == key:
                    self._cursor = None if record.value is None else decode_state(key, record.value)
                elif record.key == waits:
                    self._waits, self._fresh = None if record.value is None else decode_state(waits, record.value), not first
        self._position = end.end
        return self._cursor

    async def ask(self, asked: BackfillRequest) -> None:
        """Write the request."""
        await self._kafka.send_request(request_key(self._stream.id), encode_state(asked))


async def _done(watch: _Watch, asked: BackfillRequest, provider: Provider, patience_s: float = STALLED_S) -> Backfill:
    """Ask until it is taken up, then show progress until it is done. Raises Unauthorized, Unreachable."""
    began, asked_at, said = anyio.current_time(), -AGAIN_S, ""
    moved, sick, refused = began, 0, 0
    progress: _Progress | None = None
    while True:
        cursor, now = await watch.look(), anyio.current_time()
        held = cursor.backfill if cursor is not None else None
        if held is not None and held.id == asked.id:
            if held.done:
                return held
            progress, watch.taken = progress or _Progress(provider, held, now), True
            moved, line = max(moved, progress.moved(held, now)), progress.line(held, now)
        elif held is not None and not held.done:
            moved, line = now, "another backfill of this stream is under way; this one follows it"
        else:
            line = "" if now - began < PATIENCE_S or watch.refused else "no worker has taken it up; is poller run running?"
        stalled = watch.taken and now - moved > patience_s  # without an owner what the last one said says nothing
        trouble = watch.trouble(stalled=stalled)
        sick = sick + 1 if trouble in (Unreachable.kind, StreamGone.kind) else 0
        refused = refused + 1 if watch.refused else 0
        if trouble == Unauthorized.kind or (refused == REFUSED_LOOKS and await watch.owned()):
            afterwards = "the worker then goes on with it" if watch.taken else "nobody has taken it up, so ask again afterwards"
            raise Unauthorized("the provider refuses the credentials", fix=f"correct them; {afterwards}")
        if stalled and sick >= SICK_LOOKS:
            raise Unreachable(f"no page for {now - moved:.0f} s, the stream is {trouble}", fix="nothing here: the worker goes on with it")
        if stalled:
            line += "; no page for long: the worker's log and /api/v1/status say why"
        if line and line != said:
            said = line
            _say(line)
        if (held is None or held.id != asked.id) and now - asked_at >= AGAIN_S:
            asked_at = now
            await watch.ask(asked)
        await anyio.sleep(LOOK_S)


class _Progress:
    """How far a backfill is, how fast, and how long it may still take: by what happened since it was first looked at (seconds)."""

    def __init__(self, provider: Provider, held: Backfill, now: float) -> None:
        self._provider = provider
        self._pages, self._behind, self._now = held.pages, _behind(provider, held), now
        self._last = held.pages, now

    def moved(self, held: Backfill, now: float) -> float:
        """When the last page came."""
        if held.pages != self._last[0]:
            self._last = held.pages, now
        return self._last[1]

    def line(self, held: Backfill, now: float) -> str:
        """For people."""
        said, behind, seconds = (
            f"{held.pages} pages, {held.rows} rows, {held.events} events",
            _behind(self._provider, held),
            now - self._now,
        )
        if behind > 0:
            said += f"; {behind:.0%}"
        if held.pages > self._pages and seconds > 0:
            said += f", {(held.pages - self._pages) / seconds * 60:.0f} pages a minute"
        if behind > self._behind and seconds > 0:
            said += f", about {(1 - behind) * seconds / (behind - self._behind):.0f} s left"
        return said


def _behind(provider: Provider, held: Backfill) -> float:
    """Which part of the range is behind it, between 0 and 1; where the provider reads from newest to oldest."""
    if held.sweep is None:
        return 0.0
    continuation = recalled(provider.Continuation, held.sweep.request.continuation)
    reached = provider.reached(replace(held.sweep.request, continuation=continuation)) if continuation else None
    return 0.0 if reached is None else min(1.0, max(0.0, (held.until - reached) / (held.until - held.since)))


def _ranges(parts: Iterable[Range]) -> str:
    return (
        ", ".join(f"{format_rfc3339(low)} to {format_rfc3339(high)}" for low, high in parts)
        or "nothing; what is above the floor is compared by id"
    )


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
