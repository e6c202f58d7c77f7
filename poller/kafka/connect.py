"""The configuration's Kafka as a connection: names, security, and who we are."""

from __future__ import annotations

import os
import socket
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from ..config.load import Config
from ..config.secrets import SecretRef
from ..model import SECOND
from .connection import Connection


class _Token(AbstractTokenProvider):
    """A token that another program keeps fresh in a file or variable."""

    def __init__(self, secret: SecretRef) -> None:
        self._secret = secret

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]  # the library's annotation is wrong
        """The newest one."""
        return self._secret.read()


def connection_of(config: Config) -> Connection:
    """How to reach the configured Kafka. Raises ConfigError for unusable certificates."""
    kafka = config.kafka
    return Connection(
        bootstrap=",".join(kafka.bootstrap_servers),
        topics=kafka.topics.by_role(),
        shards=kafka.shards,
        group=kafka.group,
        session_s=kafka.session_timeout / SECOND,
        instance_id=kafka.instance_id,
        worker=kafka.instance_id or f"poller-{socket.gethostname()}-{os.getpid()}",
        client=_security(config),
    )


def _security(config: Config) -> dict[str, Any]:
    security = config.kafka.security
    client: dict[str, Any] = {"security_protocol": security.protocol}
    if "SSL" in security.protocol:
        client["ssl_context"] = security.context(config.path.parent)
    if security.mechanism is not None:
        client["sasl_mechanism"] = security.mechanism
    if security.mechanism == "OAUTHBEARER":
        client["sasl_oauth_token_provider"] = _Token(security.token)
    elif security.mechanism is not None:
        client |= {"sasl_plain_username": security.username, "sasl_plain_password": security.password.read()}
    return client
