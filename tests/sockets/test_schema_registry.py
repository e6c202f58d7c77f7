"""Schemas are registered before anything is published, by a registry's HTTP API; whatever it answers, the start knows what to do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from poller.commands.check import _registry
from poller.config.file import SchemaRegistry
from poller.config.load import load
from poller.config.secrets import SecretRef
from poller.errors import ConfigError, PollerError, Refused, RegistryDenied, RegistryUnavailable
from poller.kafka import schema_registry, topics
from poller.kafka.connect import connection_of
from poller.kafka.schema_registry import register
from poller.publishing.framing import Frame, frames, subjects
from poller.telemetry.event_types import DEAD_LETTER
from poller.telemetry.facts import Telemetry
from poller.worker import daemon
from poller.worker.daemon import _Daemon
from tests.support.schema_registry import Registry, serving

pytestmark = pytest.mark.anyio
SCHEMAS = subjects()


@pytest.fixture
def registry() -> Iterator[Registry]:
    """One that answers."""
    with serving() as found:
        yield found


def link(registry: Registry) -> SchemaRegistry:
    """As the configuration has it."""
    return SchemaRegistry(url=registry.url)


async def test_each_type_is_registered_once_and_looked_up_ever_after(registry: Registry) -> None:
    """The first start registers under FORWARD_TRANSITIVE, the next one writes nothing and gets the same."""
    first = await register(link(registry), SCHEMAS)
    assert set(first) == set(registry.schemas) == set(SCHEMAS)
    assert DEAD_LETTER not in SCHEMAS
    assert set(registry.levels.values()) == {"FORWARD_TRANSITIVE"}
    registry.asked.clear()
    assert await register(link(registry), SCHEMAS) == first
    assert registry.asked == [("POST", f"/subjects/{subject}") for subject in SCHEMAS]


async def test_an_operators_own_level_is_kept(registry: Registry) -> None:
    """A subject that has a level keeps it."""
    registry.levels = dict.fromkeys(SCHEMAS, "NONE")
    await register(link(registry), SCHEMAS)
    assert set(registry.levels.values()) == {"NONE"}


async def test_looking_on_writes_nothing(registry: Registry) -> None:
    """What `check --online` does: it tells what is known, and leaves the registry as it is."""
    assert await register(link(registry), SCHEMAS, write=False) == {}
    assert (registry.schemas, registry.levels) == ({}, {})


@pytest.mark.parametrize("write", [True, False])
async def test_a_schema_that_is_not_compatible_is_refused(registry: Registry, write: bool) -> None:
    """With the subject and what the registry says; nothing is registered."""
    held = {subject: ["another"] for subject in SCHEMAS}
    registry.schemas, registry.compatible = dict(held), False
    with pytest.raises(Refused, match=r"sms\.message\.created\.v1 is not compatible.*Type changed"):
        await register(link(registry), SCHEMAS, write=write)
    assert registry.schemas == held


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, RegistryDenied), (403, RegistryDenied), (429, RegistryUnavailable), (500, RegistryUnavailable), (301, Refused), (200, Refused)],
)
async def test_every_trouble_has_its_error(registry: Registry, status: int, error: type[Exception]) -> None:
    """Credentials, load, a server in trouble, and what is no registry at all."""
    registry.status = status
    with pytest.raises(error) as raised:
        await register(link(registry), SCHEMAS)
    assert type(raised.value) is error


async def test_silence_has_an_end(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that takes connections and never answers is left after a bounded time; so is one that is not there."""
    monkeypatch.setattr(schema_registry, "ALL_S", 0.2)
    registry.silence.clear()
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        await register(link(registry), SCHEMAS)
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        await register(SchemaRegistry(url="http://127.0.0.1:9"), SCHEMAS)


