"""The kinds of trouble in words: one entry for each ``kind`` of ``poller.errors``, for the page, the terminal and the log."""

from __future__ import annotations

from msgspec import Struct


class Kind(Struct, frozen=True):
    """What a kind of trouble is called. ``of`` finishes the sentence "heymarket/main ..."."""

    words: str
    of: str


KINDS: dict[str, Kind] = {
    "unreachable": Kind("no usable answer", "gives no usable answer"),
    "throttled": Kind("rate limited", "is rate limited by the provider"),
    "unauthorized": Kind("credentials refused", "has its credentials refused"),
    "gone": Kind("not found or not ours", "is not found, or not ours to read"),
    "bad_page": Kind("answer of a wrong shape", "gets answers of a wrong shape"),
    "cursor_not_honoured": Kind("cursor or filter ignored", "has its cursor or filter ignored by the provider"),
    "endless_pagination": Kind("list without an end", "gets a list without an end"),
    "client_unusable": Kind("the way to the provider cannot be used", "cannot use its way to the provider"),
    "provider": Kind("no usable answer", "gives no usable answer"),
    "kafka": Kind("Kafka did not do what was asked", "waits for Kafka"),
    "kafka_unavailable": Kind("Kafka cannot be reached", "waits for Kafka"),
    "kafka_silent": Kind("Kafka does not answer heartbeats", "waits for Kafka"),
    "kafka_refused": Kind("Kafka refuses", "is refused by Kafka"),
    "kafka_denied": Kind("Kafka does not let us in", "is not let in by Kafka"),
    "registry_unavailable": Kind("the schema registry cannot be reached", "waits for the schema registry"),
    "registry_denied": Kind("the schema registry does not let us in", "is not let in by the schema registry"),
    "commit_uncertain": Kind("a commit without an answer", "finds out whether its last commit counts"),
    "fenced": Kind("another worker took over", "waits until the group confirms who owns it"),
    "offset_gone": Kind("the cache does not belong to this log", "restores its state from the start"),
    "cache": Kind("local cache cannot be used", "cannot use its local cache"),
    "corrupt_state": Kind("local cache cannot be read", "rebuilds its local cache"),
    "wrong_state": Kind("the installation is in another state than the command needs", "is in another state than the command needs"),
    "config": Kind("configuration invalid", "has an invalid configuration"),
    "starting": Kind("starting", "is not started yet"),
    "stopping": Kind("stopping", "is stopping"),
    "restoring": Kind("state is being restored", "waits until its state is restored"),
    "broken": Kind("something of ours failed", "starts anew after something of ours failed"),
    "error": Kind("unexpected error", "met an unexpected error"),
}
"""By kind. A kind that is not here is shown as it is."""


GAPS: dict[str, str] = {
    "tie_group": "more messages of one moment than the provider's pages can go past",
    "full_second": "a second with more messages than the provider lists",
    "list_may_be_capped": "a list that seems to be cut off",
    "counted_not_listed": "messages that are counted and not listed",
    "tilings_disagree": "two ways of reading a range give different messages",
}
"""Why a range cannot be proved complete, by reason. A reason that is not here is shown as it is."""


def gap_words(reason: str) -> str:
    """The reason of a possible gap in a few words."""
    return GAPS.get(reason, reason.replace("_", " "))


def words(kind: str) -> str:
    """The kind in a few words."""
    known = KINDS.get(kind)
    return known.words if known is not None else kind.replace("_", " ")


def told(kind: str, text: str) -> str:
    """The kind in a few words, and what an error of it says, which may begin with them."""
    known = words(kind)
    return text if text.startswith(known) else f"{known}; {text}"


def sentence(kind: str) -> str:
    """The kind as the end of a sentence about an account."""
    known = KINDS.get(kind)
    return known.of if known is not None else f"is in trouble ({kind.replace('_', ' ')})"
