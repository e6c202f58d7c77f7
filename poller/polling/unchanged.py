"""Rows and pages that were read before and did not change: told by their bytes, so that they need not be read again.

Only the copy that was adopted last is known for a message; any other copy, older or newer, is
read in full. In memory, bounded, and gone with the shard's life.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ..memory import Memory
from ..model import BadRow, Row
from ..providers.contract import Page, Request, Response

COPIES_KEPT = 20_000
"""Messages of an account of which the adopted copy is remembered, at most twice as many: some 4 MiB."""


class RememberedPage(Struct, frozen=True):
    """A page as it was read, without its bytes: the same answer to the same request is the same page."""

    digest: int
    page: Page
    """Its rows are counted, not listed."""
    ids: list[str]
    marks: list[int]
    """Of each row's bytes."""


def page_digest(request: Request, response: Response) -> int:
    """Equal for the same answer to the same request, in this process."""
    return hash((msgspec.json.encode(request), response.status, response.body))


def remembered_page(digest: int, page: Page) -> RememberedPage | None:
    """What to remember of a page; None where it would never be known whole.

    A page with another one behind it is not the page that its job asks for next.
    """
    if page.next is not None or len(page.rows) > COPIES_KEPT:
        return None
    ids = [row.id for row in page.rows if isinstance(row, Row)]
    if len(ids) < len(page.rows):
        return None
    return RememberedPage(digest, msgspec.structs.replace(page, rows=[], unread=len(ids)), ids, _marks(page.rows))


def _marks(rows: Sequence[Row | BadRow]) -> list[int]:
    """Of each row's bytes, 64 bits under a key of this process: a row that changed has another one."""
    return [hash(row.raw) for row in rows]


class UnchangedRows:
    """The adopted copy of each message of an account, by id."""

    def __init__(self) -> None:
        self._marks = Memory[str | None, int](COPIES_KEPT)

    def others(self, rows: list[Row | BadRow]) -> list[Row | BadRow]:
        """The rows that are not, byte for byte, the copy of their message that was adopted last."""
        marks = _marks(rows)
        known = self._marks.all_of([row.id for row in rows])
        return [] if known == marks else [row for row, mark, old in zip(rows, marks, known, strict=True) if mark != old]

    def has_all(self, repeat: RememberedPage) -> bool:
        """Whether every row of the page is still the copy that was adopted last."""
        return self._marks.all_of(repeat.ids) == repeat.marks

    def learn(self, row: Row) -> None:
        """This copy is the adopted one now."""
        self._marks.keep(row.id, hash(row.raw))

    def forget(self, id_: str) -> None:
        """Which copy is adopted is not certain."""
        self._marks.forget(id_)
