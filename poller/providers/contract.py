"""What an adapter is: pure functions from requests to values, no I/O, no clock, no logging.

A sweep is ``first_page`` → (fetch) → ``read_page`` → next request → ... until ``Page.next`` is
None. Everything an adapter must remember between two pages is in ``Request.step``; everything
it learned about the provider for later sweeps is in ``Page.memo``. Both are plain JSON values
(dict, list, str, int, float, bool, None) because they are kept in the state topic, so that another
worker can go on with the sweep in hand.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct, field

from ..model import BadRow, Gap, Instant, Observation, Row, Stream

Json = dict[str, Any]


class Window(Struct, frozen=True):
    """The half-open span of provider time ``[since, until)`` of one sweep; ``until`` None = open end.

    ``now`` is the provider's clock as we know it when the sweep begins.
    """

    since: Instant
    until: Instant | None
    now: Instant


class Request(Struct, frozen=True, omit_defaults=True):
    """One HTTP request, relative to the account's base_url, and what its reader must know."""

    method: str
    path: str
    """Percent-encoded, begins with ``/``."""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """JSON, sent with ``content-type: application/json``."""
    step: Json = {}
    fleeting: bool = False
    """It holds what no state may (a phone number): it is never kept, and after a restart the request before it is asked again."""


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
    memo: Json | None = None
    """What was learned for later sweeps of this stream; None = nothing new."""
    gaps: tuple[Gap, ...] = ()
    """Ranges that cannot be proved complete. A sweep reports such a range again each time that it meets it, or says ``lasting``."""
    proved: tuple[tuple[Instant, Instant], ...] = ()
    """Ranges that this side query has found complete: open gaps within them are closed."""
    oddities: tuple[str, ...] = ()
    """Peculiarities of the page, to be counted and said once (short constants)."""
    unread: int = 0
    """Rows beside those, of which it is known already that each is the copy that was adopted last."""

    @property
    def count(self) -> int:
        """All rows of the answer."""
        return len(self.rows) + self.unread


LOOKUP = "lookup"
"""The chore that asks for single messages: the engine says which."""


class SideQuery(Struct, frozen=True):
    """Something that is asked beside the sweeps: a hint, a look-up, an audit. It only hurries; no rung waits for it.

    What it lists is read, compared and published like any row. It remembers between two runs what its
    last ``Page.memo`` said, and its failures are its own: the stream goes on.
    """

    name: str
    share: float
    """What it may use of the account's rate limit."""
    period: Instant = 0
    """From one run to the next; 0 = the interval."""


class View(Struct, frozen=True):
    """What a chore may look at when it begins. Instants and durations in microseconds, by the provider's clock."""

    now: Instant
    floor: Instant
    depth: Instant
    """How far the ladder reaches back."""
    every: Instant
    """The period of the deepest rung."""
    memo: Json
    """Its own, from its last run."""
    learned: Json
    """The stream's, from its sweeps."""
    events: int = 0
    """How many events its last run gave."""
    message_id: str | None = None
    """Which message a look-up is due for."""


class Skipped(Struct, frozen=True):
    """A row that is not a message to publish (an internal comment), counted by ``reason``."""

    reason: str


class Authorization(Struct, frozen=True):
    """Headers that carry the credentials; ``expires`` in provider time, None = while the secret stands."""

    headers: dict[str, str] = field(default_factory=dict)
    expires: Instant | None = None


class Adapter(Protocol):
    """One provider. Instances are frozen values built from the account's options."""

    name: str
    base_url: str | None
    """The vendor's host, or None where the operator must give it."""
    rate_limit: tuple[int, float]
    """Default requests per seconds: (400, 60.0)."""
    credential_sets: tuple[tuple[str, ...], ...]
    """The accepted sets of credential keys."""
    filtered: bool
    """Whether the provider filters by time. False: a sweep reads everything, the rungs collapse to one."""
    ahead: Instant
    """How far ahead of now messages may be listed (a rung of its own); 0 = none."""

    def authorize(self, secrets: dict[str, str], now: Instant) -> Authorization:
        """Credentials to headers. ``now`` is the provider's clock."""
        ...

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The cheapest request that proves credentials and stream."""
        ...

    def first_page(self, stream: Stream, window: Window, memo: Json) -> Request:
        """The request that begins a sweep of the window."""
        ...

    def read_page(self, request: Request, response: Response) -> Page:
        """Read one answer.

        Raises Unreachable, RateLimited, Unauthorized, StreamGone, BadPage and its children.
        """
        ...

    @property
    def chores(self) -> tuple[SideQuery, ...]:
        """What is asked beside the sweeps, in the order of their urgency."""
        ...

    def begin(self, chore: str, stream: Stream, view: View) -> Request | None:
        """The first request of a run; None = nothing to ask now. Read by :meth:`read_page`."""
        ...

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """Normalize one row; never raises for any bytes."""
        ...
