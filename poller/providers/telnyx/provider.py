"""Telnyx: ``GET /v2/detail_records?filter[record_type]=messaging``, newest created first, by page numbers.

Sources: the vendor's OpenAPI file and the Python client made from it; developers.telnyx.com, "search detail records".
"""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar

from msgspec import Struct

from ...model import SECOND, BadRow, Instant, Message, Observation, Row, Stream
from ...times import format_rfc3339
from .. import contract
from ..contract import Headers, Page, Request, Response, Secrets, Skipped, Token, Window
from ..kit import paging
from ..kit.answers import accept
from ..kit.auth import NoToken, bearer
from ..kit.members import beside
from ..kit.rows import listed, observed
from ..kit.times import latest, rfc3339
from .message import observation_of, read_rows
from .usual import usual

PAGE_SIZE = 50
"""The vendor's largest page."""

PATH = "/v2/detail_records"
"""The list of detail records."""


class _Meta(Struct):
    total_pages: int | None = None
    total_results: int | None = None


class Telnyx(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: contract.NoOptions = contract.NoOptions()
    name: ClassVar[str] = "telnyx"
    base_url: ClassVar[str | None] = "https://api.telnyx.com"
    rate_limit: ClassVar[contract.Rate] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"api_key"}),)
    streams: ClassVar[contract.Streams] = contract.Fixed(("messaging",))
    listing: ClassVar[contract.Listing] = contract.ByTime()
    side_queries: ClassVar[tuple[contract.SideQuery, ...]] = ()
    Options: ClassVar[type[Struct]] = contract.NoOptions
    Continuation: ClassVar[Any] = paging.Place
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The API key."""
        return secrets["api_key"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """``Authorization: Bearer <key>``."""
        return bearer(secrets["api_key"])

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The last second."""
        return self.first_page(stream, Window(now - SECOND, now, now), None)

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep."""
        return _request(paging.begin(stream, window, self.listing))

    def read_page(self, request: Request, response: Response) -> Page:
        """One page. Where the list has become shorter, as many rows have moved up to before this page: the pages that have them are read again."""
        place: paging.Place = request.continuation
        raws, around = listed(accept(response), ("data",))
        rows, meta = read_rows(raws), beside(around, "meta", _Meta) or _Meta()
        number = paging.number_of(place, 1)
        fallen = paging.fallen(place, meta.total_results)
        if fallen:
            following = max(1, number - ceil(fallen / _page_size(meta)))
        else:
            following = number + 1 if rows and (meta.total_pages is None or number < meta.total_pages) else None
        return Page(rows, _asked(paging.number(paging.seen(place, rows, meta.total_results), following, self.listing)))

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One record."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        return observed(row, "created_at", rfc3339, observation_of)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps."""
        return latest(message.created_at, message.updated_at, message.sent_at, message.delivered_at)

    def reached(self, request: Request) -> Instant | None:
        """When the oldest row so far was created."""
        return request.continuation.reached


def _page_size(meta: _Meta) -> int:
    """How many rows a page has at least, as the vendor tells: it may give fewer than were asked for."""
    return max(1, ceil((meta.total_results or 0) / meta.total_pages)) if meta.total_pages else PAGE_SIZE


def _asked(place: paging.Place | None) -> Request | None:
    return place and _request(place)


def _request(place: paging.Place) -> Request:
    """One page: operators are part of the key, and both ends of the window are given to the microsecond."""
    query = [
        ("filter[record_type]", "messaging"),
        ("filter[created_at][gte]", format_rfc3339(place.since)),
        *([("filter[created_at][lt]", format_rfc3339(place.until))] if place.until is not None else []),
        ("sort", "-created_at"),
        ("page[number]", str(paging.number_of(place, 1))),
        ("page[size]", str(PAGE_SIZE)),
    ]
    return paging.asked(place, Request("GET", PATH, tuple(query)))
