"""The JSON Schemas of the events: part of the package, and beside it in a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

_HERE = Path(__file__).parent.parent
_PLACES = (_HERE / "_schemas", _HERE.parent / "schemas")


def folder() -> Path:
    """Where the schemas are."""
    return next(place for place in _PLACES if place.is_dir())


def names() -> list[str]:
    """The event types that have a schema."""
    return sorted(path.name.removesuffix(".json") for path in folder().glob("*.json"))


def export(directory: Path) -> list[Path]:
    """Copy everything; the files that were written."""
    shutil.copytree(folder(), directory, dirs_exist_ok=True)
    return sorted(directory / path.relative_to(folder()) for path in folder().rglob("*") if path.is_file())
