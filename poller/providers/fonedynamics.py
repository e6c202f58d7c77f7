"""Fone Dynamics: ``GET /v2/Properties/{PropertySid}/Messages``, by slices of time that are never paged.

Sources: fonedynamics.com/docs/rest-api/find-sms and send-sms, the vendor's C# and Java clients
(host, Basic authentication, error shape). Pages by offset may overlap and skip while messages
arrive, so a window is read in slices, newest first, each as long as one answer is expected to
hold; one whose answer was cut begins anew with its newer half, down to one second. Only an
over-full second is paged, and where its pages moved, again and again until two passes add nothing.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import BadPage, CursorIgnored, Unreachable
from ..model import DAY, HOUR, MINUTE, SECOND, BadRow, Gap, Instant, Message, Observation, Problem, Row, Stream
from . import LOOKUP, Authorization, Chore, Json, Page, Request, Response, Skipped, View, Window, fonedynamics_audit
from .common import accept, clean, decoded, distinct, epoch, identity, listed, number, phone, read_once, words

STATUSES = {"processing": "queued", "submitted": "sent", "delivered": "delivered", "failed": "failed", "received": "received"}
STAMPS = ("created", "scheduled", "submitted", "delivered", "received")
COUNT, COUNT_DOCUMENTED = 1000, 200
"""Asked for, what comes back teaches the cap; and the documented default, where so many are refused."""

MODEST_S = 86_400

FILL = 0.75
"""A slice is as long as is expected to fill this part of the longest answer seen."""

SHORTEST_CAP = 30
"""No limit of answers is taken to be lower, so what little was seen yet does not make slices short."""

_NO_SUCH = frozenset({400, 403, 404, 410})
PASSES_MAX = 6
SECOND_IDS_MAX = 20_000
DRIFT_MAX = 2
"""A pass that has skipped so many times the rows that it saw is not going to see others."""

FAR_S = 6 * 3600
"""What a shorter window holds is reckoned by what is sent just now, what a longer one holds by the last such one."""

CONFIRMED: Instant = HOUR
"""An answer without rows that speaks for so long a time is asked for twice."""

SURPRISING = 10
"""So is one where so many were expected; and the page after an answer that was as long as the longest."""


class FoneDynamics(Struct, frozen=True):
    """The adapter; see :class:`poller.providers.Adapter`. ``params_in`` is ``query``, or ``body`` for the literal reading of the docs."""

    params_in: str = "query"
    name: str = "fonedynamics"
    base_url: str | None = "https://api.fonedynamics.com"
    rate_limit: tuple[int, float] = (60, 60.0)
    credential_sets: tuple[tuple[str, ...], ...] = (("account_sid", "token"),)
    filtered: bool = True
    ahead: Instant = 14 * DAY + HOUR
    """Sends can be scheduled 14 days ahead; a filter on that stamp would hide them."""

    def authorize(self, secrets: dict[str, str], now: Instant) -> Authorization:
        """HTTP Basic, AccountSid and Token."""
        pair = f"{secrets['account_sid']}:{secrets['token']}".encode()
        return Authorization({"authorization": "Basic " + base64.b64encode(pair).decode()})

    def probe(self, stream: Stream, now: Instant) -> Request:
        """One second of the property."""
        second = now // SECOND * SECOND
        return self.first_page(stream, Window(second - SECOND, second, now), {"modest": now // SECOND})

    @property
    def chores(self) -> tuple[Chore, ...]:
        """Look-ups by id of what is not final; and every range once more under other tilings."""
        return (Chore(LOOKUP, share=0.2), Chore("tilings", share=0.05, period=MINUTE))

    def begin(self, chore: str, stream: Stream, view: View) -> Request | None:
        """``lookup``: ``GET /v2/Messages/{MessageSid}``, one message."""
        if chore == LOOKUP:
            return (view.message_id and Request("GET", f"/v2/Messages/{quote(view.message_id, safe='')}", step={"kind": "lookup"})) or None
        return fonedynamics_audit.begin(self, stream, view)

    def first_page(self, stream: Stream, window: Window, memo: Json, **only: str) -> Request:
        """The newest slice of the window; ``only`` filters, for an audit (never combined with paging by Status)."""
        since, now = window.since // SECOND, window.now // SECOND
        until = max(since + 1, -(-(window.until if window.until is not None else window.now + self.ahead) // SECOND))
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
        step = request.step
        if step.get("kind") == "lookup" and response.status in _NO_SUCH:
            return Page([])
        if step.get("kind") == "tilings":
            return fonedynamics_audit.read(self, request, response)
        if response.status == 400 and "slice" in step and _count(step) > COUNT_DOCUMENTED:
            again = self._ask({**step, "memo": {**step["memo"], "modest": step["now"]}})
            return Page([], replace(again, fleeting=request.fleeting))
        body = accept(response, other_gone=True)
        if step.get("kind") == "lookup":
            return Page([row_of(raw) for raw in _single(body)])
        rows = list(_rows(body))
        if not rows and self._doubtful(request):
            return Page(rows, replace(request, step={**step, "empty": True}))
        oddities = ("empty_answer",) * bool(rows and step.get("empty"))
        step = {name: value for name, value in step.items() if name != "empty"}
        page = self._read_window(request, step, body, rows)
        return replace(page, oddities=(*page.oddities, *oddities))

    def _doubtful(self, request: Request) -> bool:
        """Whether an answer without rows must be confirmed: a provider in trouble may give one, and much would be taken for read."""
        step = request.step
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
        _honoured(_stamps(body), step["slice"])
        step = {**step, "most": max(step["most"], len(rows))}
        if "ids" in step:
            return self._second(step, rows)
        if not step["skip"]:
            whole = not rows or (len(rows) < request.step["most"] and not _like_a_cap(len(rows)))
            return self._done(step, rows) if whole else Page(rows, self._ask({**step, "skip": len(rows)}))
        return self._split({**step, "most": step["skip"], "cut": step["skip"]}, rows) if rows else self._done(step, rows)

    def _ask(self, step: Json) -> Request:
        since, until = step["slice"]
        query: list[tuple[str, Any]] = [("Date_From", since), ("Date_To", until), ("Results_Count", _count(step))]
        if step["skip"]:
            query.append(("Results_Skip", step["skip"]))
        query += step.get("only", {}).items()
        if self.params_in == "body":
            return Request("GET", step["path"], body=msgspec.json.encode(dict(query)), step=step)
        return Request("GET", step["path"], tuple((name, str(value)) for name, value in query), step=step)

    def _done(self, step: Json, rows: list[Row | BadRow], gaps: tuple[Gap, ...] = ()) -> Page:
        """This slice is exhausted: the next one below it, or the end."""
        since, until = step["slice"]
        held = len(step["ids"]) if "ids" in step else step["skip"] or len(rows)
        step = {**_plain(step), "total": step["total"] + held}
        if since in (step["now"], step["since"]):
            step = {**step, "memo": _learned(step), "total": 0, "until": since}
        if since <= step["since"]:
            return Page(rows, None, memo={**step["memo"], "most": step["most"], "cut": step["cut"]}, gaps=gaps)
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
        return Page(rows, replace(self._ask(step), fleeting=True))

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


def _observation(id_: str, value: Json, created: Instant, created_text: str) -> Observation:
    stamps = {name: epoch(value.get(name)) for name in STAMPS}
    scheduled, received = stamps["scheduled"], stamps["received"]
    raw_status = words(value.get("status"))
    status = STATUSES.get((raw_status or "").lower(), "unknown")
    said = (words(value.get("direction")) or "").lower()
    direction = {"transmit": "outbound", "receive": "inbound"}.get(said, "inbound" if status == "received" else "unknown")
    code, text = words(value.get("errorcode")), value.get("text")
    wants_receipt = value.get("deliveryreceipt")
    changes = [stamp.instant for name, stamp in stamps.items() if stamp is not None and name != "scheduled"]
    positions = [stamp.instant for stamp in (stamps["created"], scheduled, received) if stamp is not None]
    return Observation(
        message=Message(
            message_id=id_,
            channel="sms",
            direction=direction,
            from_=phone(value.get("from")),
            to=distinct([phone(value.get("to"))]),
            text=clean(text) if isinstance(text, str) else None,
            status=status,
            provider_status=raw_status,
            final=status in ("delivered", "failed", "received") or (status == "sent" and wants_receipt is False),
            created_at=created_text,
            sent_at=stamps["submitted"] and stamps["submitted"].text,
            delivered_at=stamps["delivered"] and stamps["delivered"].text,
            received_at=received and received.text,
            scheduled_at=scheduled and scheduled.text,
            error=Problem(code=code) if code else None,
            segments=number(value.get("numsegments")) or None,
            provider_data={"delivery_receipt": wants_receipt} if isinstance(wants_receipt, bool) else None,
        ),
        created=created,
        stamp=max(changes),
        position=max(positions),
        oddities=("status_unknown",) * (status == "unknown"),
    )


def _usual(step: Json, until: int) -> float:
    """Rows a second that earlier windows of the kind found; what is sent just now says nothing of what is scheduled."""
    kind, memo = _kind(step, until), step["memo"]
    return memo.get(kind, 0.0 if kind == "ahead" else memo.get("near", memo.get("rate", 0.0)))


def _kind(step: Json, until: int) -> str:
    """Of the future, of just now, or of the past: which of the memo's rates speaks of a window."""
    return "ahead" if until > step["now"] else "rate" if step.get("far") else "near"


