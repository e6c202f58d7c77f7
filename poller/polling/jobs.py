"""jobs."""

from __future__ import annotations

from ..model import SECOND
from .backoff import OUTAGE_FAILURES, TRIES_MAX, WAIT_MAX_S, WAIT_S
from .context import Account
from .streams import StreamPoll


def period_s(account: Account, number: int, interval_s: float) -> float:
    """Seconds from one run to the next."""
    return account.provider.side_queries[number].period / SECOND or interval_s


def wait_s(account: Account, polled: StreamPoll, index: int, interval_s: float) -> float:
    """Seconds until a request that failed is tried again, or a new run where it failed too often."""
    number = polled.chore(index)
    if number is None:  # a backfill has no run to give up
        return backing_off(polled, index)
    tries = polled.chore_tries[index] = polled.chore_tries.get(index, 0) + 1
    if tries < TRIES_MAX:
        return WAIT_S * tries
    for kept in (polled.chore_tries, polled.chores, polled.counts):
        kept.pop(index, None)
    return backing_off(polled, index, max(period_s(account, number, interval_s), WAIT_S))


def backing_off(polled: StreamPoll, index: int, least_s: float = 1.0) -> float:
    """Seconds until what failed is tried again: twice as long after each failure in a row."""
    failures = polled.failures[index] = polled.failures.get(index, 0) + 1
    return max(least_s, min(WAIT_MAX_S, least_s * 2.0 ** min(failures, 20)))


def recovered(polled: StreamPoll) -> list[int]:
    """The live rung is well: what failed beside it in an outage is tried again now, not after a wait that grew with the outage."""
    outage, polled.live_failures = polled.live_failures >= OUTAGE_FAILURES, 0
    again = [index for index in polled.failures if index <= len(polled.rungs)] if outage else []  # with a backfill
    for index in again:
        del polled.failures[index]
    return again
