"""ladder_tuning."""

from __future__ import annotations

STRETCH_SAID = 4.0
"""A stretch above this is worth a warning."""
