"""The names of the log's lines: what ``event`` can be. docs/logs.md is made from this table."""

from __future__ import annotations

from msgspec import Struct


class LogEvent(Struct, frozen=True):
    """One name, its usual level, and what it means."""

    name: str
    level: str
    meaning: str


EVENTS: tuple[LogEvent, ...] = (
    LogEvent("started", "info", "The daemon runs."),
    LogEvent("stopping", "info", "A clean stop began."),
    LogEvent("stopped", "info", "A clean stop ended."),
    LogEvent("ownership", "info", "The group has said which shards this worker owns."),
    LogEvent("shard_state", "info", "A shard went on in its life: fencing, restoring, running, draining, closed."),
    LogEvent("restoring", "info", "How far a long restore is; every 5 s."),
    LogEvent("restored", "info", "A shard's state is complete."),
    LogEvent("kafka_trouble", "warning", "Kafka, the group or the local cache stands in the way of polling or publishing."),
    LogEvent("kafka_trouble_over", "warning", "That trouble is over."),
    LogEvent("topics_warning", "warning", "A topic is not as it should be, but can be worked with."),
    LogEvent("request_unreadable", "warning", "What a command asked of this worker cannot be read."),
    LogEvent("configuration_warning", "warning", "Something in the configuration, or in a file that it names, cannot be used now."),
    LogEvent("traces_lost", "warning", "The collector of spans does not answer, or refuses them; they are lost, and polling goes on."),
    LogEvent("traces_taken", "info", "The collector takes spans again."),
    LogEvent("trouble", "warning", "A stream or an account is in trouble: its request failed, and it is tried again later."),
    LogEvent("trouble_over", "info", "A stream or an account is polled again; at warning where the account's credentials were refused."),
    LogEvent("sweep", "info", "A sweep ended; at info where it published something, else at debug."),
    LogEvent("dead_letter", "warning", "A row that cannot be normalized was published as a dead letter; once per content."),
    LogEvent("gap_open", "warning", "A range of a stream cannot be proved complete."),
    LogEvent("gap_closed", "warning", "Such a range was proved complete, or is below the floor now."),
    LogEvent("oddity", "info", "A tolerated peculiarity of the provider; once per stream."),
    LogEvent("lookback_stretched", "warning", "The rate limit is too small for the look-back that is asked for."),
    LogEvent("lookback_on_plan", "info", "The rate limit suffices again."),
    LogEvent(
        "names_unusable",
        "warning",
        "A file of names cannot be read, is empty or holds lines that are no names; the last good list is polled.",
    ),
    LogEvent("names_good", "info", "A file of names is good again."),
    LogEvent("clocks_differ", "warning", "The provider's clock and this host's are more than a minute apart."),
    LogEvent("clocks_agree", "info", "They agree again."),
    LogEvent("overlap", "info", "The learned overlap changed."),
)
"""Every event, in the order of the docs."""

NAMES = frozenset(event.name for event in EVENTS)
"""Every name that a line of the log may have as its event."""


def table() -> str:
    """docs/logs.md."""
    return _DOCUMENT + "\n".join(f"| `{event.name}` | {event.level} | {event.meaning} |" for event in EVENTS) + "\n"


_DOCUMENT = """\
# Logs

Generated from the code by `python -m poller.telemetry`; a test compares.

`poller run` writes its log on stderr: one JSON object a line, or coloured text where stderr is a terminal (`log.format: auto`).
Each line holds `timestamp`, `level`, `event` (a name of the table below), `message` (the same for people), `version` and `worker`, and
then facts, such as `provider`, `account`, `stream`, `shard`, `kind`, `next_try_s`. With `log.format: ecs` the names are those of the
Elastic Common Schema: `@timestamp`, `log.level`, `event.action`, `message`, `service.version`, `service.node.name`; the facts are under
`poller.`. No line ever holds a message text, a phone number or a secret.

Trouble is said when it begins, when its kind changes, at most once a minute while it lasts, and when it is over. Whatever stops polling
or publishing is said at `warning` within 10 s.

| event | level | meaning |
| --- | --- | --- |
"""
