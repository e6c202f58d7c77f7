"""Heymarket accounts that ask for less than a team: single conversations, and some inboxes; nothing of the others, and all of these once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import HOSTILE, Switches
from poller.demo.simulator.vendors import heymarket
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story
from tests.support.trial import faults

NUMBERS = {"+14155550001": ("press", 2), "+14155550002": ("vip", 1), "+14155550003": (None, 1)}
"""Who writes: the conversation's configured name, or none, and its number, which decides its inbox."""

ELSEWHERE = "elsewhere"
"""A kind of row that is a message, and is not asked for."""


class Conversations(World):
    """A team that speaks with few people, some of whom are asked for."""

    def _message(self, *given: Any, **named: Any) -> Sms:
        sms = super()._message(*given, **named)
        sms.other = self._random.choice(list(NUMBERS))
        name, sms.conversation = NUMBERS[sms.other]
        sms.stream, sms.kind = name or sms.stream, sms.kind if name else ELSEWHERE
        return sms


class Inboxes(World):
    """A team of which one inbox is asked for."""

    def _message(self, *given: Any, **named: Any) -> Sms:
        sms = super()._message(*given, **named)
        if heymarket.inbox_of(sms) != heymarket.INBOXES[0]:
            sms.kind = ELSEWHERE
        return sms


class Asking(Story):
    """A history whose Heymarket account has keys of its own."""

    world_of: type[World] = World
    keys = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seconds = 30.0
        self.world = self.world_of(self.seed, START, self.switches, per_second=3.0, providers=(HEYMARKET,))
        self.providers = Providers(self.world, self.seed)
        self.latest = True

    def configured(self) -> str:
        """With the keys, and the files that they name."""
        for number, (name, _) in NUMBERS.items():
            if name is not None:
                (self.folder / f"{name}-phone").write_text(f" {number}\n")
        return super().configured().replace("heymarket-key}}", f"heymarket-key}}}}, {self.keys}")


class AskingForConversations(Asking):
    """Two conversations, in an order that is not theirs."""

    world_of = Conversations
    keys = "conversations: {vip: {phone: {file: vip-phone}, inbox: 102}, press: {phone: {file: press-phone}, inbox: 101}}"


class AskingForInboxes(Asking):
    """One inbox."""

    world_of = Inboxes
    keys = "inboxes: [101]"


LATE = Switches(late=0.4, late_s=5.0, very_late=0.03, very_late_s=30.0, ties=0.4, tie_rows=8, printed="seconds", vanish=0.02, vanish_s=5.0)
FAULTS = {"reply": 0.1, "commit": 0.05, "send": 0.05, "open": 0.05}
KINDS = {
    "inclusive": replace(LATE, cursor="inclusive", printed="microseconds", order="ascending"),
    "milliseconds": replace(LATE, timestamp="milliseconds", order="shuffled", limit_max=30),
    "hostile": HOSTILE,
}


def good(story: Asking) -> None:
    """Every message and status that is asked for once, and nothing else; a range that is only flagged is no excuse."""
    verdict = story.play()
    assert verdict.good, (story.seed, verdict)
    assert not faults(story.records()), story.seed
    assert verdict.messages_expected > 30
    assert any(sms.kind == ELSEWHERE for sms in story.world.all())
    assert story.crashes


@pytest.mark.parametrize("kind", KINDS)
def test_conversations_lose_and_double_nothing(kind: str) -> None:
    """Late rows, ties, crashes, lost replies, and every reading of the vendor's page: each message of each conversation once, under its stream."""
    story = AskingForConversations(1, switches=KINDS[kind], faults=FAULTS, cluster=FakeCluster(4))
    good(story)
    assert {event.value["stream"] for event in story.published() if event.value} == {"heymarket/main/press", "heymarket/main/vip"}


@pytest.mark.parametrize("kind", ["inclusive", "hostile"])
def test_inboxes_lose_and_double_nothing(kind: str) -> None:
    """Each message of the inbox once; of the others no event, and no dead letter."""
    good(AskingForInboxes(2, switches=replace(KINDS[kind], sparse=False), faults=FAULTS, cluster=FakeCluster(4)))


class Few(Conversations):
    """A slow team all of whose conversations are asked for."""

    def _message(self, *given: Any, **named: Any) -> Sms:
        sms = super()._message(*given, **named)
        if sms.kind == ELSEWHERE:
            sms.other, sms.conversation, sms.stream, sms.kind = "+14155550002", 1, "vip", ""
        return sms


class Switching(AskingForConversations):
    """The team at first; then its conversations, until after the team's stream is forgotten."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world = Few(self.seed, START, self.switches, per_second=0.02, backlog_s=10_000.0, providers=(HEYMARKET,))
        self.providers = Providers(self.world, self.seed)
        self.defaults = "interval: 15m, overlap: 30m, reconcile: {every: 2h, back: 8h}, status_horizon: 8h, timeout: 5s"
        self.crash_s, self.start_from = None, "4h"
        self.look_s = 60.0


def test_what_the_team_published_is_not_published_again_by_its_conversations() -> None:
    """Not when they begin, not when the team's stream, which is polled no longer, is forgotten, and not after a restart that follows."""
    story = Switching(1)
    for story.keys, hours in (("enabled: true", 2.0), (AskingForConversations.keys, 8.2), (AskingForConversations.keys, 3.0)):
        story.seconds = hours * 3600
        verdict = story.play()
    assert len(story.published()) > 100
    assert not verdict.missing
    assert not verdict.duplicates, verdict.duplicates[:5]
