"""The pages for people: the status page, an account's page, the runbook. Pure: pictures in, HTML out.

The server renders them whole; no script, no font and no picture comes from anywhere. Every text is escaped by the template engine.
"""

from __future__ import annotations

import html
import math
import re
from functools import lru_cache
from typing import Any

from msgspec import Struct

from ..model import SECOND, Instant
from ..times import format_rfc3339
from . import runbook
from .kinds import gap_words, words
from .snapshot import AccountSnapshot, Elsewhere, RungSnapshot, StreamPage, StreamSnapshot, WorkerSnapshot
from .verdict import HEALTHY, STARTING, TROUBLE, account_findings, duration, many, verdict

ACCOUNTS_MAX = 200
"""Accounts that one page shows; those in trouble come first."""

FINDINGS_MAX = 20
"""Findings that one page shows in full."""

STREAMS_A_PAGE = 50
"""Streams that an account's page shows at once."""

LAG_BAR_S = 300.0
"""The lag that fills its bar."""

ICONS = {HEALTHY: "1d6b3a", STARTING: "c77700"}
"""Colours of the favicon by verdict; any other is red."""

BAD_ICON = "b3261e"
"""The colours of the small icon in the browser's tab."""

LADDER_LEFT, LADDER_WIDTH = 150.0, 560.0
"""Where the picture of the ladder begins, and how wide it is, in its own units."""

