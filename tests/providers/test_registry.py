"""Providers are found by name: the built-in ones, and those of installed packages."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from poller.errors import ConfigError
from poller.providers.registry import BUILT_IN, GROUP, names, provider_of, unknown


def test_the_package_registers_exactly_the_built_in_providers() -> None:
    """An installed poller and a checkout know the same vendors."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][GROUP] == BUILT_IN


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_provider_is_known_by_its_own_name(name: str) -> None:
    """What stands in the configuration stands in keys and events."""
    assert provider_of(name).name == name
    assert name in names()


def test_an_unknown_provider_is_told_with_the_nearest_name() -> None:
    """A typing error is one word away from its cure."""
    with pytest.raises(ConfigError, match="did you mean heymarket"):
        provider_of("haymarket")
    assert "install its package" in unknown("zzz")


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_options_change_nothing_but_the_options(name: str) -> None:
    """A provider made of options that are all default is the provider."""
    assert provider_of(name, provider_of(name).Options()) == provider_of(name)
    assert provider_of(name, provider_of(name).Options()).name == name
