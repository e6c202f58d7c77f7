"""What an answer holds that is no list: one message, and what stands beside the rows."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ...errors import BadPage, Unreachable
from .rows import NOT_JSON

T = TypeVar("T")


def beside(around: dict[str, msgspec.Raw], name: str, kind: type[T]) -> T | None:
    """What an answer has beside its rows, as a value of this kind; None where it is absent or null. Raises BadPage for another kind."""
    try:
        return msgspec.json.decode(around.get(name, b"null"), type=kind | None, strict=False)
    except NOT_JSON:
        raise BadPage(f"{name} is not what the vendor documents") from None


def single(body: bytes, id_name: str) -> bytes:
    """The body of an answer that is one message: an object with an id. Raises Unreachable for what is not JSON, BadPage for anything else."""
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise BadPage("the answer is not a message") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None
    if id_name not in found:
        raise BadPage("the answer is not a message")
    return body
