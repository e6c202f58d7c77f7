"""What the ladders of an account ask for, held against what it may."""

from __future__ import annotations

import pytest

from poller.polling.demand import QUOTA_SHARE, Demand


def test_deep_periods_stretch_alike_when_the_planned_share_is_short() -> None:
    """What the live rung leaves of 80 % of the limit, and at least 30 % of that, is for the deep ones."""
    demand = Demand(1.0)
    demand.swept("s", 0, 0.2, deep=False)
    demand.swept("s", 1, 0.6, deep=True)
    assert demand.stretch == pytest.approx(1.0)
    demand.swept("s", 1, 1.2, deep=True)
    assert demand.stretch == pytest.approx(2.0)
    demand.swept("s", 0, 5.0, deep=False)
    assert demand.stretch == pytest.approx(1.2 / 0.24)
    assert demand.live_stretch == pytest.approx(5.0 / 0.56)


def test_a_stream_that_is_gone_asks_for_nothing() -> None:
    """Its share is free again."""
    demand = Demand(1.0)
    demand.swept("s", 1, 3.0, deep=True)
    demand.forget("s")
    assert demand.stretch == 1.0


def test_deep_rungs_that_were_never_swept_are_reckoned_with() -> None:
    """Or the shallower ones would be read as often as planned, and a long first look-back would starve behind them."""
    demand = Demand(10.0)
    demand.swept("a", 1, 3.0, deep=True)
    assert demand.stretch == 1.0
    demand.expect("a", range(2, 5), 3.0)
    stretched = demand.stretch
    assert stretched == pytest.approx(12.0 / (10.0 * QUOTA_SHARE))
    demand.swept("a", 4, 1.0, deep=True)
    demand.expect("a", range(3, 5), 9.0)
    assert demand.stretch == pytest.approx(10.0 / (10.0 * QUOTA_SHARE))
    demand.forget("a")
    assert demand.stretch == 1.0
