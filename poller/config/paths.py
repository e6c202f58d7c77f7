"""Where a file or folder that the configuration names lies."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError


def located(folder: Path, written: Path | str) -> Path:
    """A path as it is written: relative to the configuration's folder, and ``~`` is somebody's home. Raises ConfigError where that has none."""
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:
        raise ConfigError([f"{written}: no home is known; expected a path; fix: write the whole path"]) from None
