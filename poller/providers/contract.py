"""What a provider is: pure functions from requests to values. No I/O, no clock, no logging.

A sweep is :meth:`Provider.first_page`, one HTTP exchange, :meth:`Provider.read_page`, the next request, and so on
until ``Page.next`` is None. What a provider must remember between two pages is ``Request.continuation``; what it
learned about the vendor for later sweeps is ``Page.learned``. Both are tagged Structs of the provider's own types.
They are kept in the state topic, so that another worker goes on with the sweep in hand, and are given back as
those types (see :func:`recalled`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field

from ..model import BadRow, Gap, Instant, Message, Observation, Row, Stream

Json = dict[str, Any]

Secrets = dict[str, str]
"""The account's credentials by their keys in the configuration, and the secret options by their dotted names."""


class SecretOption:
    """An option that is a secret, referred to in the configuration as ``{env: NAME}`` or ``{file: PATH}``.

    A provider's ``Options`` declare it, at any depth, and never see its value: that is among the :data:`Secrets`, under the option's
    dotted name, such as ``conversations.vip.phone``.
    """


Rate = tuple[int, float]
"""Requests, and the seconds in which at most that many may be started: ``(400, 60.0)``."""


class Window(Struct, frozen=True):
    """The half-open span of provider time ``[since, until)`` of one sweep; ``until`` None = open end.

    ``now`` is the provider's clock as we know it when the sweep begins.
    """

    since: Instant
    until: Instant | None
    now: Instant


class Request(Struct, frozen=True, omit_defaults=True):
    """One HTTP request, and what its reader must know.

    ``{name}`` in the path or in a query value is replaced by ``Headers.fill`` when the request is sent, so that an
    account's own id or a phone number never gets into state.
    """

    method: str
    path: str
    """Relative to the account's base_url, percent-encoded, begins with ``/``."""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """JSON, sent with ``content-type: application/json``."""
    continuation: Any = field(default=None, name="step")
    """A Struct of the provider's ``Continuation``. It must be of a size that state can hold, unless ``resumable`` is False."""
    resumable: bool = True
    """False: the request holds what no state may or need keep (a page token, a phone number, a long list of ids).

    After a restart the sweep goes on from its last resumable request, at worst from its first page.
    """
    link: str | None = None
    """The next page's address as the vendor printed it, absolute or relative, in place of path and query.

    The HTTP client resolves it against base_url (RFC 3986) and refuses every other origin and path prefix, because
    credentials travel with it.
    """


class Response(Struct, frozen=True):
    """What came back: 2xx or not, whole and within the limits. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    received: Instant | None = None
    """When it had arrived, by our clock; None where nobody looked."""


class Page(Struct, frozen=True):
    """What one answer gave."""

    rows: list[Row | BadRow]
    next: Request | None = None
    learned: Any = None
    """A Struct of the provider's ``Learned`` for later sweeps of this stream; None = nothing new."""
    gaps: tuple[Gap, ...] = ()
    """Ranges that cannot be proved complete. A sweep reports such a range again each time that it meets it, or says ``lasting``."""
    proved: tuple[tuple[Instant, Instant], ...] = ()
    """Ranges that this side query has found complete: open gaps within them are closed."""
    oddities: tuple[str, ...] = ()
    """Peculiarities of the page, to be counted and said once (short constants)."""
    unread: int = 0
    """Rows beside ``rows`` of which it is known that each is the copy that was adopted last."""
    left_out: int = 0
    """Rows beside ``rows`` that the account's options leave out, readable or not: counted as out of scope, neither published nor dead."""

    @property
    def count(self) -> int:
        """All rows of the answer."""
        return len(self.rows) + self.unread + self.left_out


class Skipped(Struct, frozen=True):
    """A row that is not a message to publish (an internal comment), counted by ``reason``."""

    reason: str


class Fixed(Struct, frozen=True):
    """The provider has these streams, whatever the account, or as its options say: a Heymarket team, or some of its conversations."""

    names: tuple[str, ...]


class Named(Struct, frozen=True):
    """The configuration lists the streams under ``key`` (also as a file of names): ``threads``, ``properties``."""

    key: str
    default: tuple[str, ...] = ()
    """The streams where the configuration does not have the key; none = the key is required."""


Streams = Fixed | Named


class Whole(Struct, frozen=True):
    """The vendor filters by no time: a sweep reads everything, and the rungs collapse to one."""


class ByTime(Struct, frozen=True):
    """The vendor lists the messages of a span of time."""

    ahead: Instant = 0
    """How far ahead of now messages may be listed (a rung of its own); 0 = none."""
    retention: Instant | None = None
    """How long the vendor lists a message; what is older cannot be asked for. None = for ever, as far as is known."""
    longest_window: Instant | None = None
    """The longest span that one request may ask for; None = any (see :mod:`.kit.windows`)."""
    exact: bool = False
    """What ``reached`` says of a sweep is exact: it has read all that is listed above, and another sweep could go on from there."""
    by_position: bool = False
    """Filters test the very date that is a message's position, so that alone says whether a message is in a backfill's range."""


Listing = Whole | ByTime


class Token(Struct, frozen=True):
    """An access token as the vendor issued it. It is kept in memory only, never in state."""

    value: str
    expires: Instant | None = None
    """In provider time; None = until it is refused."""


class Headers(Struct, frozen=True):
    """What authenticates a request. ``expires`` in provider time; None = while the secrets stand."""

    headers: dict[str, str] = {}
    expires: Instant | None = None
    fill: dict[str, str] = {}
    """What takes the place of ``{name}`` in paths (percent-encoded) and query values (see :class:`Request`)."""


