"""The runbook's entry for an alert, or for a kind of trouble or of gap."""

from __future__ import annotations

import difflib
import re

from ..errors import Misused
from ..telemetry.runbook import Entry, entries
from .exit_codes import ExitCode

_AS = re.compile(r"\bAs (Poller\w+)\.")
"""Where an entry points to another one."""


def command(kind: str | None = None) -> int:
    """Say what an alert, or a kind of trouble or of gap, means and what to do about it.

    It is the entry of docs/operations.md, which comes with the package. Without a word it lists all that there are.

    Example: poller explain PollerUnauthorized

    Example: poller explain unauthorized

    Parameters
    ----------
    kind
        The name of an alert, or the kind of an error as the log, the status page and the metrics say it.

    """
    if kind is None:
        print("\n".join(entry.name for entry in entries()))
        return ExitCode.DONE
    found = entry_of(entries(), kind)
    pointed = [entry_of(entries(), name) for name in dict.fromkeys(_AS.findall(found.text))]
    print("\n\n".join(f"{entry.name}\n\n{entry.text.replace('**', '')}" for entry in (found, *pointed)))
    return ExitCode.DONE


def entry_of(all_: tuple[Entry, ...], kind: str) -> Entry:
    """The entry of that name, however it is written: ``PollerUnauthorized``, ``unauthorized``, ``bad-page``.

    Raises Misused, with the nearest names, where there is none.
    """
    names = {_plain(entry.name): entry for entry in all_}
    wanted = _plain(kind)
    for name in (wanted, f"poller{wanted}"):
        if name in names:
            return names[name]
    near = difflib.get_close_matches(wanted, names, 3, 0.5)
    some = ", ".join(names[name].name for name in near)
    raise Misused(f"the runbook has no entry {kind!r}", fix=f"did you mean {some}?" if near else "see: poller explain")


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())
