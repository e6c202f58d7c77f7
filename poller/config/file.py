"""The shape of the configuration file: what may be written, and what is wrong when something else is."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ..model import DAY, HOUR, MINUTE, SECOND, Instant, addressable
from ..providers import registry
from .certificates import client_context
from .secrets import SecretRef
from .units import duration, moment, rate


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("poller", "{text}", {"text": text})


def _said(parse: Any) -> BeforeValidator:
    """A parser whose ValueError is already a whole sentence."""

    def validate(value: object) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise _wrong(str(error)) from None

    return BeforeValidator(validate)


def secret_at(value: object, folder: Path = Path()) -> SecretRef:
    """A reference to a secret as it is written; a relative path is relative to ``folder``. Raises PydanticCustomError."""
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, where)] = value.items()
        if kind in ("env", "file") and isinstance(where, str) and where:
            return SecretRef(env=where) if kind == "env" else SecretRef(file=folder / where)
    if not isinstance(value, dict):
        raise _wrong(
            "a literal secret; expected {env: NAME} or {file: PATH}; fix: put the secret into a file or a variable and name it here"
        )
    raise _wrong("not a reference to a secret; expected {env: NAME} or {file: PATH}; fix: write exactly one of the two")


def _formed(pattern: str, expected: str) -> Any:
    """A text of a form; ``expected`` says it in words."""
    form = re.compile(pattern)

    def validate(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise _wrong(f"not of its form; expected {expected}; fix: write it so")
        return value

    return BeforeValidator(validate)


Duration = Annotated[Instant, _said(duration)]
Rate = Annotated[tuple[int, float], _said(rate)]
Secret = Annotated[Any, BeforeValidator(secret_at)]
Mode = Literal["plain", "mask", "hash", "drop"]
TopicName = Annotated[str, _formed(r"[A-Za-z0-9._-]{1,249}", "up to 249 letters, digits, dots, dashes and underscores")]
Server = Annotated[str, _formed(r"[^\s,]+:\d{1,5}", "HOST:PORT, such as kafka-1:9092")]
AccountName = Annotated[str, _formed(r"[a-z0-9][a-z0-9-]{0,31}", "up to 32 small letters, digits and dashes, a letter or digit first")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class StartFrom(_Model):
    """How far back a stream without state begins."""

    kind: Literal["ago", "at", "earliest"]
    value: Instant = 0


def _start_from(value: object) -> StartFrom:
    if value == "earliest":
        return StartFrom(kind="earliest")
    try:
        return StartFrom(kind="ago", value=duration(value))
    except ValueError:
        pass
    try:
        return StartFrom(kind="at", value=moment(value))
    except ValueError:
        raise ValueError("not a start; expected a duration such as 24h, a timestamp, or earliest; fix: write e.g. 24h") from None


class Security(_Model):
    """How to connect to Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    username: str | None = None
    password: Secret = None
    token: Secret = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: Secret = None

    @model_validator(mode="after")
    def _complete(self) -> Security:
        if self.protocol.startswith("SASL") and self.mechanism is None:
            raise _wrong("no mechanism; expected one for SASL; fix: set kafka.security.mechanism")
        if self.mechanism == "OAUTHBEARER" and self.token is None:
            raise _wrong("no token; expected {env: NAME} or {file: PATH} for OAUTHBEARER; fix: set kafka.security.token")
        if self.mechanism not in (None, "OAUTHBEARER") and (self.username is None or self.password is None):
            raise _wrong("no username or password; expected both for this mechanism; fix: set kafka.security.username and .password")
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
        ca, cert, key = (folder / name if name else None for name in (self.ca_file, self.cert_file, self.key_file))
        return client_context(ca, cert, key, self.key_password.within(folder).read() if self.key_password else None)


class Topics(_Model):
    """The names of the topics."""

    messages: TopicName = "sms.messages.v1"
    status: TopicName = "sms.status-changes.v1"
    dead_letters: TopicName = "sms.dead-letters.v1"
    state: TopicName = "sms.poller-state.v1"

    @model_validator(mode="after")
    def _distinct(self) -> Topics:
        names = list(self.by_role().values())
        if len(set(names)) < len(names):
            raise _wrong("two topics have the same name; expected four different names; fix: rename one")
        return self

    def by_role(self) -> dict[str, str]:
        """Role to name."""
        return {"messages": self.messages, "status": self.status, "dead_letters": self.dead_letters, "state": self.state}


def _replication(value: object) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32:
        return value
    raise ValueError("not a replication factor; expected auto or a number from 1; fix: write auto")


_INSTANCE = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _instance_id(value: object) -> str:
    """A name, or the variable that holds one: ``{env: HOSTNAME}`` gives each pod of a StatefulSet its own."""
    where = ""
    if isinstance(value, dict) and set(value) == {"env"}:
        where = f"the variable {value['env']} holds "
        value = os.environ.get(str(value["env"]), "")
    if not isinstance(value, str) or not _INSTANCE.fullmatch(value):
        raise ValueError(
            f"{where}no name of an instance; expected letters, digits, dots and dashes; fix: write a name or {{env: HOSTNAME}}"
        )
    return value