AXIS = ((1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h"), (86_400.0, "1 day"), (604_800.0, "7 days"), (31_536_000.0, "1 year"))
"""The marks of the ladder's axis, in seconds; it is logarithmic, because each rung reaches several times as far as the one above."""


class AccountRow(Struct, frozen=True):
    """An account in the table, with the lengths of its bars (0 to 1)."""

    account: AccountSnapshot
    lag: float
    lag_bad: bool
    limit: float
    messages: float
    streams: int
    sick: int


class LadderRow(Struct, frozen=True):
    """A rung as it is drawn and told."""

    name: str
    x: float
    width: float
    overdue: bool
    reach: str
    period: str
    last_complete: Instant | None
    next: str
    late_rows: int
    changes: int


def status_page(picture: WorkerSnapshot, *, refresh: int) -> str:
    """The page at ``/``: the verdict, what is wrong, gaps, backfills, accounts, and the workers last."""
    accounts = sorted(picture.accounts, key=lambda account: (not account.sick, -account.lag_s(), account.key))
    busiest = max((account.messages_per_minute for account in accounts), default=0.0)
    return _render(
        "status.html",
        picture,
        refresh,
        verdict=verdict(picture),
        shown=FINDINGS_MAX,
        rows=[account_row(account, busiest) for account in accounts[:ACCOUNTS_MAX]],
        more_accounts=max(0, len(accounts) - ACCOUNTS_MAX),
        backfills=[each for account in accounts for each in account.backfills],
        elsewhere=_by_owner(picture.elsewhere),
    )


def account_page(picture: WorkerSnapshot, account: AccountSnapshot, page: StreamPage, *, refresh: int) -> str:
    """The page of one account: its trouble, its figures, its streams with their ladders."""
    findings = account_findings(account)
    well = f"{account.key} is well: lag {duration(account.lag_s())}."
    if account.first_look_back:
        well = f"{account.key} is in its first look-back: new messages are published, older ones follow."
    what = findings[0].words if findings else ""
    sentence = f"{account.key}: {what}." if findings else well
    return _render(
        "account.html", picture, refresh, account=account, page=page, limit=STREAMS_A_PAGE, sentence=sentence, figures=figures(account)
    )


def elsewhere_page(picture: WorkerSnapshot, found: Elsewhere, *, refresh: int) -> str:
    """The page of an account that another worker owns."""
    key, owner = f"{found.provider}/{found.account}", found.owner or "another worker"
    return _render("elsewhere.html", picture, refresh, key=key, sentence=f"{key} is owned by {owner} (shard {found.shard}).")


def runbook_page(picture: WorkerSnapshot) -> str:
    """Every entry of the runbook, each under its name."""
    return _render("runbook.html", picture, 0, entries=runbook.entries())


def account_row(account: AccountSnapshot, busiest: float) -> AccountRow:
    """A row of the table; bars of lag are logarithmic, so that seconds and minutes both show."""
    lag = account.lag_s()
    return AccountRow(
        account=account,
        lag=min(1.0, math.log1p(lag) / math.log1p(LAG_BAR_S)),
        lag_bad=lag > LAG_BAR_S and not account.first_look_back,
        limit=min(1.0, account.limit_used),
        messages=account.messages_per_minute / busiest if busiest else 0.0,
        streams=sum(account.streams.values()),
        sick=sum(account.in_trouble.values()),
    )


def figures(account: AccountSnapshot) -> list[tuple[str, str]]:
    """What is known of an account, in words."""
    found = [
        ("state", account.state),
        ("lag", duration(account.lag_s())),
        ("streams", ", ".join(f"{count} {state}" for state, count in account.streams.items() if count) or "none yet"),
        ("messages in state", f"{account.messages:,}"),
        ("rate limit used in the last minute", f"{account.limit_used:.0%}"),
        ("messages published a minute", f"{account.messages_per_minute:.1f}"),
        ("overlap", f"{duration(account.overlap_s)} ({account.overlap_reason})"),
        ("look-back stretched", f"{account.stretch:.1f} times its plan" if account.stretch > 1 else "no"),
        ("provider's clock ahead of ours", f"{account.clock_ahead_s:.0f} s"),
        ("shard", str(account.shard)),
    ]
    if account.freshness_s is not None:
        found.append(("a quiet stream waits at most", duration(account.freshness_s)))
    return found


def ladder_rows(stream: StreamSnapshot) -> list[LadderRow]:
    """The rungs from the youngest messages to the oldest."""
    scale, rows, inner = _scale(stream), [], 1.0
    for rung in stream.rungs:
        ahead = rung.reach_s <= 0
        low, high = scale(inner), scale(max(rung.reach_s, 1.0))
        rows.append(
            LadderRow(
                name="ahead of now" if ahead else "live" if inner == 1.0 else f"up to {duration(rung.reach_s)}",
                x=LADDER_LEFT if ahead else low,
                width=3.0 if ahead else max(3.0, high - low),
                overdue=_overdue(rung),
                reach="not yet created" if ahead else duration(rung.reach_s),
                period=duration(rung.period_s),
                last_complete=rung.last_complete,
                next=_next(rung),
                late_rows=rung.late_rows,
                changes=rung.changes,
            )
        )
        inner = max(inner, rung.reach_s)
    return rows


def axis_marks(stream: StreamSnapshot) -> list[dict[str, Any]]:
    """The marks of the ladder's axis that lie on it."""
    scale, deepest = _scale(stream), max((rung.reach_s for rung in stream.rungs), default=1.0)
    return [{"x": scale(seconds), "text": text} for seconds, text in AXIS if seconds <= deepest]


def _scale(stream: StreamSnapshot) -> Any:
    longest = math.log(max(60.0, *(rung.reach_s for rung in stream.rungs)))
    return lambda seconds: round(LADDER_LEFT + LADDER_WIDTH * math.log(max(1.0, seconds)) / longest, 1)


def _overdue(rung: RungSnapshot) -> bool:
    """Late by more than its own period."""
    return rung.next_due_s is not None and rung.next_due_s < -rung.period_s


def _next(rung: RungSnapshot) -> str:
    if rung.sweep_in_hand:
        return "under way"
    if rung.next_due_s is None:
        return ""
    return f"in {duration(rung.next_due_s)}" if rung.next_due_s > 0 else "due"


def _by_owner(elsewhere: tuple[Elsewhere, ...]) -> list[tuple[str, list[str]]]:
    owners: dict[str, list[str]] = {}
    for each in elsewhere:
        owners.setdefault(each.owner, []).append(f"{each.provider}/{each.account}")
    return sorted(owners.items())


def _render(template: str, picture: WorkerSnapshot, refresh: int, **values: Any) -> str:
    found = verdict(picture)
    icon = ICONS.get(found.level, BAD_ICON)
    shown = {"worker": picture, "level": found.level, "icon": icon, "refresh": refresh, "TROUBLE": TROUBLE, **values}
    return _templates().get_template(template).render(shown)


def prose(text: str) -> str:
    """An entry of the runbook as HTML: its paragraphs, with what is bold and what is code."""
    escaped = html.escape(text, quote=False)
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped))
    return "".join(f"<p>{part}</p>" for part in marked.split("\n\n"))


@lru_cache(maxsize=1)
def _templates() -> Any:
    """The template engine, loaded with the first page: a worker that nobody looks at does without. It keeps what it compiled."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("poller.telemetry"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "ago": jinja2.pass_context(lambda page, instant: duration(max(0, page["worker"].now - instant) / SECOND)),
        "time": lambda instant: format_rfc3339(instant // SECOND * SECOND).replace("T", " "),
        "length_of": duration,
        "words": words,
        "prose": prose,
        "gap_words": gap_words,
        "spaced": lambda text: text.replace("_", " "),
        "many": many,
        "account_link": lambda stream: "/accounts/" + "/".join(stream.split("/")[:2]),
        "ladder": ladder_rows,
        "axis": axis_marks,
    }
    return environment
