"""What the demo shows: a live view on a terminal, plain lines elsewhere; never quiet for longer than five seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..telemetry.verdict import duration
from ..times import parse_rfc3339, seconds_since
from .simulator.truth import Published

EVERY_S = 4.0
"""How often something is said where no terminal draws: nobody shall think that it hangs."""

LAST = 8
"""Events that the live view shows."""


class Figures(NamedTuple):
    """What the daemon says of itself."""

    sentence: str


def masked(number: str | None) -> str:
    """The last two digits of a number."""
    return "" if not number else "…" + number[-2:]


def told(event: Published) -> str:
    """An event as a line: its key, what happened, and how late it was published."""
    value = event.value
    if event.of_status:
        what = f"{value.get('previous_status') or 'new'} -> {value.get('status')}"
    elif "dead-letter" in event.type:
        return f"{event.key or 'no key':44} dead letter"
    else:
        kind = event.type.removeprefix("sms.message.").removesuffix(".v1")
        what = f"{kind} {value.get('direction', '')} {masked(value.get('from'))} → {', '.join(map(masked, value.get('to', ())))}"
    return f"{event.key:44} {what:34} {_late(event)}"


def _late(event: Published) -> str:
    """From when it happened at the provider to when it was observed, where the provider says when."""
    happened = parse_rfc3339(event.value.get("occurred_at") if event.of_status else event.value.get("created_at"))
    observed = parse_rfc3339(event.value.get("observed_at"))
    if happened is None or observed is None:
        return ""
    return f"{duration(seconds_since(happened.instant, observed.instant))} late"


class View:
    """Talks on stderr. A context manager; ``seconds`` is how long the demo runs before its proof."""

    def __init__(self, seconds: float) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if sys.stderr.isatty() else None
        self._events: Counter[tuple[str, str]] = Counter()
        self._last: list[str] = []
        self._seconds, self._began, self._polls = seconds, time.monotonic(), False
        self._told = 0.0
        self._figures = Figures("Starting.")

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
        self._told = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Say what is being done, and again every few seconds while it lasts."""
        self.say(f"{what} ...")
        done, began = threading.Event(), time.monotonic()

        def again() -> None:
            while not done.wait(EVERY_S):
                self.say(f"{what}: {time.monotonic() - began:.0f} s ...")

        thread = threading.Thread(target=again, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def begin(self) -> None:
        """The daemon polls: the time that is shown counts from now."""
        self._began, self._polls = time.monotonic(), True

    def update(self, events: list[Published], figures: Figures) -> None:
        """New events, and the newest figures."""
        self._figures = figures
        for event in events:
            kind = event.type.removeprefix("sms.message.").removesuffix(".v1")
            self._events[event.value.get("provider", "?"), kind] += 1
        self._last = [*self._last, *(told(event) for event in events[-LAST:])][-LAST:]
        if self._live is not None:
            self._live.update(self._drawing())
        elif time.monotonic() - self._told > EVERY_S:
            counts = ", ".join(f"{p} {k} {n}" for (p, k), n in sorted(self._events.items()))
            self.say(f"{self._time()}; {self._figures.sentence} Published: {counts or 'nothing yet'}")
            if self._last:
                self.say(f"  last: {self._last[-1]}")

    def _time(self) -> str:
        elapsed = time.monotonic() - self._began
        if not self._polls:
            return f"{elapsed:.0f} s since the start"
        left = self._seconds - elapsed
        return f"{elapsed:.0f} s elapsed, " + (f"{left:.0f} s to the proof" if left > 0 else "proving")

    def _drawing(self) -> Group:
        kinds = sorted({kind for _, kind in self._events})
        table = Table("provider", *kinds, title="events published")
        for provider in sorted({provider for provider, _ in self._events}):
            table.add_row(provider, *(str(self._events[provider, kind]) for kind in kinds))
        return Group(Text(self._time()), Text(self._figures.sentence), table, Text("\n".join(self._last), style="dim"))