async def test_the_password_comes_from_its_file_each_time(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Basic authentication, with a secret that is read when it is needed; a wrong one is said, and never shown."""
    registry.password = "Basic " + base64.b64encode(b"poller:right").decode()
    one = SchemaRegistry(url=registry.url, username="poller", password=SecretRef(env="REGISTRY_PASSWORD"))
    monkeypatch.setenv("REGISTRY_PASSWORD", "wrong-one")
    with pytest.raises(RegistryDenied) as raised:
        await register(one, SCHEMAS)
    assert "wrong-one" not in str(raised.value)
    monkeypatch.setenv("REGISTRY_PASSWORD", "right")
    assert await register(one, SCHEMAS)


async def test_a_header_needs_guids(registry: Registry) -> None:
    """Where a registry gives numbers only, the header is refused with its fix, and the prefix can be used."""
    registry.guids = False
    found = await register(link(registry), SCHEMAS)
    assert frames(found, "prefix")["created"].prefix == b"\0" + found["sms.message.created.v1"].id.to_bytes(4, "big")
    with pytest.raises(Refused, match="GUID") as raised:
        frames(found, "header")
    assert "prefix" in raised.value.fix


CONFIG = """\
kafka:
  bootstrap_servers: ["127.0.0.1:9"]
  schema_registry: {{url: "{url}"}}
accounts:
- {{name: a, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {{token: {{env: HOME}}}}, threads: [t]}}
"""


class Begun:
    """What the daemon makes of the process once everything is there: here it only notes with which frames."""

    frames: ClassVar[list[dict[str, Frame]]] = []

    def __init__(self, *_: object, frames: dict[str, Frame], **__: object) -> None:
        self.frames.append(frames)

    async def run(self, _: object) -> None:
        """Nothing to do."""


class Noted(Telemetry):
    """What the daemon says; after its third word of trouble the registry is well again."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(version="x", level="critical", form="json")
        self.registry, self.said = registry, list[str]()
        self.daemon: _Daemon | None = None

    def kafka_trouble(self, error: PollerError, where: str) -> None:
        """Noted, with what was begun by then."""
        assert Begun.frames == [], "a worker has begun without schemas"
        assert self.daemon is not None
        assert self.daemon.snapshot().kafka_up, "Kafka is not what is away"
        self.said.append(error.kind)
        if len(self.said) == 3:
            self.registry.status = None
            self.registry.silence.set()
            schema_registry.ALL_S = 60.0  # what is well again may take its time on a busy machine


def starting(registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[_Daemon, Noted]:
    """A daemon whose Kafka is there, with its topics; it tries again at once."""

    async def there(*_: object) -> dict[str, topics.Found]:
        return {}

    (folder / "poller.yaml").write_text(CONFIG.format(url=registry.url))
    config, telemetry = load(folder / "poller.yaml"), Noted(registry)
    monkeypatch.setattr(Begun, "frames", [])
    monkeypatch.setattr(daemon, "Worker", Begun)
    monkeypatch.setattr(daemon, "RETRY_S", 0.0)
    monkeypatch.setattr(_Daemon, "_audit", there)
    monkeypatch.setattr(_Daemon, "_whose", there)
    nothing: Any = None
    telemetry.daemon = _Daemon(config, connection_of(config), nothing, telemetry, nothing)
    return telemetry.daemon, telemetry


@pytest.mark.parametrize(("status", "error"), [(503, RegistryUnavailable), (401, RegistryDenied), (None, RegistryUnavailable)])
async def test_a_daemon_waits_for_its_registry(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, error: type[PollerError]
) -> None:
    """In trouble, refusing its credentials or silent: said each time, no worker begins; then one begins with every schema."""
    monkeypatch.setattr(schema_registry, "ALL_S", 60.0 if status else 0.2)
    registry.status = status
    if status is None:
        registry.silence.clear()
    started, telemetry = starting(registry, tmp_path, monkeypatch)
    await started._work()
    assert telemetry.said == [error.kind] * 3
    [begun] = Begun.frames
    assert set(begun) == {"created", "updated", "status", "latest"}


async def test_a_schema_that_is_refused_ends_the_start(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mistake of the configuration, with the registry's reason: nothing would change by waiting."""
    registry.schemas, registry.compatible = {subject: ["another"] for subject in SCHEMAS}, False
    started, telemetry = starting(registry, tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match=r"not compatible.*Type changed"):
        await started._work()
    assert (telemetry.said, Begun.frames) == ([], [])


async def test_check_online_says_what_run_would_meet(registry: Registry, tmp_path: Path) -> None:
    """What would be registered, what is good, and what would end or delay the start, with the exit code of each; and writes nothing."""
    (tmp_path / "poller.yaml").write_text(CONFIG.format(url=registry.url))
    config, told = load(tmp_path / "poller.yaml"), list[tuple[int, str]]()
    await _registry(config, told)
    assert told == [
        *((0, f"schema registry: {each} is not registered; run registers it") for each in SCHEMAS),
        (0, "schema registry: good"),
    ]
    assert registry.schemas == {}
    for status, code in ((503, 69), (401, 77), (301, 78)):
        registry.status = status
        told.clear()
        await _registry(config, told)
        assert [each for each, _ in told] == [code], told
        assert all("; fix: " in line for _, line in told)
