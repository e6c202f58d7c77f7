"""Checks that connect: topics, Kafka and every account's credentials, in bounded time."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import aclosing

import anyio

from ..clock import SystemClock
from ..config.accounts import Account
from ..config.load import Config, load
from ..config.stream_names import stream_names
from ..config.yaml_document import Place
from ..errors import Denied, KafkaError, ProviderError, Unauthorized, Unavailable
from ..kafka import topics
from ..kafka.assignor import Rendezvous
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import PUBLIC, REQUESTS, STATE
from ..kafka.schema_registry import register
from ..kafka.state_topic import records
from ..model import MINUTE, SECOND, Instant, Stream
from ..polling.client.credentials import Credentials
from ..polling.client.http import Fetcher
from ..polling.client.rate_limit import RateLimiter
from ..polling.client.vendor import VendorClient
from ..polling.demand import round_s
from ..providers.kit.answers import accept
from ..providers.registry import provider_of
from ..publishing.framing import frames, subjects
from ..publishing.state_records import Kind, Meta
from ..telemetry.verdict import many
from ..times import http_date
from .arguments import ConfigPath, Flag
from .exit_codes import ExitCode, code_of
from .process import complete
from .state_topic import metas

NO_SHARD = -1
"""The producer of no worker is opened under this number: the right to the transactional ids is asked for, and nobody is fenced."""

CLOCKS_DIFFER: Instant = MINUTE
"""A difference of clocks above this is said: requests take seconds, and providers' clocks are seldom wrong by more."""

ANSWER_S = 30.0
"""``check --online`` answers within this time."""

STATE_S = 10.0
"""Seconds for which the state is read at most, to find accounts that the file lacks: it may be of any size."""


def command(*, config: ConfigPath, online: Flag = False) -> int:
    """Check the configuration and every file and variable it names; with --online also Kafka and the providers.

    Without --online no connection is opened. With it, each provider is asked what polling asks, and Kafka what `poller run` would meet:
    topics, group, rights, clocks. Ends with 78 where the configuration or a topic is wrong, 77 where credentials are refused, 69 where
    something does not answer.

    Example: poller check --config poller.yaml --online

    Parameters
    ----------
    online
        Also ask Kafka and every provider, within 30 s.

    """
    loaded = load(config, referenced=True)
    connection_of(loaded)
    for note in (*without_streams(loaded), *too_slow(loaded)):
        print(f"note: {note}", file=sys.stderr)
    if online:
        return complete(check(loaded))
    print(f"{config}: good; accounts: {len(loaded.accounts)}")
    return ExitCode.DONE


async def check(config: Config) -> int:
    """Kafka and every account, one line each; the exit code of the worst."""
    silence_fenced_futures()
    found: list[tuple[int, str]] = []
    with anyio.move_on_after(ANSWER_S - 1) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_kafka, config, found)
            tasks.start_soon(_registry, config, found)
            for number, account in enumerate(config.accounts):
                if account.enabled:
                    tasks.start_soon(_account, config, number, found)
    if scope.cancelled_caught:
        found.append((ExitCode.UNAVAILABLE, f"not everything answered within {ANSWER_S:.0f} s"))
    for code, line in sorted(found, key=lambda each: each[1]):
        print(line, file=sys.stderr if code else sys.stdout)
    return max((code for code, _ in found), default=0)


def _wrong(config: Config, code: int, place: Place, what: str) -> tuple[int, str]:
    """What is wrong, at its key: with the file and the line, as errors of the file are told."""
    return code, config.document.said(place, what)


def _refused(config: Config, place: Place, error: KafkaError, fix: str) -> tuple[int, str]:
    """What Kafka, or the schema registry, answered or did not."""
    code = code_of(error)
    of_kafka = {ExitCode.DENIED: ("kafka", "security"), ExitCode.UNAVAILABLE: ("kafka", "bootstrap_servers")}.get(code, place)
    return _wrong(config, code, of_kafka if place == ("kafka",) else place, f"{error}; fix: {error.fix or fix}")


