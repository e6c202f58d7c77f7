"""Rules of completeness broken on purpose, one at a time; ``python -m tests.lab.soak --mutants`` must find each.

``MUTANTS`` are found by a history that loses or doubles a message. ``LAWS`` need luck for that (a mark that is a
minute late loses only what shows itself in that minute): each has a test of the rule itself, which must go red.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from poller.coverage import cursor as coverage
from poller.coverage import parts
from poller.model import BadRow, Instant, Row
from poller.polling import jobs
from poller.polling.account import Poller
from poller.polling.jobs import Edge, Rank, SideQuery, Sweep
from poller.polling.page import Answer, Pages
from poller.polling.planning import Planner
from poller.polling.schedule import Schedule
from poller.polling.sweep import Sweeps
from poller.providers.contract import Page, Request
from poller.providers.heymarket import crowd, page_order, resting, walk
from poller.providers.heymarket.asking import Walk
from poller.providers.heymarket.provider import Heymarket
from poller.publishing import diff
from poller.publishing.changes import Bound
from poller.publishing.message_state import stream_tag
from poller.publishing.shard_state import ShardState


def first_known_id() -> None:
    """A sweep stops as soon as it sees a row that it knows."""
    exchange = Pages.exchange

    async def stops(self: Pages, poll: Any, job: Any, request: Request, read: Any) -> Answer:
        answer = await exchange(self, poll, job, request, read)
        page = answer.page
        known = page.unread or any(isinstance(row, Row) and self.rows.known.has(row) for row in page.rows)
        return replace(answer, page=replace(page, next=None)) if known and not isinstance(job, SideQuery) else answer

    Pages.exchange = stops  # type: ignore[method-assign]


def tie_group_skipped() -> None:
    """The next cursor is the last date itself, so the rest of its group is never listed."""
    page_order._cursor = lambda good, keep, unit: min(row.created for row in good[-keep:])


def from_now() -> None:
    """Windows begin at now - reach, whenever the last sweep was."""
    coverage._since = lambda rung, mark, now: now - rung.reach
    original = coverage.window
    coverage.window = lambda rungs, index, cursor, **more: original(  # type: ignore[assignment]
        rungs, index, replace(cursor, marks=tuple(replace(mark, complete=more["earliest"]) for mark in cursor.marks)), **more
    )


def count_postpones() -> None:
    """A count that agrees puts the deep rungs off (and what hints list is not looked at, or they would do the rungs' work)."""
    exchange = Pages.exchange

    async def nothing(self: Pages, poll: Any, job: Any, request: Request, read: Any) -> Answer:
        answer = await exchange(self, poll, job, request, read)
        return replace(answer, page=replace(answer.page, rows=[])) if isinstance(job, SideQuery) else answer

    Pages.exchange = nothing  # type: ignore[method-assign]
    goes_on = Planner._side_query

    def postpones(self: Planner, poll: Any, job: Any, *, ended: bool) -> None:
        goes_on(self, poll, job, ended=ended)
        for index in range(1, len(poll.rungs)):
            self._plan(poll, Sweep(index), self._clock.monotonic() + 100 * 3600)

    Planner._side_query = postpones  # type: ignore[method-assign]


def hands_down_always() -> None:
    """A rung that was away hands its debt to the next, whether that one's window begins early enough or not, and forgets it."""
    coverage._next_takes = lambda rungs, index, cursor, since: True
    original = coverage.complete
    coverage.complete = lambda rungs, index, cursor, done: replace(original(rungs, index, cursor, done), debts={})  # type: ignore[assignment]
    start = coverage.window

    def shallow(rungs: Any, index: int, cursor: Any, **more: Any) -> Any:
        found = start(rungs, index, cursor, **more)
        if found is None or more["earliest"] - cursor.marks[index].complete <= rungs[index].reach:
            return found
        return replace(found[0], since=max(found[0].since, more["earliest"] - rungs[index].reach)), True

    coverage.window = shallow  # type: ignore[assignment]


def forgets_by_the_clock() -> None:
    """Forgetting looks at now, not at what the sweeps have covered."""

    def bounds(self: Any) -> dict[int, Bound]:
        now = self._clock.now()
        return {stream_tag(each): Bound(each, now - poll.rungs[-1].reach // 4) for each, poll in self._polls.items()}

    Poller.bounds = bounds  # type: ignore[method-assign]


def floor_not_raised() -> None:
    """Messages are forgotten, and the floor stays where it was."""
    forget = ShardState.forget

    def keeps(self: ShardState, step: Any, found: dict[int, Bound], now: Instant) -> Any:
        before = {bound.stream_id: self.cursor(bound.stream_id) for bound in found.values()}
        entry = forget(self, step, found, now)
        for stream, cursor in before.items():
            if cursor is not None and entry is not None:
                self.keep_cursor(stream, cursor)
        return entry

    ShardState.forget = keeps  # type: ignore[method-assign]


def short_page_is_last() -> None:
    """A page that is shorter than was asked for ends the walk."""
    read = walk.read

    def ends(at: Walk, rows: list[Row | BadRow], now: Instant | None = None) -> Page:
        page = read(at, rows, now)
        return replace(page, next=None) if len(rows) < at.length else page

    walk.read = ends


def older_adopted() -> None:
    """Whatever copy of a message is listed is taken for the newest."""
    diff._newer = lambda seen, old, scope: True


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        first_known_id, tie_group_skipped, from_now, count_postpones, hands_down_always, forgets_by_the_clock, floor_not_raised,
        short_page_is_last, older_adopted,
    )
}  # fmt: skip


def _advanced(change: Callable[..., Any]) -> None:
    """``change(cursor, client, rung, after, page)`` is the cursor after a page of a rung instead."""
    original = Sweeps.advanced

    def changed(self: Sweeps, poll: Any, job: Any, step: Any, page: Any, *, sent: Instant, events: int) -> Any:
        started = step.sweep.started or self._client.provider_clock.earliest(sent)
        cursor = original(self, poll, job, step, page, sent=sent, events=events)
        return change(cursor, self._client, job.rung, replace(step.sweep, started=started), page) if isinstance(job, Sweep) else cursor

    Sweeps.advanced = changed  # type: ignore[method-assign]


def _marked(cursor: Any, index: int, complete: Instant) -> Any:
    marks = list(cursor.marks)
    marks[index] = replace(marks[index], complete=complete)
    return replace(cursor, marks=tuple(marks))


def mark_at_the_end() -> None:
    """A mark is when its sweep ended."""
    _advanced(lambda cursor, client, rung, after, page: cursor if page.next else _marked(cursor, rung, client.now_earliest()))


def mark_of_a_part() -> None:
    """A mark moves with the first page of a sweep."""
    _advanced(lambda cursor, client, rung, after, page: _marked(cursor, rung, after.started))


def mark_from_rows() -> None:
    """A mark is the newest date that was listed."""

    def newest(cursor: Any, client: Any, rung: int, after: Any, page: Any) -> Any:
        dates = [row.created for row in page.rows if isinstance(row, Row)]
        return cursor if page.next or not dates else _marked(cursor, rung, max(dates))

    _advanced(newest)


def hands_down_unasked() -> None:
    """A rung hands its debt down although the next one's window begins too late."""
    coverage._next_takes = lambda rungs, index, cursor, since: index + 1 < len(rungs)


def deep_first() -> None:
    """A deep sweep in hand is not interrupted by a live rung that falls due."""
    Schedule._pick = lambda self: next((rank for rank in reversed(Rank) if self._top(rank)), None)  # type: ignore[method-assign]


def position_from_updated() -> None:
    """A message's position moves with its last change, so an old one that changes is above the floor again."""
    read = Heymarket.read_row

    def moved(self: Heymarket, row: Row) -> Any:
        seen = read(self, row)
        return replace(seen, position=max(seen.position, seen.stamp)) if hasattr(seen, "position") else seen

    Heymarket.read_row = moved  # type: ignore[method-assign]


def forgets_at_depth() -> None:
    """Forgetting reckons the whole depth from the newest mark, as if every rung had been swept just now."""
    original = coverage.oldest

    def nearer(rungs: Any, cursor: Any, *, slack: Instant) -> Instant:
        newest = max(mark.complete for mark in cursor.marks)
        return original(rungs, replace(cursor, marks=tuple(replace(mark, complete=newest) for mark in cursor.marks)), slack=slack)

    coverage.oldest = nearer


def debt_forgotten() -> None:
    """When the edge is read, what the long live sweep has not read is taken for read."""
    original = Sweeps._of_edge

    def forgets(self: Sweeps, poll: Any, cursor: Any) -> Any:
        held = cursor.sweeps.get(poll.live.rung)
        if held is not None and held.started:
            self._shard_state.keep_cursor(
                poll.stream.id, coverage.complete(poll.rungs, poll.live.rung, cursor, replace(held, started=held.started + 1))
            )
        return original(self, poll, cursor)

    Sweeps._of_edge = forgets  # type: ignore[method-assign]


def mark_at_the_edge() -> None:
    """The live rung's mark moves with the edge, whatever is left of its own sweep."""
    original = Sweeps.advanced

    def moves(self: Sweeps, poll: Any, job: Any, step: Any, page: Any, **more: Any) -> Any:
        cursor = original(self, poll, job, step, page, **more)
        return _marked(cursor, poll.live.rung, poll.edge) if isinstance(job, Edge) else cursor

    Sweeps.advanced = moves  # type: ignore[method-assign]


def part_for_the_whole() -> None:
    """A sweep that is read in parts is taken for complete when the first of them is."""
    parts.having = lambda whole, number, part: replace(whole, parts={} if part is None else {**whole.parts, number: part})


def side_queries_first() -> None:
    """Side queries go before what nobody has read yet."""
    original = jobs.rank
    jobs.rank = lambda job, rungs, cursor, *, long: Rank.COVERAGE if isinstance(job, SideQuery) else original(job, rungs, cursor, long=long)


def overlap_first() -> None:
    """A long live sweep goes before what nobody has read yet."""
    original = jobs.rank
    shallow = {Rank.OVERLAP: Rank.COVERAGE}
    jobs.rank = lambda *given, long: shallow.get(found := original(*given, long=long), found)


def crowd_on_a_wrong_count() -> None:
    """A crowd is taken for whole whatever was counted."""
    crowd._whole = lambda found: True


def crowd_rests_for_ever() -> None:
    """A crowd that was walked once is not walked again."""
    resting.REST_MIN = resting.REST_MAX = 1 << 62


def crowd_rests_young() -> None:
    """A crowd rests although it was walked while it could still grow."""
    resting.YOUNG = -(1 << 62)


def clock_not_kept() -> None:
    """The logical clock begins anew with each life of a shard."""
    begin = ShardState.__init__

    def forgets(self: ShardState, *given: Any, **more: Any) -> None:
        begin(self, *given, **more)
        self._clock = 0

    ShardState.__init__ = forgets  # type: ignore[method-assign]


LAWS: dict[str, tuple[Callable[[], None], str]] = {
    "mark_at_the_end": (mark_at_the_end, "tests/simulation/test_marks.py"),
    "mark_of_a_part": (mark_of_a_part, "tests/simulation/test_marks.py"),
    "mark_from_rows": (mark_from_rows, "tests/simulation/test_marks.py"),
    "hands_down_unasked": (hands_down_unasked, "tests/unit/coverage/test_window.py"),
    "forgets_at_depth": (forgets_at_depth, "tests/unit/coverage/test_window.py"),
    "debt_forgotten": (debt_forgotten, "tests/simulation/test_edge.py"),
    "mark_at_the_edge": (mark_at_the_edge, "tests/simulation/test_edge.py"),
    "part_for_the_whole": (part_for_the_whole, "tests/simulation/test_backlog.py"),
    "side_queries_first": (side_queries_first, "tests/unit/polling/test_jobs.py"),
    "overlap_first": (overlap_first, "tests/simulation/test_backlog.py"),
    "crowd_on_a_wrong_count": (crowd_on_a_wrong_count, "tests/providers/test_walks.py"),
    "crowd_rests_for_ever": (crowd_rests_for_ever, "tests/providers/test_walks.py"),
    "crowd_rests_young": (crowd_rests_young, "tests/providers/test_walks.py"),
    "clock_not_kept": (clock_not_kept, "tests/unit/publishing/test_logical_clock.py"),
    "deep_first": (deep_first, "tests/unit/polling/test_schedule.py"),
    "position_from_updated": (position_from_updated, "tests/providers/test_exam.py"),
}
