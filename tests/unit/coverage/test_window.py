"""Laws of the ladder: nothing that shows itself within the look-back is ever missed, whatever the sweeps' timing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.coverage import cursor as window
from poller.coverage import ladder
from poller.coverage.cursor import Cursor, Mark, Sweep
from poller.coverage.ladder import Rung
from poller.model import DAY, HOUR, MINUTE, SECOND, Instant
from poller.providers.contract import Request

START: Instant = 1_790_000_000 * SECOND
LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=72 * HOUR, every=6 * HOUR, back=7 * DAY)
AHEAD = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=72 * HOUR, every=6 * HOUR, back=7 * DAY, ahead=14 * DAY)


def sweep(
    rungs: tuple[Rung, ...], index: int, cursor: Cursor, now: Instant, slack: Instant = ladder.SLACK, *, ahead: Instant = 0
) -> tuple[Cursor, Sweep | None]:
    """One whole sweep of a rung in an instant. ``ahead``: a mutant, whose mark is later than the sweep's first request."""
    chosen = window.window(rungs, index, cursor, earliest=now, latest=now, slack=slack)
    if chosen is None:
        empty = Sweep(now, None, 0, 0, now, Request("GET", "/"), started=now)
        return window.complete(rungs, index, cursor, empty), None
    span, handed = chosen
    rung = rungs[index]
    done = Sweep(span.since, span.until, rung.inner, rung.reach, now, Request("GET", "/"), started=now, handed=handed)
    return window.complete(rungs, index, cursor, replace(done, started=now + ahead)), done


def play(rungs: tuple[Rung, ...], seed: int, days: float, *, start: Instant = START, ahead: Instant = 0) -> tuple[Cursor, list[Sweep]]:
    """A history with late sweeps and outages; returns the last cursor and every complete sweep."""
    rng = random.Random(seed)
    cursor = window.begin(rungs, floor=start - rng.choice((HOUR, DAY, 30 * DAY)), now=start)
    due, now, done = [start] * len(rungs), start, []
    outages = sorted(start + rng.randrange(int(days * DAY)) for _ in range(4))
    while now < start + days * DAY:
        if outages and now >= outages[0]:
            now += rng.randrange(10 * MINUTE, 20 * HOUR)
            outages.pop(0)
        index = min(range(len(rungs)), key=lambda i: (due[i] > now, i if due[i] <= now else due[i]))
        now = max(now, due[index]) + rng.randrange(1, 2 * SECOND)
        cursor, seen = sweep(rungs, index, cursor, now, ahead=ahead)
        due[index] = now + rungs[index].period
        if seen is not None:
            done.append(seen)
        for owing in cursor.debts:
            due[owing] = now
    for index in [*range(len(rungs))] * 2:
        now += SECOND
        cursor, seen = sweep(rungs, index, cursor, now)
        done += [seen] if seen is not None else []
    return cursor, done


def covered(done: list[Sweep], created: Instant, visible: Instant) -> bool:
    """Whether some complete sweep that began once the row was visible covered its creation."""
    return any(s.started >= visible and s.since <= created and (s.until is None or created < s.until) for s in done)


