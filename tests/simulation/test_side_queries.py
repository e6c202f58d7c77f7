"""What is asked beside the sweeps goes on after a failure, and is given up after several."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from poller.coverage import ladder
from poller.demo.simulator.switches import FAULTS, Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.model import DAY, HOUR, MINUTE, SECOND
from poller.polling.jobs import SideQuery
from poller.polling.side_queries import SideQueries
from poller.polling.streams import Progress, StreamPoll
from poller.providers.contract import Page, Request
from tests.support.story import START, Story

LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY)


def test_a_request_that_fails_stays_in_hand_and_a_run_that_fails_waits_ever_longer() -> None:
    """Four more tries of the same request, soon; then a new run, each later than the last, up to a quarter of an hour."""
    progress, waits, request = Progress(), list[float](), Request("POST", "/v1/messages/all/count")
    for _ in range(5):
        progress.request = request
        for left in (True, True, True, True, False):
            waits.append(progress.failed_alone(60.0, well=True))
            assert (progress.request is not None) == left
    assert waits[:10] == [15.0, 30.0, 60.0, 120.0, 120.0, 15.0, 30.0, 60.0, 120.0, 240.0]
    assert waits[4::5] == [120.0, 240.0, 480.0, 900.0, 900.0]


def test_audits_come_to_an_end_where_one_request_in_seven_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly every run of several requests ends; none is begun anew for a single failure."""
    begun, ended = list[str](), list[str]()
    begin, answered = SideQueries.begin, SideQueries.answered

    def counted(self: SideQueries, poll: StreamPoll, job: SideQuery) -> Request | None:
        before, request = poll.of(job).request, begin(self, poll, job)
        begun.extend([job.name] * (request is not None and before is None))
        return request

    def heard(self: SideQueries, poll: StreamPoll, job: SideQuery, page: Page) -> None:
        answered(self, poll, job, page)
        ended.extend([job.name] * (page.next is None))

    monkeypatch.setattr(SideQueries, "begin", counted)
    monkeypatch.setattr(SideQueries, "answered", heard)
    story = Story(5, Switches(**dict.fromkeys(FAULTS, 0.02)), crash_s=None, seconds=4 * 3600.0, settle_s=1.0)
    story.world._per_second = 0.02
    story.defaults = "interval: 5m, overlap: 10m, reconcile: {every: 90m, back: 12h}, timeout: 5s"
    story.play()
    assert begun.count("audit") > 50
    assert ended.count("audit") > 0.95 * begun.count("audit")


def test_what_was_in_trouble_is_soon_read_to_the_depth_after_an_outage() -> None:
    """However long the provider failed: all rungs go on within ten intervals, not after waits that grew for hours."""
    story = Story(5, Switches(late=0.0), crash_s=None, seconds=1.2 * 3600)
    story.world._per_second = 0.05
    story.defaults = "interval: 5s, overlap: 30s, reconcile: {every: 1h, back: 12h}, timeout: 5s"
    answer, begins, ends = story.providers.answer, START + 60 * SECOND, START + HOUR

    def failing(*given: Any) -> Answer:
        return Answer(500, b"", "text/plain") if begins < given[-1] < ends else answer(*given)

    marks: list[int] = []

    async def look(story: Story) -> None:
        await anyio.sleep((ends - START) / SECOND + 50)
        snapshot = story.running["worker-0"][0].snapshot()
        marks.extend(account.watermark or 0 for shard in snapshot.shards for account in shard.accounts)

    story.providers.answer = failing  # type: ignore[method-assign]
    assert story.play(look).good  # type: ignore[arg-type]
    assert len(marks) == 3
    assert min(marks) > ends, marks


def test_a_provider_that_requires_a_cursor_refuses_once() -> None:
    """From then on live sweeps and looks at changes come with one."""
    story = Story(6, Switches(cursor_required=True), crash_s=None, seconds=60.0)
    answer, refused = story.providers.answer, list[int]()

    def counted(*given: Any) -> Answer:
        found = answer(*given)
        refused.extend([found.status] * (found.status == 400))
        return found

    story.providers.answer = counted  # type: ignore[method-assign]
    assert story.play().good
    assert refused == [400]
