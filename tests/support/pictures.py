"""Pictures of workers, healthy and in each trouble, for the page, the verdict and the metrics."""

from __future__ import annotations

from typing import Any

from poller.clock import SystemClock
from poller.model import DAY, HOUR, MINUTE, SECOND
from poller.telemetry.snapshot import (
    AccountSnapshot,
    BackfillSnapshot,
    Elsewhere,
    OpenGap,
    RungSnapshot,
    ShardSnapshot,
    StreamPage,
    StreamSnapshot,
    Trouble,
    UnreadRange,
    WorkerSnapshot,
)

NOW = 1_790_000_000 * SECOND
PROVIDERS = ("heymarket", "stuut", "fonedynamics")
LADDER = ((600.0, 15.0), (2400.0, 86.0), (9600.0, 343.0), (38_400.0, 1371.0), (153_600.0, 5486.0), (604_800.0, 21_600.0))
TROUBLES = ("unreachable", "throttled", "unauthorized", "gone", "bad_page", "cursor_not_honoured", "endless_pagination")


def trouble(kind: str, **given: Any) -> Trouble:
    """A trouble of twelve minutes."""
    code = {"unauthorized": 401, "throttled": 429, "gone": 404, "unreachable": 503}.get(kind)
    text = given.pop("text", f"the provider answered {code}" if code else "the answer has a shape that cannot be read as a page")
    return Trouble(kind=kind, text=text, code=code, since=NOW - 12 * MINUTE, next_try_s=42.0, failures=7, **given)


def stream(id_: str, **given: Any) -> StreamSnapshot:
    """A stream with its ladder."""
    rungs = tuple(
        RungSnapshot(
            reach_s=reach, period_s=period, last_complete=NOW - round(period * SECOND), next_due_s=period / 2, late_rows=index, changes=9
        )
        for index, (reach, period) in enumerate(LADDER)
    )
    return StreamSnapshot(**{"id": id_, "state": "polling", "watermark": NOW - 5 * SECOND, "floor": NOW - DAY, "rungs": rungs, **given})


def account(number: int = 0, **given: Any) -> AccountSnapshot:
    """A healthy account."""
    facts = {
        "provider": PROVIDERS[number % 3],
        "account": f"account-{number}",
        "shard": number % 16,
        "state": "polling",
        "owned_since": NOW - HOUR,
        "now": NOW,
        "watermark": NOW - (5 + number) * SECOND,
        "last_success": NOW - 3 * SECOND,
        "overlap_s": 600.0,
        "limit_used": 0.1 + number / 100,
        "messages_per_minute": 12.0 + number,
        "messages": 12_345,
        "streams": {"polling": 2},
    }
    return AccountSnapshot(**{**facts, **given})


def worker(*accounts: AccountSnapshot, **given: Any) -> WorkerSnapshot:
    """A running worker that owns the accounts."""
    shards = sorted({each.shard for each in accounts})
    found = tuple(
        ShardSnapshot(shard=shard, state="running", since=NOW - HOUR, accounts=tuple(a for a in accounts if a.shard == shard))
        for shard in shards
    )
    facts = {
        "version": "1.2.3",
        "worker": "poller-0",
        "started": NOW - HOUR,
        "now": NOW,
        "joined": True,
        "shards_total": 16,
        "shards_owned": 16,
        "accounts_configured": len(accounts),
        "shards": found,
    }
    return WorkerSnapshot(**{**facts, **given})


def healthy(count: int = 3) -> WorkerSnapshot:
    """So many accounts, all well."""
    return worker(*(account(number) for number in range(count)))


def sick(kind: str, count: int = 3) -> WorkerSnapshot:
    """The last account is in trouble of one kind: its own, or one of its streams'."""
    number = count - 1
    if kind in ("throttled", "unauthorized"):
        bad = account(number, state=kind, trouble=trouble(kind), watermark=NOW - 13 * MINUTE)
    else:
        name = f"{PROVIDERS[number % 3]}/account-{number}/thr_1"
        bad = account(
            number,
            streams={"polling": 1, "waiting": 1},
            in_trouble={kind: 1},
            worst=(stream(name, state="waiting", trouble=trouble(kind)),),
            watermark=NOW - 13 * MINUTE,
        )
    return worker(*(account(each) for each in range(number)), bad)


