"""Credentials as headers: bearer tokens, Basic, signed tokens, and tokens that must be asked for (OAuth 2)."""

from __future__ import annotations

import base64

import jwt as pyjwt
import msgspec
from msgspec import Struct

from ...errors import BadPage, Unauthorized
from ...model import SECOND, Instant
from ..contract import Headers, Response, Token, TokenRequest
from .answers import accept

REFRESH_BEFORE: Instant = 30 * SECOND
"""How long before its end a token is replaced, so that a request with it does not arrive too late."""

LIVES_UNSAID: Instant = 300 * SECOND
"""How long a token is used if its answer does not say how long it lives (RFC 6749 section 4.4.3 only recommends that)."""

TOKEN_CHARACTERS_MAX = 16 << 10
"""The longest token that fits into the headers that common servers accept."""


class NoToken:
    """For providers whose secrets make the headers themselves."""

    def read_token(self, response: Response, now: Instant) -> Token:
        """Never asked for."""
        raise BadPage("this provider asks for no token")


def bearer(token: str, *, expires: Instant | None = None) -> Headers:
    """``Authorization: Bearer <token>`` (RFC 6750)."""
    return Headers({"authorization": f"Bearer {token}"}, expires)


def basic(user: str, password: str, *, fill: dict[str, str] | None = None) -> Headers:
    """``Authorization: Basic <user:password>`` in UTF-8 (RFC 7617)."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Headers({"authorization": f"Basic {pair}"}, fill=fill or {})


def jwt(payload: dict[str, object], key: str, *, expires: Instant) -> Headers:
    """A bearer token signed with HS256 (RFC 7519), made anew at ``expires``."""
    return bearer(pyjwt.encode(payload, key.encode(), algorithm="HS256", headers={"alg": "HS256", "typ": "JWT"}), expires=expires)


def client_credentials(url: str, client_id: str, client_secret: str, *, scope: str | None = None, in_form: bool = False) -> TokenRequest:
    """A request for a token by the client's own credentials (RFC 6749 section 4.4).

    They go into HTTP Basic, which every server must accept (section 2.3.1), or into the form where the vendor wants that.
    """
    form = [("grant_type", "client_credentials")]
    if scope is not None:
        form.append(("scope", scope))
    if in_form:
        return TokenRequest(url, (*form, ("client_id", client_id), ("client_secret", client_secret)))
    return TokenRequest(url, tuple(form), basic(client_id, client_secret).headers)


class _Issued(Struct):
    access_token: str
    expires_in: int | float | None = None


_issued = msgspec.json.Decoder(_Issued, strict=False)


def issued(response: Response, now: Instant) -> Token:
    """The token of an answer (RFC 6749 section 5.1). 400 and 401 refuse the credentials (section 5.2).

    Raises Unauthorized, RateLimited, Unreachable, BadPage.
    """
    if response.status == 400:
        raise Unauthorized("no token is issued for these credentials")
    try:
        found = _issued.decode(accept(response))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadPage("the answer holds no access token") from None
    if not 0 < len(found.access_token) <= TOKEN_CHARACTERS_MAX:
        raise BadPage("the answer holds no access token")
    lives = LIVES_UNSAID if found.expires_in is None else round(max(0.0, min(found.expires_in, 1e9)) * SECOND)
    return Token(found.access_token, now + max(SECOND, lives - min(REFRESH_BEFORE, lives // 2)))
