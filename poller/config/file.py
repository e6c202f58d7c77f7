"""The keys of the configuration file: each with its form, its default, and what it is for.

Editors get them as a JSON Schema, people as docs/configuration.md; both are made from here (:mod:`.schema`).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..model import DAY, HOUR, MINUTE, SECOND
from .certificates import client_context
from .forms import (
    AccountName,
    CollectorUrl,
    Duration,
    FilePath,
    InstanceId,
    Interval,
    Listen,
    Mode,
    Overlap,
    ProviderName,
    Rate,
    RegistryUrl,
    Replication,
    Secret,
    Server,
    SessionTimeout,
    SomeTime,
    Start,
    StartFrom,
    TopicName,
    wrong,
)
from .paths import located
from .secrets import SecretRef


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)


class Security(_Model):
    """How to connect to Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """With or without TLS, with or without SASL."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """Of SASL; required with it."""
    username: str | None = None
    """For PLAIN and SCRAM."""
    password: Secret = None
    """For PLAIN and SCRAM."""
    token: Secret = None
    """For OAUTHBEARER; read again for each connection."""
    ca_file: FilePath | None = None
    """Authorities that the brokers' certificates are checked against, in PEM form; default: the system's."""
    cert_file: FilePath | None = None
    """The client's certificate, in PEM form, where the brokers ask for one."""
    key_file: FilePath | None = None
    """The key of the client's certificate, where it is not in the same file."""
    key_password: Secret = None
    """What the key is encrypted with."""

    @model_validator(mode="after")
    def _complete(self) -> Security:
        if self.protocol.startswith("SASL") and self.mechanism is None:
            raise wrong("no mechanism; expected one for SASL; fix: set kafka.security.mechanism")
        if self.mechanism == "OAUTHBEARER" and self.token is None:
            raise wrong("no token; expected {env: NAME} or {file: PATH} for OAUTHBEARER; fix: set kafka.security.token")
        if self.mechanism not in (None, "OAUTHBEARER") and (self.username is None or self.password is None):
            raise wrong("no username or password; expected both for this mechanism; fix: set kafka.security.username and .password")
        return self

    def within(self, folder: Path) -> Security:
        """The same; relative paths of its secrets are relative to a folder."""
        return self.model_copy(update={name: written and written.within(folder) for name, written in self._secrets().items()})

    def _secrets(self) -> dict[str, SecretRef | None]:
        return {"password": self.password, "token": self.token, "key_password": self.key_password}

    def context(self, folder: Path) -> ssl.SSLContext | None:
        """What TLS to the brokers needs, or None without TLS. Raises ConfigError where the files cannot be used."""
        if "SSL" not in self.protocol:
            return None
        ca, cert, key = (located(folder, name) if name else None for name in (self.ca_file, self.cert_file, self.key_file))
        return client_context(ca, cert, key, self.key_password.within(folder).read() if self.key_password else None)


class Topics(_Model):
    """The names of the topics."""

    messages: TopicName = "sms.messages.v1"
    """Messages, new and changed."""
    status: TopicName = "sms.status-changes.v1"
    """Changes of status."""
    dead_letters: TopicName = "sms.dead-letters.v1"
    """Rows that cannot be normalized."""
    latest: TopicName | None = None
    """The newest full message of each key, compacted, such as sms.messages-latest.v1; without a name there is none."""
    state: TopicName = "sms.poller-state.v1"
    """What was published, compacted; of this installation alone."""
    requests: TopicName = "sms.poller-requests.v1"
    """What commands ask of workers (backfills); small, and of this installation alone."""

    @model_validator(mode="after")
    def _distinct(self) -> Topics:
        names = list(self.by_role().values())
        if len(set(names)) < len(names):
            raise wrong("two topics have the same name; expected different names; fix: rename one")
        return self

    def by_role(self) -> dict[str, str]:
        """Role to name, of the topics that there are to be."""
        return {role: name for role, name in self if name is not None}


