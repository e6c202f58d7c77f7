"""Rows as a vendor usually prints them: decoded at once into a Struct that the vendor's folder declares.

Nearly every row is of one shape. What that shape does not allow (another type, an unknown word, a member that is
seldom there) makes a row an unusual one, which the tolerant reader reads. Both must agree wherever this one reads a row
at all; a fuzz of mutated rows of each vendor demands it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ...model import Observation, Row
from .rows import NESTING_MAX, NOT_JSON
from .values import phone

S = TypeVar("S", bound=msgspec.Struct)

Usual = Callable[[Row], Observation | None]
"""Reads a row; None = it is not of the usual shape."""


def usual_rows(shape: type[S], observed: Callable[[Row, S], Observation | None]) -> Usual:
    """A reader of rows of a shape; ``observed`` makes a message of one, or None where its values are unusual.

    A member of the type None is one that a usual row does not have, or has as null.

    A decoder does not look into members that no field wants; so it is looked first whether the row is UTF-8, and not
    nested too deeply, which the tolerant reader finds by reading all of it.
    """
    decode = msgspec.json.Decoder(shape).decode

    def reading(row: Row) -> Observation | None:
        raw = row.raw
        try:
            if not raw.isascii():
                raw.decode()
            found = decode(raw)
        except NOT_JSON:
            return None
        return observed(row, found) if raw.count(b"[") + raw.count(b"{") <= NESTING_MAX else None

    return reading


def international(digits: str) -> str | None:
    """As :func:`.values.phone` of a number that lacks its plus."""
    if digits.isdigit() and digits.isascii() and 8 <= len(digits) <= 15 and digits[0] != "0":
        return "+" + digits
    return phone(digits, bare_is_international=True)
