"""Write what the docs say of the code: ``python -m poller.telemetry`` makes docs/metrics.md and docs/logs.md anew."""

from __future__ import annotations

from pathlib import Path

from . import log_events, metrics

DOCS = Path(__file__).parent.parent.parent / "docs"
"""The folder of the generated references."""

if __name__ == "__main__":
    (DOCS / "metrics.md").write_text(metrics.table())
    (DOCS / "logs.md").write_text(log_events.table())