def _longest(step: Json) -> int:
    """The longest answer that is known to be possible."""
    return max(SHORTEST_CAP, step["most"])


def _room(step: Json) -> float:
    """Rows that a slice is expected to hold: until an answer was cut at the longest length, slices grow to find where it is."""
    longest = _longest(step)
    return FILL * (longest if step["cut"] >= step["most"] > 0 else min(_count(step), 2 * longest))


def _count(step: Json) -> int:
    """How many rows are asked for; what was refused is tried again after a day: it may have been refused for another reason."""
    return COUNT_DOCUMENTED if step["now"] - step["memo"].get("modest", -MODEST_S) < MODEST_S else COUNT


def _slice(step: Json, until: int, density: float) -> list[int]:
    """The newest piece of what is left below ``until``, as long as ``density`` rows a second fill an answer; none crosses the query time."""
    low = step["now"] if step["since"] < step["now"] < until else step["since"]
    return [max(low, until - max(1, int(min(until - low, _room(step) / density)))) if density > 0 else low, until]


def _learned(step: Json) -> Json:
    """The memo, with the density of the part of the window that ends here, of the future only where more than a day of it was read."""
    since, until = step["slice"][0], step["until"]
    ahead = until > step["now"]
    if ahead and until - step["now"] <= DAY // SECOND:
        return step["memo"]
    return {**step["memo"], _kind(step, until): round(step["total"] / (until - since), 5)}


