"""The simulated vendors' accounts: their names, and what a configuration says of each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .simulator.profiles import FONE, HEYMARKET, PLIVO, PROPERTIES, STUUT, SUBACCOUNTS, TELNYX, THREADS, TWILIO
from .simulator.vendors.answers import SECRETS

ACCOUNTS = {STUUT: "collections", HEYMARKET: "main", FONE: "sydney", TWILIO: "us", TELNYX: "chicago", PLIVO: "austin"}
"""The name of each vendor's account."""

_KEYS = {
    STUUT: f"credentials: {{token: {{file: stuut-token}}}}, threads: [{', '.join(THREADS)}]",
    HEYMARKET: "credentials: {secret_id: {file: heymarket-id}, secret_key: {file: heymarket-key}}",
    FONE: f"credentials: {{account_sid: {{file: fone-sid}}, token: {{file: fone-token}}}}, properties: [{', '.join(PROPERTIES)}]",
    TWILIO: f"credentials: {{account_sid: {{file: twilio-sid}}, auth_token: {{file: twilio-token}}}}, subaccounts: [{', '.join(SUBACCOUNTS)}]",
    TELNYX: "credentials: {api_key: {file: telnyx-key}}",
    PLIVO: "credentials: {auth_id: {file: plivo-id}, auth_token: {file: plivo-token}}",
}
"""What is a vendor's own."""


def account_lines(providers: Iterable[str], url: str, rates: dict[str, str], rate: str) -> str:
    """The entries of ``accounts``, one a line: at ``url`` each has its own prefix; ``rates`` by provider, else ``rate``."""
    return "".join(
        f'- {{name: {ACCOUNTS[provider]}, provider: {provider}, base_url: "{url}/{provider}", '
        f"rate_limit: {rates.get(provider, rate)}, {_KEYS[provider]}}}\n"
        for provider in providers
    )


def write_secrets(folder: Path) -> None:
    """The files that the entries name, readable by their owner only."""
    for name, value in SECRETS.items():
        (folder / name).write_text(value)
        os.chmod(folder / name, 0o600)
