"""What the public topics hold, described: JSON Schemas (2020-12) of every event, and AsyncAPI 3.1 of the topics.

``make schemas`` writes ``schemas/`` from here, and a test holds the three together: these descriptions, the files, and
the structs that are encoded. The content model is open, so that a reader of today accepts the fields of tomorrow.
"""

from __future__ import annotations

from typing import Any

from ..model import STATUS_RANK
from ..telemetry.event_types import CREATED, DEAD_LETTER, LATEST, STATUS_CHANGED, UPDATED, dataschema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The JSON Schema that the schemas are written in."""

_TEXT, _WHOLE, _FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time", "pattern": "Z$"}
_NUMBER = (
    "E.164 where it can be, else as given. Privacy: mask = `…12` (last two digits), hash = `hmac-sha256:` and 32 hexadecimal digits "
    "(equal numbers have equal hashes, so topics can be joined), drop = absent."
)
_WORDS = "Privacy: mask = `[42 characters]`, hash = `hmac-sha256:` and 32 hexadecimal digits, drop = absent."
_CLOCKS = "The provider's clock; it orders nothing, because clocks differ: `revision` does."
_STATUSES = ", ".join(STATUS_RANK)

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "provider": (_TEXT, "The vendor: the first part of the key."),
    "account": (_TEXT, "The name of the account in poller's configuration: the second part of the key."),
    "stream": (_TEXT, "What was polled, `provider/account/name`: a thread, a team, a property. It may differ between events of one message."),
    "message_id": (_TEXT, "The provider's id of the message, as text: with provider and account the identity of a message."),
    "conversation_id": (_TEXT, "The provider's id of the conversation or thread, where it gives one."),
    "revision": (
        _WHOLE | {"minimum": 1},
        "1, 2, 3, ... without gaps over all events of the message on all topics, in publishing order. The only order that holds across topics.",
    ),
    "channel": (_TEXT, "sms, mms, rcs, whatsapp, email or unknown; an open set."),
    "direction": (_TEXT, "inbound (from the customer), outbound (to the customer) or unknown; an open set."),
    "from": (_TEXT, f"The sender: a number, a short code or a name. {_NUMBER}"),
    "to": ({"type": "array", "items": _TEXT}, f"The receivers, without repetitions. {_NUMBER}"),
    "text": (_TEXT, f"The message's text, verbatim. {_WORDS}"),
    "media": (
        {"type": "array", "items": {"type": "object", "properties": {"url": _TEXT}}},
        "Attachments. A URL is compared without its query, where signatures change. Privacy: counts as text.",
    ),
    "status": (_TEXT, f"The newest status: {_STATUSES}; an open set. What a provider adds tomorrow is `unknown` here, with its word in provider_status."),
    "previous_status": (_TEXT, "The status before this one; absent on a message's first status."),
    "provider_status": (_TEXT, "The provider's own word for the status."),
    "final": (_FLAG, "No further change is expected. A provider may still correct it: then another event follows."),
    "created_at": (_TIME, f"When the message was created at the provider. {_CLOCKS}"),
    "updated_at": (_TIME, f"The provider's own stamp of the message's last change, where it gives one. {_CLOCKS}"),
    "sent_at": (_TIME, f"When it was handed to the carrier. {_CLOCKS}"),
    "delivered_at": (_TIME, f"When the carrier reported delivery. {_CLOCKS}"),
    "received_at": (_TIME, f"When an inbound message came in. {_CLOCKS}"),
    "scheduled_at": (_TIME, f"When it is or was to be sent, where it was scheduled. {_CLOCKS}"),
    "occurred_at": (_TIME, f"When the status came about: its own stamp, else updated_at where that moved with the status; absent where the provider does not say. {_CLOCKS}"),
    "observed_at": (_TIME, "When poller read it: poller's clock, not the provider's."),
    "error": (
        {"type": "object", "properties": {"code": _TEXT, "message": _TEXT}},
        f"Why the message failed, in the provider's words. {_WORDS} (for `message`; `code` is never touched)",
    ),
    "segments": (_WHOLE | {"minimum": 0}, "How many SMS the text takes, as the provider counts and bills."),
    "automated": (_FLAG, "Sent by a workflow rather than by a person, where the provider says so."),
    "provider_data": ({"type": "object"}, "What this provider alone has, without nulls. A `price` is known only later: it comes with the next event, and gives none by itself. Privacy: counts as text."),
    "changed": (
        {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "The names of the fields that differ from the revision before, sorted.",
    ),
}  # fmt: skip
"""Each public field: its JSON Schema, and what it means."""

ENVELOPE = ("provider", "account", "stream", "message_id", "conversation_id", "revision")
"""Fields that every event has."""

STATUS_FIELDS = ("direction", "status", "provider_status", "final", "sent_at", "delivered_at", "received_at", "error", "observed_at")
"""Fields that say how far a message is."""

FULL = (
    *ENVELOPE, *STATUS_FIELDS, "channel", "from", "to", "text", "media", "created_at", "updated_at", "scheduled_at", "segments", "automated",
    "provider_data",
)  # fmt: skip
"""Fields of an event that holds the whole message."""

_ALWAYS = ("provider", "account", "stream", "message_id", "revision", "direction", "status", "final", "observed_at")

VALUES: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    CREATED: ("Message created", "A message was seen for the first time: revision 1, the full message.", FULL, (*_ALWAYS, "channel", "created_at")),
    UPDATED: (
        "Message updated",
        "Content of a message changed, or status fields without the status: the full message, and the names of what changed.",
        (*FULL, "changed"),
        (*_ALWAYS, "channel", "created_at", "changed"),
    ),
    STATUS_CHANGED: (
        "Message status changed",
        "The status of a message changed; once at creation too, without previous_status, unless the message is inbound.",
        (*ENVELOPE, *STATUS_FIELDS, "previous_status", "occurred_at"),
        _ALWAYS,
    ),
    LATEST: (
        "Latest message",
        "Not an event: the full message as its newest event left it, with that event's revision. On the compacted topic, where there is one.",
        FULL,
        (*_ALWAYS, "channel", "created_at"),
    ),
}  # fmt: skip
"""Event type: title, description, fields, fields that are always there."""


def json_schemas() -> dict[str, dict[str, Any]]:
    """The schema of each event type's value."""
    found = {}
    for event_type, (title, description, fields, required) in VALUES.items():
        found[event_type] = {
            "$schema": DIALECT,
            "$id": dataschema(event_type),
            "title": title,
            "description": f"{description} Readers ignore what they do not know; absent means unknown, and null never occurs.",
            "type": "object",
            "properties": {name: FIELDS[name][0] | {"description": FIELDS[name][1]} for name in fields},
            "required": list(required),
        }
    found[DEAD_LETTER] = {
        "$schema": DIALECT,
        "$id": dataschema(DEAD_LETTER),
        "title": "Dead letter",
        "description": (
            "The bytes of a row that could not be normalized (any JSON value, cut at 256 KiB), or only their shape where privacy redacts it. "
            "Why is in the headers poller_reason and poller_field."
        ),
    }
    return found


