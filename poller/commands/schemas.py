"""The JSON Schemas of the events: part of the package, and beside it in a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import ConfigError
from .exit_codes import ExitCode

_HERE = Path(__file__).parent.parent
_PLACES = (_HERE / "_schemas", _HERE.parent / "schemas")


def list_command() -> int:
    """Name the event types that have a schema."""
    print("\n".join(names()))
    return ExitCode.DONE


def export_command(directory: Path) -> int:
    """Write the schemas, AsyncAPI and an example of every event into a directory.

    Example: poller schemas export ./schemas

    Parameters
    ----------
    directory
        Made where it is missing.

    """
    print("\n".join(str(path) for path in export(directory)))
    return ExitCode.DONE


def folder() -> Path:
    """Where the schemas are."""
    return next(place for place in _PLACES if place.is_dir())


def names() -> list[str]:
    """The event types that have a schema."""
    return sorted(path.name.removesuffix(".json") for path in folder().glob("*.json"))


def export(directory: Path) -> list[Path]:
    """Copy everything; the files that were written. Raises ConfigError where the directory cannot be written."""
    try:
        shutil.copytree(folder(), directory, dirs_exist_ok=True)
    except OSError as error:
        why = getattr(error, "strerror", None) or "it cannot be written"
        raise ConfigError([f"poller: {directory}: {why}; fix: name a directory that can be written"]) from None
    return sorted(directory / path.relative_to(folder()) for path in folder().rglob("*") if path.is_file())
