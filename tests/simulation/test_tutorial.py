"""The page "Write a provider" keeps what it says: its code is that of an example package, which is examined, and polled by a whole worker."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from poller.demo.simulator.vendors.answers import Answer
from poller.model import HOUR, SECOND, Instant
from poller.providers import exam, registry
from poller.times import format_rfc3339, instant
from tests.support.first_seen import observed
from tests.support.pigeonpost import ID, SECRET, Pigeons
from tests.support.story import START, Story
from tests.support.straight import Sent, said

ROOT = Path(__file__).parents[2]
DOC, PACKAGE = ROOT / "docs" / "write-a-provider.md", ROOT / "examples" / "provider"
BLOCK = re.compile(r"```(\w+)\n# (\S+)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("name", "text"), [(name, text) for _, name, text in BLOCK.findall(DOC.read_text(encoding="utf-8"))])
def test_the_tutorials_files_are_the_packages(name: str, text: str) -> None:
    """Word for word."""
    assert (PACKAGE / name).read_text(encoding="utf-8") == text


def test_the_tutorials_case_is_one_of_the_packages() -> None:
    """The form of case files leaves no room for a name."""
    [case] = re.findall(r"```json\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert case in {path.read_text(encoding="utf-8") for path in (PACKAGE / "tests" / "cases").iterdir()}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package beside what its installation would write."""
    info = tmp_path / "poller_pigeonpost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: poller-pigeonpost\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[poller.providers]\npigeonpost = pigeonpost.provider:Pigeonpost\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(PACKAGE)
    registry._found.cache_clear()
    yield PACKAGE
    registry._found.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "pigeonpost"]:
        del sys.modules[name]


def test_the_tutorials_provider_passes_the_exam(package: Path) -> None:
    """Found by its entry point."""
    assert "pigeonpost" in registry.names()
    exam.examine("pigeonpost", package / "tests" / "cases")


class PigeonStory(Story):
    """A story of this one vendor."""

    pigeons: Pigeons

    def of(self, pigeons: Pigeons) -> PigeonStory:
        """With these messages, and no others."""
        self.pigeons, self.world._per_second = pigeons, 0.0
        return self

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        await anyio.sleep(0.05)
        return self.pigeons.answer(asked, self.clock.now())

    def configured(self) -> str:
        """Two lofts, by OAuth."""
        (self.folder / "id").write_text(ID)
        (self.folder / "secret").write_text(SECRET)
        return """\
kafka: {bootstrap_servers: ["127.0.0.1:1"], shards: 4, partitions: 4, session_timeout: 2s}
defaults: {start_from: 24h, interval: 5s, overlap: 1m, reconcile: {every: 30m, back: 2h}, status_horizon: 2h, timeout: 5s}
accounts:
- {name: main, provider: pigeonpost, base_url: "http://127.0.0.1", rate_limit: 20/s, lofts: [north, south],
   credentials: {client_id: {file: id}, client_secret: {file: secret}}}
"""


def test_a_worker_polls_the_tutorials_vendor(package: Path) -> None:
    """Every message once, and each status, through crashes, tokens of access that expire and page tokens that are forgotten."""
    pigeons = Pigeons()
    story = PigeonStory(3, crash_s=40.0, seconds=300.0, settle_s=2500.0).of(pigeons)

    async def fly(_: Story) -> None:
        for _ in range(40):
            pigeons.post(story.clock.now())
            await anyio.sleep(5)
        pigeons.land(story.clock.now())
        await anyio.sleep(60)
        pigeons.delete(story.clock.now())

    story.play(fly)  # type: ignore[arg-type]
    published = [each for each in story.published() if each.topic == "messages" and each.revision == 1]
    assert sorted(each.value["message_id"] for each in published) == sorted(row["id"] for _, _, row in pigeons.rows)
    landed = [each.value["message_id"] for each in story.published() if each.of_status and each.value["status"] == "delivered"]
    assert len(landed) == len(set(landed))
    assert {row["id"] for _, _, row in pigeons.rows} - pigeons.deleted <= set(landed), (
        "of what was deleted the landing may not have been seen"
    )
    assert {each.value["status"] for each in story.published()} == {"sent", "delivered"}, "a deletion says nothing"
    assert not [each for each in story.published() if each.topic == "messages" and each.revision > 1]
    assert story.start > START
    assert len(pigeons.deleted) == 8
    assert pigeons.issued > 3, "tokens expire, and are asked for again"
    assert pigeons.gone > 3, "page tokens are forgotten, and sweeps begin anew"
    assert not any("coo" in json.dumps(each.value.get("stream", "")) for each in story.published())


