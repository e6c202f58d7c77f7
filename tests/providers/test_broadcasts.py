"""Heymarket's broadcasts: queued at one moment, by which they are listed and counted, and printed by the dates of their sending."""

from __future__ import annotations

import json
import random

import pytest

from poller.model import SECOND, Gap, Instant, Row, Stream
from poller.providers.contract import Request, Response, Window
from poller.providers.heymarket.provider import Heymarket
from poller.times import format_rfc3339, parse_rfc3339

NOW: Instant = 1_790_000_000 * SECOND
QUEUED: Instant = NOW - 300 * SECOND + 123_457
SINCE: Instant = NOW - 7200 * SECOND
ORDINARY = 400


class Team:
    """A message every five seconds, and a broadcast of ``rows`` at ``per_s``; at most ``cap`` rows a page, equal dates in no stable order."""

    def __init__(self, rows: int, per_s: float, cap: int, *, inclusive: bool = False, empty_at: int = 0) -> None:
        self.cap, self.inclusive, self.empty_at, self.random = cap, inclusive, empty_at, random.Random(3)
        self.rows = [(n, NOW - n * 5 * SECOND - SECOND // 2, NOW - n * 5 * SECOND - SECOND // 2) for n in range(1, ORDINARY)]
        sent = [(ORDINARY + n, QUEUED + round(n / per_s * SECOND)) for n in range(rows)]
        self.rows += [(id_, QUEUED, at) for id_, at in sent if at < NOW]
        self.requests = 0

    def answer(self, request: Request) -> Response:
        """As the vendor's page says."""
        self.requests += 1
        asked = json.loads(request.body or b"{}")
        until = parse_rfc3339(asked.get("created_at"))
        below = [row for row in self.rows if until is None or row[1] < until.instant + self.inclusive]
        if request.path.endswith("count"):
            return Response(200, {}, json.dumps(str(len(below))).encode())
        listed = sorted(below, key=lambda row: (-row[1], self.random.random()))[: min(self.cap, asked["limit"])]
        shown = [] if self.requests == self.empty_at else [self._shown(id_, at) for id_, _, at in listed]
        return Response(200, {}, json.dumps(shown).encode())

    @staticmethod
    def _shown(id_: int, at: Instant) -> dict[str, object]:
        date = format_rfc3339(at)
        return {"id": id_, "text": "x", "status": "sent", "type": "outbound", "date": date, "updated": date, "phone": "14155550100"}

    def walked(self) -> tuple[list[Instant], list[Gap]]:
        """One sweep to its end: where the rows of the window were listed that it lacked, and its gaps."""
        provider = Heymarket()
        request: Request | None = provider.first_page(Stream("heymarket", "a", "team"), Window(SINCE, None, NOW), None)
        found, gaps = set[str](), list[Gap]()
        while request is not None:
            page = provider.read_page(request, self.answer(request))
            found |= {row.id for row in page.rows if isinstance(row, Row)}
            gaps, request = [*gaps, *page.gaps], page.next
            assert self.requests < 300, "the walk ends"
        return [created for id_, created, _ in self.rows if created >= SINCE and str(id_) not in found], gaps


@pytest.mark.parametrize("inclusive", [False, True], ids=["exclusive", "inclusive"])
@pytest.mark.parametrize(
    ("rows", "per_s", "cap"), [(40, 10, 100), (300, 10, 100), (300, 1, 100), (1000, 20, 1000), (150, 1, 30), (1000, 20, 100)]
)
def test_a_walk_gets_past_a_broadcast_and_loses_no_row_silently(rows: int, per_s: float, cap: int, *, inclusive: bool) -> None:
    """However much lower the cursor is put: what is missing, ordinary or of the broadcast, lies in a range that is told."""
    team = Team(rows, per_s, cap, inclusive=inclusive)
    missing, gaps = team.walked()
    assert all(any(gap.since <= at <= gap.until for gap in gaps) for at in missing)


@pytest.mark.parametrize("at", range(2, 40, 3))
def test_a_false_empty_page_beside_a_broadcast_loses_nothing(at: int) -> None:
    """Wherever it comes: all is listed, or told."""
    missing, gaps = Team(300, 10, 100, empty_at=at).walked()
    assert all(any(gap.since <= where <= gap.until for gap in gaps) for where in missing), at
