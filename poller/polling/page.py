"""One page: choose what is asked, exchange it with the vendor, apply the answer.

What is new in the answer, and where its stream's cursor stands then, is decided first; then both are queued for
one transaction. What is told to people is told once that is durable.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import anyio.to_thread
from msgspec import Struct
from msgspec.structs import replace

from ..clock import SystemClock
from ..coverage import gaps
from ..coverage.backfill import running
from ..coverage.cursor import Cursor, Range
from ..errors import CursorIgnored, ProviderError, saying_status
from ..model import SECOND, Gap, Instant
from ..providers.contract import ByTime, Page, Request, Response
from ..publishing.commit import Committer
from ..publishing.diff import PageContext
from ..telemetry.account_facts import AccountFacts, PageFacts
from ..telemetry.event_types import TYPES
from ..times import seconds_since
from .client.vendor import VendorClient
from .jobs import Backfill, Job, Part, SideQuery, Sweep
from .ladder_tuning import LadderTuner
from .provider_code import provider_code
from .rows import AccountRows, Found
from .settings import AccountSettings
from .side_queries import SideQueries
from .streams import StreamPoll
from .sweep import Step, Sweeps, longer
from .unchanged import page_digest, remembered_page

READ_ASIDE_BYTES = 1 << 20
"""Bytes of an answer that is split into rows by a thread of its own: a larger one would hold the loop for too long."""


class Answer(Struct, frozen=True):
    """One answer as the provider reads it."""

    page: Page
    requested_at: int
    """The shard's logical clock when it was requested."""
    sent: Instant
    received: Instant


class Applied(Struct, frozen=True):
    """A page whose changes are queued."""

    page: Page
    found: Found
    late: list[Instant]
    """How late those of its new messages were that a complete sweep had looked for in vain, in microseconds."""
    durable: anyio.Event
    """Set when the page is committed."""
    live_since: float
    """Messages created since then were found by live polling; infinity = no message of it was."""

    @property
    def ended(self) -> bool:
        """Whether the run of its job came to its end."""
        return self.page.next is None


class Unasked(Struct, frozen=True):
    """Nothing was asked, or nothing of the answer was queued."""

    ended: bool
    """True: the window was empty, so the job is complete. False: the answer is no longer wanted, because its stream began anew."""


def page_of(read: Callable[[Request, Response], Page], request: Request, response: Response) -> Page:
    """An answer as the provider reads it. Raises as :meth:`Provider.read_page`.

    Where the provider's code fails with any other error, that is a BadPage too.
    """
    with saying_status(response.status), provider_code("the answer cannot be read"):
        return read(request, response)


