"""log."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog


def _logger(level: str, *, json: bool) -> Any:
    """structlog on stderr; the libraries' own loggers are kept from printing URLs, keys and records."""
    number = getattr(logging, level.upper())
    for noisy in ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    renderer: Any = structlog.dev.ConsoleRenderer()
    if json:
        renderer = structlog.processors.JSONRenderer(serializer=lambda event, **_: msgspec.json.encode(event).decode())
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
    )