class TokenRequest(Struct, frozen=True):
    """A token must be asked for first: ``POST url`` with a form (RFC 6749 section 4.4); its answer goes to ``read_token``."""

    url: str
    """A path relative to base_url, or an absolute https URL that the operator configured."""
    form: tuple[tuple[str, str], ...]
    headers: dict[str, str] = {}


LOOKUP = "lookup"
"""The name of the side query that asks for single messages: the engine says which."""


class View(Struct, frozen=True):
    """What a side query may look at when it begins. Instants and durations in microseconds, by the provider's clock."""

    now: Instant
    floor: Instant
    depth: Instant
    """How far the ladder reaches back."""
    every: Instant
    """The period of the deepest rung."""
    remembered: Any = None
    """What the side query's last run learned: its ``Learned``; None = nothing yet."""
    learned: Any = None
    """What the stream's sweeps learned: the provider's ``Learned``; None = nothing yet."""
    events: int = 0
    """How many events its last run gave."""
    message_id: str | None = None
    """Which message a look-up is due for."""
    quiet: Instant = 0
    """How long ago the sweeps of the stream found the last change."""


class SideQuery(Struct, frozen=True):
    """A question beside the sweeps: a hint, a look-up, a recount.

    Side queries make changes visible sooner, and holes visible at all. They never advance a sweep, and their
    failures do not pause the stream. What they list is read, compared and published like any row.
    """

    name: str
    share: float
    """Which part of the account's rate limit all its runs may use, 0 to 1."""
    begin: Callable[[Stream, View], Request | None]
    """The first request of a run; None = nothing to ask now."""
    read: Callable[[Request, Response], Page]
    """Reads one answer of a run; raises as :meth:`Provider.read_page`. ``Page.learned`` is its own ``Learned``."""
    period: Instant = 0
    """Microseconds from one run to the next; 0 = a hint: at every interval of the account, more seldom while the stream is quiet."""
    Learned: Any = None
    """The Struct type that it remembers between two runs; None = it remembers nothing."""


class NoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a provider that has none."""


class Provider(Protocol):
    """One vendor. Instances are frozen values made of the account's options: ``Provider(options)``.

    A vendor's folder has ``provider.py`` (this), ``message.py`` (a row as a message) with ``usual.py``
    (the usual row, read faster), its listing files, and ``README.md`` (the vendor's pages, and the table of ambiguities
    whose letters name the case files).
    """

    @property
    def name(self) -> str:
        """The provider's name in the configuration, in keys and in events."""
        ...

    @property
    def base_url(self) -> str | None:
        """The vendor's host, or None where the operator must give it."""
        ...

    @property
    def rate_limit(self) -> Rate:
        """What is asked at most where the configuration says nothing."""
        ...

    @property
    def credentials(self) -> tuple[frozenset[str], ...]:
        """The accepted sets of credential keys."""
        ...

    @property
    def streams(self) -> Streams:
        """Which streams an account has, or under which configuration key they are listed."""
        ...

    @property
    def listing(self) -> Listing:
        """Whether the vendor filters by time, and how far."""
        ...

    @property
    def Options(self) -> type[Struct]:  # noqa: N802 - a type
        """The vendor's own keys of an account in the configuration, with defaults; checked with it. :class:`NoOptions` = none.

        What no type can say, ``__post_init__`` refuses: by ValueError, with a whole sentence that quotes no value.
        """
        ...

    @property
    def Continuation(self) -> Any:  # noqa: N802 - a type
        """The tagged Struct, or union of them, that ``Request.continuation`` of a sweep holds; None = it holds nothing."""
        ...

    @property
    def Learned(self) -> Any:  # noqa: N802 - a type
        """The Struct that ``Page.learned`` of a sweep holds; None = nothing is learned."""
        ...

    def identity(self, secrets: Secrets) -> str:
        """What two accounts of one base_url may not share: the vendor's account behind the credentials."""
        ...

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers | TokenRequest:
        """Credentials to headers, or to a request for a token. ``now`` is the provider's clock, at the earliest.

        Raises ConfigError where a secret cannot be used, with a sentence that names it and does not quote it.
        """
        ...

    def read_token(self, response: Response, now: Instant) -> Token:
        """The answer to a TokenRequest. Raises as :meth:`read_page`; Unauthorized where the credentials are refused."""
        ...

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The cheapest request that proves credentials and stream, with the right that polling needs and no other."""
        ...

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The request that begins a sweep of the window; ``learned`` is a ``Learned``, or None at first."""
        ...

    def read_page(self, request: Request, response: Response) -> Page:
        """One answer: rows, the next request, gaps, what was learned.

        Raises Unreachable, RateLimited, Unauthorized, StreamGone, BadPage and its children.
        """
        ...

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """Normalize one row. Never raises, for any bytes."""
        ...

    def change_stamp(self, message: Message) -> Instant | None:
        """The provider's own version stamp as a published message tells it; None = the provider gives none.

        Of two copies of a message the one with the lower stamp is older. State is rebuilt from events by this.
        """
        ...

    def reached(self, request: Request) -> Instant | None:
        """How far back a sweep has read when it makes this request, for progress that people see; None = it cannot be said."""
        ...

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """What is asked beside the sweeps, in the order of urgency."""
        ...


def recalled(kind: Any, stored: Any) -> Any:
    """What state holds of a continuation or of what was learned, as ``kind``; None where it is nothing, or of another shape.

    State keeps plain values; in memory the Struct itself goes round.
    """
    if kind is None or stored is None or isinstance(stored, Struct):
        return stored
    try:
        return msgspec.convert(stored, kind)
    except msgspec.ValidationError:
        return None
