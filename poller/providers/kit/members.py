"""What an answer holds that is no list: one message, which was looked up by its id; and what stands beside the rows."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import msgspec

from ...errors import BadPage, Unreachable
from ..contract import Request, Response, View
from .answers import accept
from .rows import NOT_JSON

T = TypeVar("T")

GONE = frozenset({404, 410})
"""Statuses of answers that say that a message is no longer there."""


class Lookup(msgspec.Struct, frozen=True, tag="lookup"):
    """One message by its id."""


def by_id(view: View, before: str, after: str = "") -> Request | None:
    """``GET`` of the message that is to be looked up, by its id between two parts of a path; None where there is none."""
    if view.message_id is None:
        return None
    return Request("GET", f"{before}{quote(view.message_id, safe='')}{after}", continuation=Lookup())


def found(response: Response, id_name: str) -> list[bytes]:
    """The one message of an answer to :func:`by_id`; a message that is gone is no row. Raises as :func:`.answers.accept` and :func:`single`."""
    return [] if response.status in GONE else [single(accept(response), id_name)]


def beside(around: dict[str, msgspec.Raw], name: str, kind: type[T]) -> T | None:
    """What an answer has beside its rows, as a value of this kind; None where it is absent or null. Raises BadPage for another kind."""
    try:
        return msgspec.json.decode(around.get(name, b"null"), type=kind | None, strict=False)
    except NOT_JSON:
        raise BadPage(f"{name} is not what the vendor documents") from None


def single(body: bytes, id_name: str) -> bytes:
    """The body of an answer that is one message: an object with an id. Raises Unreachable for what is not JSON, BadPage for anything else."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise BadPage("the answer is not a message") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None
    if id_name not in members:
        raise BadPage("the answer is not a message")
    return body