_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "ce_specversion": (_TEXT | {"const": "1.0"}, "CloudEvents 1.0, Kafka protocol binding, binary content mode."),
    "ce_id": (
        _TEXT,
        "`<message key>:<revision>`: equal on every reading, so what a consumer makes idempotent by. Of a latest message, which is no event, "
        "`<message key>:<revision>:latest`.",
    ),
    "ce_source": (_TEXT | {"pattern": "^/poller/"}, "`/poller/<provider>/<account>`."),
    "ce_type": (_TEXT, "The event type; it names the schema."),
    "ce_subject": (_TEXT, "The provider's message id; of a dead letter the stream."),
    "ce_time": (_TIME, f"When it happened at the provider; absent where the provider does not say. {_CLOCKS}"),
    "ce_dataschema": (_TEXT | {"pattern": "^urn:poller:"}, "The `$id` of the value's schema."),
    "content-type": (_TEXT, "application/json; application/octet-stream where a dead letter is not whole JSON."),
    "ce_pollershard": (_TEXT | {"pattern": "^[0-9]+$"}, "The shard that published it."),
    "ce_pollertxn": (_TEXT | {"pattern": "^[0-9]+$"}, "The number of the transaction within its shard: 1, 2, 3, ..."),
    "ce_pollertxnsize": (
        _TEXT | {"pattern": "^[0-9]+$"},
        "How many events that transaction has over all topics: fewer means a torn transaction. Latest messages are not counted.",
    ),
}
_REQUIRED = [name for name in _HEADERS if name != "ce_time"]
_DEAD_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "poller_reason": (_TEXT, "Why the row could not be normalized: a short constant."),
    "poller_field": (_TEXT, "The provider's name of the field at fault; empty where it is the whole row."),
    "poller_truncated": (_TEXT | {"enum": ["true", "false"]}, "Whether the value is cut."),
}


