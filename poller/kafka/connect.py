"""The configuration's Kafka as a connection: names, security, and who we are."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from ..config.load import Config
from ..config.secrets import SecretRef
from ..errors import ConfigError
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
        client["ssl_context"] = _tls(config)
    if security.mechanism is not None:
        client["sasl_mechanism"] = security.mechanism
    if security.mechanism == "OAUTHBEARER":
        client["sasl_oauth_token_provider"] = _Token(security.token)
    elif security.mechanism is not None:
        client |= {"sasl_plain_username": security.username, "sasl_plain_password": security.password.read()}
    return client


def _tls(config: Config) -> ssl.SSLContext:
    security, folder = config.kafka.security, config.path.parent
    try:
        context = ssl.create_default_context(cafile=folder / security.ca_file if security.ca_file else None)
        if security.cert_file:
            password = security.key_password.read() if security.key_password else None
            key = folder / security.key_file if security.key_file else None
            context.load_cert_chain(folder / security.cert_file, key, password)
    except (OSError, ssl.SSLError) as error:
        why = f"certificates cannot be used ({type(error).__name__})"
        raise ConfigError([f"{config.path}: kafka.security: {why}; expected PEM files that fit together; fix: check them"]) from None
    return context
