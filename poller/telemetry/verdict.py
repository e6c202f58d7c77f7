"""The verdict: one sentence that says how it is, and what is wrong, from pictures of workers. Pure.

The status page, ``poller status`` and the tests of both say the same because they ask here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..model import SECOND, Instant
from .kinds import sentence, words
from .snapshot import POLLING, AccountSnapshot, OpenGap, Trouble, WorkerSnapshot

HEALTHY, STARTING, TROUBLE, DOWN = LEVELS = "healthy", "starting", "trouble", "down"
"""From good to bad: all is well; not all is up yet; something is in trouble; nothing is polled or published."""

NAMED_MAX = 3
"""Accounts that the sentence names before it counts the others: a sentence of more is not read."""

PASSING = frozenset({"starting", "stopping", "restoring"})
"""What a worker goes through without being in trouble."""

LAG_HIGH_S = 300.0
"""A lag above this is trouble although nothing failed: the rate limit is too small, or a stream hangs."""


STANDS_MIN = 3
"""Failures in a row of a sweep that are trouble although the newest messages are read."""

_RUNG = re.compile(r"live|ahead|\d\S*[hd]")
"""What rungs are called; side queries and backfills, which may stand as well, have other names."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong. ``runbook`` names its entry in docs/operations.md."""

    what: str
    """The account, the stream, or the worker."""
    account: str = ""
    trouble: Trouble
    words: str
    runbook: str
    count: int = 1
    """How many streams share it."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What an operator reads first."""

    level: str
    sentence: str
    findings: tuple[Finding, ...] = ()
    gaps: tuple[OpenGap, ...] = ()
    gaps_total: int = 0


def verdict(*workers: WorkerSnapshot) -> Verdict:
    """The verdict over what one or several workers say."""
    accounts = [account for worker in workers for account in worker.accounts]
    own = [finding for worker in workers for finding in worker_findings(worker)]
    theirs = [finding for worker in workers for finding in _accounts_findings(worker)]
    gaps = sum(sum(account.gaps.values()) for account in accounts)
    level = _level(own, theirs, gaps)
    now = max((worker.now for worker in workers), default=0)
    if level == DOWN:
        text = _down(own, now)
    elif level == STARTING:
        text = f"{own[0].words.capitalize()}: {own[0].trouble.text}."
    elif theirs:
        text = _in_trouble(accounts, theirs, gaps, now)
    else:
        text = _well(workers, accounts, gaps, now)
    shown = tuple(gap for account in accounts for gap in account.open_gaps)
    return Verdict(level=level, sentence=text, findings=(*own, *theirs), gaps=shown, gaps_total=gaps)


def _level(own: list[Finding], theirs: list[Finding], gaps: int) -> str:
    if any(finding.trouble.kind not in PASSING for finding in own):
        return DOWN
    if own:
        return STARTING
    return TROUBLE if theirs or gaps else HEALTHY


def worker_findings(worker: WorkerSnapshot) -> list[Finding]:
    """What is wrong with the worker itself: Kafka, the group, its shards."""
    name = worker.worker or "worker"
    found = [_finding(name, problem) for problem in worker.problems]
    if found:
        return found
    for shard in worker.shards:
        if shard.state == "running" or (shard.state == "draining" and worker.draining):
            continue
        kind = shard.reason or "restoring"
        text = f"shard {shard.shard} is {shard.state}" + (f": {shard.text}" if shard.text else "")
        if shard.state == "restoring":
            text += f": {shard.restored} of {shard.restore_end} records"
        found.append(_finding(f"shard {shard.shard}", Trouble(kind=kind, text=text, since=shard.since)))
    if not worker.joined:
        found.append(_finding(name, Trouble(kind="starting", text="the group has not said what this worker owns", since=worker.started)))
    if worker.draining:
        found.append(_finding(name, Trouble(kind="stopping", text="a clean stop is under way")))
    return found


def _accounts_findings(worker: WorkerSnapshot) -> list[Finding]:
    """What is wrong with its accounts; a lag that the worker's own trouble explains is nothing of theirs."""
    found = [finding for account in worker.accounts for finding in account_findings(account)]
    return [finding for finding in found if finding.trouble.kind != "lag"] if worker_findings(worker) else found


def account_findings(account: AccountSnapshot) -> list[Finding]:
    """What is wrong with one account: its own trouble, its streams' by kind, and a lag that nothing explains."""
    found = [] if account.trouble is None else [_finding(account.key, account.trouble, account.key)]
    shown = {stream.trouble.kind: stream for stream in reversed(account.worst) if stream.trouble is not None}
    for kind, count in account.in_trouble.items():
        stream = shown.get(kind)
        trouble = stream.trouble if stream is not None and stream.trouble is not None else Trouble(kind=kind)
        what = stream.id if stream is not None and count == 1 else f"{account.key}: {count} streams"
        found.append(_finding(what, trouble, account.key, count=count))
    if not found and account.state == POLLING:
        found.extend(_behind(account))
    return found


