"""Keys change while everything runs: by file, as Kubernetes swaps it, before, after or together with the provider."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest

from poller.demo.simulator.vendors import routes as providers
from poller.demo.simulator.vendors.answers import SECRETS
from tests.support.fake_kafka import FakeCluster
from tests.support.story import Story

OLD, NEW = SECRETS["stuut-token"], "invented-new-token"
ROTATIONS = 5


class Rotation(Story):
    """The token of the Stuut account changes every few seconds; ``gap_s`` is how long the provider is ahead (or, negative, overlaps)."""

    def __init__(self, gap_s: float) -> None:
        super().__init__(5, crash_s=None, seconds=10.0 * (ROTATIONS + 1), cluster=FakeCluster(1))
        self.gap_s, self.accepted = gap_s, {OLD}

    async def rotate(self, _: Story) -> None:
        """Old, new, newer ..."""
        token = OLD
        for number in range(ROTATIONS):
            await anyio.sleep(10 - abs(self.gap_s))
            token, old = f"{NEW}-{number}", token
            if self.gap_s > 0:
                self.accepted = {token}
                await anyio.sleep(self.gap_s)
                self.swap(token)
                continue
            self.accepted.add(token)
            self.swap(token)
            await anyio.sleep(-self.gap_s)
            self.accepted.discard(old)

    def swap(self, token: str) -> None:
        """A link to another folder takes the place of the file, in one step."""
        folder = self.folder / f"data-{token}"
        folder.mkdir()
        (folder / "token").write_text(token + "\n")
        (self.folder / "link").symlink_to(folder / "token")
        os.replace(self.folder / "link", self.folder / "stuut-token")

    def polls(self, outcome: str) -> int:
        """Sweeps of the account that ended so."""
        return int(self.running["worker-0"][1]._metrics.polls.labels("stuut", "collections", outcome)._value.get())


@pytest.fixture
def authorized(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The provider accepts the story's tokens."""
    held: dict[str, Any] = {}
    original = providers.authorized

    def accepts(provider: str, given: str, now: int) -> bool:
        if provider == "stuut":
            return given.removeprefix("Bearer ") in held["story"].accepted
        return original(provider, given, now)

    monkeypatch.setattr(providers, "authorized", accepts)
    return held


@pytest.mark.parametrize(
    ("gap_s", "failed"), [(-2.0, 0), (0.0, 0), (0.3, ROTATIONS), (4.0, 3 * ROTATIONS)], ids=["overlap", "together", "soon", "late"]
)
def test_keys_change_under_load(authorized: dict[str, Any], gap_s: float, failed: int) -> None:
    """Old and new key overlap: no poll fails. They do not: at most one a rotation, or one for each request in flight where the file comes late."""
    story = authorized["story"] = Rotation(gap_s)
    verdict = story.play(story.rotate)  # type: ignore[arg-type]
    assert verdict.good, verdict
    assert story.polls("auth") <= failed
    if gap_s > 1:
        assert story.polls("auth") >= ROTATIONS, "the negative control: a key that comes late is felt"
    assert story.polls("ok") > 20 * ROTATIONS
