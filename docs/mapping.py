"""Which field of a vendor's row becomes which field of an event, found by trying: from the case files of the providers' exam.

Each row of each case is read as it is, and once more without one of its members: what differs in the message is what that member is
for. Nothing is written down by hand, so the table cannot be out of date.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from poller.errors import PollerError
from poller.model import SECOND, Observation, Stream
from poller.providers.contract import Provider, Response, Window
from poller.providers.registry import BUILT_IN, provider_of

CASES = Path(__file__).parent.parent / "tests" / "providers" / "cases"
NOW = 1_790_000_000 * SECOND
NESTED = ("conversation", "tags")
"""Members that hold members of their own which are read."""

Rows = list[Any]
MISSING = object()
TRIED = 6
"""Rows of one answer that are tried: a case shows its point in the first ones, and crowds would take minutes."""


def lists(body: Any) -> Iterator[tuple[str | None, Rows]]:
    """Where rows are in an answer: the answer itself, or one of its members."""
    if isinstance(body, list):
        yield None, body
    elif isinstance(body, dict):
        yield from ((name, each) for name, each in body.items() if isinstance(each, list))


def first(body: Any) -> Any:
    """An answer with only the rows that are tried."""
    if isinstance(body, list):
        return body[:TRIED]
    return {name: each[:TRIED] if isinstance(each, list) else each for name, each in body.items()} if isinstance(body, dict) else body


def read(provider: Provider, body: Any) -> dict[str, Observation]:
    """The messages of an answer, by id; nothing where it cannot be read."""
    stream = Stream(provider.name, "main", "team" if provider.name == "heymarket" else "s1")
    try:
        request = provider.first_page(stream, Window(NOW - 600 * SECOND, None, NOW), None)
        page = provider.read_page(request, Response(200, {"content-type": "application/json"}, json.dumps(body).encode()))
    except (PollerError, AttributeError, TypeError):
        return {}
    found = [provider.read_row(row) for row in page.rows if not hasattr(row, "reason")]  # type: ignore[arg-type]
    return {each.message.message_id: each for each in found if isinstance(each, Observation)}


def members(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths of a row's members."""
    for name, value in row.items():
        yield (name,)
        if name in NESTED and isinstance(value, dict):
            yield from ((name, inner) for inner in value)


def changed(body: Any, name: str | None, index: int, path: tuple[str, ...], value: Any) -> Any:
    """An answer whose row has another value for a member; ``MISSING`` = none."""
    other = copy.deepcopy(body)
    holder = (other if name is None else other[name])[index]
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    if value is MISSING:
        del holder[path[-1]]
    return other


def difference(before: Observation, after: Observation | None) -> set[str]:
    """The fields of the message that differ."""
    if after is None:
        return set()
    old, new = (msgspec.to_builtins(each.message) for each in (before, after))
    return {field for field in old.keys() | new.keys() if old.get(field) != new.get(field)}


def others(value: Any) -> tuple[Any, ...]:
    """What else a member might hold: nothing, and where it holds nothing, a time as text or number, or a word."""
    return (MISSING,) if value not in (None, "", 0) else (MISSING, "2026-09-21T14:12:21Z", 1_789_999_000, "word")


def mapping(provider: Provider) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Member of a row → fields of the message; and the vendor's status word → our status, with ``final`` where it is."""
    fields: dict[str, set[str]] = {}
    words: dict[str, set[str]] = {}
    known = getattr(import_module(f"poller.providers.{provider.name}.message"), "STATUSES", {})
    for path in sorted((CASES / provider.name).glob("*.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            body = first(exchange["response"].get("body"))
            for id_, before in read(provider, body).items():
                for name, rows in lists(body):
                    for index, row in enumerate(rows):
                        if isinstance(row, dict) and id_ in map(str, row.values()):
                            _try(provider, body, (name, index), before, fields, words, tuple(known))
    return fields, words


def _try(
    provider: Provider,
    body: Any,
    place: tuple[str | None, int],
    before: Observation,
    fields: dict[str, set[str]],
    words: dict[str, set[str]],
    known: tuple[str, ...],
) -> None:
    """Each member of one row, otherwise once; the status with every word that the adapter knows."""
    name, index = place
    row, id_ = (body if name is None else body[name])[index], before.message.message_id
    for path in members(row):
        held = row
        for step in path:
            held = held[step]
        for value in others(held):
            found = difference(before, read(provider, changed(body, name, index, path, value)).get(id_))
            if found:
                fields.setdefault(".".join(path), set()).update(found)
        if held is not None and held == before.message.provider_status:
            for word in known:
                after = read(provider, changed(body, name, index, path, word)).get(id_)
                if after is not None:
                    which = f"`{after.message.status}`{', final' if after.message.final else ''}"
                    words.setdefault(word, set()).add(f"{which} ({after.message.direction})")


def tables() -> str:
    """The part of docs/events.md about the vendors."""
    parts = []
    for name in sorted(BUILT_IN):
        fields, words = mapping(provider_of(name))
        parts.append(f"### {name}\n\n| the row's member | the event's field |\n| --- | --- |")
        parts += [f"| `{member}` | {', '.join(f'`{field}`' for field in sorted(found))} |" for member, found in sorted(fields.items())]
        parts.append("\n| the vendor's word | `status` |\n| --- | --- |")
        parts += [f"| `{word}` | {'; '.join(sorted(found))} |" for word, found in sorted(words.items())]
        parts.append("")
    return "\n".join(parts)
