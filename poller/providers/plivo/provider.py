"""Plivo: ``GET /v1/Account/{id}/Message/``, twenty rows a page, by the links that answers give.

Sources: the vendor's Python client, whose tests hold example answers, and whose module ``base`` says that a next
link carries an offset or an opaque cursor; plivo.com/docs, "list all messages".
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from ...model import DAY, SECOND, BadRow, Instant, Message, Observation, Row, Stream
from ...times import format_rfc3339
from .. import contract
from ..contract import LOOKUP, Headers, Page, Request, Response, Secrets, SideQuery, Skipped, Token, View, Window
from ..kit import paging
from ..kit.answers import accept
from ..kit.auth import NoToken, basic
from ..kit.members import Lookup, beside, by_id, found
from ..kit.rows import listed, observed
from ..kit.times import latest, rfc3339
from .message import observation_of, read_rows
from .usual import usual

LIMIT = 20
"""The vendor's largest page."""

RETENTION: Instant = 90 * DAY
"""The vendor lists messages this long."""

PATH = "/v1/Account/{auth_id}/Message/"
"""The list of messages; look-ups put the id behind it."""


class _Meta(Struct):
    next: str | None = None
    total_count: int | None = None


class Plivo(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: contract.NoOptions = contract.NoOptions()
    name: ClassVar[str] = "plivo"
    base_url: ClassVar[str | None] = "https://api.plivo.com"
    rate_limit: ClassVar[contract.Rate] = (20, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"auth_id", "auth_token"}),)
    streams: ClassVar[contract.Streams] = contract.Fixed(("messages",))
    listing: ClassVar[contract.Listing] = contract.ByTime(retention=RETENTION)
    Options: ClassVar[type[Struct]] = contract.NoOptions
    Continuation: ClassVar[Any] = paging.Place | Lookup
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The auth id."""
        return secrets["auth_id"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """HTTP Basic; the auth id is in the path too."""
        return basic(secrets["auth_id"], secrets["auth_token"], fill={"auth_id": secrets["auth_id"]})

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The last second."""
        return self.first_page(stream, Window(now - SECOND, now, now), None)

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep. The lower end is always given: without one the vendor lists the last 24 hours only."""
        return _asked(paging.begin(stream, window, self.listing))

    def read_page(self, request: Request, response: Response) -> Page:
        """A page of the list, or the one message of a look-up."""
        if isinstance(request.continuation, Lookup):
            return Page(read_rows(found(response, "message_uuid")))
        place: paging.Place = request.continuation
        anew = paging.expired(place, response)
        if anew is not None:
            return Page([], _asked(anew), oddities=("page_token_refused",))
        raws, around = listed(accept(response), ("objects",))
        rows, meta = read_rows(raws), beside(around, "meta", _Meta) or _Meta()
        following = self._following(place, meta, rows)
        return Page(rows, following and _asked(following))

    def _following(self, place: paging.Place, meta: _Meta, rows: list[Row | BadRow]) -> paging.Place | None:
        """The page after this: by the link where it holds a cursor, else by an offset of our own.

        Where the list has become shorter by some rows before this page was read, as many rows have moved up to just before it, so the
        next page begins that much before this one. A list that has no total is followed to its end.
        """
        fallen, after = paging.fallen(place, meta.total_count), paging.seen(place, rows, meta.total_count)
        if fallen:
            return paging.number(after, max(0, paging.number_of(place, 0) - fallen), self.listing)
        if meta.next is not None and "cursor" in parse_qs(urlsplit(meta.next).query):
            return paging.link(after, meta.next, self.listing)
        more = meta.next is not None and bool(rows)
        return paging.number(after, paging.number_of(place, 0) + len(rows) if more else None, self.listing)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        return observed(row, "message_time", rfc3339, observation_of)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps."""
        return latest(message.created_at, message.updated_at, message.sent_at)

    def reached(self, request: Request) -> Instant | None:
        """When the oldest row so far was created."""
        return request.continuation.reached if isinstance(request.continuation, paging.Place) else None

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """Look-ups by id of what is not final."""
        return (SideQuery(LOOKUP, share=0.2, begin=self._look_up, read=self.read_page),)

    def _look_up(self, stream: Stream, view: View) -> Request | None:
        """``/v1/Account/{id}/Message/{uuid}/``."""
        return by_id(view, PATH, "/")


def _asked(place: paging.Place) -> Request:
    """A page by its offset, or by the vendor's link: operators are part of the key, times are UTC without a zone."""
    query = [("message_time__gte", _time(place.since))]
    if place.until is not None:
        query.append(("message_time__lt", _time(place.until)))
    query += [("limit", str(LIMIT)), ("offset", str(paging.number_of(place, 0)))]
    return paging.asked(place, Request("GET", PATH, tuple(query)))


def _time(at: Instant) -> str:
    return format_rfc3339(at).removesuffix("Z").replace("T", " ")