@pytest.mark.parametrize("refusal", [410, 400, 403, 404])
def test_page_tokens_that_are_forgotten_delay_no_new_message(refusal: int, package: Path) -> None:
    """The walk that met one waits and begins anew; others of the stream go on."""
    pigeons, posted = Pigeons(refusal=refusal), dict[str, int]()
    story = PigeonStory(3, crash_s=None, seconds=300.0, settle_s=1.0).of(pigeons)

    async def fly(_: Story) -> None:
        for _ in range(55):
            pigeons.post(story.clock.now())
            posted[pigeons.rows[-1][2]["id"]] = story.clock.now()
            await anyio.sleep(5)

    story.play(fly)  # type: ignore[arg-type]
    seen = observed(story.published())
    assert pigeons.gone > 30
    late = {id_: (seen.get(id_, story.start) - at) / SECOND for id_, at in posted.items()}
    assert max(late.values()) <= 15.0, late


class Asked(NamedTuple):
    """A request for a page: its first row, how old its token is, when it came, and how long before that its window ends. In seconds."""

    begin: int
    age: float
    at: float
    ends: float


class Newest(Pigeons):
    """A vendor that lists the newest first, of which ``fails`` says what it answers instead of a page."""

    fails: Callable[[Asked], Answer | None]
    begun: Instant = 0

    def _messages(self, query: dict[str, str], now: Instant) -> Answer:
        begin, told = self._tokens.get(query.get("page_token", ""), (0, now))
        self.begun = self.begun or now
        ends = now - (instant(query.get("to")) or now)
        instead = self.fails(Asked(begin, (now - told) / SECOND, (now - self.begun) / SECOND, ends / SECOND))
        self.rows.sort(key=lambda row: -row[1])
        return super()._messages(query, now) if instead is None else instead


def newest_of(fails: Callable[[Asked], Answer | None], seconds: float) -> dict[float, float]:
    """How late each message was that came every five seconds, by when it came."""
    pigeons, posted = Newest(forgotten=0.0), dict[str, Instant]()
    pigeons.fails, number = fails, 0
    story = PigeonStory(3, crash_s=None, seconds=seconds, settle_s=1.0, settle_times=1).of(pigeons)

    async def fly(_: Story) -> None:
        nonlocal number
        while anyio.current_time() < seconds - 20:
            now, id_ = story.clock.now(), f"m{number}"
            pigeons.rows.append(
                ("north", now, {"id": id_, "created": format_rfc3339(now), "state": "flown", "to": "+61400000001", "text": "coo"})
            )
            posted[id_], number = now, number + 1
            await anyio.sleep(5)

    story.play(fly)  # type: ignore[arg-type]
    seen = observed(story.published())
    return {(at - START) / SECOND: (seen.get(id_, START + HOUR) - at) / SECOND for id_, at in posted.items()}


NO_PAGES = {
    "403": said(403),
    "422": said(422),
    "503": said(503),
    "a web page": Answer(200, b"<html>", "text/html"),
    "cut": Answer(200, b'{"messages": [['),
    "of a wrong shape": said(200, {"messages": 5}),
}


@pytest.mark.parametrize("instead", NO_PAGES)
def test_a_page_that_is_never_answered_delays_no_new_message(instead: str, package: Path) -> None:
    """Whatever comes in its place, and though now and then another request fails, too: the walks that come to it wait by themselves."""
    asked = itertools.count(1)

    def fails(asked_for: Asked) -> Answer | None:
        if asked_for.at > 60 and asked_for.begin >= 6:
            return NO_PAGES[instead]
        return said(503) if next(asked) % 23 == 0 else None

    late = newest_of(fails, 900.0)
    assert max(late.values()) <= 15.0, {at: each for at, each in late.items() if each > 15}


@pytest.mark.parametrize("refusal", [403, 500])
def test_tokens_that_an_outage_made_old_stop_no_sweep(refusal: int, package: Path) -> None:
    """However they are refused: soon after it the sweeps begin anew."""

    def fails(asked: Asked) -> Answer | None:
        if 300 <= asked.at < 500:
            return said(503)
        return said(refusal) if asked.age > 20 else None

    late = newest_of(fails, 1200.0)
    assert max(each for at, each in late.items() if at > 560) <= 15.0
    assert max(each + at for at, each in late.items()) < 1200


@pytest.mark.parametrize("refusal", [403, 422, 503])
def test_what_deeper_rungs_are_refused_delays_no_new_message(refusal: int, package: Path) -> None:
    """From their first page on: it says nothing of the newest messages."""
    refused = 0

    def fails(asked: Asked) -> Answer | None:
        nonlocal refused
        refused += asked.ends > 60
        return said(refusal) if asked.ends > 60 else None

    late = newest_of(fails, 900.0)
    assert max(late.values()) <= 6.0
    assert 5 <= refused < 200
