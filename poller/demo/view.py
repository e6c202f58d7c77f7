"""What the demo shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .simulator.truth import Published

EVERY_S = 5.0
LAST = 8


def masked(number: str | None) -> str:
    """The last two digits of a number."""
    return "" if not number else "…" + number[-2:]


class View:
    """Talks on stderr. A context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if sys.stderr.isatty() else None
        self._events: Counter[tuple[str, str]] = Counter()
        self._last: list[str] = []
        self._told = 0.0
        self._facts: dict[str, str] = {}

    def __enter__(self) -> View:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def update(self, events: list[Published], facts: dict[str, str]) -> None:
        """New events, and the newest figures."""
        self._facts = facts
        for event in events:
            provider = event.value.get("provider", "?")
            kind = event.type.removeprefix("sms.message.").removesuffix(".v1")
            self._events[provider, kind] += 1
            numbers = f"{masked(event.value.get('from'))} → {', '.join(map(masked, event.value.get('to', ())))}"
            self._last = [*self._last, f"{provider:13} {kind:15} {event.value.get('status', ''):12} {numbers}"][-LAST:]
        if self._live is not None:
            self._live.update(self._drawing())
        elif time.monotonic() - self._told > EVERY_S:
            self._told = time.monotonic()
            counts = ", ".join(f"{p} {k} {n}" for (p, k), n in sorted(self._events.items()))
            self.say(f"{counts or 'no events yet'}; " + ", ".join(f"{name} {value}" for name, value in facts.items()))

    def _drawing(self) -> Group:
        kinds = sorted({kind for _, kind in self._events})
        table = Table("provider", *kinds, title="events published")
        for provider in sorted({provider for provider, _ in self._events}):
            table.add_row(provider, *(str(self._events[provider, kind]) for kind in kinds))
        facts = Text("  ".join(f"{name}: {value}" for name, value in self._facts.items()))
        return Group(table, facts, Text("\n".join(self._last), style="dim"))
