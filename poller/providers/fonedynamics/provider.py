"""Fone Dynamics: ``GET /v2/Properties/{PropertySid}/Messages``, by slices of time that are never paged.

Sources: fonedynamics.com/docs/rest-api/find-sms and send-sms, the vendor's C# and Java clients
(host, Basic authentication, error shape). Pages by offset may overlap and skip while messages
arrive, so a window is read in slices, newest first, each as long as one answer is expected to
hold; one whose answer was cut begins anew with its newer half, down to one second. Only an
over-full second is paged, and where its pages moved, again and again until two passes add nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...model import DAY, HOUR, MINUTE, SECOND, BadRow, Gap, Instant, Message, Observation, Row, Stream
from ...times import instant
from ..contract import (
    LOOKUP,
    ByTime,
    Headers,
    Json,
    Listing,
    Named,
    Page,
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
from ..kit.rows import decoded
from ..kit.times import epoch
from . import reread as fonedynamics_audit
from .message import _observation, row_of
from .slices import (
    CONFIRMED,
    COUNT_DOCUMENTED,
    DRIFT_MAX,
    FAR_S,
    PASSES_MAX,
    SECOND_IDS_MAX,
    SURPRISING,
    _count,
    _facts,
    _honoured,
    _learned,
    _like_a_cap,
    _longest,
    _path,
    _plain,
    _room,
    _rows,
    _single,
    _slice,
    _usual,
)

AHEAD: Instant = 14 * DAY + HOUR
"""Sends can be scheduled 14 days ahead; a filter on that stamp would hide them."""

_NO_SUCH = frozenset({400, 403, 404, 410})
"""Answers to a look-up that say nothing of the property: there is no such message, or no such call."""

REFUSED_MAX = 20
"""Look-ups refused in a row, and none answered between them, after which they are switched off: the call is not there."""

OFF: Instant = DAY
"""How long look-ups stay switched off; then one is tried again, because what was refused may have been an outage."""


class LookUps(Struct, frozen=True):
    """What is known of look-ups."""

    refused: int = 0
    """Refused in a row."""
    off_until: Instant = 0


class LookUp(Struct, frozen=True, tag="lookup"):
    """One look-up."""

    now: Instant
    refused: int
    """How many before it were refused in a row."""


def _looked_up(request: Request, response: Response) -> Page:
    """The answer to a look-up: one message, or none. What is refused every time is not asked any more."""
    before: LookUp = request.continuation
    if response.status not in _NO_SUCH:
        rows = [row_of(raw) for raw in _single(accept(response, other_gone=True))]
        return Page(rows, learned=LookUps() if before.refused else None)
    refused = before.refused + 1
    if refused < REFUSED_MAX:
        return Page([], learned=LookUps(refused))
    return Page([], learned=LookUps(refused, before.now + OFF), oddities=("lookups_switched_off",))


class FoneDynamicsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor's own keys of an account."""

    params_in: Literal["query", "body"] = "query"
    """Where parameters go; ``body`` for the literal reading of the docs, which print a JSON object."""


