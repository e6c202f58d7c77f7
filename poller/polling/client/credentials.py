"""An account's credentials as headers: read at each use, signed anew before they expire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...errors import ConfigError, Unauthorized
from ...model import Instant
from ...providers.contract import Adapter, Authorization


class Secret(Protocol):
    """A secret that may change while we run. Raises ConfigError when it cannot be read."""

    def read(self) -> str:
        """The newest value."""
        ...


class Credentials:
    """What one account signs its requests with."""

    def __init__(self, adapter: Adapter, secrets: Mapping[str, Secret]) -> None:
        self._adapter, self._secrets = adapter, secrets
        self._values: dict[str, str] = {}
        self._made: Authorization | None = None

    def current(self, now: Instant) -> Authorization:
        """Headers for a request at provider time ``now``; raises Unauthorized when a secret cannot be read."""
        try:
            values = {name: secret.read() for name, secret in self._secrets.items()}
        except ConfigError:
            raise Unauthorized("a secret cannot be read") from None
        made = self._made
        if made is None or values != self._values or (made.expires is not None and now >= made.expires):
            self._values = values
            self._made = made = self._adapter.authorize(values, now)
        return made

    def renewed(self, now: Instant) -> Authorization:
        """After a 401: secrets read and signed again."""
        self._made = None
        return self.current(now)

    def changed(self) -> bool:
        """Whether the secrets are other ones than those that were used last."""
        try:
            return {name: secret.read() for name, secret in self._secrets.items()} != self._values
        except ConfigError:
            return False
