"""Where a provider says exactly how far a sweep has read, another sweep may go on from there: all that is listed above was on its pages."""

from __future__ import annotations

import random

import pytest

from poller.model import SECOND, Gap, Instant, Row, Stream
from poller.providers.contract import ByTime, Request, Window
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.heymarket.provider import Heymarket
from poller.providers.registry import BUILT_IN, provider_of
from tests.providers.test_walks import NOW, Crowded, Inclusive, Listed, Team, ordinary


def test_those_whose_sweeps_may_be_cut() -> None:
    """A cursor and a span of time say it; a token, a link and the dates of rows do not."""
    exact = {name for name in BUILT_IN if isinstance(listing := provider_of(name).listing, ByTime) and listing.exact}
    assert exact == {"heymarket", "fonedynamics"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [Team, Inclusive])
def test_a_heymarket_walk_has_read_all_above_its_cursor(kind: type[Team], seed: int) -> None:
    """Whatever ties, old-dated imports and later dates there are, but for what it says itself that it may lack."""
    rng = random.Random(seed)
    rows = ordinary(900, SECOND // 3)
    rows += [(2000 + n, NOW - 40 * SECOND, NOW - 40 * SECOND) for n in range(rng.choice((5, 45, 150)))]
    rows += [(3000 + n, at := NOW - rng.randrange(1, 280) * SECOND, at - rng.randrange(-3, 900) * SECOND) for n in range(8)]
    team, provider = kind(rows, cap=rng.choice((30, 100))), Heymarket()
    request = provider.first_page(Stream("heymarket", "a", "team"), Window(NOW - 250 * SECOND, NOW + SECOND, NOW), None)
    found, gaps, told = set[int](), list[Gap](), 0
    while request is not None:
        if (reached := provider.reached(request)) is not None:
            lacking = [row for row in rows if row[1] >= reached and row[0] not in found and not _in(gaps, row)]
            assert not lacking, (reached, lacking)
            told += 1
        page = provider.read_page(request, team.answer(request))
        found |= {int(row.id) for row in page.rows if isinstance(row, Row) and row.id}
        gaps += page.gaps
        request = page.next
    assert told >= 3


def _in(gaps: list[Gap], row: Listed) -> bool:
    return any(gap.since <= row[1] < gap.until for gap in gaps)


def test_a_fone_dynamics_sweep_has_read_all_above_its_slice() -> None:
    """Also where a second is over-full."""
    it, provider, found, told = Crowded(), FoneDynamics(), set[str](), 0
    window = Window(NOW - 600 * SECOND, NOW, NOW)
    request: Request | None = provider.first_page(Stream("fonedynamics", "a", "PR1"), window, it.learned)
    while request is not None:
        reached: Instant | None = provider.reached(request)
        assert reached is not None
        assert {row["MessageSid"] for row in it.rows if reached <= int(row["Created"]) * SECOND < NOW} <= found
        page, told = provider.read_page(request, it._answer(request, NOW // SECOND)), told + 1
        found |= {row.id for row in page.rows if isinstance(row, Row) and row.id}
        request = page.next
    assert told > 5