def _described(fields: dict[str, tuple[dict[str, Any], str]]) -> dict[str, Any]:
    return {name: schema | {"description": text} for name, (schema, text) in fields.items()}


def _message(event_type: str, headers: str, key: str) -> dict[str, Any]:
    schema = json_schemas()[event_type]
    return {
        "name": event_type,
        "title": schema["title"],
        "summary": schema["description"],
        "contentType": "application/json",
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {"$ref": f"./{event_type}.json"},
        "bindings": {"kafka": {"key": {"$ref": f"#/components/schemas/{key}"}, "bindingVersion": "0.5.0"}},
    }


def _channel(address: str, description: str, messages: list[str], *, policy: str = "delete") -> dict[str, Any]:
    return {
        "address": address,
        "title": address,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {"topic": address, "partitions": 16, "topicConfiguration": {"cleanup.policy": [policy]}, "bindingVersion": "0.5.0"}
        },
    }


_INFO = {
    "title": "poller",
    "version": "1.0.0",
    "description": (
        "Messages and delivery statuses of SMS vendors, each published exactly once. Read with isolation.level=read_committed. "
        "Within v1 only optional fields, headers, types and values are added; a breaking change is a new type on a new topic."
    ),
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "contact": {"name": "the operator of this installation"},
    "tags": [{"name": "sms", "description": "Text messages"}, {"name": "cloudevents", "description": "CloudEvents 1.0, binary mode"}],
}
_SERVER = {
    "host": "kafka.example.com:9093",
    "protocol": "kafka-secure",
    "description": "Your cluster: kafka.bootstrap_servers of the configuration.",
    "bindings": {"kafka": {"bindingVersion": "0.5.0"}},
}
_ONE_KEY = "The same key as on the other public topics, which have as many partitions: they are co-partitioned (murmur2)."


def _operation(name: str, channel: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": f"What poller publishes to {channel['address']}.",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in channel["messages"]],
    }


def _components() -> dict[str, Any]:
    return {
        "schemas": {
            "headers": {"type": "object", "required": _REQUIRED, "properties": _described(_HEADERS)},
            "deadLetterHeaders": {
                "type": "object",
                "required": [*_REQUIRED, *_DEAD_HEADERS],
                "properties": _described(_HEADERS | _DEAD_HEADERS),
            },
            "key": {"type": "string", "description": "`provider/account/message id`, the id percent-encoded. Never a phone number."},
            "deadLetterKey": {"type": "string", "description": "As on the other topics where an id can be read, else there is no key."},
        },
        "messages": {
            "created": _message(CREATED, "headers", "key"),
            "updated": _message(UPDATED, "headers", "key"),
            "statusChanged": _message(STATUS_CHANGED, "headers", "key"),
            "deadLetter": _message(DEAD_LETTER, "deadLetterHeaders", "deadLetterKey"),
            "latest": _message(LATEST, "headers", "key"),
        },
    }


def asyncapi() -> dict[str, Any]:
    """The public topics as an AsyncAPI 3.1 document."""
    statuses = f"Every status of every message that is not inbound, and changes of inbound ones. {_ONE_KEY}"
    latest = f"Where kafka.topics.latest names it: the newest full message of each key. {_ONE_KEY}"
    channels = {
        "messages": _channel("sms.messages.v1", f"Full messages. {_ONE_KEY}", ["created", "updated"]),
        "status": _channel("sms.status-changes.v1", statuses, ["statusChanged"]),
        "deadLetters": _channel("sms.dead-letters.v1", "Rows that could not be normalized, once per content.", ["deadLetter"]),
        "latest": _channel("sms.messages-latest.v1", latest, ["latest"], policy="compact"),
    }
    return {
        "asyncapi": "3.1.0",
        "id": "urn:poller:topics",
        "info": _INFO,
        "servers": {"kafka": _SERVER},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {f"publish{name[0].upper()}{name[1:]}": _operation(name, channel) for name, channel in channels.items()},
        "components": _components(),
    }
