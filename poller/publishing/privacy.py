"""What of a message may be published: numbers and texts plain, masked, hashed or dropped.

Applied after fingerprints are taken and before a record is made, so nothing downstream of the
codec ever holds what the operator wanted kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from itertools import repeat
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..model import Message, Problem

Mode = Literal["plain", "mask", "hash", "drop"]

SHAPED_BYTES_MAX = 1 << 20
"""Bytes of the largest row whose shape is told; to read a larger one would hold up every other stream."""

_CODE = re.compile(r"(?!.*\d{7})[A-Za-z0-9_.:-]{1,64}")
"""What a vendor's code of an error looks like: a word or a short number; a phone number has seven digits and more."""

_VALUES_MAX: dict[Mode, int] = {"mask": 60_000, "hash": 20_000}
"""Values of free-form data that are hidden one by one: more of them, hidden, fill a record of 900 KiB whatever they are."""

_FIELD_NAME = re.compile(r"[A-Za-z_]{1,40}")
_NUMBER_LIKE = re.compile(r"\d{5}")


class Unpublishable(Exception):
    """No record can be made of a message; ``reason`` is that of its dead letter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Privacy(Struct, frozen=True):
    """The operator's choice. ``key`` is needed for ``hash`` (HMAC-SHA256, so that readers can still join)."""

    numbers: Mode = "plain"
    text: Mode = "plain"
    original_dead_letters: bool = True
    key: bytes = b""

    @property
    def plain(self) -> bool:
        """Nothing to hide."""
        return self.numbers == self.text == "plain"

    def apply(self, message: Message) -> Message:
        """The message as it may be published. Raises Unpublishable where it holds too many values to hide."""
        if self.plain:
            return message
        to = [hidden for number in message.to or () if (hidden := self.number(number)) is not None]
        return replace(
            message,
            from_=self.number(message.from_),
            to=to or None,
            text=self.words(message.text),
            media=self.tree(message.media) or None,
            provider_data=self.tree(message.provider_data) or None,
            error=message.error and self.problem(message.error),
        )

    def problem(self, told: Problem) -> Problem | None:
        """Why a message failed. What stands for a code and has not the form of one counts as text, and where texts are plain as a number."""
        code = told.code
        if code is not None and not _CODE.fullmatch(code):
            code = self.number(code) if self.text == "plain" else self.words(code)
        said = self.words(told.message)
        return Problem(code=code, message=said) if code or said else None

    def number(self, value: str | None) -> str | None:
        """A phone number or sender name; masked it keeps its last two characters."""
        return None if value is None else self._hide(value, self.numbers, "…" + value[-2:])

    def words(self, value: str | None) -> str | None:
        """A text; masked it keeps its length."""
        return None if value is None else self._hide(value, self.text, f"[{len(value)} characters]")

    def tree(self, value: Any) -> Any:
        """Free-form data counts as text, leaf by leaf; keys that hold a number count as numbers."""
        if self.text == "drop":
            return None
        return self._leaves(value, repeat(None, _VALUES_MAX.get(self.text, 0)))

    def _leaves(self, value: Any, left: Iterator[None]) -> Any:
        if isinstance(value, dict):
            pairs = cast("dict[str, Any]", value).items()
            return {self._name(name): self._leaves(leaf, left) for name, leaf in pairs}
        if isinstance(value, list):
            return [self._leaves(leaf, left) for leaf in cast("list[Any]", value)]
        if isinstance(value, bool) or value is None or self.text == "plain":
            return value
        if next(left, self) is self:
            raise Unpublishable("too_large")
        return self.words(value if isinstance(value, str) else str(value))

    def _name(self, name: str) -> str:
        if _NUMBER_LIKE.search(name) is None:
            return name
        return self.number(name) or "…"

    def _hide(self, value: str, mode: Mode, masked: str) -> str | None:
        if mode == "plain":
            return value
        if mode == "mask":
            return masked
        if mode == "drop":
            return None
        mac = hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "hmac-sha256:" + mac.hexdigest()[:32]

    def dead_letter(self, raw: bytes) -> bytes:
        """The bytes of a row that could not be normalized: as they came, or only their shape. Never raises, for any bytes."""
        if self.original_dead_letters:
            return raw
        if len(raw) > SHAPED_BYTES_MAX:
            return b"[%d bytes]" % len(raw)
        try:
            return msgspec.json.encode(_shape(msgspec.json.decode(raw)))
        except Exception:  # not UTF-8, not JSON, too deep, a number without an end: whatever it is, its size is all that is told
            return b"[%d bytes]" % len(raw)


def _shape(value: Any) -> Any:
    """A JSON value with every leaf replaced by its kind and size, and only plain field names kept."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {name if _FIELD_NAME.fullmatch(name) else f"[field {number}]": _shape(leaf) for number, (name, leaf) in enumerate(pairs)}
    if isinstance(value, list):
        return [_shape(leaf) for leaf in cast("list[Any]", value)]
    if isinstance(value, str):
        return f"[{len(value)} characters]"
    return value if value is None else f"[{type(value).__name__}]"
