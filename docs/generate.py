"""The files that follow from the code, written anew: ``make docs``. A test compares them.

Each entry is a path from the repository's root and the function that gives its text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml

from poller.publishing.event_schemas import asyncapi, json_schemas

ROOT = Path(__file__).parent.parent


def _schema(event_type: str) -> Callable[[], str]:
    return lambda: json.dumps(json_schemas()[event_type], indent=2, ensure_ascii=False) + "\n"


def _asyncapi() -> str:
    return yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=140)


FILES: dict[str, Callable[[], str]] = {
    **{f"schemas/{event_type}.json": _schema(event_type) for event_type in json_schemas()},
    "schemas/asyncapi.yaml": _asyncapi,
}


def main() -> None:
    """Write every file."""
    for name, text in FILES.items():
        (ROOT / name).write_text(text())
        print(name)


if __name__ == "__main__":
    main()
