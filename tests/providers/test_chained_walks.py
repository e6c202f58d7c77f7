"""Sweep after sweep over crowds and broadcasts that grow: what one learned, the next one goes by."""

from __future__ import annotations

import json
import random

import pytest

from poller.model import HOUR, SECOND, Gap, Instant, Row
from poller.providers.contract import Request, Response, Window
from poller.providers.heymarket import walk
from poller.providers.heymarket.asking import Learned
from poller.providers.heymarket.provider import Heymarket
from poller.times import format_rfc3339, parse_rfc3339
from tests.providers.test_walks import NOW, Listed, response

REQUESTS_MAX = 600
BROADCASTS = ((40, 90, 120, 120, 150, 300), (2.0, 20.0, 100.0, 1e9))
"""Rows, and how many of them are sent a second."""


class Vendor:
    """A team of ordinary messages and some broadcasts; cursors may include their date, and other orders list other rows of one date."""

    def __init__(self, rng: random.Random) -> None:
        self.unit: Instant = rng.choice((1, SECOND // 1000, SECOND))
        self.cap, self.inclusive, self.reordered = rng.choice((30, 50, 100)), rng.random() < 0.3, rng.random() < 0.5
        self.rows: list[Listed] = []
        self.shown: list[Listed] = []
        self.asked = 0
        for n in range(-500, 300):
            self.add(NOW - (600 + n) * SECOND, NOW - (600 + n) * SECOND)
        base = NOW - rng.randrange(20, 300) * SECOND
        for _ in range(rng.randrange(1, 4)):
            queued = base + rng.choice((0, SECOND // 4, SECOND // 2, SECOND, 3 * SECOND, 17 * SECOND, 60 * SECOND)) + rng.randrange(SECOND)
            rows, per_s = (rng.choice(each) for each in BROADCASTS)
            for n in range(int(rows)):
                later = rng.randrange(SECOND) if rng.random() < 0.05 else 0
                self.add(queued + later, queued + max(later, int(n / per_s * SECOND)))

    def add(self, queued: Instant, sent: Instant) -> None:
        """One more; its dates are as fine as the vendor keeps them."""
        self.rows.append((len(self.rows) + 1, queued // self.unit * self.unit, sent // self.unit * self.unit))

    def show(self, now: Instant) -> None:
        """What was queued until then is listed, newest first."""
        self.shown = sorted((row for row in self.rows if row[1] <= now), key=lambda row: -row[1])

    def answer(self, request: Request) -> Response:
        """As the vendor's page says."""
        self.asked += 1
        asked = json.loads(request.body or b"{}")
        before = parse_rfc3339(asked.get("created_at"))
        if request.path == "/v1/messages":
            return Response(404, {}, b"{}")
        below = [row for row in self.shown if before is None or row[1] < before.instant + self.inclusive]
        if request.path.endswith("count"):
            return response(len(below))
        if self.reordered and "order" in asked:
            below.sort(key=lambda row: (-row[1], -row[0]))
        listed = below[: min(self.cap, asked["limit"])]
        return response(
            [{"id": n, "date": format_rfc3339(sent), "type": "inbound", "text": "hi", "phone": "14155550123"} for n, _, sent in listed]
        )


@pytest.mark.parametrize("seed", range(60))
def test_sweep_after_sweep_lists_everything_or_says_where_something_may_be_missing(seed: int) -> None:
    """Whatever rests meanwhile, however deep each sweep is, and wherever it ends; no sweep ends otherwise, or goes on for ever."""
    rng, ever, learned, now = random.Random(seed), set[int](), Learned(), NOW
    vendor, provider = Vendor(rng), Heymarket()
    for _ in range(6):
        since = now - rng.choice((60, 200, 400, 700)) * SECOND
        until = None if rng.random() < 0.7 else now - rng.randrange(5, 55) * SECOND
        vendor.show(now)
        vendor.asked, gaps = 0, list[Gap]()
        request: Request | None = walk.begin(Window(since, until, now), learned)
        while request is not None:
            page = provider.read_page(request, vendor.answer(request))
            ever |= {int(row.id) for row in page.rows if isinstance(row, Row)}
            gaps, learned, request = [*gaps, *page.gaps], page.learned or learned, page.next
            assert vendor.asked < REQUESTS_MAX
        ends = now + HOUR if until is None else until
        within = [row for row in vendor.shown if since <= row[1] and row[2] < ends]
        silent = [row for row in within if row[0] not in ever and not any(gap.since <= row[1] < gap.until for gap in gaps)]
        assert not silent
        now += rng.choice((5, 15, 30, 61, 200)) * SECOND
        if rng.random() < 0.3:
            _, queued, sent = rng.choice(vendor.rows[800:])
            for _ in range(rng.choice((1, 5, 100))):
                vendor.add(queued, sent)
