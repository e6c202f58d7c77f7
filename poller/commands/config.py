"""The configuration file for people and for editors."""

from __future__ import annotations

from ..config import example, schema
from .exit_codes import ExitCode


def example_command() -> int:
    """Print a commented configuration file to begin with; docs/configuration.md has every key.

    Example: poller config example > poller.yaml
    """
    print(example.EXAMPLE, end="")
    return ExitCode.DONE


def schema_command() -> int:
    """Print the JSON Schema (2020-12) of the configuration file, for editors.

    Example: poller config schema > poller.schema.json
    """
    print(schema.schema())
    return ExitCode.DONE
