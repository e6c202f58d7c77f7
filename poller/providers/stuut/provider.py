"""Stuut: ``GET /v2/sms-threads/{sms_thread_id}/messages``, the whole thread each time.

Source: docs.api.stuut.co, "Get SMS Thread Messages". The endpoint documents no paging, no
filter and no order, so a sweep reads the array as a set. Should it ever come wrapped and paged
like the vendor's v1 lists, it is paged on with ``page`` and ``limit``.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import BadRow, Instant, Observation, Row, Stream
from ...times import parse_rfc3339
from ..contract import Authorization, Json, Page, Request, Response, SideQuery, Skipped, View, Window
from ..kit.answers import accept
from ..kit.rows import decoded, listed
from .cap import _capped, _fewer, _remembered
from .message import _observation, row_of

LIMIT = 200
"""The vendor's largest page on its v1 lists."""


class Stuut(Struct, frozen=True):
    """The adapter; see :class:`poller.providers.Adapter`."""

    name: str = "stuut"
    base_url: str | None = None
    rate_limit: tuple[int, float] = (60, 60.0)
    credential_sets: tuple[tuple[str, ...], ...] = (("token",),)
    filtered: bool = False
    ahead: Instant = 0

    def authorize(self, secrets: dict[str, str], now: Instant) -> Authorization:
        """``Authorization: Bearer <token>``."""
        return Authorization({"authorization": f"Bearer {secrets['token']}"})

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The thread itself."""
        return Request("GET", _path(stream))

    def first_page(self, stream: Stream, window: Window, memo: Json) -> Request:
        """The whole thread. Where an end is given, for a backfill, an answer without rows is final: it is asked for twice."""
        return Request("GET", _path(stream), step={"ids": [], "memo": memo, "doubt": window.until is not None})

    def read_page(self, request: Request, response: Response) -> Page:
        """All messages of the thread, or one page of them."""
        raws, around = listed(accept(response), ("data", "messages"))
        rows = [row_of(raw) for raw in raws]
        if not rows and request.step.get("doubt"):
            return Page(rows, replace(request, step={**request.step, "doubt": False}))
        ids = [*request.step.get("ids", []), *(row.id for row in rows if isinstance(row, Row))]
        following = self._next(request, rows, around, ids)
        if following is not None:
            return Page(rows, following, oddities=("incomplete_answer",))
        memo: Json = request.step.get("memo", {})
        gaps = _capped(memo, rows)
        remembered = _remembered(memo, rows, said=bool(gaps or memo.get("said")))
        oddities = ("incomplete_answer",) * ((_whole(around.get("total_records")) or 0) > len(set(ids)))
        oddities += ("ids_disappeared",) * ("page" not in request.step and _fewer(memo, rows))
        return Page(rows, None, memo=remembered if remembered != memo else None, gaps=gaps, oddities=oddities)

    def _next(self, request: Request, rows: list[Row | BadRow], around: dict[str, msgspec.Raw], ids: list[str]) -> Request | None:
        """The next page of an answer that says it is not whole; the first is asked again, so that all have one length."""
        page, known = request.step.get("page"), set(request.step.get("ids", []))
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
            step={**request.step, "page": following, "ids": ids},
            fleeting=True,
        )

    @property
    def chores(self) -> tuple[SideQuery, ...]:
        """None: a poll is the whole thread."""
        return ()

    def begin(self, chore: str, stream: Stream, view: View) -> Request | None:
        """Nothing."""
        return None

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message of the documented shape; null and absent are the same."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = parse_rfc3339(value.get("created_at"))
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
