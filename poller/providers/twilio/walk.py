"""One sweep of Twilio's list, which is ordered by the time of sending and filtered by it, while windows are of creation.

No message is sent before it is created, so all that was created since a time is listed above that time,
but for what is not sent: the vendor does not say where such rows are, nor whether a filter hides them.

- A window without an end is read unfiltered from the top, until rows were sent before the window: no filter hides anything.
- A window with an end is read through filters. Where rows that are not sent come through them, they are
  known not to be hidden, and windows without an end are filtered at their lower end from then on: the rows
  that are not sent are read then even if they are listed last.
- What a filter may hide in a window with an end is re-read by a side query, unfiltered (see :mod:`.provider`).
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ...errors import BadPage, CursorIgnored
from ...model import DAY, SECOND, BadRow, Instant, Row, Stream
from ...times import format_rfc3339
from ..contract import Page, Request, Response, Window
from ..kit import paging
from ..kit.answers import accept
from ..kit.members import Lookup, beside
from ..kit.rows import listed
from .message import read_rows

PAGE_SIZE = 1000
"""The vendor's largest page."""

RETENTION: Instant = 400 * DAY
"""The vendor keeps messages this long, and answers 400 (code 20004) to an older filter."""

MARGIN: Instant = DAY
"""Filters keep this far from the retention's end, so that clocks need not agree."""

END_ROWS = 3
"""Rows at either end of a page that say how far it goes: of fewer, one odd date would make the walk jump, or end it."""

AHEAD: Instant = 2 * DAY
"""A row that was sent further ahead of the vendor's clock has an odd date, which says nothing of filters."""

EMPTY_MAX = 20
"""Empty pages in a row with a next link, after which the answer is called wrong."""


class Learned(Struct, frozen=True, omit_defaults=True):
    """What later sweeps of a stream rely on."""

    unsent_pass: bool = False
    """Filters let rows pass that are not sent."""
    to_the_second: bool = False
    """The upper filter does not mean the beginning of its day: a row of that day came back."""


class Walk(Struct, frozen=True, tag="walk"):
    """A sweep in hand. Instants are microseconds."""

    since: Instant
    until: Instant | None
    filtered: bool
    learned: Learned
    widened: bool = False
    """The upper filter was moved up by a day, because it may mean the beginning of its day."""
    began: Instant = 0
    """By the vendor's clock."""
    by_day: bool = True
    """Whether a walk goes on by a filter where it comes to an older day, so that a restart need not begin at the top."""
    newest: Instant | None = None
    """When the newest row was sent since it went on by a filter."""
    reached: Instant | None = None
    """When the oldest row so far was sent."""
    empty: int = 0
    """Empty pages in a row."""
    again: int = 0
    """How often it began anew."""


Continuation = Walk | Lookup


def path(stream: Stream) -> str:
    """The list of an account: of a subaccount by its Sid, else of the account whose credentials are used."""
    return f"/2010-04-01/Accounts/{stream.name if stream.name != OWN else '{account_sid}'}/Messages.json"


OWN = "account"
"""The stream of the account itself, whose Sid is in the credentials only."""


def first(stream: Stream, window: Window, learned: Learned, *, by_day: bool = True) -> Request:
    """The request that begins a sweep."""
    since = max(window.since, window.now - RETENTION + MARGIN)
    until = None if window.until is None else max(since + SECOND, window.until)
    return _asked(path(stream), Walk(since, until, until is not None or learned.unsent_pass, learned, began=window.now, by_day=by_day))


def _asked(where: str, walk: Walk) -> Request:
    """The first page of a walk."""
    query = [("PageSize", str(PAGE_SIZE))]
    if walk.filtered:
        query.append(("DateSent>", _second(walk.since)))
        if walk.until is not None:
            query.append(("DateSent<", _second(walk.until + DAY if walk.widened else walk.until)))
    return Request("GET", where, tuple(query), continuation=walk)


