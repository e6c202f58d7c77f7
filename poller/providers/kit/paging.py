"""Where a sweep is, for vendors that page by an opaque token, by a link to the next page, or by a page number.

A provider makes a :class:`Place` with :func:`begin`, turns it into a request with :func:`asked`, and goes on with
:func:`token`, :func:`link` or :func:`number`, which also step to the next older piece of a long window. Tokens and
links are never kept in state: after a restart the sweep goes on at the beginning of its piece. One that has expired
begins the piece anew at once (:func:`expired`).
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ...model import BadRow, Instant, Row, Stream
from ..contract import Listing, Request, Response, Window
from .windows import newest_piece, reachable

EXPIRED = frozenset({400, 404, 410, 422})
"""Statuses that vendors answer to a page token which is no longer valid."""

BEGUN_MAX = 3
"""How often in a row a piece begins anew because its tokens expire; then the answer is the error that its status says."""

AGAIN_ROWS = 1000
"""Rows that a sweep of a short list may read again because others vanish."""

TOKEN_CHARACTERS_MAX = 8 << 10
"""The longest token or link that is followed: longer ones do not fit into an address that common servers accept."""


class AtToken(Struct, frozen=True, tag="token"):
    """The page that an opaque token stands for."""

    token: str


class AtLink(Struct, frozen=True, tag="link"):
    """The page that the vendor's own link leads to."""

    link: str


class AtNumber(Struct, frozen=True, tag="number"):
    """The page of a number, or at an offset."""

    number: int


class Place(Struct, frozen=True, tag="place"):
    """A page of a sweep: which piece of the window is read, and which page of that piece."""

    stream: str
    first: Instant
    """Where the window begins."""
    since: Instant
    """Where the piece begins that is being read."""
    until: Instant | None
    """Where the piece ends; None = open."""
    now: Instant
    page: AtToken | AtLink | AtNumber | None = None
    """None = the first page of the piece."""
    begun: int = 0
    """How often the piece was begun anew."""
    total: int | None = None
    """How many rows the list had when the page before was read, where the vendor says that."""
    most: int = 0
    """The most rows that the list has had since the piece was begun."""
    back: int = 0
    """How many rows of the piece were read again at most, because the sweep went back where rows had vanished."""
    reached: Instant | None = None
    """When the oldest row so far was created."""


def begin(stream: Stream, window: Window, listing: Listing) -> Place:
    """The first page of the newest piece of a window."""
    first = reachable(window, listing)
    return Place(stream.name, first, newest_piece(first, window.until, window.now, listing), window.until, window.now)


def asked(place: Place, request: Request) -> Request:
    """A provider's request for the first page of a piece, as the request for this place.

    A token or a number is the provider's to write into the query (:func:`token_of`, :func:`number_of`); a link takes the
    place of path and query.
    """
    link = place.page.link if isinstance(place.page, AtLink) else None
    return replace(request, continuation=place, link=link, resumable=not isinstance(place.page, AtToken | AtLink))


def token_of(place: Place) -> str | None:
    """The token to ask with; None = the first page."""
    return place.page.token if isinstance(place.page, AtToken) else None


def number_of(place: Place, first: int) -> int:
    """The number to ask with."""
    return place.page.number if isinstance(place.page, AtNumber) else first


def seen(place: Place, rows: list[Row | BadRow], total: int | None = None) -> Place:
    """The same page, once its rows were read: with the list's ``total``, where the vendor says that, and how far back the rows reach."""
    gone = fallen(place, total)
    return replace(
        place,
        total=total,
        most=max(place.most, total or 0),
        back=place.back + (gone + 2 * len(rows) if gone else 0),
        reached=min((row.created for row in rows if isinstance(row, Row)), default=place.reached),
    )


def fallen(place: Place, total: int | None) -> int:
    """By how many rows the list has become shorter since the page before: as many have moved up to before this page, and were not read.

    A piece reads about as many rows again as its list ever had, and no more, or a total that goes up and down would keep it for ever.
    """
    if total is None or place.total is None or not isinstance(place.page, AtNumber):
        return 0
    return max(0, place.total - total) if place.back <= place.most + AGAIN_ROWS else 0


def token(place: Place, value: object, listing: Listing) -> Place | None:
    """The place after a page that gave this token; None, "" or another kind of value: the piece is at its end."""
    return replace(place, page=AtToken(value)) if isinstance(value, str) and _valid(value) else _older(place, listing)


def link(place: Place, value: object, listing: Listing) -> Place | None:
    """The place after a page that gave this link; None, "" or another kind of value: the piece is at its end."""
    return replace(place, page=AtLink(value)) if isinstance(value, str) and _valid(value) else _older(place, listing)


def number(place: Place, value: int | None, listing: Listing) -> Place | None:
    """The place at a page number or offset; None = the piece is at its end.

    New rows push old ones to later pages, where they are read again. Rows that vanish pull old ones to earlier pages, which were
    read: a provider whose vendor tells totals goes back to before this page by as many rows (:func:`fallen`). What a list hides without a total is
    found by the overlap of later sweeps.
    """
    return _older(place, listing) if value is None else replace(place, page=AtNumber(value))


def expired(place: Place, response: Response) -> Place | None:
    """The piece's beginning, where the answer says that the token or link is no longer valid; None = it is valid."""
    if response.status not in EXPIRED or not isinstance(place.page, AtToken | AtLink) or place.begun >= BEGUN_MAX:
        return None
    return replace(place, page=None, begun=place.begun + 1)


def _valid(value: str) -> bool:
    return 0 < len(value) <= TOKEN_CHARACTERS_MAX


def _older(place: Place, listing: Listing) -> Place | None:
    """The next older piece of the window; None when all of it was read."""
    if place.since <= place.first:
        return None
    since = newest_piece(place.first, place.since, place.now, listing)
    return Place(place.stream, place.first, since, place.since, place.now)
