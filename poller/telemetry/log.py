"""The log: one line a fact on stderr, with a fixed name and a message for people.

The libraries' own loggers are kept from printing URLs, keys and records.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from .log_events import NAMES

JSON, CONSOLE, ECS = "json", "console", "ecs"
"""Forms of a line, as ``log.format`` names them."""

ECS_NAMES = {
    "timestamp": "@timestamp",
    "level": "log.level",
    "event": "event.action",
    "message": "message",
    "version": "service.version",
    "worker": "service.node.name",
}
"""Our names as the Elastic Common Schema has them; facts go under ``poller.``."""

ECS_VERSION = "8.17"
"""The release of the Elastic Common Schema that lines name."""

QUIET = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")
"""Loggers of libraries that print addresses; their errors still come."""


class Log:
    """Says events by their fixed names."""

    def __init__(self, level: str, *, form: str, version: str, worker: str = "") -> None:
        for noisy in QUIET:
            logging.getLogger(noisy).setLevel(logging.ERROR)
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._bound = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _in_order,
                *([_ecs] if form == ECS else []),
                *([_for_people] if form == CONSOLE else []),
                structlog.dev.ConsoleRenderer() if form == CONSOLE else structlog.processors.JSONRenderer(serializer=_json),
            ],
        ).bind(version=version, worker=worker)

    def bound(self, **facts: Any) -> Log:
        """The same log, with facts that every line has."""
        log = object.__new__(Log)
        log._bound = self._bound.bind(**facts)
        return log

    def say(self, level: str, event: str, message: str, **facts: Any) -> None:
        """One line; ``event`` is one of ``log_events.NAMES``."""
        assert event in NAMES, f"{event} is no name of docs/logs.md"
        getattr(self._bound, level)(event, message=message, **facts)


def form_of(format: str) -> str:
    """The form that ``log.format`` asks for: JSON unless stderr is a terminal, where it does not say."""
    if format == "auto":
        return CONSOLE if sys.stderr.isatty() else JSON
    return format


def _in_order(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What every line has comes first."""
    return {name: line[name] for name in ECS_NAMES if name in line} | dict(line)


def _json(line: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(line).decode()


def _for_people(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """On a terminal the message comes first, and what is the same on every line is left out."""
    line["event"] = f"{line['event']}: {line.pop('message')}"
    for same in ("version", "worker"):
        line.pop(same, None)
    return line


def _ecs(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line with the names of the Elastic Common Schema."""
    facts = {name: value for name, value in line.items() if name not in ECS_NAMES}
    known = {ecs: line[name] for name, ecs in ECS_NAMES.items() if name in line}
    return {**known, "ecs.version": ECS_VERSION, "service.name": "poller", **({"poller": facts} if facts else {})}
