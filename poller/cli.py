"""The command line: arguments to commands, errors to exit codes. Results on stdout, talk on stderr.

A command is one file in ``commands``, with what it takes and what it does; it is imported when it is called, so that
each is quick; the list of all commands imports them all, because each says itself what it does. ``run`` and ``demo`` stand here, because they are no tools beside the daemon.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated, Any

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from . import __version__
from .commands.arguments import ConfigPath, Flag
from .commands.exit_codes import ExitCode, code_of
from .commands.process import serve, silence_output
from .errors import ConfigError, PollerError
from .signals import interrupt_on_signals

DEBUG = "--debug"
"""Given anywhere: an unexpected error shows its traceback."""

app = App(
    name="poller",
    version=__version__,
    suppress_keyboard_interrupt=False,
    help="Poll SMS vendors and publish every message and every status to Kafka, exactly once.",
    help_epilogue="--config defaults to $POLLER_CONFIG. Every command takes --debug, which shows the traceback of what is unexpected. "
    "Begin with `poller demo`, or with `poller config example > poller.yaml` and `poller check --config poller.yaml`.",
)
_GROUPS = {
    "topics": ("Plan or create the Kafka topics.", ("plan", "create")),
    "schemas": ("List or export the JSON Schemas of the events.", ("list", "export")),
    "config": ("Show an example, or the schema for editors, of the configuration file.", ("example", "schema")),
}
_COMMANDS = ("check", "status", "tail", "trace", "explain", "backfill", "audit", "reshard", "rebuild")
for _name in _COMMANDS:
    app.command(f"{__package__}.commands.{_name}:command", name=_name)
for _name, (_help, _verbs) in _GROUPS.items():
    _group = App(name=_name, help=_help)
    for _verb in _verbs:
        _group.command(f"{__package__}.commands.{_name}:{_verb}_command", name=_verb)
    app.command(_group)


@app.command
def run(*, config: ConfigPath) -> int:
    """Run the daemon until SIGTERM, SIGINT or SIGHUP.

    It creates missing topics, waits for Kafka, and never ends because of a provider.

    Example: poller run --config poller.yaml
    """
    from .config.load import load
    from .worker import daemon

    return serve(daemon.run(load(config, referenced=True)))


@app.command
def demo(
    *,
    seconds: Annotated[float, Parameter(metavar="SECONDS")] = 60,
    port: Annotated[int, Parameter(metavar="PORT")] = 0,
    hostile: Flag = False,
    keep: Flag = False,
    switch: Annotated[tuple[str, ...], Parameter(negative=(), metavar="NAME=VALUE", show_default=False)] = (),
) -> int:
    """Show everything at once: simulated providers, a real Kafka, the daemon, a kill, and the proof.

    Parameters
    ----------
    seconds
        How long it runs before it proves its result.
    port
        The administration port; 0 = any free one.
    hostile
        Let the providers misbehave.
    keep
        Leave Kafka, its topics and the configuration file at the end.
    switch
        One misbehaviour, as in late=0.5; repeat the option for more.

    """
    from .demo.entry import demo as show

    return show(seconds=seconds, port=port, hostile=hostile, given=switch, keep=keep)


@app.command
def version() -> int:
    """Print the release."""
    print(__version__)
    return ExitCode.DONE


def main(arguments: list[str] | None = None) -> None:
    """The entry point; always ends by SystemExit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not __debug__:
        print("poller: python -O removes checks that the exactly-once protocol needs; fix: run without -O", file=sys.stderr)
        raise SystemExit(ExitCode.USAGE)
    debug = DEBUG in given
    given = [argument for argument in given if argument != DEBUG]
    interrupt_on_signals()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries say is not said between our lines
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        code = _called(given, debug=debug)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = ExitCode.DONE if given[:1] == ["run"] else ExitCode.INTERRUPTED
    except BrokenPipeError:
        silence_output()
        code = ExitCode.DONE
    raise SystemExit(code)


def _called(given: list[str], *, debug: bool) -> int:
    """The exit code of a command, its errors said on stderr. Raises KeyboardInterrupt, BrokenPipeError."""
    try:
        if given[:1] in ([], ["--help"], ["-h"]):
            for name in _COMMANDS:
                _ = app[name].default_command  # imported now, so that the list of commands shows what it does
        code: Any = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except PollerError as error:
        return _fails(error)
    except CycloptsError as error:
        print(f"poller: {' '.join(str(error).split())}{_unknown(error)} See: poller {' '.join(_command_of(given))}--help", file=sys.stderr)
        return ExitCode.USAGE
    except SystemExit:
        raise BrokenPipeError from None  # how the library that prints the help ends when nobody reads it
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        print(f"poller: unexpected {_name_of(error)}; run again with {DEBUG} for details", file=sys.stderr)
        return ExitCode.UNEXPECTED
    return code if isinstance(code, int) else ExitCode.DONE


def _unknown(error: CycloptsError) -> str:
    """A word about an option that there is not, where the library only says which one is missing."""
    given = next((token for token in error.unused_tokens or () if token.startswith("-")), "")
    alone = isinstance(error, MissingArgumentError) and given and given not in str(error)
    return f" There is no option {given}." if alone else ""


def _command_of(given: list[str]) -> list[str]:
    """The command that was called, for the hint at its help; nothing where there is no such command."""
    known, found = app, list[str]()
    for word in given:
        if word.startswith("-") or word not in known:
            break
        known = known[word]
        found.append(f"{word} ")
    return ["".join(found)] if found else [""]


def _name_of(error: BaseException) -> str:
    """The type of an error, or of the first one in its groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def _fails(error: PollerError) -> int:
    """Say what is wrong, and give the exit code that says it to programs."""
    lines = error.lines if isinstance(error, ConfigError) else [f"poller: {error}" + (f"; fix: {error.fix}" if error.fix else "")]
    print("\n".join(lines), file=sys.stderr)
    return code_of(error)
