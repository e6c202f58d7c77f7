"""A stream as it is polled here: what is remembered of it in memory only, and may be lost at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ..coverage import ladder
from ..coverage.cursor import Cursor
from ..coverage.cursor import Sweep as SweepInHand
from ..coverage.gaps import Gaps
from ..coverage.ladder import Rung
from ..errors import AccountTrouble, BadPage, CursorIgnored, EndlessPagination, ProviderError, StreamGone
from ..model import SECOND, Instant, Stream
from ..providers.contract import Request
from ..telemetry.snapshot import RungSnapshot, StreamSnapshot, Trouble, UnreadRange
from .backoff import REQUEST, TRIES_MAX, Backoff, after_run
from .jobs import RESTS_MAX, Edge, Job, Part, Rest, SideQuery, Sweep, name
from .lookups import Lookups
from .unchanged import RememberedPage

FRUITLESS_MAX = 20
"""Look-ups in a row that found nothing, after which a side query is switched off; a run that was refused counts as several."""

REFUSED_RUN = 4
"""As how many fruitless runs of a side query a refused one counts."""

BAD_ANSWERS_MAX = 3
"""Bad answers in a row to one request of a sweep after which the sweep is begun anew."""

NO_ANSWERS_MAX = 6
"""The same where no answer came, or a server's own error, while other requests of the stream were answered."""


@dataclass
class Run:
    """One run of a job, from its first request to its end, as far as this worker has asked it."""

    began: float
    """Monotonic seconds."""
    took_s: float = 0.0
    """Seconds that its requests took. Each counts as long as it took, and at least its place in the rate limit."""
    pages: int = 0
    rows: int = 0
    events: int = 0
    resumed: bool = False
    """True: its sweep was begun earlier, so the run does not begin with the newest messages."""
    longer: float = 1.0
    """How much longer its window is than the rung's usual one, at least 1."""

    def join(self, other: Run) -> None:
        """Count another run as a part of this one."""
        self.took_s, self.longer = self.took_s + other.took_s, max(self.longer, other.longer)
        self.pages, self.rows, self.events = self.pages + other.pages, self.rows + other.rows, self.events + other.events


