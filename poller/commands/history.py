"""What the public topics tell of each message, dead letter and transaction: enough to go on without publishing anything twice. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..kafka.partitioner import shard_of
from ..kafka.port import DEAD_LETTERS
from ..kafka.public_topics import Published
from ..model import Instant, Message
from ..providers.registry import provider_of
from ..publishing.message_state import DeadMark, stream_tag
from ..publishing.state_records import dead_key
from ..times import parse_rfc3339
from .audit_rules import EDGE

FAR = 10_000
"""Added to the revision of a message whose newest events a topic may have lost: more events than any message has."""


class Told(Struct):
    """What the topics tell of one message."""

    stream: str
    account: str
    revision: int = 0
    status: str = "unknown"
    raw_status: str | None = None
    final: bool = False
    stamp: Instant = 0
    position: Instant = 0
    published: Instant = 0
    """When its newest event was."""

    def learn(self, event: dict[str, Any], published: Instant) -> None:
        """One event; the highest revision has the last word on the status."""
        times = {name: _instant(event, name) for name in ("created_at", "scheduled_at", "received_at")}
        self.stamp = max(self.stamp, provider_of(event["provider"]).change_stamp(_as_far_as_told(event)) or 0)
        self.position = max(self.position, times["created_at"], times["scheduled_at"], times["received_at"])
        self.published = max(self.published, published)
        if event["revision"] > self.revision:
            self.revision, self.status, self.final = event["revision"], event["status"], event.get("final", False)
            self.raw_status = event.get("provider_status")


class History(Struct):
    """What all the public topics tell."""

    messages: dict[str, Told] = {}
    dead: dict[str, list[tuple[bytes, DeadMark]]] = {}
    """The marks of dead letters, by account."""
    sequences: dict[int, int] = {}
    """The newest transaction of each shard that ever was."""
    cut: Instant | None = None
    """The time before which a topic may have lost events."""
    strangers: int = 0
    """Records that poller did not write."""

    def learn(self, event: Published) -> None:
        """One record."""
        try:
            shard, number = int(event.headers["ce_pollershard"]), int(event.headers["ce_pollertxn"])
            if event.topic == DEAD_LETTERS:
                self._dead_letter(event)
            else:
                value = msgspec.json.decode(event.value)
                account = f"{value['provider']}/{value['account']}"
                self.messages.setdefault(event.key, Told(value["stream"], account)).learn(value, event.time)
        except (KeyError, ValueError, TypeError):
            self.strangers += 1
            return
        self.sequences[shard] = max(self.sequences.get(shard, 0), number)

    def _dead_letter(self, event: Published) -> None:
        """Its mark, where the bytes are those of the row: not of one that was cut or redacted."""
        account = event.headers["ce_source"].removeprefix("/poller/")
        key = dead_key(account, event.value)
        self.dead.setdefault(account, []).append((key, DeadMark(stream_tag(event.headers.get("ce_subject", "")), event.time)))

    def revision(self, message: Told) -> int:
        """Above every revision of the message that may ever have been published."""
        return message.revision + (FAR if self.cut is not None and message.published <= self.cut + EDGE else 0)

    def shards(self, count: int) -> set[int]:
        """The shards, of ``count``, that have published, or whose accounts have."""
        accounts = {message.account for message in self.messages.values()} | self.dead.keys()
        return {shard_of(account, count) for account in accounts} | {shard for shard in self.sequences if shard < count}


def _as_far_as_told(event: dict[str, Any]) -> Message:
    """The message of an event: of a status event, with the times that it has."""
    times: dict[str, Any] = {name: event.get(name) for name in ("updated_at", "sent_at", "delivered_at", "received_at", "scheduled_at")}
    return Message(
        message_id=event["message_id"],
        status=event["status"],
        final=bool(event.get("final")),
        channel=event.get("channel", "unknown"),
        direction=event.get("direction", "unknown"),
        created_at=event.get("created_at", ""),
        **times,
    )


def _instant(event: dict[str, Any], name: str) -> Instant:
    found = parse_rfc3339(event.get(name))
    return found.instant if found is not None else 0
