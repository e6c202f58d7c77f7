"""Fone Dynamics: ``GET /v2/Properties/{PropertySid}/Messages``, by slices of time that are never paged.

Sources: fonedynamics.com/docs/rest-api/find-sms and send-sms, the vendor's C# and Java clients
(host, Basic authentication, error shape). Pages by offset may overlap and skip while messages
arrive, so a window is read in slices, newest first, each as long as one answer is expected to
hold; one whose answer was cut begins anew with its newer half, down to one second. Only an
over-full second is paged, and where its pages moved, again and again until two passes add nothing and no id is lacking;
one that was walked rests for a minute (:mod:`.crowds`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from msgspec import Struct

from ...model import DAY, MINUTE, SECOND, BadRow, Instant, Message, Observation, Row, Stream
from .. import contract
from ..contract import LOOKUP, Headers, Page, Request, Response, Secrets, SideQuery, Skipped, Token, View, Window
from ..kit.answers import accept
from ..kit.auth import NoToken, basic
from ..kit.rows import decoded
from ..kit.times import epoch, latest
from . import reread, slices
from .answers import single
from .message import _observation, read_rows
from .usual import usual

_NO_SUCH = frozenset({400, 403, 404, 410})
"""Answers to a look-up that say nothing of the property: there is no such message, or no such call."""

REFUSED_MAX = 20
"""Look-ups refused in a row, and none answered between them, after which they are switched off: the call is not there."""

OFF: Instant = DAY
"""How long look-ups stay switched off; then one is tried again, because what was refused may have been an outage."""


class LookUps(Struct, frozen=True):
    """What is known of look-ups."""

    refused: int = 0
    """Refused in a row."""
    off_until: Instant = 0


class LookUp(Struct, frozen=True, tag="lookup"):
    """One look-up."""

    now: Instant
    refused: int
    """How many before it were refused in a row."""


def _looked_up(request: Request, response: Response) -> Page:
    """The answer to a look-up: one message, or none. What is refused every time is not asked any more."""
    before: LookUp = request.continuation
    if response.status not in _NO_SUCH:
        rows = read_rows(single(accept(response, other_gone=True)))
        return Page(rows, learned=LookUps() if before.refused else None)
    refused = before.refused + 1
    if refused < REFUSED_MAX:
        return Page([], learned=LookUps(refused))
    return Page([], learned=LookUps(refused, before.now + OFF), oddities=("lookups_switched_off",))


class FoneDynamicsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor's own keys of an account."""

    params_in: Literal["query", "body"] = "query"
    """Where parameters go; ``body`` for the literal reading of the docs, which print a JSON object."""


class FoneDynamics(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`. README.md has the sources and what they leave open."""

    options: FoneDynamicsOptions = FoneDynamicsOptions()
    name: ClassVar[str] = "fonedynamics"
    base_url: ClassVar[str | None] = "https://api.fonedynamics.com"
    rate_limit: ClassVar[contract.Rate] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"account_sid", "token"}),)
    streams: ClassVar[contract.Streams] = contract.Named("properties")
    listing: ClassVar[contract.Listing] = contract.ByTime(ahead=slices.AHEAD, exact=True)
    Options: ClassVar[type[Struct]] = FoneDynamicsOptions
    Continuation: ClassVar[Any] = slices.Continuation
    Learned: ClassVar[Any] = slices.Learned

    def identity(self, secrets: Secrets) -> str:
        """The AccountSid."""
        return secrets["account_sid"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """HTTP Basic, AccountSid and Token."""
        return basic(secrets["account_sid"], secrets["token"])

    def probe(self, stream: Stream, now: Instant) -> Request:
        """One second of the property."""
        second = now // SECOND * SECOND
        return self.first_page(stream, Window(second - SECOND, second, now), slices.Learned(modest=now // SECOND))

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """Look-ups by id of what is not final; and every range once more under other tilings."""
        return (
            SideQuery(LOOKUP, share=0.2, begin=self._look_up, read=_looked_up, Learned=LookUps),
            SideQuery("tilings", share=0.05, period=MINUTE, begin=self._reread, read=self._read_again, Learned=reread.Round),
        )

    def _look_up(self, stream: Stream, view: View) -> Request | None:
        """``GET /v2/Messages/{MessageSid}``, one message; nothing while look-ups are switched off."""
        known = view.remembered or LookUps()
        if view.message_id is None or known.off_until > view.now:
            return None
        path = f"/v2/Messages/{quote(view.message_id, safe='')}"
        return Request("GET", path, continuation=LookUp(view.now, known.refused))

    def _reread(self, stream: Stream, view: View) -> Request | None:
        return reread.begin(stream, view, self.options.params_in)

    def _read_again(self, request: Request, response: Response) -> Page:
        return reread.read(request, response, self.options.params_in)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps but the scheduled one: the vendor has none of its own for changes."""
        return latest(message.created_at, message.sent_at, message.delivered_at, message.received_at)

    def reached(self, request: Request) -> Instant | None:
        """The end of the slice."""
        return slices.reached(request.continuation)

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The newest slice of the window."""
        return slices.asked(slices.first(stream.name, window, learned or slices.Learned()), self.options.params_in)

    def read_page(self, request: Request, response: Response) -> Page:
        """One answer: rows, and what is left of the window."""
        return slices.read(request, response, self.options.params_in)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message; timestamps are epoch seconds, absent where null, zero or negative."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        value = {name.lower(): each for name, each in value.items() if each is not None}
        created = epoch(value.get("created"))
        if created is None:
            return BadRow("bad_time", "Created", row.raw, row.id)
        return _observation(row.id, value, created.instant, created.text)
