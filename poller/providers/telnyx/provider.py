"""Telnyx: ``GET /v2/detail_records?filter[record_type]=messaging``, newest created first, by page numbers.

Sources: the vendor's OpenAPI file and the Python client made from it; developers.telnyx.com, "search detail records".
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import BadPage
from ...model import SECOND, BadRow, Instant, Message, Observation, Row, Stream
from ...times import format_rfc3339, instant, parse_rfc3339
from ..contract import (
    ByTime,
    Fixed,
    Headers,
    Listing,
    NoOptions,
    Page,
    Rate,
    Request,
    Response,
    Secrets,
    SideQuery,
    Skipped,
    Streams,
    Token,
    Window,
)
from ..kit.answers import accept
from ..kit.auth import NoToken, bearer
from ..kit.rows import decoded, listed
from .message import observation_of, read_rows
from .usual import usual

PAGE_SIZE = 50
"""The vendor's largest page."""

PATH = "/v2/detail_records"


class Pages(Struct, frozen=True):
    """A sweep in hand."""

    since: Instant
    until: Instant | None
    number: int = 1
    total: int = 0
    """How many rows the list had when the page before was read."""
    reached: Instant | None = None
    """When the oldest row so far was created."""


class _Meta(Struct):
    total_pages: int | None = None
    total_results: int | None = None
    page_number: int | None = None


_meta = msgspec.json.Decoder(_Meta | None, strict=False)


class Telnyx(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: NoOptions = NoOptions()
    name: ClassVar[str] = "telnyx"
    base_url: ClassVar[str | None] = "https://api.telnyx.com"
    rate_limit: ClassVar[Rate] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"api_key"}),)
    streams: ClassVar[Streams] = Fixed(("messaging",))
    listing: ClassVar[Listing] = ByTime()
    side_queries: ClassVar[tuple[SideQuery, ...]] = ()
    Options: ClassVar[type[Struct]] = NoOptions
    Continuation: ClassVar[Any] = Pages
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The API key."""
        return secrets["api_key"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """``Authorization: Bearer <key>``."""
        return bearer(secrets["api_key"])

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The last second."""
        return _asked(Pages(now - SECOND, now))

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep."""
        return _asked(Pages(window.since, window.until))

    def read_page(self, request: Request, response: Response) -> Page:
        """One page. Where the list has become shorter, rows have moved up a page: the same number is read once more."""
        pages: Pages = request.continuation
        raws, around = listed(accept(response), ("data",))
        rows = read_rows(raws)
        try:
            meta = _meta.decode(around.get("meta", b"null")) or _Meta()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadPage("meta is not what the vendor documents") from None
        total = meta.total_results or 0
        oldest = min((row.created for row in rows if isinstance(row, Row)), default=pages.reached)
        shorter = pages.number > 1 and total < pages.total
        following = replace(pages, number=pages.number + (0 if shorter else 1), total=total, reached=oldest)
        more = shorter or (bool(rows) and (meta.total_pages is None or pages.number < meta.total_pages))
        return Page(rows, _asked(following) if more else None)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One record."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = parse_rfc3339(value.get("created_at"))
        if created is None:
            return BadRow("bad_time", "created_at", row.raw, row.id)
        return observation_of(row.id, value, created)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps."""
        stamps = map(instant, (message.created_at, message.updated_at, message.sent_at, message.delivered_at))
        return max((each for each in stamps if each is not None), default=None)

    def reached(self, request: Request) -> Instant | None:
        """When the oldest row so far was created."""
        return request.continuation.reached


def _asked(pages: Pages) -> Request:
    """One page: operators are part of the key, and both ends of the window are given to the microsecond."""
    query = [
        ("filter[record_type]", "messaging"),
        ("filter[created_at][gte]", format_rfc3339(pages.since)),
        *([("filter[created_at][lt]", format_rfc3339(pages.until))] if pages.until is not None else []),
        ("sort", "-created_at"),
        ("page[number]", str(pages.number)),
        ("page[size]", str(PAGE_SIZE)),
    ]
    return Request("GET", PATH, tuple(query), continuation=pages)
