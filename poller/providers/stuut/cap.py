"""cap."""

from __future__ import annotations

from ...model import BadRow, Gap, Row
from ..contract import Json

ROUND = frozenset({50, 100, 200, 250, 500, 1000})


def _remembered(memo: Json, rows: list[Row | BadRow], *, said: bool) -> Json:
    """What tells a capped list from a whole one at the next poll: both of its ends, its length, and whether it moved at one length."""
    good = sorted({(row.created, row.id) for row in rows if isinstance(row, Row)})
    told = {"said": True} if said else {}
    if not good:
        return told
    moved = {"moved": memo.get("moved", 0) + 1} if _moved(memo, rows) else {"moved": memo["moved"]} if _still(memo, rows) else {}
    ends = {"first": good[0][1], "last": good[-1][1], "oldest": good[0][0], "newest": good[-1][0]}
    return ends | {"rows": len(good)} | moved | told


def _fewer(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether fewer messages are listed of the time that the last poll reached: some vanished, for a while or for good.

    A list that is taken to be capped loses its oldest by nature.
    """
    if "newest" not in memo or memo.get("said") or _moved(memo, rows):
        return False
    return len({row.id for row in rows if isinstance(row, BadRow) or row.created <= memo["newest"]}) < memo["rows"]


def _still(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether a list that has moved is as it was at the last poll, as far as its ends tell."""
    now = {row.id for row in rows if isinstance(row, Row)}
    return "moved" in memo and memo.get("rows") == len(now) and memo["first"] in now and memo["last"] in now


def _moved(memo: Json, rows: list[Row | BadRow]) -> bool:
    """Whether the oldest vanished while a newer one appeared, and the length of the list stayed."""
    good = [row for row in rows if isinstance(row, Row)]
    newest = max(((row.created, row.id) for row in good), default=(0, ""))[1]
    same = len(good) in ROUND or len(good) == memo.get("rows")
    return same and "first" in memo and memo["first"] not in {row.id for row in good} and newest != memo["last"]


def _capped(memo: Json, rows: list[Row | BadRow]) -> tuple[Gap, ...]:
    """A list that moves at one length looks like a cap: at a round length at once, at another when it moves again; said once.

    While the newest of the last list is listed, nothing was skipped between the two; else what lay between was never seen.
    """
    good = [row for row in rows if isinstance(row, Row)]
    if not _moved(memo, rows) or (len(good) not in ROUND and not memo.get("moved")):
        return ()
    if memo.get("said") and memo["last"] in {row.id for row in good}:
        return ()
    since = memo["oldest"] if memo.get("said") else 0
    return (Gap("list_may_be_capped", since, min(row.created for row in good), lasting=True),)
