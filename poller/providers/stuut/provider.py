"""Stuut: ``GET /v2/sms-threads/{sms_thread_id}/messages``, the whole thread each time.

Source: docs.api.stuut.co, "Get SMS Thread Messages". The endpoint documents no paging, no
filter and no order, so a sweep reads the array as a set. Should it ever come wrapped and paged
like the vendor's v1 lists, it is paged on with ``page`` and ``limit``.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import BadRow, Instant, Message, Observation, Row, Stream
from ...times import instant
from ..contract import (
    Headers,
    Json,
    Listing,
    Named,
    NoOptions,
    Page,
    Request,
    Response,
    Secrets,
    SideQuery,
    Skipped,
    Streams,
    Token,
    Whole,
    Window,
)
from ..kit.answers import accept
from ..kit.auth import NoToken, bearer
from ..kit.rows import decoded, listed
from ..kit.times import rfc3339
from .cap import _capped, _fewer, _remembered
from .message import _observation, row_of

LIMIT = 200
"""The vendor's largest page on its v1 lists."""


class Stuut(NoToken, Struct, frozen=True):
    """The adapter; see :class:`poller.providers.Provider`."""

    options: NoOptions = NoOptions()
    name: ClassVar[str] = "stuut"
    base_url: ClassVar[str | None] = None
    rate_limit: ClassVar[tuple[int, float]] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"token"}),)
    streams: ClassVar[Streams] = Named("threads")
    listing: ClassVar[Listing] = Whole()
    side_queries: ClassVar[tuple[SideQuery, ...]] = ()
    Options: ClassVar[type[Struct]] = NoOptions
    Continuation: ClassVar[Any] = None
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The token."""
        return secrets["token"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """``Authorization: Bearer <token>``."""
        return bearer(secrets["token"])

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The thread itself."""
        return Request("GET", _path(stream))

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The whole thread. Where an end is given, for a backfill, an answer without rows is final: it is asked for twice."""
        return Request("GET", _path(stream), continuation={"ids": [], "memo": learned or {}, "doubt": window.until is not None})

    def read_page(self, request: Request, response: Response) -> Page:
        """All messages of the thread, or one page of them."""
        raws, around = listed(accept(response), ("data", "messages"))
        rows = [row_of(raw) for raw in raws]
        if not rows and request.continuation.get("doubt"):
            return Page(rows, replace(request, continuation={**request.continuation, "doubt": False}))
        ids = [*request.continuation.get("ids", []), *(row.id for row in rows if isinstance(row, Row))]
        following = self._next(request, rows, around, ids)
        if following is not None:
            return Page(rows, following, oddities=("incomplete_answer",))
        memo: Json = request.continuation.get("memo", {})
        gaps = _capped(memo, rows)
        remembered = _remembered(memo, rows, said=bool(gaps or memo.get("said")))
        oddities = ("incomplete_answer",) * ((_whole(around.get("total_records")) or 0) > len(set(ids)))
        oddities += ("ids_disappeared",) * ("page" not in request.continuation and _fewer(memo, rows))
        return Page(rows, None, learned=remembered if remembered != memo else None, gaps=gaps, oddities=oddities)

    def _next(self, request: Request, rows: list[Row | BadRow], around: dict[str, msgspec.Raw], ids: list[str]) -> Request | None:
        """The next page of an answer that says it is not whole; the first is asked again, so that all have one length."""
        page, known = request.continuation.get("page"), set(request.continuation.get("ids", []))
        total = _whole(around.get("total_records"))
        more = bytes(around.get("next_page", b"null")).strip() != b"null" or (total is not None and total > len(set(ids)))
        if not more or not rows:
            return None
        listed_ids = {row.id for row in rows if isinstance(row, Row)}
        if page and listed_ids and listed_ids <= known:
            raise CursorIgnored("the same page came again")
        following = 0 if page is None else page + 1
        return Request(
            "GET",
            request.path,
            (("page", str(following)), ("limit", str(LIMIT))),
            continuation={**request.continuation, "page": following, "ids": ids},
            resumable=False,
        )

    def change_stamp(self, message: Message) -> Instant | None:
        """``modified_at``."""
        return instant(message.updated_at)

    def reached(self, request: Request) -> Instant | None:
        """Not known: a thread is read whole."""
        return None

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message of the documented shape; null and absent are the same."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = rfc3339(value.get("created_at"))
        if created is None:
            return BadRow("bad_time", "created_at", row.raw, row.id)
        return _observation(row.id, value, created.instant, created.text, zoned=created.zoned)


def _path(stream: Stream) -> str:
    """The thread's path, one segment whatever its id holds."""
    return f"/v2/sms-threads/{quote(stream.name, safe='')}/messages"


def _whole(raw: msgspec.Raw | None) -> int | None:
    try:
        value = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
