"""Where a file or folder that the configuration names lies."""

from __future__ import annotations

import contextlib
from pathlib import Path


def located(folder: Path, written: Path | str) -> Path:
    """A path as it is written: relative to the configuration's folder, and ``~`` is somebody's home."""
    with contextlib.suppress(RuntimeError):  # nobody of that name, or no home
        written = Path(written).expanduser()
    return folder / written