@dataclass
class Progress:
    """How far one job of a stream is. In memory only: what must outlive the worker is in the cursor."""

    run: Run | None = None
    request: Request | None = None
    """The next request, where the cursor does not hold it: a side query's, or one with a token that may not be stored."""
    sweep: SweepInHand | None = None
    """The sweep in hand of a job that no watermark rests on."""
    tries: int = 0
    """Failures in a row of the request in hand."""
    failures: int = 0
    """Failures in a row: of runs of a side query; of another job, at the page at which it failed last."""
    bad_pages: dict[int, int] = field(default_factory=dict)
    """How often the job failed at a page of its sweep, by the page from 0, since it last came past it."""
    failed_when: Instant = 0
    """Our time of its last failure."""
    stands: Backoff | None = None
    """Why the job waits, where it does so by itself."""
    astray: int = 0
    """Pages of the sweep in hand that were answered with a link that leads astray, and were asked for again."""
    made: int | None = None
    """The digest of a request that the sweep in hand has made; a sweep that makes it again goes round in a circle."""
    page: RememberedPage | None = None
    """The last page, to be known when it is answered again."""
    events: int = 0
    """How many events its last run gave."""
    fruitless: int = 0
    """Runs in a row of a side query that failed or listed nothing, since it last listed something."""
    changes: int = 0
    late: int = 0
    """Messages that a complete sweep had looked for in vain."""

    def under_way(self, now: float) -> Run:
        """The run in hand, or a new one."""
        if self.run is None:
            self.run = Run(now)
        return self.run

    def comes_back(self, pages: int, following: Request) -> bool:
        """Whether a sweep comes back to a request that it has made: it would never end, whatever the vendor.

        Brent's way: the request after each power of two of pages is remembered, and any cycle comes back to one of them.
        """
        made, remembered = hash(msgspec.json.encode(following)), self.made
        if pages & (pages - 1) == 0:
            self.made = made
        return pages > 1 and made == remembered

    @property
    def switched_off(self) -> bool:
        """Whether a side query was refused or fruitless so often that it is tried only once a day."""
        return self.fruitless >= FRUITLESS_MAX

    def answered(self) -> None:
        """The request in hand was answered well."""
        self.tries = 0

    def gets_on(self, page: int, *, ended: bool) -> None:
        """A page of a sweep was answered well: what failed up to it is over, and all of it where the sweep is at its end.

        A sweep that is begun anew comes to the same bad page again, so the pages before that one say nothing of it.
        """
        self.tries = 0
        if ended:
            self.astray = 0
        if self.bad_pages:
            self.bad_pages = {} if ended else {bad: count for bad, count in self.bad_pages.items() if bad > page}
        if not self.bad_pages:
            self.failures = 0

    def failed(self, page: int) -> None:
        """Count a failure at a page: what fails here and there by chance is not what stands at one page."""
        self.failures = self.bad_pages[page] = self.bad_pages.get(page, 0) + 1

    def answered_badly(self, error: ProviderError, page: int, now: Instant, last_success: Instant | None) -> bool:
        """Count a bad answer to a page of a sweep. True = the sweep must begin anew; False = the same page is asked again.

        The page is asked again first, because a long sweep that began anew after each bad answer would never end. Nor
        does an outage end one: what is not answered counts where the stream was answered since it was asked last.
        """
        if isinstance(error, AccountTrouble):
            return False
        said_no, well = isinstance(error, BadPage | StreamGone), last_success is not None and last_success > self.failed_when
        self.failed(page)
        self.failed_when = now
        self.tries += said_no or well
        if self.tries < (BAD_ANSWERS_MAX if said_no else NO_ANSWERS_MAX):
            return False
        self.tries, self.request = 0, None
        return True

    def speaks_for_its_stream(self, error: ProviderError) -> bool:
        """Whether an error tells of the stream, and not of a walk that was begun: the first page of another one may well be answered."""
        begun = self.run is not None and (self.run.pages > 0 or self.run.resumed)
        return not begun and not isinstance(error, CursorIgnored | EndlessPagination)

    def failed_alone(self, period_s: float, *, well: bool) -> float:
        """Seconds until the request of a side query is tried again, or a new run where it failed too often.

        ``well``: the live rung is not in trouble, so what fails is the side query itself.
        """
        self.tries += 1
        if self.tries < TRIES_MAX:
            return REQUEST.wait_s(self.tries)
        self.tries, self.request, self.run = 0, None, None
        self.failures, self.fruitless = self.failures + 1, self.fruitless + (REFUSED_RUN if well else 0)
        return after_run(period_s).wait_s(self.failures)