def _behind(account: AccountSnapshot) -> list[Finding]:
    """What is wrong although no stream waits: a sweep that stands at a page while the newest messages are read, or a lag without a cause."""
    stood = ((stream, name, trouble) for stream in account.standing for name, trouble in stream.standing.items())
    for stream, name, trouble in stood:
        if _RUNG.fullmatch(name) and trouble.failures >= STANDS_MIN:
            code = f", HTTP {trouble.code}" if trouble.code else ""
            text = f"new messages are asked for, but the {name} sweep of {stream.id} waits at a page ({words(trouble.kind)}{code})"
            return [_alone(stream.id, account, trouble, text, trouble.kind)]
    if account.first_look_back or account.lag_s() <= LAG_HIGH_S:
        return []
    text = f"every request succeeds, but the oldest watermark is {duration(account.lag_s())} old"
    return [_alone(account.key, account, Trouble(kind="lag"), text, "PollerLagHigh")]


def _alone(what: str, account: AccountSnapshot, trouble: Trouble, text: str, runbook: str) -> Finding:
    told = replace(trouble, kind="lag", text=text)
    return Finding(what=what, account=account.key, trouble=told, words=words(trouble.kind), runbook=runbook)


def _finding(what: str, trouble: Trouble, account: str = "", *, count: int = 1) -> Finding:
    return Finding(what=what, account=account, trouble=trouble, words=words(trouble.kind), runbook=trouble.kind, count=count)


def _down(own: list[Finding], now: Instant) -> str:
    worst = next(finding for finding in own if finding.trouble.kind not in PASSING)
    return f"Nothing is published: {worst.words}{_so_long(worst.trouble, now)}."


def _in_trouble(accounts: list[AccountSnapshot], theirs: list[Finding], gaps: int, now: Instant) -> str:
    sick = list(dict.fromkeys(finding.account for finding in theirs))
    said = [_named(key, theirs, now) for key in sick[:NAMED_MAX]]
    if len(sick) > NAMED_MAX:
        said.append(f"and {len(sick) - NAMED_MAX} more")
    if gaps:
        said.append(f"{many(gaps, 'possible gap')} open")
    return f"{len(sick)} of {many(len(accounts), 'account')} in trouble: {'; '.join(said)}."


def _well(workers: Sequence[WorkerSnapshot], accounts: list[AccountSnapshot], gaps: int, now: Instant) -> str:
    here = {account.key for account in accounts}
    elsewhere = {f"{each.provider}/{each.account}" for worker in workers for each in worker.elsewhere} - here
    said = [f"{many(gaps, 'possible gap')} open"] if gaps else []
    said.append(many(len(accounts), "account") if accounts else "no account is owned here")
    if elsewhere:
        said.append(f"{len(elsewhere)} more at other workers")
    newest = max((account.last_success for account in accounts if account.last_success is not None), default=None)
    if newest is not None:
        said.append(f"newest poll {duration(max(0, now - newest) / SECOND)} ago")
    settled = [account.lag_s() for account in accounts if not account.first_look_back]
    if settled:
        said.append(f"largest lag {duration(max(settled))}")
    if len(settled) < len(accounts):
        said.append(f"{len(accounts) - len(settled)} in the first look-back")
    return f"{'Polling, but' if gaps else 'Healthy:'} {', '.join(said)}."


def _named(key: str, findings: list[Finding], now: Instant) -> str:
    first = next(finding for finding in findings if finding.account == key)
    code = f" ({first.trouble.code})" if first.trouble.code else ""
    if first.trouble.kind == "lag":
        return f"{key}: {first.trouble.text}{_so_long(first.trouble, now)}"
    some = f"{many(first.count, 'stream')} of {key}" if first.what != key else key
    return f"{some} {_agree(sentence(first.trouble.kind), first)}{code}{_so_long(first.trouble, now)}"


def _agree(of: str, finding: Finding) -> str:
    """The verb for several streams."""
    if finding.what == finding.account or finding.count == 1:
        return of
    verb, _, rest = of.partition(" ")
    plural = {"is": "are", "has": "have", "gives": "give", "gets": "get", "waits": "wait", "meets": "meet"}.get(verb, verb)
    return f"{plural} {rest}"


def _so_long(trouble: Trouble, now: Instant) -> str:
    return "" if trouble.since is None else f", for {duration(max(0, now - trouble.since) / SECOND)} now"


def many(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """A length of time for people: ``3 s``, ``12 min``, ``5 h``, ``2 days``."""
    for least, unit, name in ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min")):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{math.ceil(seconds)} s"
