"""What several commands take on the command line, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..clock import SystemClock
from ..config.units import moment_or_ago
from ..model import Instant


@cache
def now() -> Instant:
    """When the command read its first time: every duration ago is counted from there, so that equal words are equal moments."""
    return SystemClock().now()


def _moment(_: Any, tokens: Sequence[Any]) -> Instant:
    """RFC 3339, a date, or a duration ago. Raises ValueError, which the command line turns into a usage error."""
    return moment_or_ago(tokens[0].value, now())


ConfigPath = Annotated[Path, Parameter(name="--config", env_var="POLLER_CONFIG", help="The configuration file (YAML).")]
Moment = Annotated[Instant, Parameter(converter=_moment, metavar="TIME")]
"""Microseconds of wall time; written as RFC 3339, a date (UTC), or a duration ago such as 24h."""

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is given or not; there is no ``--no-`` form."""
