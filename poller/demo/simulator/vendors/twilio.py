"""Twilio: an account's messages by links, newest sent first, and one message by its Sid.

Shapes and words as in the vendor's OpenAPI file (``twilio_api_v2010``) and its Python client. What
they leave open is a switch: where a message without ``date_sent`` is listed, and what filters are cut off to.
"""

from __future__ import annotations

import email.utils
from typing import Any
from urllib.parse import urlencode, urlsplit

from ....model import DAY, SECOND, Instant
from ....times import parse_rfc3339
from ..profiles import PROFILES, TWILIO
from ..shelf import Sms
from ..world import NEVER
from .answers import Answer, Call, basic, json_answer

VERSION = "2010-04-01"
"""The version of the API that its paths begin with."""

SIZE, SIZE_MAX = 50, 1000
"""Rows of a page by default, and at most, as documented."""

RETENTION: Instant = 400 * DAY
"""How far back the list may be asked for."""

ERROR = (30003, "Unreachable destination handset")
"""Code and words of what failed."""


def authorized(given: str, now: Instant) -> bool:
    """HTTP Basic with the account's Sid and token."""
    return given == basic("twilio-sid", "twilio-token")


def answer(call: Call) -> Answer:
    """``Messages.json`` and ``Messages/{Sid}.json`` of an account."""
    match call.method, *call.path:
        case "GET", version, "Accounts", account, "Messages.json" if version == VERSION:
            return _messages(call, account)
        case "GET", version, "Accounts", account, "Messages", sid if version == VERSION:
            return _one(call, account, sid.removesuffix(".json"))
        case _:
            return _refused(404, 20404, "The requested resource was not found")


def _refused(status: int, code: int, message: str) -> Answer:
    return json_answer({"code": code, "message": message, "more_info": f"https://example.com/errors/{code}", "status": status}, status)


def _messages(call: Call, account: str) -> Answer:
    shelf = call.shelf(TWILIO, account)
    if shelf is None:
        return _refused(404, 20404, "The requested resource was not found")
    since, until = _bound(call, "DateSent>"), _bound(call, "DateSent<")
    if since is not None and since < call.at - RETENTION:
        return _refused(400, 20004, "Messages older than 400 days are not kept")
    size = min(int(call.query.get("PageSize", SIZE)), SIZE_MAX, call.switches.limit_max)
    rows = _listed(call, [sms for sms in shelf.between(0, NEVER, call.now) if _passes(call, sms, since, until)])
    token = call.query.get("PageToken")
    if token is not None:
        last = shelf.get(token.removeprefix("PA"), NEVER)
        if last is None or call.random.random() < call.switches.forgotten:
            return _refused(400, 20001, "Unknown page token")
        after = _place(call, last)
        rows = [sms for sms in rows if _place(call, sms) > after]
    if call.random.random() < call.switches.empty_pages:
        return _page(call, [], size, token, more=True)
    return _page(call, rows[:size], size, f"PA{rows[size - 1].id}" if len(rows) > size else None, more=len(rows) > size)


def _page(call: Call, rows: list[Sms], size: int, token: str | None, *, more: bool) -> Answer:
    """One page, with a link where there is more; without a token the link leads to the list's beginning."""
    number = int(call.query.get("Page", 0))
    asked = {**call.query, "PageSize": size, "Page": number + 1} | ({"PageToken": token} if token is not None else {})
    path = urlsplit(call.target).path
    if call.random.random() < call.switches.foreign_links:
        path = call.random.choice((f"https://elsewhere.example{path}", f"/elsewhere{path}"))
    around = {
        "end": number * size + len(rows), "first_page_uri": path, "next_page_uri": f"{path}?{urlencode(asked)}" if more else None, "page": number,
        "page_size": size, "previous_page_uri": None, "start": number * size, "uri": call.target,
    }  # fmt: skip
    return call.listing([call.drawn(sms, _row, call.switches.zoneless) for sms in rows], "messages", **around)


def _one(call: Call, account: str, sid: str) -> Answer:
    shelf = call.shelf(TWILIO, account)
    found = shelf and shelf.get(sid, call.now)
    if not found:
        return _refused(404, 20404, "The requested resource was not found")
    return Answer(200, call.drawn(found, _row, call.switches.zoneless))


def _bound(call: Call, name: str) -> Instant | None:
    """A filter's instant, cut off as the switch says; a bare day is its midnight."""
    given = call.query.get(name)
    if given is None:
        return None
    parsed = parse_rfc3339(given if "T" in given else f"{given}T00:00:00Z")
    assert parsed is not None, "the simulated vendor reads RFC 3339 only"
    return parsed.instant


def _sent(call: Call, sms: Sms) -> Instant | None:
    """``date_sent``: of what came in, when it came."""
    return sms.created if sms.inbound else sms.when("sent", call.at)


def _passes(call: Call, sms: Sms, since: Instant | None, until: Instant | None) -> bool:
    """Whether filters let a message pass; both ends are inclusive."""
    sent, unit = _sent(call, sms), DAY if call.switches.granularity == "day" else SECOND
    if since is None and until is None:
        return True
    if sent is None:
        return call.switches.unsent != "hidden"
    return (since is None or sent // unit >= since // unit) and (until is None or sent // unit <= until // unit)


def _place(call: Call, sms: Sms) -> tuple[int, Instant, str]:
    """Where a message is listed: newest first, and what is not sent by the switch."""
    sent, unsent = _sent(call, sms), call.switches.unsent
    if sent is not None or unsent == "hidden":
        return 1, -(sms.created if sent is None else sent), sms.id
    return 0 if unsent == "first" else 2, -sms.created, sms.id


def _listed(call: Call, rows: list[Sms]) -> list[Sms]:
    return sorted(rows, key=lambda sms: _place(call, sms))


def _date(instant: Instant | None, zone: str) -> str | None:
    """RFC 2822."""
    return None if instant is None else email.utils.formatdate(instant // SECOND).replace("-0000", zone)


def _address(sms: Sms, number: str | None) -> str | None:
    return number if sms.channel == "sms" else f"{sms.channel}:{number}"


def _row(sms: Sms, now: Instant, zoneless: bool) -> dict[str, Any]:
    ours, status, zone = PROFILES[TWILIO].ours, sms.status(now), "-0000" if zoneless else "+0000"
    code, words = ERROR if status in ("failed", "undelivered") else (None, None)
    uri = f"/{VERSION}/Accounts/{sms.stream}/Messages/{sms.id}"
    return {
        "sid": sms.id, "account_sid": sms.stream, "api_version": VERSION, "body": sms.text_at(now), "status": status,
        "date_created": _date(sms.created, zone), "date_updated": _date(sms.changed(now), zone),
        "date_sent": _date(sms.created if sms.inbound else sms.when("sent", now), zone),
        "direction": "inbound" if sms.inbound else "outbound-api", "error_code": code, "error_message": words,
        "from": _address(sms, sms.other if sms.inbound else ours), "to": _address(sms, ours if sms.inbound else sms.other),
        "messaging_service_sid": None, "num_media": str(sms.media), "num_segments": "1",
        "price": "-0.00750" if sms.priced is not None and sms.priced <= now else None, "price_unit": "USD",
        "subresource_uris": {"media": f"{uri}/Media.json"}, "uri": f"{uri}.json",
    }  # fmt: skip
