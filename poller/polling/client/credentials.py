"""An account's credentials as headers: read at each use, signed anew before they expire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...config.secrets import signed
from ...errors import ConfigError, PollerError, Unauthorized, saying_status
from ...model import Instant
from ...providers.contract import Headers, Provider, Response, Token, TokenRequest


class Secret(Protocol):
    """A secret that may change while we run. Raises ConfigError when it cannot be read."""

    def read(self) -> str:
        """The newest value."""
        ...


class Credentials:
    """What one account signs its requests with."""

    def __init__(self, provider: Provider, secrets: Mapping[str, Secret]) -> None:
        self._provider, self._secrets = provider, secrets
        self._values: dict[str, str] = {}
        self._token: Token | None = None
        self._made: Headers | None = None

    def current(self, now: Instant) -> Headers | TokenRequest:
        """Headers for a request at provider time ``now``, or the request for a token that they need first.

        Raises Unauthorized when a secret cannot be read.
        """
        try:
            values = {name: secret.read() for name, secret in self._secrets.items()}
        except ConfigError:
            raise Unauthorized("a secret cannot be read") from None
        if values != self._values:
            self._values, self._token, self._made = values, None, None
        if self._token is not None and self._token.expires is not None and now >= self._token.expires:
            self._token, self._made = None, None
        if self._made is None or (self._made.expires is not None and now >= self._made.expires):
            try:
                made = signed(self._provider, values, self._token, now)
            except ConfigError as error:
                raise Unauthorized(str(error)) from None
            if isinstance(made, TokenRequest):
                return made
            self._made = made
        return self._made

    def issued(self, response: Response, now: Instant) -> None:
        """The answer to a request for a token. Raises as :meth:`Provider.read_token`; Unauthorized where that falls over it."""
        with saying_status(response.status):
            try:
                token = self._provider.read_token(response, now)
            except PollerError:
                raise
            except Exception as error:
                raise Unauthorized(f"the token cannot be read ({type(error).__name__})") from error
        self._token, self._made = token, None

    def renewed(self, now: Instant, refused: Headers) -> Headers | TokenRequest:
        """After a 401 to ``refused``: secrets read and signed again, unless another request did so meanwhile."""
        if self._made is refused:
            self._token, self._made = None, None
        return self.current(now)

    def changed(self) -> bool:
        """Whether the secrets are other ones than those that were used last."""
        try:
            return {name: secret.read() for name, secret in self._secrets.items()} != self._values
        except ConfigError:
            return False
