"""What the events of one message tell of it: how the topic of latest messages is filled from older events. Pure.

A full message says everything; a status event after it says the status fields anew. Stamps that no
status event has (``updated_at``) are those of the newest full message.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..model import Instant, Message, Stream
from ..telemetry import event_types
from ..times import parse_rfc3339
from .diff import Created, MessageEvent, StatusChanged, Updated
from .events import Envelope, StatusChange

ERASED = 1 << 62
"""Held instead of a revision where an operator has erased the message: above every revision."""

_READ_AS: dict[str, tuple[Any, ...]] = {
    event_types.CREATED: (Message, Envelope),
    event_types.UPDATED: (Message, Envelope),
    event_types.STATUS_CHANGED: (StatusChange,),
    event_types.LATEST: (Envelope,),
}
"""What a value is by its event type; the last part says the revision."""

T = TypeVar("T")


class Told(Struct, frozen=True, gc=False):
    """One record that poller wrote, as far as it is kept."""

    revision: int
    value: bytes
    published: Instant


NOTHING = Told(0, b"", 0)
"""Of a message of which no event was read."""


class Newest(Struct, gc=False):
    """The newest records of one key."""

    full: Told = NOTHING
    status: Told = NOTHING
    held: int = 0
    """The revision on the topic of latest messages; 0 = none."""

    @property
    def revision(self) -> int:
        """That of the newest event; 0 = none."""
        return max(self.full.revision, self.status.revision)

    def erased(self) -> None:
        """A latest message without a value, as an operator writes it to erase somebody."""
        self.held = ERASED

    def learn(self, type_: str, value: bytes, published: Instant) -> bool:
        """One record by its event type, in the order of its topic; whether it is a message, a status or a latest message of poller's."""
        if type_ not in _READ_AS:
            return False
        try:
            *_, said = [msgspec.json.decode(value, type=each) for each in _READ_AS[type_]]
        except msgspec.DecodeError:
            return False
        told = Told(said.revision, value, published)
        if type_ == event_types.LATEST:
            self.held = told.revision
        elif type_ == event_types.STATUS_CHANGED:
            self.status = max(self.status, told, key=_revision)
        else:
            self.full = max(self.full, told, key=_revision)
        return True

    def event(self, cut: Instant | None) -> MessageEvent | None:
        """The newest event, with the message as it left it; None where that is not told for certain.

        ``cut`` is the time before which the topic of statuses may have lost records; None: it has all. A topic loses its
        oldest records first, so with one status of a message it has all later ones, too.
        """
        if not self.full.revision:
            return None
        message, said = _decoded(self.full, Message), _decoded(self.full, Envelope)
        if self.status.revision > self.full.revision:
            return _status_event(message, _decoded(self.status, StatusChange))
        if not (self.status.revision or cut is None or self.full.published > cut):
            return None
        stream, observed = _stream(said.stream), _instant(said.observed_at)
        if said.changed is None:
            return Created(stream, observed, message, said.revision)
        return Updated(stream, observed, message, said.revision, said.changed)


def _revision(told: Told) -> int:
    return told.revision


def _decoded(told: Told, type_: type[T]) -> T:
    return msgspec.json.decode(told.value, type=type_)


def _status_event(before: Message, change: StatusChange) -> StatusChanged:
    """The event of a status, with the whole message. A status without a stamp of its own occurred at ``updated_at``."""
    untold = {None, change.sent_at, change.delivered_at, change.received_at}
    message = replace(
        before,
        status=change.status,
        provider_status=change.provider_status,
        final=bool(change.final),
        sent_at=change.sent_at,
        delivered_at=change.delivered_at,
        received_at=change.received_at,
        error=change.error,
        updated_at=before.updated_at if change.occurred_at in untold else change.occurred_at,
    )
    stream, observed = _stream(change.stream), _instant(change.observed_at)
    return StatusChanged(stream, observed, message, change.revision, change.previous_status, change.occurred_at is not None)


def _stream(id_: str) -> Stream:
    """The stream of an id, ``provider/account/name``."""
    provider, account, name = id_.split("/", 2)
    return Stream(provider, account, unquote(name, errors="surrogatepass"))


def _instant(text: str) -> Instant:
    found = parse_rfc3339(text)
    return 0 if found is None else found.instant