class FoneDynamics(NoToken, Struct, frozen=True):
    """The adapter; see :class:`poller.providers.Provider`."""

    options: FoneDynamicsOptions = FoneDynamicsOptions()
    name: ClassVar[str] = "fonedynamics"
    base_url: ClassVar[str | None] = "https://api.fonedynamics.com"
    rate_limit: ClassVar[tuple[int, float]] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"account_sid", "token"}),)
    streams: ClassVar[Streams] = Named("properties")
    listing: ClassVar[Listing] = ByTime(ahead=AHEAD)
    Options: ClassVar[type[Struct]] = FoneDynamicsOptions
    Continuation: ClassVar[Any] = None
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The AccountSid."""
        return secrets["account_sid"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers:
        """HTTP Basic, AccountSid and Token."""
        return basic(secrets["account_sid"], secrets["token"])

    def probe(self, stream: Stream, now: Instant) -> Request:
        """One second of the property."""
        second = now // SECOND * SECOND
        return self.first_page(stream, Window(second - SECOND, second, now), {"modest": now // SECOND})

    @property
    def side_queries(self) -> tuple[SideQuery, ...]:
        """Look-ups by id of what is not final; and every range once more under other tilings."""
        return (
            SideQuery(LOOKUP, share=0.2, begin=self._look_up, read=_looked_up, Learned=LookUps),
            SideQuery("tilings", share=0.05, period=MINUTE, begin=self._reread, read=self.read_page),
        )

    def _look_up(self, stream: Stream, view: View) -> Request | None:
        """``GET /v2/Messages/{MessageSid}``, one message; nothing while look-ups are switched off."""
        known = view.remembered or LookUps()
        if view.message_id is None or known.off_until > view.now:
            return None
        path = f"/v2/Messages/{quote(view.message_id, safe='')}"
        return Request("GET", path, continuation=LookUp(view.now, known.refused))

    def _reread(self, stream: Stream, view: View) -> Request | None:
        return fonedynamics_audit.begin(self, stream, view)

    def change_stamp(self, message: Message) -> Instant | None:
        """The latest of its stamps but the scheduled one: the vendor has none of its own for changes."""
        return max(
            filter(None, map(instant, (message.created_at, message.sent_at, message.delivered_at, message.received_at))), default=None
        )

    def reached(self, request: Request) -> Instant | None:
        """The end of the slice."""
        return request.continuation["slice"][1] * SECOND

    def first_page(self, stream: Stream, window: Window, learned: Any, **only: str) -> Request:
        """The newest slice of the window; ``only`` filters, for an audit (never combined with paging by Status)."""
        memo: Json = learned or {}
        since, now = window.since // SECOND, window.now // SECOND
        until = max(since + 1, -(-(window.until if window.until is not None else window.now + AHEAD) // SECOND))
        step: Json = {
            "path": _path(stream),
            "since": since,
            "until": until,
            "now": now,
            "skip": 0,
            "most": memo.get("most", 0),
            "cut": memo.get("cut", 0),
            "total": 0,
            "full": until,
            "far": min(until, now) - since >= FAR_S,
            "memo": memo,
            **({"only": only} if only else {}),
        }
        return self._ask({**step, "slice": _slice(step, until, _usual(step, until))})

    def read_page(self, request: Request, response: Response) -> Page:
        """One answer: rows, and what is left of the window."""
        step = request.continuation
        if step.get("kind") == "tilings":
            return fonedynamics_audit.read(self, request, response)
        if response.status == 400 and "slice" in step and _count(step) > COUNT_DOCUMENTED:
            again = self._ask({**step, "memo": {**step["memo"], "modest": step["now"]}})
            return Page([], replace(again, resumable=request.resumable))
        body = accept(response, other_gone=True)
        rows = list(_rows(body))
        if not rows and self._doubtful(request):
            return Page(rows, replace(request, continuation={**step, "empty": True}))
        oddities = ("empty_answer",) * bool(rows and step.get("empty"))
        step = {name: value for name, value in step.items() if name != "empty"}
        oddities += ("other_property",) * any(_path(Stream(self.name, "", sid)) != step["path"] for sid in _facts(body).properties)
        page = self._read_window(request, step, body, rows)
        return replace(page, oddities=(*page.oddities, *oddities))

    def _doubtful(self, request: Request) -> bool:
        """Whether an answer without rows must be confirmed: a provider in trouble may give one, and much would be taken for read."""
        step = request.continuation
        if step.get("empty"):
            return False
        if "ids" in step:
            return step["skip"] <= len(step["ids"])
        since, until = step["slice"]
        expected = (until - since) * _usual(step, until)
        surprising = expected >= SURPRISING if not step["skip"] else step["skip"] >= _longest(step)
        inside = until > step["full"]  # of a range whose answer was cut: rows are there
        return surprising or inside or (until - since) * SECOND > CONFIRMED

    def _read_window(self, request: Request, step: Json, body: bytes, rows: list[Row | BadRow]) -> Page:
        """What a slice's answer leaves to ask."""
        _honoured(_facts(body).stamps, step["slice"])
        step = {**step, "most": max(step["most"], len(rows))}
        if "ids" in step:
            return self._second(step, rows)
        if not step["skip"]:
            whole = not rows or (len(rows) < request.continuation["most"] and not _like_a_cap(len(rows)))
            return self._done(step, rows) if whole else Page(rows, self._ask({**step, "skip": len(rows)}))
        return self._split({**step, "most": step["skip"], "cut": step["skip"]}, rows) if rows else self._done(step, rows)

    def _ask(self, step: Json) -> Request:
        since, until = step["slice"]
        query: list[tuple[str, Any]] = [("Date_From", since), ("Date_To", until), ("Results_Count", _count(step))]
        if step["skip"]:
            query.append(("Results_Skip", step["skip"]))
        query += step.get("only", {}).items()
        if self.options.params_in == "body":
            return Request("GET", step["path"], body=msgspec.json.encode(dict(query)), continuation=step)
        return Request("GET", step["path"], tuple((name, str(value)) for name, value in query), continuation=step)

    def _done(self, step: Json, rows: list[Row | BadRow], gaps: tuple[Gap, ...] = ()) -> Page:
        """This slice is exhausted: the next one below it, or the end."""
        since, until = step["slice"]
        held = len(step["ids"]) if "ids" in step else step["skip"] or len(rows)
        step = {**_plain(step), "total": step["total"] + held}
        if since in (step["now"], step["since"]):
            step = {**step, "memo": _learned(step), "total": 0, "until": since}
        if since <= step["since"]:
            return Page(rows, None, learned={**step["memo"], "most": step["most"], "cut": step["cut"]}, gaps=gaps)
        density = max(held, _room(step) / 2) / (until - since)  # so the next slice is at most twice as long
        if since == step["now"]:  # what was scheduled says nothing of what was sent
            density = _usual(step, since)
        return Page(rows, self._ask({**step, "slice": _slice(step, since, density), "skip": 0}), gaps=gaps)

    def _split(self, step: Json, rows: list[Row | BadRow]) -> Page:
        """The answer was cut: its newer half anew, and all else after it; or the over-full second page by page."""
        since, until = step["slice"]
        if until - since > 1:
            half = {"slice": [(since + until) // 2, until], "full": min(since, step["full"]), "skip": 0}
            return Page(rows, self._ask({**step, **half}))
        return self._fleeting(rows, {**step, "skip": 0, "ids": [], "pass": 1, "seen": 0, "still": 0})

    def _second(self, step: Json, rows: list[Row | BadRow]) -> Page:
        """Pages of one over-full second, by rows received, until an empty one, or old ones without end, end the pass."""
        ids = {*step["ids"], *(row.id for row in rows if row.id is not None)}
        if rows and len(ids) < SECOND_IDS_MAX and step["skip"] <= DRIFT_MAX * len(ids):
            return self._fleeting(rows, {**step, "ids": sorted(ids), "skip": step["skip"] + len(rows)})
        added = len(ids) - step["seen"]
        still = step["still"] + 1 if not added else 0
        drifted = step["skip"] > len(ids)
        if not rows and ((step["pass"] == 1 and not drifted) or still >= 2):
            return self._done({**step, "ids": sorted(ids)}, rows)
        if step["pass"] >= PASSES_MAX:
            since, until = step["slice"]
            return self._done({**step, "ids": sorted(ids)}, rows, (Gap("full_second", since * SECOND, until * SECOND),))
        again = {**step, "ids": sorted(ids), "seen": len(ids), "still": still, "pass": step["pass"] + 1, "skip": 0}
        return self._fleeting(rows, again)

    def _fleeting(self, rows: list[Row | BadRow], step: Json) -> Page:
        """With a request that is too long to be kept: it knows the ids of a whole second."""
        return Page(rows, replace(self._ask(step), resumable=False))

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message; timestamps are epoch seconds, absent where null, zero or negative."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        value = {name.lower(): each for name, each in value.items() if each is not None}
        created = epoch(value.get("created"))
        if created is None:
            return BadRow("bad_time", "Created", row.raw, row.id)
        return _observation(row.id, value, created.instant, created.text)
