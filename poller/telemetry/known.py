"""Every value of a metric's label that is known beforehand: each has its series, at 0, from the moment an account is owned.

So ``increase()`` sees the first event. A provider of another package may use words of its own; their series begin with
their first event.
"""

from __future__ import annotations

from ..errors import PollerError, ProviderError

OUTCOMES = ("ok", "empty", "throttled", "auth", "error")
"""How a sweep ends: with rows, without, or not."""

TRANSACTIONS = ("committed", "aborted", "fenced", "unknown")
"""How a transaction ends; unknown = without an answer, only the log says."""

REJECTED = ("not_an_object", "not_json", "missing", "wrong_type", "bad_time", "too_large", "too_deep", "unreadable", "unencodable")
"""Why a row cannot be normalized."""

GAPS = ("tie_group", "full_second", "list_may_be_capped", "counted_not_listed", "tilings_disagree")
"""Why a range cannot be proved complete."""

CODES = ("200", "401", "403", "404", "429", "500", "502", "503", "504", "timeout", "transport", "error")
"""The usual statuses of an answer, and why there is none."""


def kinds_of(root: type[PollerError]) -> tuple[str, ...]:
    """The kinds of an error and of all below it, sorted."""
    found, left = set(), [root]
    while left:
        each = left.pop()
        found.add(each.kind)
        left += each.__subclasses__()
    return tuple(sorted(found))


ERRORS = tuple(kind for kind in kinds_of(ProviderError) if kind != ProviderError.kind)
"""What a request can fail with."""
