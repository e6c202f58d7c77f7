"""The least row that each built-in vendor lists, and the answer around its rows, as bytes: tests change one member of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

DATE = b'"2026-09-21T14:12:50Z"'
LEAST: dict[str, dict[str, bytes]] = {
    "fonedynamics": {"MessageSid": b'"1"', "Created": b"1790000000", "Text": b'"hi"'},
    "heymarket": {"id": b"1", "date": DATE, "text": b'"hi"'},
    "plivo": {"message_uuid": b'"1"', "message_time": DATE, "message_state": b'"sent"'},
    "stuut": {"id": b'"1"', "created_at": DATE, "body": b'"hi"'},
    "telnyx": {"uuid": b'"1"', "created_at": DATE, "status": b'"delivered"'},
    "twilio": {"sid": b'"1"', "date_created": b'"Mon, 21 Sep 2026 14:12:50 +0000"', "body": b'"hi"'},
}
"""Id, time of creation, and a text that is published, in this order."""

LISTS = {"fonedynamics": "Messages", "heymarket": None, "plivo": "objects", "stuut": None, "telnyx": "data", "twilio": "messages"}
"""The member that holds the rows; None = the answer is a bare list, unless there is something around it."""


def id_name(provider: str) -> str:
    """The member that holds a row's id."""
    return next(iter(LEAST[provider]))


def text_name(provider: str) -> str:
    """A member whose text is published as it is."""
    return list(LEAST[provider])[2]


@cache
def members_of(provider: str) -> set[str]:
    """The names of all members that the vendor's case files know."""
    files = (Path(__file__).parents[1] / "providers" / "cases" / provider).glob("*.json")
    return {name for file in files for name in _MEMBER.findall(file.read_text(encoding="utf-8"))} | set(LEAST[provider])


_MEMBER = re.compile(r'"(\w+)":')


def raw_of(provider: str, members: Mapping[str, bytes] = {}) -> bytes:
    """The least row with these members beside or in place of its own."""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in {**LEAST[provider], **members}.items()) + b"}"


def body_of(provider: str, *rows: bytes, around: Mapping[str, bytes] = {}) -> bytes:
    """An answer that lists these rows, with these members around them."""
    listed, name = b"[" + b",".join(rows) + b"]", LISTS[provider]
    if name is None and not around:
        return listed
    members = {name or "messages": listed, **around}
    return b"{" + b",".join(b'"%s":%s' % (each.encode(), value) for each, value in members.items()) + b"}"