async def _kafka(config: Config, found: list[tuple[int, str]]) -> None:
    """What of Kafka is not as ``run`` needs it; good only where nothing is."""
    kafka, file, told = Kafka(connection_of(config)), config.kafka, list[tuple[int, str]]()
    try:
        names = kafka.connection.topics
        there = await topics.inspect(kafka)
        plan = topics.compare(names, there, partitions=file.partitions, shards=file.shards)
        told.extend(_wrong(config, ExitCode.CONFIG, ("kafka", "topics"), problem) for problem in plan.problems)
        told.extend((0, f"kafka: note: {warning}") for warning in plan.warnings)
        told.extend((0, f"kafka: {names[role]} is missing; run creates it") for role in plan.create)
        told.extend(_group_line(config, await topics.group(kafka)))
        await topics.create(kafka, plan.create, partitions=file.partitions, replication_factor=file.replication_factor, rehearse=True)
        await _rehearse(kafka, there)
        if there:
            await kafka.try_to_read(sorted(there))
        if not plan.problems:
            held = await metas(kafka) or []
            told.extend(await _lost(config, kafka, held, there))
            told.extend(await _state_lines(config, kafka, held))
        if not plan.problems and names[STATE] in there:
            await _forgotten(config, kafka, told)
        if not any(code for code, _ in told):
            told.append((0, "kafka: good"))
    except KafkaError as error:
        told.append(_refused(config, ("kafka",), error, "see the broker log"))
    finally:
        found.extend(told)


async def _registry(config: Config, found: list[tuple[int, str]]) -> None:
    """The schema registry, where there is one; nothing is registered by asking."""
    registry = config.kafka.schema_registry
    if registry is None:
        return
    try:
        known = await register(registry, subjects(), write=False)
        frames(known, registry.framing)
        found.extend(
            (0, f"schema registry: {subject} is not registered; run registers it") for subject in subjects() if subject not in known
        )
        found.append((0, "schema registry: good"))
    except KafkaError as error:
        code = code_of(error) if isinstance(error, Unavailable | Denied) else ExitCode.CONFIG
        found.append(_wrong(config, code, ("kafka", "schema_registry"), f"{error}; fix: {error.fix}"))


async def _rehearse(kafka: Kafka, there: Collection[str]) -> None:
    """A transaction as workers make them, with no shard's id, aborted. Raises Refused, Unavailable."""
    writer = await kafka.open_and_fence(NO_SHARD)
    try:
        await writer.rehearse(
            [name for role, name in kafka.connection.topics.items() if name in there and role != REQUESTS], timeout_s=ANSWER_S / 2
        )
    finally:
        await writer.close()


def _group_line(config: Config, group: topics.Group) -> list[tuple[int, str]]:
    """A group whose members are no workers: ``run`` could not join it, or would share its partitions."""
    place = ("kafka", "group")
    if not group.may_join:
        what = f"the user may not join the group {config.kafka.group}; fix: allow Read on the group"
        return [_wrong(config, ExitCode.CONFIG, place, what)]
    if not group.members or (group.protocol_type, group.protocol) in (("consumer", Rendezvous.name), ("consumer", "")):
        return []
    other = f"{group.members} members with the protocol {group.protocol_type}/{group.protocol}"
    what = f"the group {config.kafka.group} is used by another program ({other}); fix: set kafka.group to a name of its own"
    return [_wrong(config, ExitCode.CONFIG, place, what)]


async def _lost(config: Config, kafka: Kafka, held: Sequence[Meta | None], there: Collection[str]) -> list[tuple[int, str]]:
    """State that is not there although its accounts have published: ``run`` would publish all of it again, and refuses."""
    names, keys = kafka.connection.topics, {account.key for account in config.accounts}
    if any(held) or not all(name in there for role, name in names.items() if role in PUBLIC):
        return []
    if not await kafka.has_published({shard_of(key, config.kafka.shards) for key in keys}, keys):
        return []
    what = "the state is lost, and the public topics are not empty: all would be published again; fix: run poller rebuild"
    return [_wrong(config, ExitCode.REFUSED, ("kafka", "topics", "state"), what)]


async def _state_lines(config: Config, kafka: Kafka, held: Sequence[Meta | None]) -> list[tuple[int, str]]:
    """What makes ``run`` refuse to start from the state as it is."""
    lines: list[tuple[int, str]] = []
    state: Place = ("kafka", "topics", "state")
    if await topics.exists(kafka, topics.copy_name(kafka.connection.topics[STATE])):
        what = "the number of shards is being changed; fix: run poller reshard again until it ends"
        lines.append(_wrong(config, ExitCode.REFUSED, state, what))
    if any(meta is not None and meta.rebuilding for meta in held):
        what = "the state is being made again and is not whole; fix: run poller rebuild"
        lines.append(_wrong(config, ExitCode.REFUSED, state, what))
    for meta in held:
        if meta is not None and meta.group != kafka.connection.group:
            what = f"the state belongs to the group {meta.group}; fix: set kafka.group to {meta.group}"
            return [*lines, _wrong(config, ExitCode.CONFIG, ("kafka", "group"), what)]
    return lines


