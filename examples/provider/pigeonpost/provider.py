"""Pigeonpost: a list by time, paged by opaque tokens, behind OAuth 2 client credentials."""

from typing import Any, ClassVar

from msgspec import Struct

from poller.model import DAY, BadRow, Instant, Message, Observation, Row, Stream
from poller.providers import contract
from poller.providers.contract import Headers, Page, Request, Response, Secrets, Skipped, Token, TokenRequest, Window
from poller.providers.kit import auth, paging
from poller.providers.kit.answers import accept
from poller.providers.kit.members import beside
from poller.providers.kit.rows import listed
from poller.times import format_rfc3339, instant

from . import message


class Pigeonpost(Struct, frozen=True):
    """The provider; see :class:`poller.providers.contract.Provider`."""

    options: contract.NoOptions = contract.NoOptions()
    name: ClassVar[str] = "pigeonpost"
    base_url: ClassVar[str | None] = "https://api.pigeonpost.example"
    rate_limit: ClassVar[tuple[int, float]] = (60, 60.0)
    credentials: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"client_id", "client_secret"}),)
    streams: ClassVar[contract.Streams] = contract.Named("lofts")
    listing: ClassVar[contract.Listing] = contract.ByTime(retention=90 * DAY, longest_window=30 * DAY)
    side_queries: ClassVar[tuple[contract.SideQuery, ...]] = ()
    Options: ClassVar[type[Struct]] = contract.NoOptions
    Continuation: ClassVar[Any] = paging.Place
    Learned: ClassVar[Any] = None

    def identity(self, secrets: Secrets) -> str:
        """The client id."""
        return secrets["client_id"]

    def authenticate(self, secrets: Secrets, token: Token | None, now: Instant) -> Headers | TokenRequest:
        """A bearer token, or the request for one."""
        if token is None:
            return auth.client_credentials("/oauth/token", secrets["client_id"], secrets["client_secret"])
        return auth.bearer(token.value, expires=token.expires)

    def read_token(self, response: Response, now: Instant) -> Token:
        """The token and its life (RFC 6749 section 5.1)."""
        return auth.issued(response, now)

    def probe(self, stream: Stream, now: Instant) -> Request:
        """A day's first page."""
        return self.first_page(stream, Window(now - DAY, now, now), None)

    def first_page(self, stream: Stream, window: Window, learned: Any) -> Request:
        """The first page of a sweep."""
        return self._ask(paging.begin(stream, window, self.listing))

    def _ask(self, place: paging.Place) -> Request:
        query = [("loft", place.stream), ("from", format_rfc3339(place.since))]
        if place.until is not None:
            query.append(("to", format_rfc3339(place.until)))
        if (token := paging.token_of(place)) is not None:
            query.append(("page_token", token))
        return paging.asked(place, Request("GET", "/messages", tuple(query)))

    def read_page(self, request: Request, response: Response) -> Page:
        """One page; a token that has expired begins its window anew."""
        place: paging.Place = request.continuation
        anew = paging.expired(place, response)
        if anew is not None:
            return Page([], self._ask(anew))
        rows, around = listed(accept(response), ("messages",))
        following = paging.token(place, beside(around, "next_page_token", str), self.listing)
        return Page(message.read_rows(rows), following and self._ask(following))

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message."""
        return message.read_row(row)

    def change_stamp(self, message: Message) -> Instant | None:
        """``changed``."""
        return instant(message.updated_at)

    def reached(self, request: Request) -> Instant | None:
        """The end of the piece that is read."""
        place: paging.Place = request.continuation
        return place.until
