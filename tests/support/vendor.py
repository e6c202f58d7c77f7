"""A client of an invented Stuut account, as the daemon makes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poller.clock import SystemClock
from poller.config.secrets import SecretRef
from poller.polling.client.credentials import Credentials
from poller.polling.client.http import Fetcher
from poller.polling.client.rate_limit import RateLimiter
from poller.polling.client.vendor import VendorClient
from poller.providers.registry import provider_of


def client_of(url: str, folder: Path, *, timeout_s: float = 5.0, token: str = "invented", **more: Any) -> VendorClient:
    """The client; ``more`` goes to its HTTP."""
    (folder / "token").write_text(token)
    provider, clock = provider_of("stuut"), SystemClock()
    credentials = Credentials(provider, {"token": SecretRef(file=folder / "token")})
    http = Fetcher(url, timeout_s=timeout_s, clock=clock, **{"on_request": lambda code, seconds: None, **more})
    return VendorClient(provider, http, credentials, RateLimiter(1000, 1.0, now=0.0), clock)
