"""The providers by name: the built-in ones, and those of installed packages (entry-point group ``poller.providers``)."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from msgspec import Struct

from ..errors import ConfigError
from .contract import Provider

GROUP = "poller.providers"
"""The entry-point group; a name in it is the provider's name in the configuration, its object the provider's class."""

BUILT_IN: dict[str, str] = {
    "fonedynamics": "poller.providers.fonedynamics.provider:FoneDynamics",
    "heymarket": "poller.providers.heymarket.provider:Heymarket",
    "plivo": "poller.providers.plivo.provider:Plivo",
    "stuut": "poller.providers.stuut.provider:Stuut",
    "telnyx": "poller.providers.telnyx.provider:Telnyx",
    "twilio": "poller.providers.twilio.provider:Twilio",
}
"""The built-in providers as pyproject.toml registers them too (a test compares both), for a checkout that is not installed.

A built-in name cannot be taken over by a package: credentials would go to another program than the operator thinks.
"""


@cache
def _found() -> dict[str, EntryPoint]:
    """Every provider by name, none of them imported yet."""
    installed = {each.name: each for each in entry_points(group=GROUP)}
    return installed | {name: EntryPoint(name, where, GROUP) for name, where in BUILT_IN.items()}


def names() -> tuple[str, ...]:
    """The names of all providers, sorted."""
    return tuple(sorted(_found()))


def unknown(name: str) -> str:
    """What to say of a name that is no provider's: the known ones, and the nearest."""
    near = difflib.get_close_matches(name, names(), 1, 0.5)
    fix = f"did you mean {near[0]}?" if near else "choose one of them, or install its package"
    return f"not a provider; expected one of {', '.join(names())}; fix: {fix}"


def provider_of(name: str, options: Struct | None = None) -> Provider:
    """The provider of a name, made of an account's options (an instance of its ``Options``; None = the defaults).

    Raises ConfigError for a name that is none, and for a package that cannot be imported.
    """
    if name not in _found():
        raise ConfigError([unknown(name)])
    try:
        made = _found()[name].load()
        return made() if options is None else made(options)
    except Exception as error:  # a foreign package may raise anything while it is imported
        raise ConfigError([f"the provider {name} cannot be loaded ({type(error).__name__}); fix: reinstall its package"]) from error
