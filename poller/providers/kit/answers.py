"""What every adapter needs: times, numbers, statuses of answers. All tolerant, all pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from ...errors import BadPage, RateLimited, StreamGone, Unauthorized, Unreachable
from ..contract import Response
from .rows import mended

EPOCH_DIGITS = 10


_RETRY = frozenset({408, 425})


def accept(response: Response, *, gone: frozenset[int] = frozenset({403, 404}), other_gone: bool = False) -> bytes:
    """The body of a usable answer; otherwise the error that says who stops.

    ``other_gone``: any other 4xx means this stream, as with an unknown Fone Dynamics property.
    """
    status = response.status
    if status in (200, 201, 203, 206) or status == 204:
        return _json_body(response)
    if status == 401:
        raise Unauthorized(code=status)
    if status == 429:
        raise RateLimited(retry_after(response))
    if status >= 500 or status in _RETRY or status < 200:
        raise Unreachable(f"the provider answered {status}", code=status)
    if status in gone or (other_gone and 400 <= status < 500):
        raise StreamGone(f"the provider answered {status}", code=status)
    raise BadPage(f"the provider answered {status}", code=status)


def _json_body(response: Response) -> bytes:
    if "html" in response.headers.get("content-type", "").lower():
        raise Unreachable("the provider answered a web page instead of data")
    return mended(response.body)


def retry_after(response: Response) -> float | None:
    """Seconds to wait: ``Retry-After`` in both forms (RFC 9110 section 10.2.3), else when the rate limit is reset."""
    found = _seconds(response, "retry-after")
    return found if found is not None else _reset(response)


def exhausted(response: Response) -> float | None:
    """Seconds until the allowance is there again, where an answer says that nothing of it is left; None = go on.

    ``RateLimit-Remaining`` and ``RateLimit-Reset`` with or without ``X-``, or the one ``RateLimit`` field
    (draft-ietf-httpapi-ratelimit-headers): a guest who listens is never told 429, and what a 429 says
    itself (:func:`retry_after`) goes before.
    """
    if response.status == 429:
        return None
    left = [response.headers.get(name, "").strip() for name in ("ratelimit-remaining", "x-ratelimit-remaining")]
    if "0" in left or _LIMIT_LEFT.search(response.headers.get("ratelimit", "")):
        return _reset(response)
    return None


_LIMIT_LEFT = re.compile(r"(?:;\s*r|remaining)\s*=\s*0(?!\d)")
_LIMIT_RESET = re.compile(r"(?:;\s*t|reset)\s*=\s*(\d{1,8})(?!\d)")


def _reset(response: Response) -> float | None:
    found = _LIMIT_RESET.search(response.headers.get("ratelimit", ""))
    if found is not None:
        return float(found[1])
    waits = (_seconds(response, name) for name in ("ratelimit-reset", "x-ratelimit-reset"))
    return next((wait for wait in waits if wait is not None), None)


def _seconds(response: Response, name: str) -> float | None:
    """A header that holds seconds, an instant as epoch seconds, or an HTTP date; instants are held against ``Date``."""
    said = response.headers.get(name, "").strip()
    if said.isdigit() and said.isascii() and len(said) < 9:
        return float(said)
    try:
        until = float(said) if said.isdigit() and len(said) == EPOCH_DIGITS else parsedate_to_datetime(said).timestamp()
        now = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, until - now)
