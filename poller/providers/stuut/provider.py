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
from .. import contract
from ..contract import Headers, Page, Request, Response, Secrets, Skipped, Token, Window
from ..kit.answers import accept
from ..kit.auth import NoToken, bearer
from ..kit.rows import listed, observed
from ..kit.times import rfc3339
from .cap import LastList, capped, fewer, remembered
from .message import observation_of, read_rows
from .usual import usual

LIMIT = 200
"""The vendor's largest page on its v1 lists."""


class Listing(Struct, frozen=True, tag="listing", omit_defaults=True):
    """Where a poll of a thread is."""

    known: LastList
    """What the last poll left."""
    doubt: bool = False
    """An answer without rows is asked for again."""
    page: int | None = None
    """The page that is asked for, where the vendor says that a list is not whole; None = the list itself."""
    ids: list[str] = []
    """What earlier pages listed."""


class Stuut(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`. README.md has the sources and what they leave open."""

    options: contract.NoOptions = contract.NoOptions()
    name: ClassVar[str] = "stuut"
    base_url: ClassVar[str | None] = None
    rate_limit: ClassVar[contract.Rate] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"token"}),)
    streams: ClassVar[contract.Streams] = contract.Named("threads")
    listing: ClassVar[contract.Listing] = contract.Whole()
    side_queries: ClassVar[tuple[contract.SideQuery, ...]] = ()
    Options: ClassVar[type[Struct]] = contract.NoOptions
    Continuation: ClassVar[Any] = Listing
    Learned: ClassVar[Any] = LastList

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
        return Request("GET", _path(stream), continuation=Listing(learned or LastList(), doubt=window.until is not None))

    def read_page(self, request: Request, response: Response) -> Page:
        """All messages of the thread, or one page of them."""
        at: Listing = request.continuation
        raws, around = listed(accept(response), ("data", "messages"))
        rows = read_rows(raws)
        if not rows and at.doubt:
            return Page(rows, replace(request, continuation=replace(at, doubt=False)))
        ids = [*at.ids, *(row.id for row in rows if isinstance(row, Row))]
        total = _whole(around.get("total_records"))
        lacks = total is not None and total > len(set(ids))
        if rows and (lacks or bytes(around.get("next_page", b"null")).strip() != b"null"):
            return Page(rows, _following(request.path, at, rows, ids), oddities=("incomplete_answer",))
        known = at.known
        gaps = capped(known, rows)
        learned = remembered(known, rows, said=bool(gaps or known.said))
        oddities = [*(["incomplete_answer"] if lacks else []), *(["ids_disappeared"] if at.page is None and fewer(known, rows) else [])]
        return Page(rows, None, learned=None if learned == known else learned, gaps=gaps, oddities=tuple(oddities))

    def change_stamp(self, message: Message) -> Instant | None:
        """``modified_at``."""
        return instant(message.updated_at)

    def reached(self, request: Request) -> Instant | None:
        """Not known: a thread is read whole."""
        return None

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message of the documented shape; null and absent are the same."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        return observed(row, "created_at", rfc3339, observation_of)


def _following(path: str, at: Listing, rows: list[Row | BadRow], ids: list[str]) -> Request:
    """The next page of an answer that says it is not whole; the first is asked again, so that all have one length.

    Raises CursorIgnored where a page lists nothing new.
    """
    listed_ids = {row.id for row in rows if isinstance(row, Row)}
    if at.page and listed_ids and listed_ids <= {*at.ids}:
        raise CursorIgnored("the same page came again")
    page = 0 if at.page is None else at.page + 1
    query = (("page", str(page)), ("limit", str(LIMIT)))
    return Request("GET", path, query, continuation=replace(at, page=page, ids=ids), resumable=False)


def _path(stream: Stream) -> str:
    """The thread's path, one segment whatever its id holds."""
    return f"/v2/sms-threads/{quote(stream.name, safe='')}/messages"


def _whole(raw: msgspec.Raw | None) -> int | None:
    try:
        value = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
