"""Heymarket: a team by ``POST /v1/messages/all``, or single conversations by ``GET /v1/messages``.

Sources: developers.heymarket.com, "Messages", "Authentication", "Rate limits". Both lists are walked from newest to oldest
by a timestamp, which is exclusive by the docs; equal timestamps, cut-off precision, silent caps, old-dated imports and
the other readings of the cursor are what :mod:`.walk` and :mod:`.history` are about.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...model import DAY, MINUTE, SECOND, BadRow, Instant, Message, Observation, Row, Stream
from ...times import format_rfc3339, http_date, instant
from .. import contract
from ..contract import Headers, Json, Page, Request, Response, Secrets, SideQuery, Skipped, Token, View, Window
from ..kit.answers import accept
from ..kit.auth import NoToken, bearer, jwt
from ..kit.rows import count_of, decoded, read_once
from ..kit.times import rfc3339
from ..kit.values import words
from . import crowd, history, overlap, recount, stride, walk
from .asking import LIMIT, PATH, Learned, Walk
from .crowd import Conversation, Count, Look
from .history import History
from .message import COMMENTS, _message, read_rows
from .options import HeymarketOptions
from .overlap import Overlap
from .stride import Stride
from .usual import usual

REFUSED = frozenset({400, 403, 404, 405, 410, 422, 501})
"""Said of one conversation, or of counts, it says nothing of the team."""

CHANGES_MIN = 25
"""The shortest page of newest changes; it grows with what happens."""

JWT_LIVES: Instant = 4 * 60 * SECOND
"""Made anew before the documented five minutes are over."""


class Heymarket(NoToken, Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`. README.md has the sources and what they leave open."""

    options: HeymarketOptions = HeymarketOptions()
    name: ClassVar[str] = "heymarket"
    base_url: ClassVar[str | None] = "https://api.heymarket.com"
    rate_limit: ClassVar[contract.Rate] = (400, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"secret_id", "secret_key"}), frozenset({"api_key"}))
    listing: ClassVar[contract.Listing] = contract.ByTime(exact=True)
    Options: ClassVar[type[Struct]] = HeymarketOptions
    Continuation: ClassVar[Any] = Walk | Count | Look | Conversation | Stride | Overlap | History
    Learned: ClassVar[Any] = Learned

    @property
    def streams(self) -> contract.Streams:
        """The team, or the conversations that the account names."""
        return contract.Fixed(self.options.streams)

    def identity(self, secrets: Secrets) -> str:
        """The Secret ID, or the API key."""
        return secrets.get("secret_id") or secrets["api_key"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """A JWT (HS256, issuer = secret id, key = ``id||key``), or the team's API key. ``iat`` is never ahead of ``now``."""
        fill = self.options.fill(secrets)
        if "api_key" in secrets:
            return replace(bearer(secrets["api_key"]), fill=fill)
        payload = {"iss": secrets["secret_id"], "iat": now // SECOND}
        made = jwt(payload, f"{secrets['secret_id']}||{secrets['secret_key']}", expires=now + JWT_LIVES)
        return replace(made, fill=fill)

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The newest message, or a conversation's newest fifty, from the list that polling reads."""
        if stream.name in self.options.conversations:
            return self._newest(stream)
        return Request("POST", PATH, body=msgspec.json.encode({"limit": 1}))

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The newest messages, or the newest before the window's end."""
        if stream.name in self.options.conversations:
            return history.begin(self._newest(stream), window, learned or Learned())
        return walk.begin(window, learned or Learned())

    def _newest(self, stream: Stream) -> Request:
        return history.newest(stream.name, self.options.conversations[stream.name])

    def read_page(self, request: Request, response: Response) -> Page:
        """One answer of a walk, without what the options leave out."""
        at = request.continuation
        page = self._conversation(request, response) if isinstance(at, History) else self._page(request, response)
        return self.options.only_wanted(page)

    def _conversation(self, request: Request, response: Response) -> Page:
        """A page of a conversation."""
        refused = response.status in REFUSED and history.probing(request.continuation)
        body = b"[]" if refused else accept(response)
        return history.read(request, list(_rows(body)), http_date(response.headers.get("date")))

    def _page(self, request: Request, response: Response) -> Page:
        """A page of the team, or what is asked for a crowd on it."""
        at = request.continuation
        if isinstance(at, Walk) and (instead := walk.refused(at, response)) is not None:
            return Page([], instead)
        if response.status in REFUSED and isinstance(at, Count):
            return crowd.uncounted(at)
        if response.status in REFUSED and isinstance(at, Stride):
            return stride.uncounted(at)
        nothing = response.status in REFUSED and not isinstance(at, Walk)
        body = b"[]" if nothing else accept(response)
        if isinstance(at, Count):
            return crowd.counted(at, count_of(body))
        if isinstance(at, Stride):
            return stride.counted(at, count_of(body))
        rows = list(_rows(body))
        if isinstance(at, Overlap):
            found = overlap.read(at, rows)
            if isinstance(found, Page):
                return found
            if isinstance(found, Overlap):
                return Page(rows, stride.go_on(found.walk, found.listed))
            at = found
        if isinstance(at, Look):
            return crowd.after_look(at, rows)
        if isinstance(at, Conversation):
            return crowd.after_conversation(at, rows)
        return walk.read(at, rows, http_date(response.headers.get("date")))

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """The newest changes at every interval; and the recount, which also notices what turns up late. Both are of a team only."""
        if self.options.conversations:
            return ()
        return (  # the recount is "audit" in state, where the first release named it
            SideQuery("changes", share=0.1, begin=self._changes, read=self._read_changes, Learned=Changes),
            SideQuery("audit", share=0.05, period=MINUTE, begin=self._recount, read=self._read_recount, Learned=recount.Counted),
        )

    def _recount(self, stream: Stream, view: View) -> Request | None:
        return recount.begin(view)

    def _read_recount(self, request: Request, response: Response) -> Page:
        return self.options.only_wanted(recount.read(self._page, request, response))

    def _read_changes(self, request: Request, response: Response) -> Page:
        """One page of the newest changes; it is a hint only where it is in their order."""
        body = accept(response)
        oddities = () if _by_update(body) else ("changes_not_in_order",)
        return self.options.only_wanted(Page(list(_rows(body)), learned=request.continuation, oddities=oddities))

    def change_stamp(self, message: Message) -> Instant | None:
        """``updated``."""
        return instant(message.updated_at)

    def reached(self, request: Request) -> Instant | None:
        """The cursor."""
        at = request.continuation
        return at.cursor if isinstance(at, Walk | History) else None

    def _changes(self, stream: Stream, view: View) -> Request | None:
        """``changes``: one page by ``updated_at``, before no date, or tomorrow's, so that it is the same in both readings of the cursor."""
        changes: Changes = view.remembered or Changes()
        learned: Learned = view.learned or Learned()
        limit = changes.limit
        if view.events * 2 > limit:
            limit = min(limit * 2, learned.limit or LIMIT)
        elif view.events * 8 < limit:
            limit = max(limit // 2, CHANGES_MIN)
        body: Json = {"order": "updated_at", "limit": limit}
        if learned.dated:
            body["created_at"] = format_rfc3339(view.now + DAY)
        found = None if limit == changes.limit else Changes(limit)
        return Request("POST", PATH, body=msgspec.json.encode(body), continuation=found)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message in any of its three documented shapes."""
        return usual(row) or self.read_any(row)

    def read_any(self, row: Row) -> Observation | BadRow | Skipped:
        """As :meth:`read_row`, tolerantly."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = rfc3339(value.get("date")) or rfc3339(value.get("created_at"))
        if created is None:
            return BadRow("bad_time", "date", row.raw, row.id)
        if value.get("private") is True or any((words(value.get(name)) or "").lower() in COMMENTS for name in ("type", "channel")):
            return Skipped("internal_comment")
        updated = rfc3339(value.get("updated"))
        message, oddities = _message(row.id, value, created.text, updated and updated.text)
        return Observation(
            message=message,
            created=created.instant,
            stamp=updated.instant if updated else 0,
            position=created.instant,
            oddities=oddities + ("time_without_zone",) * (not created.zoned),
        )


class Changes(Struct, frozen=True):
    """What the look at the newest changes remembers."""

    limit: int = CHANGES_MIN
    """Rows of its page."""


@read_once
def _rows(body: bytes) -> tuple[Row | BadRow, ...]:
    """The rows of a page of any kind."""
    return tuple(read_rows(walk.rows_of(body)))


class _Updated(Struct):
    updated: Any = None


_updated = msgspec.json.Decoder(_Updated)


@read_once
def _by_update(body: bytes) -> bool:
    """Whether a page is sorted by update, newest first; where it is not, it is no hint of what changed."""
    updates = [_updated.decode(row.raw).updated for row in _rows(body) if isinstance(row, Row)]
    stamps = [stamp.instant for each in updates if (stamp := rfc3339(each)) is not None]
    return all(later <= sooner for sooner, later in zip(stamps, stamps[1:], strict=False))