def kafka_silent(count: int = 3) -> WorkerSnapshot:
    """Kafka does not answer; the accounts are still there."""
    accounts = tuple(account(number, state="waiting", watermark=NOW - 2 * MINUTE) for number in range(count))
    problem = Trouble(kind="kafka_silent", text="Kafka has not answered heartbeats for half a session: polling waits", since=NOW - MINUTE)
    return worker(*accounts, kafka_up=False, problems=(problem,))


def with_gap(count: int = 3) -> WorkerSnapshot:
    """One account has an open gap, and another one a backfill; a third belongs to another worker."""
    name = "heymarket/account-0/team"
    gap = OpenGap(stream=name, reason="tie_group", since=NOW - HOUR, until=NOW - HOUR + SECOND, found=NOW - MINUTE)
    fill = BackfillSnapshot(
        stream="stuut/account-1/thr_1", since=NOW - 30 * DAY, until=NOW - DAY, left=NOW - 20 * DAY, pages=120, events=3456
    )
    accounts = [account(number) for number in range(count)]
    accounts[0] = account(0, gaps={"tie_group": 1}, open_gaps=(gap,))
    accounts[1] = account(1, backfills=(fill,))
    return worker(
        *accounts, accounts_configured=count + 1, elsewhere=(Elsewhere(provider="stuut", account="far", shard=9, owner="poller-1"),)
    )


def several() -> WorkerSnapshot:
    """Of each a little: an account that is refused, a gap, a backfill, an account elsewhere."""
    usual = with_gap()
    refused = account(5, state="unauthorized", trouble=trouble("unauthorized"), watermark=NOW - 13 * MINUTE, last_success=NOW - 12 * MINUTE)
    return worker(*usual.accounts, refused, accounts_configured=5, elsewhere=usual.elsewhere)


def starting() -> WorkerSnapshot:
    """One shard restores, with an account in its first look-back."""
    shard = ShardSnapshot(
        shard=3, state="restoring", restored=5, restore_end=9, since=NOW, accounts=(account(0, state="waiting", watermark=None),)
    )
    return worker(shards=(shard,))


class Clock(SystemClock):
    """A clock that a test moves."""

    at = 0.0

    def monotonic(self) -> float:
        """As set."""
        return self.at

    def now(self) -> int:
        """As set."""
        return NOW + round(self.at * SECOND)


class Shown:
    """A picture, as the administration port asks for it."""

    def __init__(self, picture: WorkerSnapshot, streams: int = 2) -> None:
        self.picture, self.count = picture, streams

    def snapshot(self) -> WorkerSnapshot:
        """The picture."""
        return self.picture

    def streams(self, account_key: str, offset: int, limit: int) -> StreamPage | None:
        """Streams with hostile names, the first one in trouble."""
        for each in self.picture.accounts:
            if each.key == account_key:
                shown = [stream(f"{account_key}/{number}<script>") for number in range(offset, min(self.count, offset + limit))]
                if not offset:
                    shown[0] = stream(
                        f"{account_key}/<script>",
                        state="waiting",
                        trouble=trouble("gone"),
                        waiting=3,
                        unconfirmed=1,
                        notes={"odd": 2},
                        edge=NOW - SECOND,
                        debts=(UnreadRange(since=NOW - HOUR, until=NOW - MINUTE),),
                        overdue={"live": 2.5},
                        standing={"live": trouble("bad_page")},
                        switched_off={"audit": 3600.0},
                    )
                return StreamPage(total=self.count, offset=offset, streams=tuple(shown))
        return None


def standing() -> WorkerSnapshot:
    """A live sweep waits at a page, and new messages are read."""
    shown = stream("heymarket/account-0/team", standing={"live": trouble("gone")})
    return worker(account(0, standing=(shown,)))


PICTURES: dict[str, WorkerSnapshot] = {
    "healthy": healthy(),
    "healthy-48": healthy(48),
    **{f"{kind}-{count}": sick(kind, count) for kind in TROUBLES for count in (3, 48)},
    "kafka-silent": kafka_silent(),
    "gap": with_gap(),
    "several": several(),
    "starting": starting(),
    "nothing": worker(),
    "first-look-back": worker(account(0, first_look_back=1, watermark=NOW - DAY)),
    "lagging": worker(account(0, watermark=NOW - 2 * HOUR), account(1)),
}
"""Everything that the page can have to show, by name."""
