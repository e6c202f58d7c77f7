"""The command line: arguments to commands, errors to exit codes. Results on stdout, talk on stderr."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from cyclopts import App, Parameter, validators

from . import __version__
from .errors import ConfigError, Denied, KafkaError, Misused, PollerError, ProviderError, Unauthorized, first

DONE, UNEXPECTED, USAGE, UNAVAILABLE, REFUSED, CONFIG = 0, 1, 2, 69, 77, 78

app = App(
    name="poller",
    version=__version__,
    help="Poll SMS vendors and publish every message and every status to Kafka, exactly once.",
    help_epilogue="Begin with `poller demo`, or with `poller config example > poller.yaml` and `poller check --config poller.yaml`.",
)
topics_app = App(name="topics", help="Plan or create the four Kafka topics.")
schemas_app = App(name="schemas", help="List or export the JSON Schemas of the events.")
config_app = App(name="config", help="Show an example, or the schema for editors, of the configuration file.")
for each in (topics_app, schemas_app, config_app):
    app.command(each)

ConfigPath = Annotated[Path, Parameter(name="--config", help="The configuration file (YAML).")]
Debug = Annotated[bool, Parameter(name="--debug", negative=(), help="Show a traceback when something unexpected happens.")]


@app.command
def run(*, config: ConfigPath, debug: Debug = False) -> int:
    """Run the daemon until SIGTERM or SIGINT.

    It creates missing topics, waits for Kafka, and never ends because of a provider.
    Example: poller run --config poller.yaml
    """
    from .config.load import load
    from .worker import daemon

    return _async(daemon.run(load(config, referenced=True)))


def _switches(_: object, given: tuple[str, ...]) -> None:
    from .demo.simulator.switches import Switches, chosen

    chosen(Switches(), given)


@app.command
def demo(
    *,
    seconds: float = 60,
    port: int = 0,
    hostile: bool = False,
    switch: Annotated[tuple[str, ...], Parameter(validator=_switches, negative=())] = (),
    debug: Debug = False,
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
    switch
        NAME=VALUE, as in late=0.5: one misbehaviour; repeat the option for more. poller/demo/switches.py says what each is.

    """
    from .demo.command import demo as show
    from .demo.simulator.switches import HOSTILE, Switches, chosen

    return show(seconds=seconds, port=port, switches=chosen(HOSTILE if hostile else Switches(), switch))


@app.command
def check(*, config: ConfigPath, online: bool = False, debug: Debug = False) -> int:
    """Check the configuration and every file and variable it names; with --online also Kafka and the providers.

    Example: poller check --config poller.yaml --online

    Parameters
    ----------
    online
        Also ask Kafka and every provider, within 30 s.

    """
    from .config.load import load

    loaded = load(config, referenced=True)
    from .commands.check import too_slow

    for note in too_slow(loaded):
        print(f"note: {note}", file=sys.stderr)
    if online:
        from .commands.check import check as check_online

        return _async(check_online(loaded))
    print(f"{config}: good, {len(loaded.accounts)} accounts")
    return DONE


@app.command
def tail(
    *,
    config: ConfigPath,
    topic: Literal["messages", "status", "dead-letters"] = "messages",
    from_beginning: bool = False,
    json: bool = False,
    debug: Debug = False,
) -> int:
    """Show events as they are published, numbers masked and texts left out; --json shows them whole.

    Example: poller tail --config poller.yaml --topic status --from-beginning

    Parameters
    ----------
    topic
        Which of the public topics.
    from_beginning
        All that the topic still has, not only what comes.
    json
        Whole events, one a line, with texts and numbers.

    """
    from .commands.tail import tail as follow
    from .config.load import load

    return _async(follow(load(config), topic.replace("-", "_"), from_beginning=from_beginning, json=json))


@app.command
def backfill(
    stream: str,
    *,
    config: ConfigPath,
    from_: Annotated[str, Parameter(name="--from")],
    to: str,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    debug: Debug = False,
) -> int:
    """Publish a past range of a stream, beside the live daemon: only what was never published.

    The running worker does it with a fifth of the account's rate limit; it goes on where it was after any kill.
    Example: poller backfill --config poller.yaml heymarket/main/team --from 2026-01-01 --to 2026-02-01

    Parameters
    ----------
    stream
        provider/account/name, as on the status page.
    from_
        Where the range begins: RFC 3339, a date, or a duration ago.
    to
        Where it ends, in the same forms.
    dry_run
        Only say what would be asked.

    """
    from .commands.backfill import backfill as ask
    from .config.load import load

    since, until = _moment(from_), _moment(to)
    assert since is not None
    assert until is not None
    return _async(ask(load(config), stream, since, until, dry_run=dry_run))


