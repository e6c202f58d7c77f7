"""The adapters by name."""

from __future__ import annotations

from .contract import Adapter
from .fonedynamics.provider import FoneDynamics
from .heymarket.provider import Heymarket
from .stuut.provider import Stuut


def adapter_of(provider: str, *, params_in: str = "query") -> Adapter:
    """The adapter of a provider. Raises KeyError for a name that is none."""
    return {"stuut": Stuut, "heymarket": Heymarket, "fonedynamics": lambda: FoneDynamics(params_in=params_in)}[provider]()


PROVIDERS: tuple[str, ...] = ("stuut", "heymarket", "fonedynamics")
