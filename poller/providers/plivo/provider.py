"""Plivo: ``GET /v1/Account/{id}/Message/``, twenty rows a page, by the links that answers give.

Sources: the vendor's Python client, whose tests hold example answers, and whose ``base.py`` says that a next
link carries an offset or an opaque cursor; plivo.com/docs, "list all messages".
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import BadPage
from ...model import DAY, SECOND, BadRow, Instant, Message, Observation, Row, Stream
from ...times import format_rfc3339, instant, parse_rfc3339
from ..contract import (
    LOOKUP,
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
    View,
    Window,
)
from ..kit.answers import accept
from ..kit.auth import NoToken, basic
from ..kit.rows import decoded, listed, single
from .message import observation_of, read_rows
from .usual import usual

LIMIT = 20
"""The vendor's largest page."""

RETENTION: Instant = 90 * DAY
"""The vendor lists messages this long."""

AGAIN_MAX = 3
"""How often a sweep begins anew because a cursor is refused."""

PATH = "/v1/Account/{auth_id}/Message/"


class Pages(Struct, frozen=True, tag="pages"):
    """A sweep in hand."""

    since: Instant
    until: Instant | None
    offset: int = 0
    total: int = 0
    """How many rows the list had when the page before was read."""
    reached: Instant | None = None
    """When the oldest row so far was created."""
    again: int = 0
    """How often it began anew."""


class Lookup(Struct, frozen=True, tag="lookup"):
    """One message by its id."""


class _Meta(Struct):
    next: str | None = None
    total_count: int | None = None


_meta = msgspec.json.Decoder(_Meta | None, strict=False)


class Plivo(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: NoOptions = NoOptions()
    name: ClassVar[str] = "plivo"
    base_url: ClassVar[str | None] = "https://api.plivo.com"
    rate_limit: ClassVar[Rate] = (20, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"auth_id", "auth_token"}),)
    streams: ClassVar[Streams] = Fixed(("messages",))
    listing: ClassVar[Listing] = ByTime(retention=RETENTION)
    Options: ClassVar[type[Struct]] = NoOptions
    Continuation: ClassVar[Any] = Pages | Lookup
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The auth id."""
        return secrets["auth_id"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """HTTP Basic; the auth id is in the path too."""
        return basic(secrets["auth_id"], secrets["auth_token"], fill={"auth_id": secrets["auth_id"]})

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The last second."""
        return _asked(Pages(now - SECOND, now))

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep. The lower end is always given: without one the vendor lists the last 24 hours only."""
        return _asked(Pages(max(window.since, window.now - RETENTION), window.until))

    def read_page(self, request: Request, response: Response) -> Page:
        """A page of the list, or the one message of a look-up; a message that is gone is no row."""
        if isinstance(request.continuation, Lookup):
            return Page([] if response.status in (404, 410) else read_rows([single(accept(response), "message_uuid")]))
        pages: Pages = request.continuation
        if request.link is not None and response.status in (400, 404, 410) and pages.again < AGAIN_MAX:
            return Page([], _asked(Pages(pages.since, pages.until, again=pages.again + 1)), oddities=("page_token_refused",))
        raws, around = listed(accept(response), ("objects",))
        rows = read_rows(raws)
        try:
            meta = _meta.decode(around.get("meta", b"null")) or _Meta()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadPage("meta is not what the vendor documents") from None
        oldest = min((row.created for row in rows if isinstance(row, Row)), default=pages.reached)
        return Page(rows, _following(replace(pages, reached=oldest), meta, len(rows)))

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = parse_rfc3339(value.get("message_time"))
        if created is None:
            return BadRow("bad_time", "message_time", row.raw, row.id)
        return observation_of(row.id, value, created)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps."""
        stamps = map(instant, (message.created_at, message.updated_at, message.sent_at))
        return max((each for each in stamps if each is not None), default=None)

    def reached(self, request: Request) -> Instant | None:
        """When the oldest row so far was created."""
        return request.continuation.reached if isinstance(request.continuation, Pages) else None

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """Look-ups by id of what is not final."""
        return (SideQuery(LOOKUP, share=0.2, begin=self._look_up, read=self.read_page),)

    def _look_up(self, stream: Stream, view: View) -> Request | None:
        """``/v1/Account/{id}/Message/{uuid}/``."""
        if view.message_id is None:
            return None
        return Request("GET", f"{PATH}{quote(view.message_id, safe='')}/", continuation=Lookup())


def _asked(pages: Pages) -> Request:
    """A page by its offset: operators are part of the key, times are UTC without a zone."""
    query = [("message_time__gte", _time(pages.since))]
    if pages.until is not None:
        query.append(("message_time__lt", _time(pages.until)))
    return Request("GET", PATH, (*query, ("limit", str(LIMIT)), ("offset", str(pages.offset))), continuation=pages)


def _time(at: Instant) -> str:
    return format_rfc3339(at).removesuffix("Z").replace("T", " ")


def _following(pages: Pages, meta: _Meta, count: int) -> Request | None:
    """The page after this: by the link where it holds a cursor, else by an offset of our own.

    Where the list has become shorter by some rows, the rows after this page have moved up by as many, so the
    offset goes on by that much less. A list that has no total is followed to its end.
    """
    total = meta.total_count or 0
    fallen = max(0, pages.total - total) if pages.offset else 0
    if meta.next is None and not fallen:
        return None
    if meta.next is not None and "cursor" in parse_qs(urlsplit(meta.next).query):
        return Request("GET", PATH, continuation=pages, resumable=False, link=meta.next)
    if not count and not fallen:
        return None
    return _asked(replace(pages, offset=max(0, pages.offset + count - fallen), total=total))