@app.command
def audit(*, config: ConfigPath, from_: Annotated[str | None, Parameter(name="--from")] = None, debug: Debug = False) -> int:
    """Read the topics and report duplicates, revision gaps, disorder, torn and lost transactions; exit code 1 if there are any.

    Example: poller audit --config poller.yaml --from 24h

    Parameters
    ----------
    from_
        Where to begin: RFC 3339, a date, or a duration ago. Default: the beginning of the topics.

    """
    from .commands.audit import audit as judge
    from .config.load import load

    return _async(judge(load(config), _moment(from_)))


@app.command
def reshard(
    *, config: ConfigPath, shards: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1000))], debug: Debug = False
) -> int:
    """Change the number of shards of a stopped installation; killed at any moment, it is simply run again.

    Example: poller reshard --config poller.yaml --shards 32

    Parameters
    ----------
    shards
        The new number; set kafka.shards to it afterwards.

    """
    from .commands.check import reshard as change
    from .config.load import load

    return _async(change(load(config), shards))


@app.command
def rebuild(*, config: ConfigPath, debug: Debug = False) -> int:
    """Make a lost state topic again from the public topics, so that nothing is published twice.

    Example: poller rebuild --config poller.yaml
    """
    from .commands.check import rebuild as again
    from .config.load import load

    return _async(again(load(config)))


@topics_app.command(name="plan")
def topics_plan(*, config: ConfigPath, debug: Debug = False) -> int:
    """Say what would be created, and what differs from what is needed."""
    from .commands.topics import topics_plan as plan
    from .config.load import load

    return _async(plan(load(config), create=False))


@topics_app.command(name="create")
def topics_create(*, config: ConfigPath, debug: Debug = False) -> int:
    """Create the topics that are missing, and audit the others."""
    from .commands.topics import topics_plan as plan
    from .config.load import load

    return _async(plan(load(config), create=True))


@schemas_app.command(name="list")
def schemas_list() -> int:
    """Name the schemas."""
    from .commands.schemas import names

    print("\n".join(names()))
    return DONE


@schemas_app.command(name="export")
def schemas_export(directory: Path) -> int:
    """Write the schemas and their examples into a directory.

    Parameters
    ----------
    directory
        Made where it is missing.

    """
    from .commands.schemas import export

    print("\n".join(str(path) for path in export(directory)))
    return DONE


@config_app.command(name="example")
def config_example() -> int:
    """Print a complete, commented configuration file."""
    from .config.example import EXAMPLE

    print(EXAMPLE, end="")
    return DONE


@config_app.command(name="schema")
def config_schema() -> int:
    """Print the JSON Schema of the configuration file, for editors."""
    from .config.schema import schema

    print(schema())
    return DONE


@app.command
def version() -> int:
    """Print the release."""
    print(__version__)
    return DONE


def _moment(text: str | None) -> int | None:
    """A time on the command line."""
    from .clock import SystemClock
    from .config.units import moment_or_ago

    try:
        return None if text is None else moment_or_ago(text, SystemClock().now())
    except ValueError as error:
        print(f"poller: {text!r} is {error}", file=sys.stderr)
        raise SystemExit(USAGE) from None


def _async(work: Coroutine[Any, Any, int | None]) -> int:
    async def wrapped() -> int:
        trouble: PollerError | None = None
        code: int | None = DONE
        try:
            code = await work
        except* PollerError as group:
            trouble = first(group)
        if trouble is not None:
            raise trouble
        return code or DONE

    try:
        import uvloop  # noqa: F401

        options: dict[str, Any] = {"use_uvloop": True}
    except ImportError:
        options = {}
    return anyio.run(wrapped, backend_options=options)


def _fails(error: PollerError) -> int:
    """Say what is wrong, and give the exit code that says it to programs."""
    lines = error.lines if isinstance(error, ConfigError) else [f"poller: {error}" + (f"; fix: {error.fix}" if error.fix else "")]
    print("\n".join(lines), file=sys.stderr)
    if isinstance(error, ConfigError):
        return CONFIG
    if isinstance(error, Misused):
        return USAGE
    if isinstance(error, Unauthorized | Denied):
        return REFUSED
    return UNAVAILABLE if isinstance(error, KafkaError | ProviderError) else UNEXPECTED


def main(arguments: list[str] | None = None) -> None:
    """The entry point; always ends by SystemExit."""
    given = sys.argv[1:] if arguments is None else arguments
    if not __debug__:
        print("poller: python -O removes checks that the exactly-once protocol needs; fix: run without -O", file=sys.stderr)
        raise SystemExit(USAGE)
    try:
        code = app(given, exit_on_error=False, print_error=True, result_action="return_value")
    except PollerError as error:
        code = _fails(error)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if "--debug" in given:
            raise
        from cyclopts import CycloptsError

        if isinstance(error, CycloptsError):
            code = USAGE
        else:
            print(f"poller: unexpected {type(error).__name__}; run again with --debug for details", file=sys.stderr)
            code = UNEXPECTED
    raise SystemExit(code if isinstance(code, int) else DONE)
