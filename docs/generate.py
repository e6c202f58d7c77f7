"""The files that follow from the code, written anew: ``make docs``. A test compares them.

Each entry is a path from the repository's root and the function that gives its text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from poller.config.schema import page
from poller.errors import PollerError
from poller.publishing.event_schemas import FIELDS, VALUES, asyncapi, json_schemas

ROOT = Path(__file__).parent.parent


def _schema(event_type: str) -> Callable[[], str]:
    return lambda: json.dumps(json_schemas()[event_type], indent=2, ensure_ascii=False) + "\n"


def _asyncapi() -> str:
    return yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=140)


def _errors() -> str:
    """Who stops for what: the tree of errors, outermost first."""
    lines = [
        "# Who stops for what",
        "",
        "Made from `poller/errors.py` by `make docs`. A row's fault stops nobody: it becomes a dead letter, and the rest of its page is",
        "published. Whatever a library throws is one of these errors before it leaves the room that uses the library; what is not, is a",
        "defect of ours, and ends the process with 1.",
        "",
        "| error | kind | what it is | who stops, and until when |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {'· ' * depth}{each.__name__} | `{each.kind}` | {(each.__doc__ or '').splitlines()[0].replace('``', '`')} | {each.stops} |"
        for depth, each in _below(PollerError, 0)
    ]
    return "\n".join([*lines, ""])


def _below(error: type[PollerError], depth: int) -> Iterator[tuple[int, type[PollerError]]]:
    yield depth, error
    for each in error.__subclasses__():
        if each.__module__ == PollerError.__module__:
            yield from _below(each, depth + 1)


def _fields() -> str:
    types = {event_type: event_type.removeprefix("sms.message.").removesuffix(".v1") for event_type in VALUES}
    lines = ["| field | in | meaning |", "| --- | --- | --- |"]
    for name, (schema, text) in FIELDS.items():
        where = [
            f"**{short}**" if name in VALUES[event_type][3] else short
            for event_type, short in types.items()
            if name in VALUES[event_type][2]
        ]
        kind = "time" if schema.get("format") == "date-time" else schema["type"]
        lines.append(f"| `{name}` ({kind}) | {', '.join(where)} | {text} |")
    return "\n".join(lines)


def _events() -> str:
    sys.path.insert(0, str(Path(__file__).parent))
    from mapping import tables

    return (
        "# Events, field by field\n\nWritten by `make docs` from the code and the case files of the providers' exam.\n\n"
        "## Fields\n\nBold: always there. Absent means unknown; null never occurs.\n\n"
        f"{_fields()}\n\n## What each provider's row becomes\n\n"
        "Found by trying: each row of each case file is read as it is, and once more with one member changed or left out. "
        "An id and a creation time are what a row cannot do without.\n\n"
        f"{tables()}"
    )


def _ambiguities() -> str:
    sys.path.insert(0, str(Path(__file__).parent))
    from ambiguities import page

    return page()


FILES: dict[str, Callable[[], str]] = {
    **{f"schemas/{event_type}.json": _schema(event_type) for event_type in json_schemas()},
    "schemas/asyncapi.yaml": _asyncapi,
    "docs/ambiguities.md": _ambiguities,
    "docs/configuration.md": page,
    "docs/errors.md": _errors,
    "docs/events.md": _events,
}


def main() -> None:
    """Write every file."""
    for name, text in FILES.items():
        (ROOT / name).write_text(text())
        print(name)


if __name__ == "__main__":
    main()
