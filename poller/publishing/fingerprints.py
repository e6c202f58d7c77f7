"""fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urldefrag

import msgspec

from ..model import CONTENT_FIELDS, STATUS_FIELDS, Message
from .message_state import MessageState

HASHED: tuple[str, ...] = CONTENT_FIELDS + STATUS_FIELDS[3:]
"""The fields compared by fingerprint, in the order of the bits of ``MessageState.present``; the others are kept plain."""


PRINT_BYTES = 4


_encode = msgspec.json.Encoder(order="deterministic").encode


_GETTERS: tuple[Callable[[Message], object], ...] = tuple(
    (lambda name: lambda message: getattr(message, name))("from_" if field == "from" else field) for field in HASHED
)


def _as_it_is(value: Any) -> Any:
    return value


def _unordered(value: Any) -> Any:
    """Lists sorted, at any depth: what a vendor lists in another order is the same."""
    if isinstance(value, dict):
        return {name: _unordered(leaf) for name, leaf in value.items()}
    return sorted(map(_unordered, value), key=_encode) if isinstance(value, list) else value


def _unsigned(media: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Media without the query of their URLs, where signatures and their expiry change at every listing."""
    return [{name: urldefrag(leaf)[0].partition("?")[0] if name == "url" else leaf for name, leaf in each.items()} for each in media]


_COMPARED: dict[int, Callable[[Any], Any]] = {
    HASHED.index("media"): _unsigned,
    HASHED.index("provider_data"): _unordered,
    HASHED.index("to"): _unordered,
}
"""How the value of a field is compared, by the field's bit, where that is not as it is published."""


class Fingerprints:
    """Keyed fingerprints of a message's fields, so that a change can be named without keeping a text.

    Taken before privacy is applied: switching privacy is no change. ``number`` tells keys apart;
    what was remembered under one of the ``earlier`` keys can still be compared.
    """

    def __init__(self, key: bytes, earlier: Iterable[bytes] = ()) -> None:
        self._key = key[:64]
        self._earlier = {prints.number: prints for prints in map(Fingerprints, earlier)}
        self.number = int.from_bytes(hashlib.blake2b(key, digest_size=2, person=b"poller-key-no").digest(), "big")

    def under(self, number: int) -> Fingerprints | None:
        """The fingerprints of a key, None where it is not known."""
        return self if number == self.number else self._earlier.get(number)

    def __call__(self, message: Message) -> tuple[int, bytes]:
        """``(present, prints)`` as kept in :class:`MessageState`."""
        present, prints, key = 0, [], self._key
        for bit, get in enumerate(_GETTERS):
            value = get(message)
            if value is None:
                continue
            present |= 1 << bit
            raw = value.encode("utf-8", "surrogatepass") if type(value) is str else _encode(_COMPARED.get(bit, _as_it_is)(value))
            prints.append(hashlib.blake2b(raw, digest_size=PRINT_BYTES, key=key).digest())
        return present, b"".join(prints)


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
