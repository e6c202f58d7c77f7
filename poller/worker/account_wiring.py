"""One configured account as what polls it."""

from __future__ import annotations

from ..clock import SystemClock
from ..config.accounts import Account
from ..model import SECOND
from ..polling.client.credentials import Credentials
from ..polling.client.http import Fetcher
from ..polling.client.rate_limit import RateLimiter
from ..polling.client.vendor import VendorClient
from ..polling.client.wire import Transport
from ..polling.settings import AccountSettings
from ..providers.registry import provider_of
from ..telemetry.account_facts import AccountFacts


def settings_of(account: Account) -> AccountSettings:
    """What the operator wants of the account."""
    return AccountSettings(
        key=account.key,
        interval=account.interval,
        overlap=account.overlap,
        start_from=account.start_from,
        status_horizon=account.status_horizon,
        every=account.reconcile_every,
        back=account.reconcile_back,
        channels=frozenset(account.channels),
        publish_drafts=account.drafts == "publish",
        rate=account.rate_count / account.rate_seconds,
    )


def client_of(account: Account, facts: AccountFacts, clock: SystemClock, transport: Transport | None) -> VendorClient:
    """The account's vendor, with an allowance that is empty at first."""
    provider = provider_of(account.provider, account.options)
    http = Fetcher(
        account.base_url,
        timeout_s=account.timeout / SECOND,
        proxy=account.proxy,
        ca_file=account.ca_file,
        clock=clock,
        on_request=facts.requested,
        transport=transport,
    )
    limiter = RateLimiter(account.rate_count, account.rate_seconds, burst=account.burst, now=clock.monotonic())
    return VendorClient(provider, http, Credentials(provider, account.secrets), limiter, clock)
