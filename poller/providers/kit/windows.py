"""What a vendor can be asked for at once: its retention, and its longest window. Pure arithmetic of instants.

A window that is longer than one request may ask for is read in pieces, newest first, that touch each other.
"""

from __future__ import annotations

from ...model import Instant
from ..contract import ByTime, Listing, Window


def reachable(window: Window, listing: Listing) -> Instant:
    """Where a window begins that does not reach behind the vendor's retention; asking for more is an error at some vendors."""
    retention = listing.retention if isinstance(listing, ByTime) else None
    return window.since if retention is None else max(window.since, window.now - retention)


def newest_piece(since: Instant, until: Instant | None, now: Instant, listing: Listing) -> Instant:
    """Where the newest piece of ``[since, until)`` begins; an open end counts from the newest that can be listed."""
    if not isinstance(listing, ByTime) or listing.longest_window is None:
        return since
    end = now + listing.ahead if until is None else until
    return max(since, end - listing.longest_window)
