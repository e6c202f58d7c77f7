"""Every event of one message, in the order of its revisions."""

from __future__ import annotations

import sys

from ..config.load import Config, load
from ..errors import Misused
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.port import EVENTS
from ..kafka.public_topics import Published, events_of
from ..model import encode_id
from ..times import format_rfc3339
from .arguments import ConfigPath
from .event_lines import changed_of, delay_of, happened_at, numbers_of, printable, status_of, type_of, value_of
from .exit_codes import ExitCode
from .process import complete


def command(key: str, *, config: ConfigPath) -> int:
    """Show every event of one message, by revision, with its delays; numbers masked, texts left out.

    Each line: revision, type, status, when it happened at the provider, when it was published and how long that took, changed fields.
    Ends with 1 where nothing was published under the key, or no longer is kept.

    Example: poller trace --config poller.yaml stuut/collections/msg_1

    Parameters
    ----------
    key
        The key of its events: provider/account/message id, as `poller tail` shows it.

    """
    return complete(trace(load(config), key))


async def trace(config: Config, key: str) -> int:
    """Print the history of one message. Raises Misused for what is no key, Unavailable, Refused, Denied."""
    silence_fenced_futures()
    wanted = _key(key)
    kafka = Kafka(connection_of(config))
    found = [event for role in EVENTS async for event in events_of(kafka, role, wanted)]
    if not found:
        print(f"nothing is published under {wanted}, or it is no longer kept", file=sys.stderr)
        return ExitCode.UNEXPECTED
    print(wanted)
    for line in history(found):
        print(line)
    return ExitCode.DONE


def _key(written: str) -> str:
    """The key of the events: the id as a provider writes it is accepted too."""
    parts = written.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise Misused(f"{written!r} is no key; expected provider/account/message id", fix="copy it from: poller tail")
    provider, account, id_ = parts
    return written if "%" in id_ else f"{provider}/{account}/{encode_id(id_)}"


def history(events: list[Published]) -> list[str]:
    """A line for each event, in the order of the revisions; what has none comes last."""
    lines = []
    for event in sorted(events, key=lambda each: (_revision(each) or 1 << 62, each.time)):
        told = value_of(event) or {}
        happened = happened_at(event)
        what = [
            f"r{_revision(event) or '-'}".ljust(4),
            type_of(event).ljust(14),
            status_of(told).ljust(22),
            f"at the provider {format_rfc3339(happened)}" if happened is not None else "at the provider: not said",
            f"published {format_rfc3339(event.time)}",
            delay_of(event),
            changed_of(told) or printable(event.headers.get("poller_reason", "")),
            numbers_of(told),
        ]
        lines.append("  ".join(filter(None, what)))
    return lines


def _revision(event: Published) -> int | None:
    told = value_of(event)
    return None if told is None else told["revision"]
