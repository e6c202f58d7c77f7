"""Skipping known rows changes nothing but the cost."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.demo.simulator.profiles import FONE, HEYMARKET, STUUT
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import BadRow, Row
from poller.polling.page import Applied, Pages
from poller.polling.streams import StreamPoll
from poller.polling.unchanged import COPIES_KEPT, UnchangedRows, page_digest, remembered_page
from poller.providers.contract import Page, Request, Response
from poller.providers.fonedynamics import answers, slices
from poller.providers.heymarket import provider as heymarket
from poller.providers.kit.rows import read_once
from poller.providers.stuut.provider import Stuut
from tests.support.story import START, Story


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2", b"3"]), st.booleans()), max_size=40))
def test_only_the_copy_adopted_last_is_known(history: list[tuple[str, bytes, bool]]) -> None:
    """Any other copy of the message, older or newer, is read in full; after a doubt every copy is."""
    known, truth = UnchangedRows(), dict[str, bytes]()
    for id_, raw, certain in history:
        row = Row(id_, 0, raw)
        assert known.others([row]) == ([] if truth.get(id_) == raw else [row])
        if certain:
            known.learn(row)
            truth[id_] = raw
        else:
            known.forget(id_)
            truth.pop(id_, None)


def test_memory_is_bounded() -> None:
    """However many messages are listed in turn, some are known, and no more than so many."""
    known, rows = UnchangedRows(), [Row(str(number), 0, b"x") for number in range(3 * COPIES_KEPT)]
    for _ in range(3):
        others = known.others([*rows])
        for row in others:
            assert isinstance(row, Row)
            known.learn(row)
    assert len(known._marks) <= 2 * COPIES_KEPT
    assert len(rows) - 2 * COPIES_KEPT <= len(others) <= len(rows) - COPIES_KEPT


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2"])), max_size=12))
def test_a_page_is_known_while_each_of_its_copies_is(history: list[tuple[str, bytes]]) -> None:
    """The same answer to the same request is the same page; it counts as read as long as every row would."""
    known, rows = UnchangedRows(), [Row("a", 0, b"1"), Row("b", 0, b"2")]
    request, response = Request("GET", "/", continuation={"now": 1}), Response(200, {}, b"[1,2]")
    repeat = remembered_page(page_digest(request, response), Page(rows, learned={"limit": 3}))
    assert repeat is not None
    assert repeat.digest == page_digest(request, Response(200, {"date": "later"}, b"[1,2]"))
    assert repeat.digest != page_digest(Request("GET", "/", continuation={"now": 2}), response)
    assert repeat.digest != page_digest(request, Response(200, {}, b"[1,3]"))
    assert (repeat.page.count, repeat.page.rows, repeat.page.learned) == (2, [], {"limit": 3})
    for id_, raw in history:
        known.learn(Row(id_, 0, raw))
        assert known.has_all(repeat) == (not known.others([*rows]))


def test_a_page_with_a_row_that_cannot_be_read_is_read_each_time() -> None:
    """A bad row is never known, so its page is not."""
    assert remembered_page(0, Page([Row("a", 0, b"1"), BadRow("missing", "id", b"2")])) is None


def test_an_identical_page_costs_no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread does not change its page is parsed a few times only, its rows are counted at every poll, and a change is seen."""
    story, parsed, counted = Story(3, crash_s=None, seconds=60.0, settle_s=10.0), list[bytes](), list[int]()
    story.world = World(3, START, Switches(late=0.0, status_s=1.0, classify_later=0.0), per_second=1e-6, backlog=40, providers=(STUUT,))
    story.providers = type(story.providers)(story.world, 3)
    story.defaults = "interval: 1s, overlap: 1m, reconcile: {every: 1m, back: 24h}, timeout: 5s"
    read, told = Stuut.read_page, Pages.tell

    def reading(self: Stuut, request: Request, response: Response) -> Page:
        parsed.append(response.body)
        return read(self, request, response)

    def telling(self: Pages, poll: StreamPoll, applied: Applied) -> None:
        counted.append(applied.page.count if poll.stream.provider == STUUT else 0)
        told(self, poll, applied)

    monkeypatch.setattr(Stuut, "read_page", reading)
    monkeypatch.setattr(Pages, "tell", telling)

    async def later(_: Story) -> None:
        await anyio.sleep(30)
        story.world._message(STUUT, story.clock.now(), story.clock.now(), backlog=False)

    assert story.play(later).good  # type: ignore[arg-type]
    polls = sum(bool(rows) for rows in counted)
    assert polls > 10 * len(set(parsed))
    assert len(parsed) < polls / 3, (len(parsed), polls)
    assert sum(counted) > 10 * 40


@pytest.mark.parametrize(("module", "name", "provider"), [(heymarket, "_rows", HEYMARKET), (answers, "rows_of", FONE)])
def test_a_page_with_the_same_bytes_is_read_once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, provider: str) -> None:
    """While a list does not change, windows move on and its rows are counted at every poll, but hardly any is read again."""
    forgetful = read_once(getattr(module, name).__wrapped__)  # what this process read before fills the memory, and is asked for no more
    monkeypatch.setattr(module, name, forgetful)
    monkeypatch.setattr(slices, "rows_of", forgetful if module is answers else slices.rows_of)
    story, read, counted = Story(3, crash_s=None, seconds=60.0, settle_s=10.0), list[bytes](), list[int]()
    story.world = World(
        3, START, Switches(late=0.0, status_s=1.0, ties=0.0), per_second=1e-6, backlog=40, backlog_s=50.0, providers=(provider,)
    )
    story.providers = type(story.providers)(story.world, 3)
    story.defaults = "interval: 1s, overlap: 30m, reconcile: {every: 1h, back: 24h}, timeout: 5s"
    read_rows, told = module.read_rows, Pages.tell

    def reading(raws: list[bytes]) -> list[Row | BadRow]:
        read.extend(raws)
        return read_rows(raws)

    def telling(self: Pages, poll: StreamPoll, applied: Applied) -> None:
        counted.append(applied.page.count)
        told(self, poll, applied)

    monkeypatch.setattr(module, "read_rows", reading)
    monkeypatch.setattr(Pages, "tell", telling)
    assert story.play().good
    assert sum(counted) > 1000, sum(counted)
    assert len(read) < sum(counted) / 5, (len(read), sum(counted))
