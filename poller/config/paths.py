"""Where a file or folder that the configuration names lies."""

from __future__ import annotations

from pathlib import Path


def with_a_home(written: str) -> str:
    """A path as it is written. Raises ValueError with a whole sentence where its ``~`` names somebody without a home."""
    try:
        Path(written).expanduser()
    except RuntimeError:
        raise ValueError("no home is known for what begins with ~; expected a path; fix: write the whole path") from None
    return written


def located(folder: Path, written: Path | str) -> Path:
    """A path as it is written: relative to the configuration's folder, and ``~`` is somebody's home. Raises ValueError as above."""
    return folder / Path(with_a_home(str(written))).expanduser()