@dataclass
class StreamPoll:
    """One stream as it is polled here."""

    stream: Stream
    rungs: tuple[Rung, ...]
    progress: dict[Job, Progress] = field(default_factory=dict)
    taught: dict[tuple[int, int], tuple[Instant, int]] = field(default_factory=dict)
    """Late rows by rung and bucket that were taken into account since the rung's mark."""
    notes: dict[str, int] = field(default_factory=dict)
    told_gaps: Gaps = ()
    """The open gaps that were told of."""
    last_success: Instant | None = None
    begun: bool = False
    """True until the stream's first cursor is committed: its first page is committed even if empty, or a crash would choose a new start."""
    guessed: tuple[Instant, Instant] | None = None
    """By how much the clocks differed when it began, for its floor and for its windows; None = the provider's clock was known."""
    failures: int = 0
    """Failures in a row of what speaks for the stream: the live rung, and the edge."""
    edge: Instant = 0
    """The provider's time of the newest sweep that began with the newest messages; 0 = unknown."""
    edge_reach: Instant = ladder.SLACK
    """How far before that an edge sweep reads on; it adapts to what can be read within an interval."""
    lookups: Lookups | None = None
    """Where the provider can be asked for single messages."""
    live: Sweep = field(init=False)
    """The job of the live rung."""

    def __post_init__(self) -> None:
        """Of the rungs that it begins with."""
        self.live = Sweep(ladder.live(self.rungs))

    def of(self, job: Job) -> Progress:
        """How far a job is."""
        found = self.progress.get(job)
        if found is None:
            found = self.progress[job] = Progress()
        return found

    def take_ladder(self, rungs: tuple[Rung, ...]) -> None:
        """Other rungs from now on: what was known of the old ones says nothing of them."""
        self.rungs, self.progress, self.live = rungs, {}, Sweep(ladder.live(rungs))

    def part_ended(self, part: Part, now: float) -> None:
        """A part came to its end: its run is a part of its sweep's."""
        progress = self.of(part)
        self.of(Sweep(part.rung)).under_way(now).join(progress.under_way(now))
        progress.run = None

    def long(self, now: float, interval_s: float) -> bool:
        """Whether the live sweep in hand has lasted an interval."""
        run = self.of(self.live).run
        return run is not None and run.pages > 0 and (run.resumed or now - run.began >= interval_s)

    def is_live(self, job: Job) -> bool:
        """Whether it is the live rung's job."""
        return job == self.live

    @property
    def stands(self) -> bool:
        """Whether a job waits by itself."""
        return any(progress.stands is not None for progress in self.progress.values())

    def note(self, what: str) -> None:
        """Count something for the status page."""
        self.notes[what] = self.notes.get(what, 0) + 1

    def snapshot(self, cursor: Cursor | None, trouble: Trouble | None, due: Mapping[Job, float], now: float) -> StreamSnapshot:
        """This stream, for outsiders; ``due`` and ``now`` are monotonic seconds."""
        return StreamSnapshot(
            id=self.stream.id,
            state="waiting" if trouble else "polling" if cursor else "new",
            trouble=trouble,
            watermark=cursor and cursor.watermark,
            floor=cursor and cursor.floor,
            last_success=self.last_success,
            first_look_back=cursor is None or cursor.first_look_back,
            rungs=tuple(self._rung(index, rung, cursor, due, now) for index, rung in enumerate(self.rungs)),
            edge=self.edge or None,
            debts=self._debts(cursor),
            overdue={name(job, self.rungs): now - at for job, at in due.items() if at < now},
            standing={
                name(job, self.rungs): progress.stands.trouble(now)
                for job, progress in self.progress.items()
                if progress.stands is not None
            },
            switched_off={
                job.name: max(0.0, due.get(job, now) - now)
                for job, progress in self.progress.items()
                if isinstance(job, SideQuery) and progress.switched_off
            },
            waiting=None if self.lookups is None else len(self.lookups),
            unconfirmed=self.lookups.unconfirmed if self.lookups else 0,
            notes=dict(self.notes),
        )

    def _rung(self, index: int, rung: Rung, cursor: Cursor | None, due: Mapping[Job, float], now: float) -> RungSnapshot:
        job = Sweep(index)
        return RungSnapshot(
            reach_s=rung.reach / SECOND,
            period_s=rung.period / SECOND,
            last_complete=cursor.marks[index].complete if cursor and cursor.marks[index].swept else None,
            next_due_s=due[job] - now if due.get(job, math.inf) < math.inf else None,
            sweep_in_hand=bool(cursor and index in cursor.sweeps),
            late_rows=self.of(job).late,
            changes=self.of(job).changes,
        )

    def _debts(self, cursor: Cursor | None) -> tuple[UnreadRange, ...]:
        handed = [(sweep.since, sweep.until or sweep.now) for sweep in self.rests()]
        owed = sorted([*(cursor.debts.values() if cursor else ()), *handed])
        return tuple(UnreadRange(since=since, until=until) for since, until in owed)

    def edge_was_quick(self) -> None:
        """An edge sweep took less than half an interval: the next one may read further back."""
        self.edge_reach = min(ladder.SLACK, 2 * self.edge_reach)

    def rests(self) -> list[SweepInHand]:
        """The unread parts of edge sweeps, as they are in hand."""
        return [sweep for rest in map(Rest, range(RESTS_MAX)) if (sweep := self.of(rest).sweep)]

    def free_rest(self) -> Rest:
        """A place for the unread part of an edge sweep: where nothing is in hand, or what began first."""
        return min(map(Rest, range(RESTS_MAX)), key=self._rest_began)

    def _rest_began(self, rest: Rest) -> Instant:
        held = self.of(rest).sweep
        return held.started if held is not None else 0


def in_memory(job: Job) -> bool:
    """Whether the job's sweep is kept in memory only, because no watermark rests on it."""
    return isinstance(job, Edge | Rest)
