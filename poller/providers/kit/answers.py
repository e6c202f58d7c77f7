"""What an answer's status and headers say: a usable body, an error by who stops for it, or a wait. All tolerant, all pure."""

from __future__ import annotations

import re

from ...errors import BadPage, RateLimited, StreamGone, Unauthorized, Unreachable
from ...model import SECOND
from ...times import http_date
from ..contract import Response
from .rows import mended

_RETRY = frozenset({408, 425})
"""Client errors that are the server's trouble of the moment (RFC 9110 section 15.5.9, RFC 8470)."""

_THROTTLES = frozenset({403, 420, 503})
"""Statuses that mean "ask later" where they say when (RFC 9110 section 10.2.3); without that they keep their own meaning."""

RETRY_AFTER_MAX_S = 3600.0
"""Seconds of the longest wait that a provider is believed: what is told beyond an hour is asked again after one."""


def accept(response: Response, *, gone: frozenset[int] = frozenset({403, 404}), other_gone: bool = False) -> bytes:
    """The body of a usable answer; otherwise the error that says who stops.

    ``other_gone``: any other 4xx means this stream, as with an unknown Fone Dynamics property.
    """
    status = response.status
    if status == 204:
        return b"null"
    if status in (200, 201, 203, 206):
        return _json_body(response)
    if status == 401:
        raise Unauthorized(code=status)
    wait_s = retry_after(response) if status == 429 or status >= 500 else _longest(response, "retry-after")
    if status == 429 or (status in _THROTTLES and wait_s is not None):
        raise RateLimited(wait_s, code=status)
    if status >= 500 or status in _RETRY or status < 200:
        raise Unreachable(f"the provider answered {status}", code=status, wait_s=wait_s)
    if status in gone or (other_gone and 400 <= status < 500):
        raise StreamGone(f"the provider answered {status}", code=status)
    raise BadPage(f"the provider answered {status}", code=status)


def _json_body(response: Response) -> bytes:
    """The body of a good answer: what it says of its type matters less than what it is."""
    if response.body.lstrip()[:1] == b"<":
        raise Unreachable("the provider answered a web page instead of data")
    return mended(response.body)


def retry_after(response: Response) -> float | None:
    """Seconds to wait, at most an hour: ``Retry-After`` in both forms (RFC 9110 section 10.2.3), else when the rate limit is reset."""
    found = _longest(response, "retry-after")
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
_LIMIT_RESET = re.compile(r"(?:;\s*t|reset)\s*=\s*(\d+(?:\.\d+)?)")


def _reset(response: Response) -> float | None:
    found = _LIMIT_RESET.search(response.headers.get("ratelimit", ""))
    if found is not None and len(found[1]) < _DIGITS_MAX:
        return min(float(found[1]), RETRY_AFTER_MAX_S)
    waits = (_longest(response, name) for name in ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"))
    return next((wait for wait in waits if wait is not None), None)


_PARTS = re.compile(r"\s*([A-Za-z]{3,9},[^,]*|[^,]+)")
"""The values of a header that was sent several times; the comma within a date divides nothing."""


def _longest(response: Response, name: str) -> float | None:
    """Seconds that a header asks for, at most an hour; of several values the largest; None where it says nothing."""
    waits = [_seconds(found[1].strip(), response) for found in _PARTS.finditer(response.headers.get(name, ""))]
    return max((min(wait, RETRY_AFTER_MAX_S) for wait in waits if wait is not None), default=None)


_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_DIGITS_MAX = 20
_UNITS = ((1e9, None), (1e11, 1.0), (1e14, 1e3), (1e17, 1e6))
"""Below which size a number is of which kind: seconds to wait, then an epoch in seconds, milliseconds, microseconds."""


def _seconds(said: str, response: Response) -> float | None:
    """One value: seconds, an epoch, or an HTTP date. Instants are held against ``Date``, without one against our clock."""
    if _NUMBER.fullmatch(said) and len(said) < _DIGITS_MAX:
        value = float(said)
        unit = next((unit for below, unit in _UNITS if value < below), 0.0)
        if unit is None:
            return value
        until = value / unit * SECOND if unit else None
    else:
        until = http_date(said)
    now = http_date(response.headers.get("date")) or response.received
    return None if until is None or now is None else max(0.0, (until - now) / SECOND)