class SchemaRegistry(_Model):
    """A schema registry that speaks Confluent's API. Asked at the start only; a start waits for it."""

    url: RegistryUrl
    """Where it answers."""
    framing: Literal["prefix", "header"] = "prefix"
    """How a record names its schema: five bytes before the value, or the header `__value_schema_id` beside plain JSON."""
    username: str | None = None
    """For basic authentication."""
    password: Secret = None
    """For basic authentication."""
    ca_file: FilePath | None = None
    """Authorities that its certificate is checked against, in PEM form; default: the system's."""

    @model_validator(mode="after")
    def _complete(self) -> SchemaRegistry:
        if (self.username is None) != (self.password is None):
            raise wrong("a username or a password alone; expected both or none; fix: set kafka.schema_registry.username and .password")
        return self

    @property
    def authorities(self) -> Path | None:
        """The file of authorities."""
        return None if self.ca_file is None else Path(self.ca_file)

    def within(self, folder: Path) -> SchemaRegistry:
        """The same; relative paths are relative to a folder."""
        password = self.password and self.password.within(folder)
        return self.model_copy(update={"password": password, "ca_file": self.ca_file and str(located(folder, self.ca_file))})


class Kafka(_Model):
    """Kafka, its topics and the group."""

    bootstrap_servers: Annotated[list[Server], Field(min_length=1)]
    """Some of the brokers; the others are learned from them."""
    security: Security = Security()
    """How to connect."""
    topics: Topics = Topics()
    """The names of the topics."""
    schema_registry: SchemaRegistry | None = None
    """A registry of schemas; without it, schemas are only named."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Partitions of each public topic, at creation."""
    shards: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Partitions of the state topic: how many workers can share the accounts. Fixed once created; `poller reshard` changes it."""
    replication_factor: Replication = None
    """Of topics that are created; auto: the broker's default, never more than the live brokers."""
    group: Annotated[str, Field(min_length=1, max_length=255)] = "poller"
    """The consumer group on the state topic; another group on the same state topic is refused."""
    session_timeout: SessionTimeout = 6 * SECOND
    """A worker that vanished is replaced within this and 6 s."""
    instance_id: InstanceId | None = None
    """Static membership, for StatefulSets: a name of its own for each worker, or the variable that holds it."""
    retention: SomeTime | None = None
    """How long the public topics keep events, at creation; default: the broker's."""

    def within(self, folder: Path) -> Kafka:
        """The same; relative paths of its secrets are relative to a folder."""
        registry = self.schema_registry and self.schema_registry.within(folder)
        return self.model_copy(update={"security": self.security.within(folder), "schema_registry": registry})


class State(_Model):
    """The local cache."""

    directory: Annotated[FilePath, Field(min_length=1)] = "poller-state"
    """Where it lies; it may be lost at any time, and is then restored from Kafka."""


