"""Write what the docs say of the configuration: ``python -m poller.config`` makes docs/configuration.md anew."""

from __future__ import annotations

from pathlib import Path

from .schema import page

if __name__ == "__main__":
    Path("docs/configuration.md").write_text(page(), encoding="utf-8")
