"""The page "Write a provider" keeps what it says: its code is installed as a package, examined, and polled by a whole worker."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from poller.model import HOUR, SECOND, Instant
from poller.providers import registry
from poller.times import format_rfc3339, instant
from tests.support.story import START, Story

DOC = Path(__file__).parents[2] / "docs" / "write-a-provider.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tutorial's files, as an installed package."""
    blocks = BLOCK.findall(DOC.read_text(encoding="utf-8"))
    files = {text.splitlines()[0].removeprefix("# "): text for language, text in blocks if language in ("python", "toml")}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "pigeonpost" / "__init__.py").write_text("")
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.json").write_text(next(text for language, text in blocks if language == "json"))
    info = tmp_path / "poller_pigeonpost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: poller-pigeonpost\nVersion: 1.0\n")
    written = re.search(r'\[project\.entry-points\."(.*?)"\]\n(.*)', files["pyproject.toml"], re.DOTALL)
    assert written is not None
    (info / "entry_points.txt").write_text(f"[{written[1]}]\n{written[2].replace(chr(34), '')}")
    monkeypatch.syspath_prepend(tmp_path)
    registry._found.cache_clear()
    yield tmp_path
    registry._found.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pigeonpost", "test_pigeonpost")]:
        del sys.modules[name]


def test_the_tutorials_provider_passes_the_exam(package: Path) -> None:
    """By the three lines of the page, found by its entry point."""
    import importlib

    assert "pigeonpost" in registry.names()
    importlib.import_module("test_pigeonpost").test_pigeonpost(str(package / "cases"))


class Pigeons:
    """The invented vendor: two lofts, pages of two, tokens of both kinds that do not live long."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Instant, dict[str, str]]] = []
        self.issued, self.refused, self.gone, self.asked = 0, 0, 0, 0
        self.spans: list[Instant] = []

    def post(self, now: Instant) -> None:
        """A message comes to be, and its state later."""
        number = len(self.rows)
        created, text = now - number % 3 * SECOND, format_rfc3339(now - number % 3 * SECOND)
        row = {"id": f"m{number}", "created": text, "state": "flown", "to": "+61400000001", "text": f"coo {number}"}
        self.rows.append((("north", "south")[number % 2], created, row))

    def answer(self, request: httpx.Request, now: Instant) -> httpx.Response:
        """What the vendor's page says."""
        parts = urlsplit(str(request.url))
        if parts.path == "/oauth/token":
            if request.headers["authorization"] != "Basic cGlnZW9uOmNvbw==":
                return httpx.Response(401)
            self.issued += 1
            return httpx.Response(200, json={"access_token": f"token-{self.issued}", "expires_in": 45})
        if request.headers.get("authorization") != f"Bearer token-{self.issued}" or self.issued == 0:
            self.refused += 1
            return httpx.Response(401)
        query, self.asked = dict(parse_qsl(parts.query)), self.asked + 1
        since, until = instant(query["from"]) or 0, instant(query.get("to")) or now + HOUR
        self.spans.append(until - since)
        begin, _, at = query.get("page_token", "0@0").partition("@")
        if int(at) and (now // SECOND - int(at) > 3 or self.asked % 7 == 0):
            self.gone += 1
            return httpx.Response(410, json={})
        found = [row for loft, created, row in self.rows if loft == query["loft"] and since <= created < until]
        page = {"messages": found[int(begin) : int(begin) + 2]}
        more = {"next_page_token": f"{int(begin) + 2}@{now // SECOND}"} if int(begin) + 2 < len(found) else {}
        return httpx.Response(200, json=page | more)


class PigeonStory(Story):
    """A story of this one vendor."""

    def configured(self) -> str:
        """Two lofts, by OAuth."""
        (self.folder / "id").write_text("pigeon")
        (self.folder / "secret").write_text("coo")
        return """\
kafka: {bootstrap_servers: ["127.0.0.1:1"], shards: 4, partitions: 4, session_timeout: 2s}
defaults: {start_from: 24h, interval: 5s, overlap: 1m, reconcile: {every: 30m, back: 2h}, status_horizon: 2h, timeout: 5s}
accounts:
- {name: main, provider: pigeonpost, base_url: "http://127.0.0.1", rate_limit: 20/s, lofts: [north, south],
   credentials: {client_id: {file: id}, client_secret: {file: secret}}}
"""


def test_a_worker_polls_the_tutorials_vendor(package: Path) -> None:
    """Every message once, and each status, through crashes, tokens of access that expire and page tokens that are forgotten."""
    import anyio

    pigeons, story = Pigeons(), PigeonStory(3, crash_s=40.0, seconds=300.0, settle_s=60.0)

    async def answer(request: httpx.Request, name: str = "") -> httpx.Response:
        await anyio.sleep(0.05)
        return pigeons.answer(request, story.clock.now())

    async def fly(_: Story) -> None:
        for _ in range(40):
            pigeons.post(story.clock.now())
            await anyio.sleep(5)
        for _, _, row in pigeons.rows:
            row |= {"state": "landed", "changed": format_rfc3339(story.clock.now())}

    story._answer = answer  # type: ignore[method-assign]
    story.world._per_second = 0.0
    story.play(fly)  # type: ignore[arg-type]
    published = [each for each in story.published() if each.topic == "messages" and each.revision == 1]
    assert sorted(each.value["message_id"] for each in published) == sorted(row["id"] for _, _, row in pigeons.rows)
    landed = {each.value["message_id"] for each in story.published() if each.value.get("status") == "delivered"}
    assert len(landed) == len(pigeons.rows)
    assert story.start > START
    assert pigeons.issued > 3, "tokens expire, and are asked for again"
    assert pigeons.gone > 3, "page tokens are forgotten, and sweeps begin anew"
    assert not any("coo" in json.dumps(each.value.get("stream", "")) for each in story.published())