class Pages:
    """The pages of one account."""

    def __init__(
        self,
        settings: AccountSettings,
        client: VendorClient,
        tuner: LadderTuner,
        committer: Committer,
        facts: AccountFacts,
        clock: SystemClock,
    ) -> None:
        self._client, self._tuner, self._committer, self._facts, self._clock = client, tuner, committer, facts, clock
        self.sweeps = Sweeps(settings, client, committer.shard_state)
        self.side_queries = SideQueries(settings, client, committer.shard_state)
        self.rows = AccountRows(settings, client.provider, committer, clock)

    async def page(self, poll: StreamPoll, job: Job) -> Applied | Unasked:
        """Ask for the next page of a job, and queue what it changes.

        Raises ProviderError (what was asked stays in hand).
        """
        return await (self._of_side_query(poll, job) if isinstance(job, SideQuery) else self._of_sweep(poll, job))

    async def _of_sweep(self, poll: StreamPoll, job: Job) -> Applied | Unasked:
        step = self.sweeps.choose(poll, job)
        progress = poll.of(job)
        run = progress.under_way(self._clock.monotonic())
        if step is None:
            return Unasked(ended=True)
        run.resumed = run.resumed or (step.sweep.pages > 0 and not run.pages)
        if isinstance(job, Sweep | Part):
            run.longer = longer(poll.rungs[job.rung], step.cursor.sweeps.get(job.rung, step.sweep))
        page = step.sweep.pages - progress.astray
        try:
            answer = await self.exchange(poll, job, step.request, self._client.provider.read_page)
        except ProviderError as error:
            self._answered_badly(poll, job, error, page)
            raise
        following = answer.page.next
        astray = None if following is None else self._client.unusable(following)
        if astray is None:
            progress.gets_on(page, ended=following is None)
        if self.sweeps.begins_anew(poll) or not self.sweeps.wants(poll, job, step):
            return Unasked(ended=False)
        if astray is not None:
            await self._keep(poll, job, step, answer)
            self._answered_badly(poll, job, astray, page)
            raise astray
        applied = await self._apply(poll, job, step.cursor, answer, step)
        if following is not None and progress.comes_back(page + 1, following):
            progress.failed(page + 1)
            self.sweeps.begin_anew(poll, job)
            await applied.durable.wait()
            self.tell(poll, applied)
            raise CursorIgnored("the same page is asked for again and again")
        return applied

    async def _keep(self, poll: StreamPoll, job: Job, step: Step, answer: Answer) -> None:
        """What a page lists counts, though its link leads astray: the page itself is asked for again, as the next one of the sweep."""
        poll.of(job).astray += 1
        again = replace(answer, page=replace(answer.page, next=step.request))
        applied = await self._apply(poll, job, step.cursor, again, step)
        await applied.durable.wait()
        self.tell(poll, applied)

    def _answered_badly(self, poll: StreamPoll, job: Job, error: ProviderError, page: int) -> None:
        """Count a bad answer to a page; after some of them the sweep begins anew."""
        if poll.of(job).answered_badly(error, page, self._clock.now(), poll.last_success):
            self.sweeps.begin_anew(poll, job)
            poll.note("sweep_begun_anew")

    async def _of_side_query(self, poll: StreamPoll, job: SideQuery) -> Applied:
        request, cursor = self.side_queries.begin(poll, job), self.sweeps.cursor(poll)
        assert request is not None, "a side query that has nothing to ask is not started"
        poll.of(job).under_way(self._clock.monotonic())
        answer = await self.exchange(poll, job, request, self.side_queries.declared[job].read)
        poll.of(job).answered()
        applied = await self._apply(poll, job, cursor, answer, None)
        self.side_queries.answered(poll, job, answer.page)
        return applied

    async def exchange(self, poll: StreamPoll, job: Job, request: Request, read: Callable[[Request, Response], Page]) -> Answer:
        """One answer; a page that is the one before, byte for byte, is not read again."""
        requested_at = self._committer.shard_state.tick()
        answered = await self._client.exchange(request)
        self._facts.clocks(self._client.provider_clock.offset / SECOND)
        progress, digest = poll.of(job), page_digest(request, answered.response)
        last, progress.page = progress.page, None
        if last is None or last.digest != digest or isinstance(job, Backfill) or not self.rows.known.has_all(last):
            aside = len(answered.response.body) > READ_ASIDE_BYTES
            page = (
                await anyio.to_thread.run_sync(page_of, read, request, answered.response)
                if aside
                else page_of(read, request, answered.response)
            )
            last = remembered_page(digest, page)
        else:
            page = last.page
        progress.page = last
        return Answer(page, requested_at, answered.sent, answered.received)

    async def _apply(self, poll: StreamPoll, job: Job, cursor: Cursor, answer: Answer, step: Step | None) -> Applied:
        """Compare, move the cursor, queue both; what is learned here ends with this life of the shard, as a commit that fails does."""
        page, filling = answer.page, isinstance(job, Backfill)
        context = self._context(poll, cursor, answer, () if step is None else step.admitted)
        changes, found = await self.rows.compare(poll, page, context, every=filling, now=self._client.now_earliest())
        events = found.events.total()
        if step is None:
            after = self.side_queries.advanced(self.sweeps.cursor(poll), page)
        elif not self.sweeps.wants(poll, job, step):  # its stream began anew between two portions
            after = self.sweeps.cursor(poll)
        else:
            after = self.sweeps.advanced(poll, job, step, page, sent=answer.sent, events=events)
        begun = poll.begun and step is not None
        durable = self._committer.queue(changes, after, always=begun or (filling and running(cursor) is not None))
        poll.begun = poll.begun and not begun
        late = [] if filling else self._tuner.observe(poll, cursor, found.created, now=self._client.now_earliest())
        self._count(poll, job, page, found, late)
        return Applied(page, found, late, durable, math.inf if filling else cursor.live_since)

    def _context(self, poll: StreamPoll, cursor: Cursor, answer: Answer, admitted: tuple[Range, ...]) -> PageContext:
        """Where and when a page was read."""
        listing = self._client.provider.listing
        return PageContext(
            stream=poll.stream,
            floor=cursor.floor,
            requested_at=answer.requested_at,
            observed=answer.received,
            keep_ids=poll.lookups is not None,
            admitted=admitted,
            by_position=isinstance(listing, ByTime) and listing.by_position,
        )

    def _count(self, poll: StreamPoll, job: Job, page: Page, found: Found, late: list[Instant]) -> None:
        """What the job's run and its stream have met."""
        progress = poll.of(job)
        run = progress.under_way(self._clock.monotonic())
        run.pages, run.rows, run.events = run.pages + 1, run.rows + page.count, run.events + found.events.total()
        progress.late, progress.changes = progress.late + len(late), progress.changes + found.changed
        if isinstance(job, SideQuery):
            progress.events = run.events

    def tell(self, poll: StreamPoll, applied: Applied) -> None:
        """One page's facts, once it is durable."""
        now, stream_id, found, since = self._clock.now(), poll.stream.id, applied.found, applied.live_since
        poll.last_success = now
        self._facts.page(
            PageFacts(
                fetched=applied.page.count,
                duplicate=found.duplicates,
                rejected=dict(found.rejected),
                out_of_scope=found.out_of_scope,
                events={TYPES[kind]: count for kind, count in found.events.items()},
                dead=dict(found.dead_letters),
                delays_s=[seconds_since(created, now) for created in found.created if created >= since],
                status_delays_s=[seconds_since(stamp, now) for created, stamp in found.statuses if created >= since],
            )
        )
        self._facts.dead_letters(stream_id, found.dead_letters)
        if applied.late:
            self._facts.late([age / SECOND for age in applied.late])
        self._tell_gaps(poll)
        for gap in applied.page.gaps:
            poll.note(gap.reason)
        behind = ("status_with_older_stamp",) if found.behind else ()
        for oddity in (*found.oddities, *applied.page.oddities, *behind):
            self._facts.oddity(stream_id, oddity)
            poll.note(oddity)

    def _tell_gaps(self, poll: StreamPoll) -> None:
        """The ranges that opened or closed since this was last asked."""
        cursor = self._committer.shard_state.cursor(poll.stream.id)
        if cursor is None or cursor.gaps == poll.told_gaps:
            return
        opened, closed = gaps.changes(poll.told_gaps, cursor.gaps)
        poll.told_gaps = cursor.gaps
        for gap in opened:
            self._facts.gap(poll.stream.id, Gap(gap.reason, gap.since, gap.until))
        for gap in closed:
            self._facts.gap_closed(poll.stream.id, gap.reason, gap.since, gap.until, proved=gap.until > cursor.floor)
