"""The exit codes of every command, in one place: programs read them, so they never change."""

from __future__ import annotations

from enum import IntEnum

from ..errors import ConfigError, Denied, KafkaError, Misused, PollerError, ProviderError, Unauthorized, WrongState


class ExitCode(IntEnum):
    """What a process says to the program that started it. 69, 77 and 78 are those of ``sysexits.h``."""

    DONE = 0
    """Done; of ``run``: a clean stop."""
    UNEXPECTED = 1
    """Something that should not happen; of ``audit``: something is wrong with what was published."""
    USAGE = 2
    """The arguments make no sense."""
    REFUSED = 3
    """The installation is not in the state that the command needs; nothing was changed."""
    UNAVAILABLE = 69
    """Kafka or a provider cannot be reached."""
    DENIED = 77
    """Kafka or a provider refuses the credentials."""
    CONFIG = 78
    """The configuration is invalid, or a file that it names cannot be used."""
    INTERRUPTED = 130
    """A signal ended a command other than ``run``."""


def code_of(error: PollerError) -> ExitCode:
    """The exit code that tells programs about an error."""
    if isinstance(error, ConfigError):
        return ExitCode.CONFIG
    if isinstance(error, Misused):
        return ExitCode.USAGE
    if isinstance(error, WrongState):
        return ExitCode.REFUSED
    if isinstance(error, Unauthorized | Denied):
        return ExitCode.DENIED
    return ExitCode.UNAVAILABLE if isinstance(error, KafkaError | ProviderError) else ExitCode.UNEXPECTED
