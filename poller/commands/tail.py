"""Events as they are published."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from ..config.load import Config, load
from ..errors import Misused
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.public_topics import Published, follow, stored
from ..model import Instant
from .arguments import ConfigPath, Flag, Moment
from .event_lines import json_of, line_of, type_of
from .process import complete

Kind = Literal["created", "updated", "status-changed", "dead-letter", "latest"]


def command(
    *,
    config: ConfigPath,
    topic: Literal["messages", "status", "dead-letters", "latest"] = "messages",
    from_beginning: Flag = False,
    since: Moment | None = None,
    key: Annotated[str | None, Parameter(metavar="KEY")] = None,
    kind: Annotated[Kind | None, Parameter(name="--type")] = None,
    json: Flag = False,
    once: Flag = False,
) -> int:
    """Show events as they are published, numbers masked and texts left out; --json shows them whole.

    Each line: when it was published, type, key, revision, status, changed fields, numbers, and how long after it happened at the provider.
    Ends with 69 when Kafka cannot be reached, with 77 when Kafka refuses the credentials, with 130 on a signal.

    Example: poller tail --config poller.yaml --topic status --since 1h

    Example: poller tail --config poller.yaml --from-beginning --json | jq .value.status

    Example: poller tail --config poller.yaml --once --json | sort

    Parameters
    ----------
    topic
        Which of the public topics; latest: where kafka.topics.latest names it.
    from_beginning
        Begin with the oldest event that the topic still has; default: only what comes.
    since
        Begin with what was published at this time: RFC 3339, a date, or a duration ago such as 1h.
    key
        Only events of this message (provider/account/message id), or of all whose key begins so.
    kind
        Only events of this type.
    json
        Whole events, one a line, with texts and numbers; for pipes.
    once
        Show what is there, from the beginning or --since a time, and end; for dumps.

    """
    if since is not None and from_beginning:
        raise Misused("--since and --from-beginning exclude each other", fix="give one of them")
    wanted = _Wanted(topic.replace("-", "_"), 0 if from_beginning else since, key, kind)
    loaded = load(config)
    loaded.demand_topic(wanted.role)
    return complete(tail(loaded, wanted, json=json, once=once))


class _Wanted:
    """Which events are shown."""

    def __init__(self, role: str, since: Instant | None, key: str | None, kind: str | None) -> None:
        self.role, self.since, self._key, self._kind = role, since, key, kind

    def __contains__(self, event: Published) -> bool:
        return (self._kind is None or type_of(event) == self._kind) and (self._key is None or event.key.startswith(self._key))


async def tail(config: Config, wanted: _Wanted, *, json: bool, once: bool) -> None:
    """Print events on and on, or ``once`` those that are there. Raises Unavailable, Refused, Denied."""
    silence_fenced_futures()
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    kafka = Kafka(connection_of(config))
    events = stored(kafka, wanted.role, since=wanted.since or 0) if once else follow(kafka, wanted.role, since=wanted.since)
    async for event in events:
        if event in wanted:
            print(json_of(event) if json else line_of(event, colours=colours), flush=True)