class Admin(_Model):
    """The administration port: status page, health, metrics."""

    listen: Listen = "127.0.0.1:8080"
    """The address; port 0 = any free one."""

    @property
    def host(self) -> str:
        """Without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """0 = any free one."""
        return int(self.listen.rpartition(":")[2])


class Reconcile(_Model):
    """How deep and how often everything is read again."""

    every: SomeTime = 6 * HOUR
    """Everything up to `back` is read again at least this often, younger ages proportionally more often."""
    back: Duration = 7 * DAY
    """How far back; at least 4 x `every`."""


class Defaults(_Model):
    """What may be set for all accounts and again for each."""

    interval: Interval = 15 * SECOND
    """How often new messages are looked for."""
    overlap: Overlap = 10 * MINUTE
    """How far back each look reaches; older ages are read more slowly. auto: learned from how late rows come."""
    start_from: Start = StartFrom(kind="ago", value=DAY)
    """How far back a stream begins that has no state."""
    status_horizon: Duration = 72 * HOUR
    """How long a message that is not final is waited for."""
    reconcile: Reconcile = Reconcile()
    """How deep and how often everything is read again."""
    timeout: SomeTime = 20 * SECOND
    """How long a request may take."""


class PrivacyConfig(_Model):
    """What is published of numbers and texts."""

    numbers: Mode = "plain"
    """Phone numbers: as they are, their last two digits, a keyed hash, or nothing."""
    text: Mode = "plain"
    """Texts, media and what else people wrote: as they are, their length, a keyed hash, or nothing."""
    dead_letters: Literal["original", "redacted"] | None = None
    """Rows that cannot be read: whole, or their length; default: redacted, unless numbers and text are plain."""
    key: Secret = None
    """What hashes are keyed with; required for hash."""

    @model_validator(mode="after")
    def _keyed(self) -> PrivacyConfig:
        if "hash" in (self.numbers, self.text) and self.key is None:
            raise wrong("no key; expected {env: NAME} or {file: PATH} where something is hashed; fix: set privacy.key")
        return self

    def within(self, folder: Path) -> PrivacyConfig:
        """The same; a relative path of its key is relative to a folder."""
        return self.model_copy(update={"key": self.key and self.key.within(folder)})

    @property
    def original_dead_letters(self) -> bool:
        """Redacted by default, unless both are plain."""
        return (self.dead_letters or ("original" if self.numbers == self.text == "plain" else "redacted")) == "original"


class Log(_Model):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""
    format: Literal["auto", "json", "console", "ecs"] = "auto"
    """auto: json unless stderr is a terminal; ecs: the names of the Elastic Common Schema."""


class Traces(_Model):
    """Spans for OpenTelemetry: each page of a sweep, its requests, its commit. Needs the extra `traces`."""

    endpoint: CollectorUrl
    """The collector, which takes OTLP over HTTP at `/v1/traces` below this."""


class AccountFile(_Model):
    """One account: a provider's credentials, and what is polled with them. Each provider has keys of its own besides."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    name: AccountName
    """A name of its own; it is part of every key, so it is not changed later."""
    provider: ProviderName
    """The vendor."""
    credentials: dict[str, Secret]
    """As the provider says; each {env: NAME} or {file: PATH}. A file is read again within a second of a change."""
    base_url: str | None = None
    """The vendor's URL, with a path prefix or without; default: the provider's own."""
    rate_limit: Rate | None = None
    """Requests that may be started in any second or minute, retries and look-ups included; default: the provider's."""
    burst: Annotated[int, Field(ge=1, le=1000)] = 1
    """Requests beyond the even spacing that may be started at once."""
    proxy: str | None = None
    """HOST:PORT or a URL; default: what HTTPS_PROXY, ALL_PROXY and NO_PROXY say."""
    ca_file: FilePath | None = None
    """Authorities that the vendor's certificate is checked against, in PEM form; default: the system's."""
    enabled: bool = True
    """Whether it is polled."""
    drafts: Literal["publish", "ignore"] = "publish"
    """Whether messages that were never sent are published."""
    channels: list[Literal["sms", "mms", "rcs", "whatsapp", "email"]] = ["sms", "mms", "rcs", "whatsapp"]
    """Which messages are published; those of an unknown channel always are, e-mails only where they are asked for."""
    interval: Interval | None = None
    """As in defaults."""
    overlap: Overlap | None = None
    """As in defaults."""
    start_from: Start | None = None
    """As in defaults."""
    status_horizon: Duration | None = None
    """As in defaults."""
    reconcile: Reconcile | None = None
    """As in defaults; it takes the place of that of `defaults` as a whole, so a key that is left out is 6h or 7d."""
    timeout: SomeTime | None = None
    """As in defaults."""


class ConfigFile(_Model):
    """The configuration of poller. Relative paths are relative to the file, and ``~`` is the home of the user."""

    kafka: Kafka
    """Kafka, its topics and the group."""
    state: State = State()
    """The local cache."""
    admin: Admin = Admin()
    """The administration port."""
    defaults: Defaults = Defaults()
    """What may be set for all accounts and again for each."""
    privacy: PrivacyConfig = PrivacyConfig()
    """What is published of numbers and texts."""
    log: Log = Log()
    """The log."""
    traces: Traces | None = None
    """An OpenTelemetry collector that is sent spans; needs the extra `traces`. Without this key nothing is traced."""
    accounts: Annotated[list[AccountFile], Field(min_length=1)]
    """What is polled."""
