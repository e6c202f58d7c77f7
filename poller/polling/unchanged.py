"""Rows and pages that were read before and did not change: told by their bytes, so that they need not be read again.

Only the copy that was adopted last is known for a message; any other copy, older or newer, is
read in full. In memory, bounded by two generations, and gone with the shard's life.
"""

from __future__ import annotations

from array import array

import msgspec
from msgspec import Struct

from ..model import Row
from ..providers.contract import Page, Request, Response

GENERATION_MAX = 20_000


class RememberedPage(Struct, frozen=True):
    """A page as it was read, without its bytes: the same answer to the same request is the same page."""

    mark: int
    page: Page
    """Its rows are counted, not listed."""
    ids: tuple[str, ...]
    copies: array[int]
    """The mark of each row's bytes."""


def page_digest(request: Request, response: Response) -> int:
    """Equal for the same answer to the same request, in this process."""
    return hash((msgspec.json.encode(request), response.status, response.body))


def remembered_page(mark: int, page: Page) -> RememberedPage | None:
    """What to remember of a page; None where it would never be known whole."""
    rows = [row for row in page.rows if isinstance(row, Row)]
    if len(rows) < len(page.rows) or len(rows) > GENERATION_MAX:
        return None
    counted = msgspec.structs.replace(page, rows=[], unread=len(rows))
    return RememberedPage(mark, counted, tuple(row.id for row in rows), array("q", [hash(row.raw) for row in rows]))


class UnchangedRows:
    """The adopted copy of each message of an account, by id."""

    def __init__(self) -> None:
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def has(self, row: Row) -> bool:
        """Whether the row is, byte for byte, the copy that was adopted last."""
        return self._is(row.id, hash(row.raw))

    def has_all(self, repeat: RememberedPage) -> bool:
        """Whether every row of the page is still the copy that was adopted last."""
        return all(self._is(id_, mark) for id_, mark in zip(repeat.ids, repeat.copies, strict=True))

    def _is(self, id_: str, mark: int) -> bool:
        found = self._young.get(id_)
        if found is None:
            found = self._old.get(id_)
            if found is not None:
                self._keep(id_, found)
        return found == mark

    def learn(self, row: Row) -> None:
        """This copy is the adopted one now, and durable."""
        self._keep(row.id, hash(row.raw))

    def forget(self, id_: str) -> None:
        """Which copy is adopted is not certain."""
        self._young.pop(id_, None)
        self._old.pop(id_, None)

    def _keep(self, id_: str, mark: int) -> None:
        if len(self._young) >= GENERATION_MAX:
            self._old, self._young = self._young, {}
        self._young[id_] = mark
