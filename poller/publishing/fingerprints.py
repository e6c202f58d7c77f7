"""Keyed fingerprints of a message's fields: what changed is named without keeping what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any
from urllib.parse import urldefrag

import msgspec

from ..model import CONTENT_FIELDS, STATUS_FIELDS, Message
from .message_state import MessageState

HASHED: tuple[str, ...] = CONTENT_FIELDS + STATUS_FIELDS[3:]
"""The fields compared by fingerprint, in the order of the bits of ``MessageState.present``; the others are kept plain."""


PRINT_BYTES = 4
"""Bytes of one fingerprint."""

SHORT_CHARACTERS = 12
"""Characters of the longest text whose fingerprint is remembered: a channel, a direction, a thread's number come again and again."""

SHORT_VALUES = 4_096
"""Short texts whose fingerprints are remembered."""

_encode = msgspec.json.Encoder(order="deterministic").encode

_ATTRIBUTES = {"from": "from_", "provider_data": "compared_data"}
"""Where a field's value is that is compared, if not under the field's name."""

_fields = attrgetter(*(_ATTRIBUTES.get(field, field) for field in HASHED))


def _unordered(value: Any) -> Any:
    """Lists sorted, at any depth: what a vendor lists in another order is the same."""
    if isinstance(value, dict):
        return value if _NESTED.isdisjoint(map(type, value.values())) else {name: _unordered(leaf) for name, leaf in value.items()}
    return sorted(map(_unordered, value), key=_encode) if isinstance(value, list) and not _single(value) else value


_NESTED = frozenset({dict, list})


def _single(value: list[Any]) -> bool:
    """Whether a list has no order to speak of."""
    return len(value) < 2 and _NESTED.isdisjoint(map(type, value))


def _unsigned(media: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Media without the query of their URLs, where signatures and their expiry change at every listing."""
    return [{name: urldefrag(leaf)[0].partition("?")[0] if name == "url" else leaf for name, leaf in each.items()} for each in media]


_BITS = tuple(1 << number for number in range(len(HASHED)))
"""The bit of each field in ``MessageState.present``."""

_COMPARED: dict[int, Callable[[Any], Any]] = {
    1 << HASHED.index("media"): _unsigned,
    1 << HASHED.index("provider_data"): _unordered,
    1 << HASHED.index("to"): _unordered,
}
"""How the value of a field is compared, by the field's bit, where that is not as it is published."""


class Fingerprints:
    """Keyed fingerprints of a message's fields, so that a change can be named without keeping a text.

    Taken before privacy is applied: switching privacy is no change. ``number`` tells keys apart;
    what was remembered under one of the ``earlier`` keys can still be compared.
    """

    def __init__(self, key: bytes, earlier: Iterable[bytes] = ()) -> None:
        self._begun = hashlib.blake2b(digest_size=PRINT_BYTES, key=key[:64])
        self._short: dict[str, bytes] = {}
        self._earlier = {prints.number: prints for prints in map(Fingerprints, earlier)}
        self.number = int.from_bytes(hashlib.blake2b(key, digest_size=2, person=b"poller-key-no").digest(), "big")

    def under(self, number: int) -> Fingerprints | None:
        """The fingerprints of a key, None where it is not known."""
        return self if number == self.number else self._earlier.get(number)

    def __call__(self, message: Message) -> tuple[int, bytes]:
        """``(present, prints)`` as kept in :class:`MessageState`."""
        present, short = 0, self._short
        prints: list[bytes] = []
        for bit, value in zip(_BITS, _fields(message), strict=True):
            if value is None:
                continue
            present |= bit
            if type(value) is str:
                prints.append(short.get(value) or self._of_text(value))
            else:
                compared = _COMPARED.get(bit)
                prints.append(self._print(_encode(value if compared is None else compared(value))))
        return present, b"".join(prints)

    def _print(self, value: bytes) -> bytes:
        """The fingerprint of the value of one field: of a text's UTF-8, of anything else's JSON as it is compared."""
        state = self._begun.copy()  # the key was taken in once
        state.update(value)
        return state.digest()

    def _of_text(self, value: str) -> bytes:
        """The fingerprint of a text."""
        found = self._print(value.encode("utf-8", "surrogatepass"))
        if len(value) <= SHORT_CHARACTERS:
            if len(self._short) >= SHORT_VALUES:
                self._short.clear()
            self._short[value] = found
        return found


def differing(old: MessageState, present: int, prints: bytes) -> list[str]:
    """The names of hashed fields that differ between the remembered copy and a new one."""
    if old.present == present and old.prints == prints:
        return []
    names, i, j = [], 0, 0
    for bit, name in enumerate(HASHED):
        mine = mine_print = None
        if old.present >> bit & 1:
            mine, i = old.prints[i : i + PRINT_BYTES], i + PRINT_BYTES
        if present >> bit & 1:
            mine_print, j = prints[j : j + PRINT_BYTES], j + PRINT_BYTES
        if mine != mine_print:
            names.append(name)
    return names
