"""Look-ups by id: the youngest first, ever more seldom, from the scheduled time on, until the status horizon."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from poller.demo.simulator.profiles import FONE
from poller.demo.simulator.switches import Switches
from poller.model import DAY, HOUR, MINUTE, SECOND
from poller.polling import jobs
from poller.polling.lookups import LAST_LOOKS, SPACING, Lookups
from poller.polling.page import Pages
from poller.providers.contract import SideQuery
from poller.providers.fonedynamics.provider import FoneDynamics
from tests.support.rows import observation
from tests.support.story import Story

NOW = 1_790_000_000 * SECOND


def seen(id_: str | None, position: int, stamp: int = 0):
    """A remembered message."""
    from poller.publishing.message_state import MessageState

    return MessageState(1, "queued", None, False, stamp, 0, position // SECOND, 1, 1, 1, 0, b"", id_)


def test_what_is_not_final_is_asked_for_ever_more_seldom() -> None:
    """The time between two looks is a fortieth of the message's age, at least the interval; a final copy ends it."""
    lookups = Lookups(interval=15 * SECOND, horizon=3 * DAY)
    lookups.learn(b"1", seen("m1", NOW), NOW)
    times = [at for at in range(NOW, NOW + DAY, 5 * SECOND) if lookups.due(at)]
    gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] == 15 * SECOND
    assert abs(gaps[-1] - (times[-2] - NOW) / SPACING) < 10 * SECOND
    lookups.learn(b"1", seen(None, NOW), NOW)
    assert not any(lookups.due(at) for at in range(NOW, NOW + 4 * DAY, HOUR))


def test_the_youngest_goes_first_and_nothing_before_its_scheduled_time() -> None:
    """Of two that are due the younger is asked for; one that is scheduled ahead waits until then."""
    lookups = Lookups(interval=SECOND, horizon=3 * DAY)
    for name, position in (("old", NOW - DAY), ("young", NOW - MINUTE), ("ahead", NOW + 5 * DAY)):
        lookups.learn(name.encode(), seen(name, position), NOW - 2 * DAY)
    assert [lookups.due(NOW), lookups.due(NOW), lookups.due(NOW)] == ["young", "old", None]
    assert lookups.due(NOW + 5 * DAY + SECOND) == "ahead"


def test_at_the_horizon_a_message_is_unconfirmed() -> None:
    """A few looks after the status horizon it is counted and left to the ladder."""
    lookups = Lookups(interval=SECOND, horizon=HOUR)
    lookups.learn(b"1", seen("m1", NOW), NOW)
    times = [at for at in range(NOW, NOW + DAY, MINUTE) if lookups.due(at)]
    assert sum(at >= NOW + HOUR for at in times) == LAST_LOOKS
    assert (len(lookups), lookups.unconfirmed) == (0, 1)


def test_an_outage_over_the_horizon_does_not_end_the_looks() -> None:
    """A message whose horizon passed while nobody polled is looked up once polling goes on; one that was given up before is not."""
    lookups = Lookups(interval=SECOND, horizon=HOUR)
    lookups.learn(b"1", seen("given-up", NOW - 2 * HOUR), NOW + DAY, looked=NOW)
    lookups.learn(b"2", seen("owed", NOW - HOUR // 2), NOW + DAY, looked=NOW)
    found = [id_ for at in range(NOW + DAY, NOW + 2 * DAY, MINUTE) if (id_ := lookups.due(at))]
    assert found == ["owed"] * LAST_LOOKS
    assert lookups.unconfirmed == 2


def test_a_message_scheduled_beyond_the_look_back_gets_its_status() -> None:
    """By a filter on created no window shows it any more: it is looked up by duty; without look-ups it stays behind (negative control)."""

    def stale(side_queries: tuple[SideQuery, ...] | None) -> int:
        switches = replace_switches(scheduled=0.5, scheduled_s=2 * 3600.0, filter="created", status_s=30.0, late=0.0)
        story = Story(2, switches=switches, crash_s=None, seconds=2.5 * 3600.0)
        story.defaults = "interval: 1m, overlap: 5m, reconcile: {every: 10m, back: 40m}, status_horizon: 20m, timeout: 5s"
        story.world._per_second, story.world.providers = 0.02, (FONE,)
        original = FoneDynamics.side_queries
        if side_queries is not None:
            FoneDynamics.side_queries = property(lambda self: side_queries)  # type: ignore[assignment,method-assign]
        try:
            story.settle_s = 1200.0 if side_queries is None else 120.0  # in vain
            return len(story.play().stale)
        finally:
            FoneDynamics.side_queries = original  # type: ignore[method-assign]

    assert stale(None) == 0
    assert stale(()) > 0


def replace_switches(**values: object) -> Switches:
    """Good behaviour but for these."""
    from dataclasses import replace as replaced

    return replaced(Switches(), **values)  # type: ignore[arg-type]


def test_ids_are_remembered_only_while_they_are_needed() -> None:
    """Nothing keeps an id that is final, or where no provider can be asked for it."""
    from poller.publishing.diff import diff, newest_copies
    from poller.publishing.fingerprints import Fingerprints
    from tests.support.rows import scope

    prints = Fingerprints(b"k" * 32)
    open_, final = observation("1", status="sent"), observation("2", status="delivered")
    final = replace(final, message=replace(final.message, final=True))
    for keep, ids in ((True, {"1", None}), (False, {None})):
        copies, _ = newest_copies([open_, final], scope().stream.account_key, prints)
        found = diff({}, copies, replace(scope(), keep_ids=keep), prints)
        assert {change.state.id for change in found.changes} == ids


def test_no_side_query_moves_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints, look-ups and audits publish what they list and leave every watermark where it was."""
    original, runs = Pages._apply, list[bool]()

    async def watched(self: Pages, poll: Any, job: Any, *rest: Any) -> Any:
        before = self.sweeps.cursor(poll)
        applied = await original(self, poll, job, *rest)
        after = self.sweeps.cursor(poll)
        if isinstance(job, jobs.SideQuery):
            runs.append((before.marks, before.debts, before.watermark) == (after.marks, after.debts, after.watermark))
        return applied

    monkeypatch.setattr(Pages, "_apply", watched)
    assert Story(6, crash_s=None, seconds=40.0).play().good
    assert len(runs) > 20
    assert all(runs)
