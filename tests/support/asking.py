"""Helpers to ask providers without an engine."""

from __future__ import annotations

from poller.providers.contract import Provider, SideQuery


def side_query(provider: Provider, name: str) -> SideQuery:
    """One of a provider's side queries, by name."""
    return next(each for each in provider.side_queries if each.name == name)