class Kafka(_Model):
    """Kafka, its topics and the group."""

    bootstrap_servers: Annotated[list[Server], Field(min_length=1)]
    security: Security = Security()
    topics: Topics = Topics()
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 16
    shards: Annotated[int, Field(ge=1, le=10_000)] = 16
    replication_factor: Annotated[int | None, _said(_replication)] = None
    group: Annotated[str, Field(min_length=1, max_length=255)] = "poller"
    session_timeout: Duration = 6 * SECOND
    instance_id: Annotated[str, _said(_instance_id)] | None = None

    def within(self, folder: Path) -> Kafka:
        """The same; relative paths of its secrets are relative to a folder."""
        return self.model_copy(update={"security": self.security.within(folder)})


class State(_Model):
    """The local cache."""

    directory: Annotated[str, Field(min_length=1)] = "poller-state"


def _listen(value: object) -> str:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("not an address; expected HOST:PORT; fix: write e.g. 127.0.0.1:8080")
    return str(value)


class Admin(_Model):
    """The administration port."""

    listen: Annotated[str, _said(_listen)] = "127.0.0.1:8080"

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

    every: Duration = 6 * HOUR
    back: Duration = 7 * DAY


def _overlap(value: object) -> Instant | None:
    return None if value == "auto" else duration(value)


class Defaults(_Model):
    """What may be set for all accounts and again for each."""

    interval: Duration = 15 * SECOND
    overlap: Annotated[Instant | None, _said(_overlap)] = 10 * MINUTE
    start_from: Annotated[StartFrom, _said(_start_from)] = StartFrom(kind="ago", value=DAY)
    status_horizon: Duration = 72 * HOUR
    reconcile: Reconcile = Reconcile()
    timeout: Duration = 20 * SECOND


class PrivacyConfig(_Model):
    """What is published of numbers and texts."""

    numbers: Mode = "plain"
    text: Mode = "plain"
    dead_letters: Literal["original", "redacted"] | None = None
    key: Secret = None

    @model_validator(mode="after")
    def _keyed(self) -> PrivacyConfig:
        if "hash" in (self.numbers, self.text) and self.key is None:
            raise _wrong("no key; expected {env: NAME} or {file: PATH} where something is hashed; fix: set privacy.key")
        return self

    def within(self, folder: Path) -> PrivacyConfig:
        """The same; a relative path of its key is relative to a folder."""
        return self.model_copy(update={"key": self.key and self.key.within(folder)})

    @property
    def original_dead_letters(self) -> bool:
        """Redacted by default, unless both are plain."""
        return (self.dead_letters or ("original" if self.numbers == self.text == "plain" else "redacted")) == "original"


class Log(_Model):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console", "ecs"] = "auto"


def stream_ids(value: object) -> tuple[str, ...] | Path:
    """A list of streams as it is written: ids, or the file of them. Raises ValueError with a whole sentence."""
    if isinstance(value, dict) and list(value) == ["file"] and isinstance(value["file"], str):
        return Path(value["file"])
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        if not all(addressable(each) for each in value):
            raise ValueError("an id is empty or only dots; expected ids that a URL can hold; fix: remove it")
        if len(set(value)) < len(value):
            raise ValueError("an id is listed twice; expected each once; fix: remove the repetition")
        return tuple(value)
    raise ValueError(
        "not a list of ids; expected [ID, ...] of texts, or {file: PATH}; fix: list at least one id, in quotes if it is a number"
    )


def _provider(value: object) -> str:
    if isinstance(value, str) and value in registry.names():
        return value
    raise ValueError(registry.unknown(value if isinstance(value, str) else ""))


class AccountFile(_Model):
    """One account as it is written. The provider's own keys are in ``model_extra``; :mod:`.provider_keys` checks them."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, arbitrary_types_allowed=True)

    name: AccountName
    provider: Annotated[str, _said(_provider)]
    credentials: dict[str, Secret]
    base_url: str | None = None
    rate_limit: Rate | None = None
    burst: Annotated[int, Field(ge=1, le=1000)] = 1
    proxy: str | None = None
    ca_file: str | None = None
    enabled: bool = True
    drafts: Literal["publish", "ignore"] = "publish"
    channels: list[Literal["sms", "mms", "email"]] = ["sms", "mms"]
    interval: Duration | None = None
    overlap: Annotated[Instant | Literal["auto"] | None, _said(lambda v: "auto" if v == "auto" else duration(v))] = None
    start_from: Annotated[StartFrom | None, _said(_start_from)] = None
    status_horizon: Duration | None = None
    reconcile: Reconcile | None = None
    timeout: Duration | None = None


class ConfigFile(_Model):
    """The file."""

    kafka: Kafka
    state: State = State()
    admin: Admin = Admin()
    defaults: Defaults = Defaults()
    privacy: PrivacyConfig = PrivacyConfig()
    log: Log = Log()
    accounts: Annotated[list[AccountFile], Field(min_length=1)]
