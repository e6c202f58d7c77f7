"""One vendor account as it is spoken to: every request with credentials, within the rate limit, on the vendor's clock.

The polling rooms hold a :class:`VendorClient` and nothing below it, so what an account must wait for (its
allowance, a hold that the vendor asked for, refused credentials) is decided here and nowhere else.
"""

from __future__ import annotations

from types import TracebackType

import anyio
from msgspec import Struct

from ...clock import SystemClock
from ...errors import BadPage, ConnectionLost, Unauthorized
from ...model import Instant
from ...providers.contract import ByTime, Headers, Provider, Request, Response, TokenRequest
from ...providers.kit.answers import RETRY_AFTER_MAX_S, exhausted
from .credentials import Credentials
from .http import Fetcher
from .provider_clock import ProviderClock
from .rate_limit import Go, RateLimiter, Wait


class Exchange(Struct, frozen=True):
    """An answer, with the instants of our clock at which its request was sent and it had arrived whole."""

    response: Response
    sent: Instant
    received: Instant


def tells_time(response: Response) -> bool:
    """Whether an answer's ``Date`` is the provider's: of a usable answer, or of one that refuses our signature's time.

    An error page is often made by something on the way, and a cached answer (RFC 9111 section 5.1) tells when it was made.
    """
    usable = 200 <= response.status < 300 or response.status == 401
    return usable and response.body.lstrip()[:1] != b"<" and response.headers.get("age", "0").strip() == "0"


class VendorClient:
    """One account's vendor: provider, HTTP, credentials, rate limit, clock. An async context manager."""

    def __init__(self, provider: Provider, http: Fetcher, credentials: Credentials, limiter: RateLimiter, clock: SystemClock) -> None:
        self.provider, self.provider_clock = provider, ProviderClock()
        self._http, self._credentials, self._limiter, self._clock = http, credentials, limiter, clock
        self._one_token = anyio.Lock()
        self._held_until = 0.0

    async def __aenter__(self) -> VendorClient:
        """Connections are opened as they are needed."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connections, in bounded time."""
        await self._http.__aexit__(kind, error, trace)

    def now_earliest(self) -> Instant:
        """The vendor's time now, at the earliest: what a query then has certainly seen."""
        return self.provider_clock.earliest(self._clock.now())

    def origin(self) -> Instant:
        """What the floor of a new stream is reckoned from: the earlier of both clocks."""
        return self.provider_clock.origin(self._clock.now())

    def now_latest(self) -> Instant:
        """The vendor's time now, at the latest."""
        return self.provider_clock.latest(self._clock.now())

    @property
    def by_time(self) -> bool:
        """Whether the vendor filters by time; else each sweep reads everything."""
        return isinstance(self.provider.listing, ByTime)

    @property
    def spacing_s(self) -> float:
        """Seconds from one request of the rate limit to the next."""
        return self._limiter.spacing

    def allowance(self) -> Go | Wait:
        """Use up one request of the rate limit, or say how long until there is one."""
        now = self._clock.monotonic()
        return Wait(self._held_until - now) if self._held_until > now else self._limiter.take(now)

    def hold_until(self, until: float) -> None:
        """No request before a monotonic time; an earlier hold is never shortened."""
        self._held_until = max(self._held_until, until)

    def release(self) -> None:
        """What was waited for is there: requests may be sent again."""
        self._held_until = 0.0

    def secrets_changed(self) -> bool:
        """Whether the secrets are other ones than those that were used last."""
        return self._credentials.changed()

    def unusable(self, request: Request) -> BadPage | None:
        """Why a request cannot be sent, however often it is tried; None = it can."""
        return self._http.unusable(request)

    async def exchange(self, request: Request) -> Exchange:
        """One request and its answer; sent again once with fresh credentials after a 401 that they may cure.

        The caller has taken its allowance. Raises Unreachable for every failure of the transport, BadPage for an
        answer over the limits, Unauthorized when a secret cannot be read.
        """
        used = await self._authenticated(self._credentials.current(self.now_earliest()))
        answer = await self._send(request, used)
        if answer.response.status != 401:
            return answer
        fresh = await self._authenticated(self._credentials.renewed(self.provider_clock.heard(answer.received), used))
        if fresh.headers == used.headers or not await self._may_send_again():
            return answer
        return await self._send(request, fresh)

    async def _authenticated(self, made: Headers | TokenRequest) -> Headers:
        """The headers of a request; a token that they need is asked for first, once for all requests that wait for it.

        A request for a token keeps the rate limit as every other. Raises as :meth:`Provider.read_token`.
        """
        if isinstance(made, Headers):
            return made
        async with self._one_token:
            made = self._credentials.current(self.now_earliest())  # another request may have brought it meanwhile
            if isinstance(made, TokenRequest):
                await self._may_send_again()
                issued = await self._send(made, Headers())
                self._credentials.issued(issued.response, self.now_earliest())
                made = self._credentials.current(self.now_earliest())
        if isinstance(made, TokenRequest):
            raise Unauthorized("the token is not accepted")
        return made

    async def _send(self, request: Request | TokenRequest, made: Headers) -> Exchange:
        """One request over HTTP; what its answer says of the vendor's clock and of the allowance is taken to heart."""
        sent = self._clock.now()
        try:
            fetched = await self._http.send(request, made)
        except ConnectionLost:  # servers close what is idle, often just as it is used again: every request only reads
            if not await self._may_send_again():
                raise
            sent = self._clock.now()
            fetched = await self._http.send(request, made)
        received = self._clock.now()
        if tells_time(fetched.response):
            self.provider_clock.observe(fetched.date, received)
        wait_s = exhausted(fetched.response)
        if wait_s:
            self.hold_until(self._clock.monotonic() + min(wait_s, RETRY_AFTER_MAX_S))
        return Exchange(fetched.response, sent, received)

    async def _may_send_again(self) -> bool:
        """Wait for an allowance; False where the account is held by then."""
        while isinstance(allowance := self._limiter.take(self._clock.monotonic()), Wait):
            await self._clock.sleep(allowance.seconds or 0.0)
        return self._held_until <= self._clock.monotonic()
