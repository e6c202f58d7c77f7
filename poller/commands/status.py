"""What the status page says, in the terminal: of one worker, or of several by their URLs."""

from __future__ import annotations

import http.client
import sys
import urllib.request
from typing import Annotated
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from cyclopts import Parameter

from ..config.load import Config, load
from ..errors import Misused, Unreachable
from ..model import SECOND
from ..telemetry.kinds import gap_words
from ..telemetry.snapshot import AccountSnapshot, WorkerSnapshot
from ..telemetry.status_json import decode
from ..telemetry.verdict import Finding, Verdict, duration, many, verdict
from ..times import format_rfc3339
from .arguments import ConfigPath, Flag
from .event_lines import printable
from .exit_codes import ExitCode
from .process import complete

ANSWER_S = 5.0
"""Seconds a worker may take to answer: it answers within milliseconds while it lives."""

BODY_MAX = 32 << 20
"""Bytes of a status that are read: that of ten thousand accounts is smaller."""

WATCH_S = 2.0
"""Seconds between two looks of ``--watch``."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where a worker listens, not we
"""Addresses to listen at on every interface, and where such a worker is reached from its own host."""


Urls = Annotated[tuple[str, ...], Parameter(negative=(), metavar="URL", show_default=False)]


def command(*, config: ConfigPath | None = None, url: Urls = (), watch: Flag = False) -> int:
    """Say in the terminal what the status page says: one verdict, what is in trouble and why, then the accounts.

    With --config the worker of this machine is asked, at its admin.listen. Ends with 0 when every worker answered, whatever the verdict is;
    with 69 when one did not.

    Example: poller status --config poller.yaml

    Example: poller status --url http://poller-0:8080 --url http://poller-1:8080 --watch

    Parameters
    ----------
    url
        The administration port of a worker, as http://HOST:PORT; repeat the option for several workers.
    watch
        Go on until interrupted: look again every two seconds.

    """
    if not url and config is None:
        raise Misused("no worker is named", fix="give --config FILE, set POLLER_CONFIG, or give --url http://HOST:PORT")
    urls = [_checked(each) for each in url] or [_own(load(config or ""))]
    return complete(_watched(urls) if watch else _once(urls))


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Misused(f"{url!r} is no URL of a worker", fix="write http://HOST:PORT")
    return url.rstrip("/").removesuffix("/api/v1/status")


def _own(config: Config) -> str:
    """The URL of the worker that has this configuration."""
    admin = config.admin
    if not admin.port:
        raise Misused("admin.listen leaves the port to chance", fix="give --url http://HOST:PORT, as the worker's log says it")
    host = ANYWHERE.get(admin.host, admin.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{admin.port}"


async def _once(urls: list[str]) -> int:
    found, silent = await ask(urls)
    for line in silent:
        print(f"poller: {line}", file=sys.stderr)
    if found:
        print("\n".join(lines_of(found)))
    return ExitCode.UNAVAILABLE if silent else ExitCode.DONE


async def _watched(urls: list[str]) -> int:
    """Look again and again: a terminal is drawn anew, anything else gets the verdict whenever it changes."""
    said = ""
    while True:
        found, silent = await ask(urls)
        lines = [*silent, *(lines_of(found) if found else ())]
        if sys.stdout.isatty():
            print("\x1b[H\x1b[J" + "\n".join(lines), flush=True)
        elif (line := "; ".join([*silent, verdict(*found).sentence] if found else silent)) != said:
            said = line
            print(line, flush=True)
        await anyio.sleep(WATCH_S)


async def ask(urls: list[str]) -> tuple[list[WorkerSnapshot], list[str]]:
    """The picture of every worker that answers, and a sentence for every one that does not."""
    found: dict[str, WorkerSnapshot] = {}
    silent: list[str] = []

    async def one(url: str) -> None:
        try:
            found[url] = decode(await anyio.to_thread.run_sync(_get, f"{url}/api/v1/status", abandon_on_cancel=True))
        except (OSError, ValueError, http.client.HTTPException) as error:
            silent.append(f"{url} does not answer ({type(error).__name__})")
        except Unreachable as error:
            silent.append(f"{url}: {error}")

    async with anyio.create_task_group() as tasks:
        for url in dict.fromkeys(urls):
            tasks.start_soon(one, url)
    return [found[url] for url in urls if url in found], sorted(silent)


def _get(url: str) -> bytes:
    """The body; no proxy is asked, because workers are within reach. Raises OSError, HTTPException, ValueError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=ANSWER_S) as answer:
        body = answer.read(BODY_MAX + 1)
    if len(body) > BODY_MAX:
        raise ValueError("too long")
    return body


def lines_of(workers: list[WorkerSnapshot]) -> list[str]:
    """What people read: the verdict, what is wrong, the accounts by trouble and lag, the workers."""
    said = verdict(*workers)
    accounts = sorted((account for worker in workers for account in worker.accounts), key=lambda a: (not a.sick, -a.lag_s(), a.key))
    return [
        printable(line)
        for line in (
            said.sentence,
            *(_finding_line(finding, workers) for finding in said.findings),
            *_gap_lines(said),
            *_backfill_lines(accounts),
            *_account_lines(accounts),
            *(_worker_line(worker) for worker in workers),
        )
    ]


def _finding_line(finding: Finding, workers: list[WorkerSnapshot]) -> str:
    trouble = finding.trouble
    now = max(worker.now for worker in workers)
    facts = [
        finding.words,
        f"HTTP {trouble.code}" if trouble.code else "",
        trouble.text,
        f"for {duration(max(0, now - trouble.since) / SECOND)} now" if trouble.since is not None else "",
        f"next try in {duration(trouble.next_try_s)}" if trouble.next_try_s is not None and trouble.next_try_s > 0 else "",
        f"see: poller explain {finding.runbook}",
    ]
    return f"  {finding.what}: {'; '.join(filter(None, facts))}"


def _gap_lines(said: Verdict) -> list[str]:
    lines = [
        f"  possible gap: {g.stream} from {format_rfc3339(g.since)} to {format_rfc3339(g.until)} ({gap_words(g.reason)}; see: poller explain {g.reason})"
        for g in said.gaps
    ]
    more = said.gaps_total - len(said.gaps)
    return [*lines, f"  and {many(more, 'more possible gap')}"] if more > 0 else lines


def _backfill_lines(accounts: list[AccountSnapshot]) -> list[str]:
    return [
        f"  backfill: {each.stream} from {format_rfc3339(each.since)} to {format_rfc3339(each.until)}"
        for account in accounts
        for each in account.backfills
    ]


def _account_lines(accounts: list[AccountSnapshot]) -> list[str]:
    if not accounts:
        return []
    rows = [("ACCOUNT", "STATE", "LAG", "LIMIT", "PER MIN", "IN STATE", "STREAMS")]
    for each in accounts:
        lag = "first look-back" if each.first_look_back else duration(each.lag_s())
        streams = f"{sum(each.streams.values())}" + (f" ({sum(each.in_trouble.values())} in trouble)" if each.in_trouble else "")
        rows.append((each.key, each.state, lag, f"{each.limit_used:.0%}", f"{each.messages_per_minute:g}", f"{each.messages:,}", streams))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _worker_line(worker: WorkerSnapshot) -> str:
    owned = f"{many(len(worker.shards), 'shard')} of {worker.shards_total}"
    return f"worker {worker.worker or '?'}: poller {worker.version}, {owned}, up {duration((worker.now - worker.started) / SECOND)}"