async def _forgotten(config: Config, kafka: Kafka, found: list[tuple[int, str]]) -> None:
    """Warn of streams that have state and are no longer in the file."""
    keys, there = {account.key for account in config.accounts}, set[bytes]()
    with anyio.move_on_after(STATE_S) as scope:
        async with aclosing(records(kafka)) as stored:
            async for record in stored:
                if record.key[:1] == Kind.CURSOR:
                    (there.discard if record.value is None else there.add)(record.key[1:])
    lost = {stream.decode().rpartition("/")[0] for stream in there} - keys
    found.extend((0, f"kafka: note: state holds the account {account}, which the file lacks") for account in sorted(lost))
    if scope.cancelled_caught:
        found.append((0, f"kafka: note: the state was not read to its end within {STATE_S:.0f} s; it may hold more accounts"))


async def _account(config: Config, number: int, found: list[tuple[int, str]]) -> None:
    account, place = config.accounts[number], ("accounts", number)
    provider, clock = provider_of(account.provider, account.options), SystemClock()
    name = next(iter(stream_names(account)()), "")
    http = Fetcher(
        account.base_url,
        timeout_s=min(account.timeout / SECOND, ANSWER_S / 2),
        clock=clock,
        on_request=lambda code, seconds: None,
        proxy=account.proxy,
        ca_file=account.ca_file,
    )
    limiter = RateLimiter(account.rate_count, account.rate_seconds, burst=account.burst, now=clock.monotonic())
    client = VendorClient(provider, http, Credentials(provider, account.secrets), limiter, clock)
    try:
        async with client:
            request = provider.probe(Stream(account.provider, account.name, name), clock.now())
            answer = await client.exchange(request)
            accept(answer.response)
            found.extend(_clock_note(account, answer.response.headers.get("date"), clock.now()))
        found.append((0, f"{account.key}: good"))
    except Unauthorized:
        what = f"{account.key}: the credentials were refused; fix: check them, and that they are of this account"
        found.append(_wrong(config, ExitCode.DENIED, (*place, "credentials"), what))
    except ProviderError as error:
        fix = error.fix or "check base_url and proxy, and whether the provider answers from this host"
        found.append(_wrong(config, ExitCode.UNAVAILABLE, place, f"{account.key}: {error}; fix: {fix}"))


def _clock_note(account: Account, date: str | None, now: Instant) -> list[tuple[int, str]]:
    """A provider whose clock and ours differ by more than requests take."""
    told = http_date(date)
    if told is None or abs(told - now) <= CLOCKS_DIFFER:
        return []
    ahead = "ahead of" if told > now else "behind"
    return [
        (0, f"{account.key}: note: the provider's clock is {abs(told - now) / SECOND:.0f} s {ahead} this host's; fix: see which is right")
    ]


def without_streams(config: Config) -> list[str]:
    """Accounts that poll nothing, because the list or the file of their streams is empty."""
    empty = (account for account in config.accounts if account.enabled and next(iter(stream_names(account)()), None) is None)
    return [f"{account.key}: it names no stream, so nothing is polled; fix: name some, or set enabled: false" for account in empty]


def too_slow(config: Config) -> list[str]:
    """What a configuration asks for and its own rate limits cannot give, with the numbers."""
    notes = []
    for account in config.accounts:
        streams, rate = len(tuple(stream_names(account)())), account.rate_count / account.rate_seconds
        needs, takes = account.interval / SECOND, round_s(streams, rate)
        if account.enabled and streams / needs > rate:
            notes.append(
                f"{account.key}: {many(streams, 'stream')} every {needs:g} s need {60 * streams / needs:.0f} requests a minute, and {60 * rate:g} are "
                f"allowed: one round takes {takes:.0f} s; fix: a longer interval, or a higher rate_limit if the vendor allows it"
            )
    return notes
