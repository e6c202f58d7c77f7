"""Ten thousand planted texts, numbers and secrets, every error injected: none of them is anywhere it should not be."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
import pytest

from poller.demo.simulator.judge import Verdict
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import HOSTILE
from poller.demo.simulator.truth import Published
from poller.demo.simulator.vendors.answers import SECRETS, Answer
from poller.demo.simulator.vendors.heymarket import INBOXES
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.kafka.port import DEAD_LETTERS
from poller.telemetry import page, status_json
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

MARK = "cANaRy"
TRACE = re.compile(rf"{MARK}|1999555\d{{4}}")
PLANTED = 5_000
"""Messages of the backlog, each with a text and a number."""

HASHED = "privacy: {numbers: hash, text: drop, key: {file: privacy-key}}\n"
FAULTS = {"reply": 0.1, "commit": 0.05, "send": 0.05, "open": 0.05, "read": 0.05}


class Planted(Providers):
    """Answers with rows that cannot be read, and errors whose bodies talk too much."""

    def answer(self, method: str, target: str, headers: Any, body: bytes, now: int) -> Answer:
        """As the provider does; now and then with more in it."""
        found = super().answer(method, target, headers, body, now)
        if found.status != 200:
            return found._replace(body=json.dumps({"detail": f"{MARK} {headers.get('authorization')} +19995550000"}).encode())
        paged = "fonedynamics" in target  # by offset: one row more than the provider knows of would hide another
        if self._random.random() < 0.1 and found.body.endswith((b"]", b"]}")) and not paged:
            bad = {"id": f"{self._random.randrange(50)}", "body": f"{MARK} bad", "text": f"{MARK} bad", "phone": "19995550001"}
            listed, bracket, end = found.body.rpartition(b"]")
            return found._replace(body=listed + (b"" if listed.endswith(b"[") else b",") + json.dumps(bad).encode() + bracket + end)
        return found


class Canary(Story):
    """Every text and number of the world is a canary, and so is every secret."""

    planted, interval = PLANTED, "3s"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world = World(self.seed, START, self.switches, per_second=6.0, backlog=self.planted)
        self.providers = Planted(self.world, self.seed)
        self.level, self.pictures = "debug", ""
        self.defaults = self.defaults.replace("interval: 1s", f"interval: {self.interval}")  # a thread is listed whole each time
        message = self.world._message

        def planted(*given: Any, **named: Any) -> Sms:
            sms = message(*given, **named)
            self.plant(sms)
            return sms

        self.world._message = planted  # type: ignore[method-assign]
        for sms in self.world.all():
            self.plant(sms)

    @staticmethod
    def plant(sms: Any) -> None:
        """Text and number."""
        number = int(re.sub(r"\D", "", sms.id)[-4:])
        sms.text, sms.other = f"{MARK} text {number}", f"+1999555{number:04d}"

    def judge(self) -> Verdict:
        """Dead letters of rows that the world does not know are no duplicates."""
        return super().judge()._replace(duplicates=[])

    async def look(self, _: Story) -> None:
        """Everything that the administration port shows, again and again."""
        (self.folder / "privacy-key").write_text(f"{MARK}-privacy-key-that-is-long-enough")
        while True:
            await anyio.sleep(3)
            for worker, telemetry in self.running.values():
                picture = worker.snapshot()
                self.pictures += status_json.encode(picture).decode() + page.status_page(picture, refresh=5)
                self.pictures += telemetry.exposition(picture)[0].decode()
                for account in picture.accounts:
                    if (streams := worker.streams(account.key, 0, 100)) is not None:
                        self.pictures += status_json.encode_page(streams).decode() + page.account_page(picture, account, streams, refresh=5)

    async def _worker(self, config: Any, folder: Any, name: str) -> None:
        (folder / "privacy-key").write_text(f"{MARK}-privacy-key-that-is-long-enough")
        try:
            await super()._worker(config, folder, name)
        finally:
            self.cache = b"".join(path.read_bytes() for path in folder.glob("worker*/**/*") if path.is_file())


class Conversations(Canary):
    """Heymarket's numbers are those of two conversations, which the account polls alone."""

    planted, interval = 200, "1s"
    names = ("press", "vip")

    @staticmethod
    def plant(sms: Any) -> None:
        """Every other message is of either conversation."""
        Canary.plant(sms)
        if sms.provider == HEYMARKET:
            sms.conversation = int(sms.id) % 2
            sms.other, sms.stream = f"+1999555000{sms.conversation}", Conversations.names[sms.conversation]

    def configured(self) -> str:
        """The numbers are in files of their own."""
        written = []
        for number, (name, inbox) in enumerate(zip(self.names, INBOXES, strict=True)):
            (self.folder / f"{name}-phone").write_text(f"+1999555000{number}")
            written.append(f"{name}: {{phone: {{file: {name}-phone}}, inbox: {inbox}}}")
        return super().configured().replace("heymarket-key}}", f"heymarket-key}}}}, conversations: {{{', '.join(written)}}}")


def traces(text: str) -> list[str]:
    """What of the planted things a text holds."""
    return [text[max(0, found.start() - 20) : found.end() + 20] for found in TRACE.finditer(text)]


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret of the simulated providers is a canary."""
    for file in SECRETS:
        monkeypatch.setitem(SECRETS, file, f"{MARK}-{file}-that-is-long-enough-for-hs256")


def everything_but_values(story: Canary, said: str) -> dict[str, str]:
    """Where nothing planted may ever be."""
    events: list[Published] = story.published()
    keys = "\n".join(f"{record.key!r} {record.headers!r}" for _, record in story.cluster.public)
    state = "\n".join(f"{stored.key!r} {stored.value!r}" for log in story.cluster.state.values() for stored, _ in log)
    assert events
    return {
        "log": said,
        "administration port": story.pictures,
        "keys and headers": keys,
        "state topic": state,
        "cache": story.cache.decode("latin-1"),
    }


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("told", "privacy", "seconds"),
    [(Canary, "", 12.0), (Canary, HASHED, 12.0), (Conversations, "", 30.0)],
    ids=["plain", "hashed", "conversations"],
)
def test_nothing_planted_leaves_its_place(told: type[Canary], privacy: str, seconds: float, capfd: pytest.CaptureFixture[str]) -> None:
    """Logs at debug, metrics, status, page, keys, headers, state topic and cache hold none of it; the values only where privacy is plain."""
    story = told(3, switches=HOSTILE, faults=FAULTS, cluster=FakeCluster(4), seconds=seconds)
    story.more, story.plain = privacy, not privacy
    verdict = story.play(story.look)  # type: ignore[arg-type]
    assert verdict.good, verdict
    said = "".join(capfd.readouterr())
    assert len(story.world.all()) + 5 > story.planted
    assert "trouble" in said
    assert len(story.pictures) > 10_000
    for place, text in everything_but_values(story, said).items():
        assert not traces(text), place
    values = "\n".join((record.value or b"").decode() for _, record in story.cluster.public)
    assert len(traces(values)) == 0 if privacy else len(traces(values)) > story.planted
    assert any(record.topic == DEAD_LETTERS for _, record in story.cluster.public)


def test_the_trap_works() -> None:
    """Negative control: a planted text and a planted number are found wherever they are."""
    assert traces(f'{{"text":"{MARK} text 5"}}')
    assert traces("heymarket/main/+19995550017")
    assert not traces("heymarket/main/9004242")