def _like_a_cap(rows: int) -> bool:
    """Whether an answer this long may have been cut by a limit that is lower than it once was: limits are round."""
    return rows % 10 == 0 or rows % 25 == 0


def _plain(step: Json) -> Json:
    return {name: value for name, value in step.items() if name not in ("ids", "pass", "seen", "still")}


def _path(stream: Stream) -> str:
    return f"/v2/Properties/{quote(stream.name, safe='')}/Messages"


def _messages(body: bytes) -> list[bytes]:
    """The list, wrapped or bare; without one an answer is empty only if it reports no trouble."""
    try:
        return listed(body, ("messages",))[0]
    except BadPage:
        members = _members(body)
        if members is None or "responsestatus" in members:
            raise
        return []


def _members(body: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return {name.lower(): raw for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}
    except (msgspec.ValidationError, RecursionError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None


def _single(body: bytes) -> list[bytes]:
    """One message, wrapped in ``Message`` or bare."""
    members = _members(body)
    if members is None or "responsestatus" in members:
        raise BadPage("the answer is not a message")
    return [bytes(members["message"])] if "message" in members else [body]


@read_once
def _rows(body: bytes) -> tuple[Row | BadRow, ...]:
    """The rows of an answer."""
    return tuple(row_of(raw) for raw in _messages(body))


@read_once
def _stamps(body: bytes) -> tuple[tuple[Instant, ...], ...]:
    """Every stamp of each good row."""
    values = (decoded(row.raw) for row in _rows(body) if isinstance(row, Row))
    found = ([epoch(each) for name, each in value.items() if name.lower() in STAMPS] for value in values if isinstance(value, dict))
    return tuple(tuple(stamp.instant for stamp in stamps if stamp is not None) for stamps in found)


def _honoured(stamps: tuple[tuple[Instant, ...], ...], window: list[int]) -> None:
    """Rows whose every stamp lies outside the window that was asked for: the filter was ignored."""
    since, until = window[0] * SECOND, window[1] * SECOND
    strangers = sum(not any(since <= stamp < until for stamp in each) for each in stamps)
    if strangers * 2 > len(stamps):
        raise CursorIgnored("rows lie outside the window that was asked for")


def row_of(raw: bytes) -> Row | BadRow:
    """The cheap facts of a row: it needs a MessageSid and a Created time; names are taken in any case."""
    value = decoded(raw)
    if isinstance(value, BadRow):
        return value
    facts: dict[str, Any] = {name.lower(): each for name, each in value.items() if name.lower() in ("messagesid", "created")}
    id_ = identity(facts.get("messagesid"))
    if id_ is None:
        return BadRow("missing" if facts.get("messagesid") in (None, "") else "wrong_type", "MessageSid", raw)
    created = epoch(facts.get("created"))
    if created is None:
        return BadRow("missing" if facts.get("created") is None else "bad_time", "Created", raw, id_)
    return Row(id_, created.instant, raw)