def _second(at: Instant) -> str:
    """A filter's value: both ends are inclusive, so the end of a window may be in it."""
    return format_rfc3339(at // SECOND * SECOND)


class _Listed(NamedTuple):
    """One answer's rows, when each was sent, and the link to the next page."""

    rows: list[Row | BadRow]
    sent: list[Instant | None]
    link: str | None


def read(request: Request, response: Response) -> Page:
    """One page of a sweep. A refused token begins the sweep anew at once: rows are read again, none is left out."""
    walk: Walk = request.continuation
    if request.link is not None and response.status in paging.EXPIRED and walk.again < paging.BEGUN_MAX:
        return Page([], _asked(request.path, replace(walk, again=walk.again + 1, empty=0)), oddities=("page_token_refused",))
    return _followed(request.path, walk, _listed(response))


def _listed(response: Response) -> _Listed:
    raws, around = listed(accept(response), ("messages",))
    rows, sent = zip(*read_rows(raws), strict=True) if raws else ((), ())
    return _Listed(list(rows), list(sent), beside(around, "next_page_uri", str))


def _followed(where: str, walk: Walk, page: _Listed) -> Page:
    """The rows, and what is asked next: the next page; the same once more with a wider filter; or nothing."""
    times, before = [at for at in page.sent if at is not None], walk.learned
    empty = 0 if page.rows else walk.empty + 1
    if empty > EMPTY_MAX:
        raise BadPage("the list has only empty pages")
    passed = walk.filtered and any(isinstance(row, Row) and at is None for row, at in zip(page.rows, page.sent, strict=True))
    learned = Learned(before.unsent_pass or passed, before.to_the_second or _honours(walk, times))
    highest, lowest = _ends(times)
    newest = highest if walk.newest is None else walk.newest
    walk = replace(walk, newest=newest, reached=walk.reached if lowest is None else lowest, empty=empty, learned=learned)
    following = None
    if walk.until is not None and _ignored(walk.until, [at for at in times if at <= walk.began + AHEAD]):
        raise CursorIgnored("the filter by the time of sending is not honoured")
    below = lowest is not None and lowest < walk.since - (DAY if walk.filtered else 0)
    if page.link is not None and not below:
        following = _next_day(where, walk) or Request("GET", where, continuation=walk, resumable=False, link=page.link)
    elif walk.filtered and walk.until is not None and not (learned.to_the_second or walk.widened):
        following = _asked(where, replace(walk, widened=True, reached=None))
    return Page(page.rows, following, learned=learned if learned != before else None)


def _ignored(until: Instant, times: list[Instant]) -> bool:
    """Whether most rows were sent after the day that the filter ends with: one odd date is its row's."""
    return 2 * sum(at > (until // DAY + 2) * DAY for at in times) > len(times)


def _ends(times: list[Instant]) -> tuple[Instant | None, Instant | None]:
    """How far up and down a page goes, whatever one or two odd dates at its ends say."""
    if not times:
        return None, None
    few = max(1, min(END_ROWS, len(times) // 2))
    highest = sorted(times[:few])[few // 2]
    return highest, min(highest, max(times[-few:]))


def _next_day(where: str, walk: Walk) -> Request | None:
    """Where the walk has come to an older day: that day and all before it by a filter, which state can hold, in place of a token.

    The day's rows of the last page are read again. What a filter hides below is left to the side query. Only where a filter is known
    not to mean the beginning of its day: else the day itself would be left out.
    """
    if (
        not (walk.by_day and walk.learned.to_the_second)
        or walk.newest is None
        or walk.reached is None
        or walk.newest // DAY == walk.reached // DAY
    ):
        return None
    before = walk.reached // DAY * DAY - SECOND  # a day later is the day's last second: its next midnight could mean the whole next day
    return _asked(where, replace(walk, filtered=True, until=before, widened=True, newest=None))


def _honours(walk: Walk, times: list[Instant]) -> bool:
    """Whether a row came back that was sent on the last day of the filter: then it does not mean that day's beginning."""
    if walk.until is None or walk.widened:
        return False
    return any(walk.until // DAY * DAY < at <= walk.until for at in times)


def reached(request: Request) -> Instant | None:
    """How far down a sweep has read."""
    return request.continuation.reached if isinstance(request.continuation, Walk) else None
