"""The page "Write a provider" keeps what it says: its code is that of an example package, which is examined, and polled by a whole worker."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from poller.model import SECOND
from poller.providers import exam, registry
from tests.support.first_seen import observed
from tests.support.pigeonpost import ID, SECRET, Pigeons
from tests.support.story import START, Story

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

    async def _answer(self, request: httpx.Request, name: str = "") -> httpx.Response:
        await anyio.sleep(0.05)
        return self.pigeons.answer(request, self.clock.now())

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
