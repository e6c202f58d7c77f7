"""Stuut: ``GET /v2/sms-threads/{sms_thread_id}/messages``, the whole thread each time.

Source: docs.api.stuut.co, "Get SMS Thread Messages". The endpoint documents no paging, no
filter and no order, so a sweep reads the array as a set. Should it ever come wrapped and paged
like the vendor's v1 lists, it is paged on with ``page`` and ``limit``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import CursorIgnored
from ..model import STATUS_RANK, BadRow, Gap, Instant, Message, Observation, Problem, Row, Stream
from . import Authorization, Chore, Json, Page, Request, Response, Skipped, View, Window
from .common import accept, decoded, distinct, flag, identity, listed, phone, rfc3339, tidy, words

STATUSES = {
    "draft": "draft",
    "pending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "undelivered": "undelivered",
}
FINAL = frozenset({"delivered", "failed", "undelivered", "received"})
LIMIT = 200
"""The vendor's largest page on its v1 lists."""

ROUND = frozenset({50, 100, 200, 250, 500, 1000})


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
    def chores(self) -> tuple[Chore, ...]:
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
        created = rfc3339(value.get("created_at"))
        if created is None:
            return BadRow("bad_time", "created_at", row.raw, row.id)
        return _observation(row.id, value, created.instant, created.text, zoned=created.zoned)


def _observation(id_: str, value: dict[str, Any], created: Instant, created_text: str, *, zoned: bool) -> Observation:
    raw_direction, raw_status = words(value.get("direction")), words(value.get("status"))
    direction = raw_direction if raw_direction in ("inbound", "outbound") else "unknown"
    status = "received" if direction == "inbound" else STATUSES.get(raw_status or "", "unknown")
    modified = rfc3339(value.get("modified_at"))
    sent, delivered = rfc3339(value.get("sent_at")), rfc3339(value.get("delivered_at"))
    failure = words(value.get("error_message"))
    classifications = tidy(value.get("classifications"))
    body = value.get("body")
    assert status in STATUS_RANK
    oddities = ["time_without_zone"] * (not zoned) + ["status_unknown"] * (status == "unknown")
    return Observation(
        message=Message(
            message_id=id_,
            conversation_id=words(value.get("sms_thread_id")),
            channel="sms",
            direction=direction,
            from_=phone(value.get("from_number")),
            to=distinct([phone(value.get("to_number"))]),
            text=body if isinstance(body, str) else None,
            status=status,
            provider_status=raw_status,
            final=status in FINAL,
            created_at=created_text,
            updated_at=modified and modified.text,
            sent_at=sent and sent.text,
            delivered_at=delivered and delivered.text,
            error=(failure and Problem(message=failure)) or None,
            automated=flag(value.get("is_automated")),
            provider_data={"classifications": classifications} if isinstance(classifications, list) and classifications else None,
        ),
        created=created,
        stamp=modified.instant if modified else 0,
        position=created,
        oddities=tuple(oddities),
    )


class _Brief(Struct):
    id: Any = None
    created_at: Any = None


_brief = msgspec.json.Decoder(_Brief)


def row_of(raw: bytes) -> Row | BadRow:
    """The cheap facts of a row: it needs an id and a creation time."""
    try:
        brief = _brief.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return BadRow("not_an_object", "", raw)
    id_ = identity(brief.id)
    if id_ is None:
        return BadRow("missing" if brief.id in (None, "") else "wrong_type", "id", raw)
    created = rfc3339(brief.created_at)
    if created is None:
        return BadRow("missing" if brief.created_at is None else "bad_time", "created_at", raw, id_)
    return Row(id_, created.instant, raw)


def _path(stream: Stream) -> str:
    """The thread's path, one segment whatever its id holds."""
    return f"/v2/sms-threads/{quote(stream.name, safe='')}/messages"


def _whole(raw: msgspec.Raw | None) -> int | None:
    try:
        value = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _remembered(memo: Json, rows: list[Row | BadRow], *, said: bool) -> Json:
    """What tells a capped list from a whole one at the next poll: both of its ends, its length, and whether it moved at one length."""
    good = sorted({(row.created, row.id) for row in rows if isinstance(row, Row)})
    told = {"said": True} if said else {}
    if not good:
        return told
    moved = {"moved": memo.get("moved", 0) + 1} if _moved(memo, rows) else {"moved": memo["moved"]} if _still(memo, rows) else {}
    ends = {"first": good[0][1], "last": good[-1][1], "oldest": good[0][0], "newest": good[-1][0]}
    return ends | {"rows": len(good)} | moved | told


def _fewer(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether fewer messages are listed of the time that the last poll reached: some vanished, for a while or for good.

    A list that is taken to be capped loses its oldest by nature.
    """
    if "newest" not in memo or memo.get("said") or _moved(memo, rows):
        return False
    return len({row.id for row in rows if isinstance(row, BadRow) or row.created <= memo["newest"]}) < memo["rows"]


def _still(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether a list that has moved is as it was at the last poll, as far as its ends tell."""
    now = {row.id for row in rows if isinstance(row, Row)}
    return "moved" in memo and memo.get("rows") == len(now) and memo["first"] in now and memo["last"] in now


def _moved(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether the oldest vanished while a newer one appeared, and the length of the list stayed."""
    good = [row for row in rows if isinstance(row, Row)]
    newest = max(((row.created, row.id) for row in good), default=(0, ""))[1]
    same = len(good) in ROUND or len(good) == memo.get("rows")
    return same and "first" in memo and memo["first"] not in {row.id for row in good} and newest != memo["last"]


def _capped(memo: Json, rows: list[Row | BadRow]) -> tuple[Gap, ...]:
    """A list that moves at one length looks like a cap: at a round length at once, at another when it moves again; said once.

    While the newest of the last list is listed, nothing was skipped between the two; else what lay between was never seen.
    """
    good = [row for row in rows if isinstance(row, Row)]
    if not _moved(memo, rows) or (len(good) not in ROUND and not memo.get("moved")):
        return ()
    if memo.get("said") and memo["last"] in {row.id for row in good}:
        return ()
    return (Gap("list_may_be_capped", memo["oldest"] if memo.get("said") else 0, min(row.created for row in good)),)
