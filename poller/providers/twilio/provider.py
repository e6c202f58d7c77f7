"""Twilio: ``GET /2010-04-01/Accounts/{AccountSid}/Messages.json``; also SignalWire and others that speak it, by base_url.

Sources: the vendor's OpenAPI file (``twilio_api_v2010``) and Python client; signalwire.com/docs/compatibility-api.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from ...model import HOUR, MINUTE, BadRow, Instant, Message, Observation, Row, Stream
from ...times import instant
from .. import contract
from ..contract import LOOKUP, Headers, Page, Request, Response, Secrets, SideQuery, Skipped, Token, View, Window
from ..kit.auth import NoToken, basic
from ..kit.members import Lookup, by_id, found
from ..kit.rows import observed
from . import walk
from .message import observation_of, read_rows, time
from .usual import usual
from .walk import OWN, RETENTION, Continuation, Learned, Walk

REREAD_PERIOD: Instant = HOUR
"""How often the list is re-read for what filters hide: with pages of a thousand rows that costs a few requests."""


class Reread(Struct, frozen=True):
    """When the last re-reading began."""

    began: Instant


class Twilio(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: contract.NoOptions = contract.NoOptions()
    name: ClassVar[str] = "twilio"
    base_url: ClassVar[str | None] = "https://api.twilio.com"
    rate_limit: ClassVar[contract.Rate] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"account_sid", "auth_token"}),
        frozenset({"account_sid", "api_key", "api_secret"}),
    )
    streams: ClassVar[contract.Streams] = contract.Named("subaccounts", default=(OWN,))
    listing: ClassVar[contract.Listing] = contract.ByTime(retention=RETENTION, by_position=True)
    Options: ClassVar[type[Struct]] = contract.NoOptions
    Continuation: ClassVar[Any] = Continuation
    Learned: ClassVar[Any] = Learned

    def identity(self, secrets: Secrets) -> str:
        """The AccountSid."""
        return secrets["account_sid"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """HTTP Basic: the AccountSid and its token, or an API key and its secret; the AccountSid is in the path either way."""
        account = {"account_sid": secrets["account_sid"]}
        if "api_key" in secrets:
            return basic(secrets["api_key"], secrets["api_secret"], fill=account)
        return basic(secrets["account_sid"], secrets["auth_token"], fill=account)

    def probe(self, stream: Stream, now: Instant) -> Request:
        """One row of the list."""
        return Request("GET", walk.path(stream), (("PageSize", "1"),), continuation=Walk(now, None, filtered=False, learned=Learned()))

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep."""
        return walk.first(stream, window, learned or Learned())

    def read_page(self, request: Request, response: Response) -> Page:
        """A page of a list, or the one message of a look-up."""
        if isinstance(request.continuation, Lookup):
            return Page([row for row, _ in read_rows(found(response, "sid"))])
        return walk.read(request, response)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        return observed(row, "date_created", time, observation_of)

    def change_stamp(self, message: Message) -> Instant | None:
        """``date_updated``."""
        return instant(message.updated_at)

    def reached(self, request: Request) -> Instant | None:
        """When the oldest row so far was sent."""
        return walk.reached(request)

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """Look-ups by Sid of what is not final; and the list from the top, for what is not sent and hidden by filters."""
        return (
            SideQuery(LOOKUP, share=0.2, begin=self._look_up, read=self.read_page),
            SideQuery("unsent", share=0.1, period=MINUTE, begin=self._reread, read=self._read_again, Learned=Reread),
        )

    def _read_again(self, request: Request, response: Response) -> Page:
        """A page of the re-reading, which remembers at its end when it began."""
        page = self.read_page(request, response)
        return replace(page, learned=Reread(request.continuation.began) if page.next is None else None)

    def _look_up(self, stream: Stream, view: View) -> Request | None:
        """``Messages/{Sid}.json``."""
        return by_id(view, walk.path(stream).removesuffix(".json") + "/", ".json")

    def _reread(self, stream: Stream, view: View) -> Request | None:
        """The whole depth before the last re-reading unfiltered, once an hour; nothing where filters are known to let pass what is not sent.

        So an outage leaves nothing out, and the first time all is read that the sweeps read.
        """
        learned, last = view.learned or Learned(), view.remembered
        if learned.unsent_pass or (last is not None and 0 <= view.now - last.began < REREAD_PERIOD):
            return None
        since = view.floor if last is None else max(view.floor, min(view.now, last.began) - view.depth)
        return walk.first(stream, Window(since, None, view.now), learned, by_day=False)