def test_ladder_of_the_defaults() -> None:
    """The default configuration gives the six documented rungs, each read every reach / 28."""
    assert [rung.reach for rung in LADDER] == [10 * MINUTE, 40 * MINUTE, 160 * MINUTE, 640 * MINUTE, 2560 * MINUTE, 7 * DAY]
    assert [rung.inner for rung in LADDER] == [0, *[rung.reach for rung in LADDER[:-1]]]
    assert LADDER[0].period == 15 * SECOND
    assert all(rung.period == rung.reach // 28 for rung in LADDER[1:])
    assert [rung.open for rung in LADDER] == [True] + [False] * 5


def test_rungs_touch_also_ahead_of_now() -> None:
    """Neighbouring rungs share a bound, from the slice ahead of now to the deepest."""
    assert [rung.inner for rung in AHEAD[1:]] == [rung.reach for rung in AHEAD[:-1]]
    assert AHEAD[0].inner == -14 * DAY
    assert not any(rung.open for rung in AHEAD)


def test_a_provider_without_filter_has_one_rung() -> None:
    """Where nothing can be filtered the rungs collapse to one that reads everything."""
    rungs = ladder.build(interval=SECOND, overlap=MINUTE, status_horizon=HOUR, every=HOUR, back=DAY, filtered=False)
    assert rungs == (Rung(0, DAY, SECOND, open=True),)


@given(st.integers(0, 2**32), st.sampled_from([LADDER, AHEAD]))
def test_what_shows_itself_within_the_look_back_is_read(seed: int, rungs: tuple[Rung, ...]) -> None:
    """A row that becomes visible at age <= D is covered by a complete sweep that began afterwards, whatever outage lies between."""
    cursor, done = play(rungs, seed, 1.0)
    rng = random.Random(seed + 1)
    for _ in range(200):
        visible = START + rng.randrange(DAY)
        created = visible - round(7 * DAY * rng.random() ** 6)
        if created >= cursor.start:
            assert covered(done, created, visible), (visible - created) / MINUTE


@given(st.integers(0, 2**32))
def test_the_backlog_of_a_new_stream_is_read_down_to_its_floor(seed: int) -> None:
    """Every age between the start floor and now is covered once all rungs came to an end."""
    cursor = window.begin(LADDER, floor=START - 30 * DAY, now=START)
    done, now = [], START
    for index in range(len(LADDER)):
        now += 1 + seed % HOUR
        cursor, seen = sweep(LADDER, index, cursor, now)
        done += [seen] if seen is not None else []
    for age in range(0, 30 * DAY, 7 * HOUR):
        assert covered(done, START - age, START)
    assert not cursor.debts
    assert cursor.watermark >= START


def test_the_watermark_waits_for_the_backlog() -> None:
    """While a new stream owes its first deep sweeps, its watermark stays at the floor although the live rung is complete."""
    cursor = window.begin(LADDER, floor=START - DAY, now=START)
    cursor, _ = sweep(LADDER, 0, cursor, START + SECOND)
    assert cursor.watermark == START - DAY


def test_windows_at_the_floor_are_clipped_and_empty_ones_need_no_request() -> None:
    """A stream that begins an hour ago never asks for older messages, and its deepest rungs ask nothing."""
    cursor = window.begin(LADDER, floor=START - HOUR, now=START)
    chosen = [window.window(LADDER, i, cursor, earliest=START, latest=START, slack=0) for i in range(len(LADDER))]
    assert [c is None for c in chosen] == [False, False, False, True, True, False] or chosen[5] is None
    assert all(c is None or c[0].since >= START - HOUR for c in chosen)


def test_only_a_complete_sweep_moves_its_mark_and_only_to_its_own_start() -> None:
    """The mark of a rung is the query time of the first request of its last complete sweep."""
    cursor = window.begin(LADDER, floor=START - DAY, now=START)
    after, _ = sweep(LADDER, 1, cursor, START + HOUR)
    assert after.marks[1].complete == START + HOUR
    assert [m for i, m in enumerate(after.marks) if i != 1] == [m for i, m in enumerate(cursor.marks) if i != 1]


@given(st.lists(st.integers(0, 30 * DAY), min_size=6, max_size=6), st.integers(0, 5))
def test_a_rung_hands_down_only_what_the_next_one_will_read(ages: list[int], index: int) -> None:
    """For arbitrary marks, what a handed window leaves out lies in the next rung's next window or is its debt that it covers."""
    marks = tuple(Mark(r.inner, r.reach, START - age) for r, age in zip(LADDER, ages, strict=True))
    cursor = Cursor(floor=0, start=0, marks=marks, watermark=0, changed=0)
    chosen = window.window(LADDER, index, cursor, earliest=START, latest=START, slack=0)
    assert chosen is not None
    span, handed = chosen
    due = marks[index].complete - LADDER[index].reach
    if span.since > due:
        assert handed
        below = window.window(LADDER, index + 1, cursor, earliest=START, latest=START, slack=0)
        assert below is not None
        assert min(m.complete - r.reach for m, r in zip(marks[index + 1 :], LADDER[index + 1 :], strict=True)) <= due
        assert marks[index + 1].complete - LADDER[index + 1].reach <= due


@given(st.integers(0, 2**32))
def test_a_changed_ladder_loses_nothing(seed: int) -> None:
    """After a change of overlap or look-back the next sweeps cover all that the old ladder still owed."""
    rng = random.Random(seed)
    cursor, _ = play(LADDER, seed, 0.5)
    now = max(mark.complete for mark in cursor.marks)
    other = ladder.build(
        interval=15 * SECOND,
        overlap=rng.choice((3, 25, 100)) * MINUTE,
        status_horizon=HOUR,
        every=rng.choice((1, 12)) * HOUR,
        back=rng.choice((3, 20)) * DAY,
    )
    later, done = window.adopt(other, cursor), []
    for index in range(len(other)):
        later, seen = sweep(other, index, later, now + HOUR)
        done += [seen] if seen is not None else []
    depth = min(LADDER[-1].reach, other[-1].reach)
    for rung, mark in zip(LADDER, cursor.marks, strict=True):
        for part in (0.01, 0.5, 0.99):
            created = mark.complete - rung.inner - round((rung.reach - rung.inner) * part)
            if created > now - depth and created >= cursor.floor:
                assert covered(done, created, mark.complete)


@given(st.integers(0, 2**32))
def test_the_watermark_is_never_ahead_of_what_was_looked_for(seed: int) -> None:
    """Whatever the order of sweeps, some long in hand, whatever outages, changes of the ladder, or a clock that we took to be ahead: all from the floor up to the watermark was covered, and in the end nothing is owed."""
    rng, now, done = random.Random(seed), START, list[Sweep]()
    ladders = [
        ladder.build(interval=15 * SECOND, overlap=overlap * MINUTE, status_horizon=HOUR, every=6 * HOUR, back=back * DAY)
        for overlap, back in ((3, 7), (10, 7), (25, 2), (100, 7))
    ]
    rungs, clock = rng.choice(ladders), rng.choice((0, 0, -20 * MINUTE))
    cursor = window.begin(rungs, floor=START - rng.choice((HOUR, DAY, 30 * DAY)), now=START)
    for _ in range(rng.randrange(60)):
        now += rng.choice((SECOND, MINUTE, HOUR, HOUR, 20 * HOUR))
        if rng.random() < 0.15:
            rungs = rng.choice(ladders)
            cursor = window.adopt(rungs, cursor)
        index = min(rng.randrange(len(rungs)), rng.randrange(len(rungs)))
        held = cursor.sweeps.get(index)
        if held is not None:
            cursor, seen = window.complete(rungs, index, cursor, held), held
        else:
            after, seen = sweep(rungs, index, cursor, now + clock)
            if seen is not None and rng.random() < 0.5:
                cursor, seen = replace(cursor, sweeps={**cursor.sweeps, index: seen}), None
            else:
                cursor = after
        done += [seen] if seen is not None else []
        span = cursor.watermark - cursor.start
        assert all(covered(done, created, created) for created in (cursor.start + span * part // 97 for part in range(97)) if span)
    for index in [*range(len(rungs))] * 3:
        now += HOUR
        cursor, _ = sweep(rungs, index, cursor, now)
    assert not cursor.debts


def test_lowering_the_look_back_in_the_first_one_loses_nothing_of_it() -> None:
    """What the deepest rung owed down to the floor is still read."""
    shallow = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=HOUR, every=6 * HOUR, back=DAY)
    cursor, done = window.adopt(shallow, window.begin(LADDER, floor=START - 30 * DAY, now=START)), []
    for index in range(len(shallow)):
        cursor, seen = sweep(shallow, index, cursor, START + MINUTE)
        done += [seen] if seen is not None else []
    assert all(covered(done, START - age, START) for age in range(0, 30 * DAY, 7 * HOUR))


@given(st.integers(0, 2**32), st.sampled_from([2, 5, 7, 10, 30]))
def test_a_sweep_in_hand_is_kept_only_where_its_rung_goes_on_as_it_was(seed: int, back: int) -> None:
    """After a change of the ladder it ends without owing to a rung that is not there, and the watermark stays behind what was covered."""
    rng = random.Random(seed)
    old = ladder.build(interval=15 * SECOND, overlap=45 * MINUTE, status_horizon=HOUR, every=6 * HOUR, back=7 * DAY)
    new = ladder.build(interval=15 * SECOND, overlap=45 * MINUTE, status_horizon=HOUR, every=back * 6 * HOUR // 7, back=back * DAY)
    cursor, done = play(old, seed, 0.3)
    now = max(mark.complete for mark in cursor.marks) + rng.choice((MINUTE, 20 * HOUR, 3 * DAY))
    for index in range(len(old)):
        chosen = window.window(old, index, cursor, earliest=now, latest=now, slack=ladder.SLACK)
        if chosen is None:
            continue
        span, handed = chosen
        held = Sweep(span.since, span.until, old[index].inner, old[index].reach, now, Request("GET", "/"), started=now, handed=handed)
        cursor = replace(cursor, sweeps={**cursor.sweeps, index: held})
    cursor = window.adopt(new, cursor)
    for index, held in sorted(cursor.sweeps.items(), key=lambda _: rng.random()):
        cursor = window.complete(new, index, cursor, held)
        done.append(held)
        assert all(owing < len(new) for owing in cursor.debts)
    for index in sorted(range(len(new)), key=lambda _: rng.random()):
        span = cursor.watermark - cursor.start
        assert all(covered(done, created, created) for created in (cursor.start + span * part // 97 for part in range(97)))
        now += MINUTE
        cursor, seen = sweep(new, index, cursor, now)
        done += [seen] if seen is not None else []


@pytest.mark.parametrize("back", [2, 7, 10, 30])
def test_hand_overs_after_a_change_of_the_ladder_widen_nothing_further(back: int) -> None:
    """However often a cursor is taken over before its rungs were swept under the new ladder."""
    cursor, _ = play(LADDER, 3, 0.5)
    other = ladder.build(interval=15 * SECOND, overlap=14 * MINUTE, status_horizon=HOUR, every=6 * HOUR, back=back * DAY)
    once = window.adopt(other, cursor)
    for now in range(4):
        once, _ = sweep(other, 0, once, START + DAY + now * MINUTE)
        assert window.adopt(other, once) == once


def test_the_same_ladder_changes_nothing() -> None:
    """A restart under the same configuration goes on with the very same cursor."""
    cursor, _ = play(LADDER, 3, 0.5)
    assert window.adopt(LADDER, cursor) == cursor


@given(st.integers(0, 2**32))
def test_what_may_be_forgotten_is_out_of_reach_of_every_later_window(seed: int) -> None:
    """No window of any rung, after any further outage, begins below what may be forgotten now, though the live rung alone went on."""
    cursor, _ = play(LADDER, seed, 0.5)
    rng, now = random.Random(seed), max(mark.complete for mark in cursor.marks)
    cursor = replace(cursor, floor=0)
    for _ in range(rng.randrange(4)):
        now += HOUR
        cursor, _ = sweep(LADDER, 0, cursor, now)
    bound = window.oldest(LADDER, cursor, slack=ladder.SLACK)
    for _ in range(20):
        now += rng.randrange(MINUTE, 10 * DAY)
        index = rng.randrange(len(LADDER))
        cursor, seen = sweep(LADDER, index, cursor, now)
        assert seen is not None
        assert seen.since >= bound


def test_a_clock_that_went_back_widens_the_window() -> None:
    """When the provider's clock falls behind a mark, the window begins by the earlier reading."""
    cursor = window.begin(LADDER, floor=0, now=START)
    chosen = window.window(LADDER, 0, cursor, earliest=START - HOUR, latest=START, slack=0)
    assert chosen is not None
    assert chosen[0].since == START - HOUR - LADDER[0].reach


def test_a_row_is_late_only_when_it_was_looked_for_in_vain() -> None:
    """Created before a complete sweep that covered it: late; during it: on time; in a first sweep or after a pause: nobody can say."""
    cursor = replace(window.begin(LADDER, floor=0, now=START), debts={})
    now = START + 10 * SECOND
    assert window.lateness(LADDER, cursor, START - 5 * MINUTE, now=now) == 5 * MINUTE + 10 * SECOND
    assert window.lateness(LADDER, cursor, START - 10 * SECOND, now=now) == 0
    assert window.lateness(LADDER, replace(cursor, debts={5: (0, START)}), START - 5 * MINUTE, now=now) is None
    assert window.lateness(LADDER, cursor, START - 5 * MINUTE, now=START + 10 * MINUTE) is None


def missed(seed: int, *, ahead: Instant = 0) -> int:
    """Of rows that show themselves just after a sweep of the deepest rung began, at nearly its reach, how many no sweep ever covers."""
    rng, deepest = random.Random(seed), LADDER[-1]
    cursor, done = play(LADDER, seed, 4, ahead=ahead)
    count = 0
    for each in [each for each in done if each.reach == deepest.reach][:-3]:
        visible = each.started + rng.randrange(SECOND, 10 * MINUTE)
        created = visible - deepest.reach + rng.randrange(MINUTE)
        count += created >= cursor.start and not covered(done, created, visible)
    return count


def test_the_law_finds_the_mutants_of_the_mark() -> None:
    """A mark at the end of a sweep of a quarter of an hour, or from a row that is scheduled hours ahead, loses rows; the true one none."""
    seeds = range(6)
    assert not sum(missed(seed) for seed in seeds)
    assert sum(missed(seed, ahead=15 * MINUTE) for seed in seeds)
    assert sum(missed(seed, ahead=5 * HOUR) for seed in seeds)
