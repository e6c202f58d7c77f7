"""What a value of the configuration may look like: how it is read, and how it is described to editors and people."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from ..model import MINUTE, SECOND, Instant, addressable
from ..providers import registry
from .paths import located, with_a_home
from .secrets import SecretRef
from .units import DURATION_MAX, duration, moment, rate, spelled

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The usual names of this host."""


def is_loopback(host: str) -> bool:
    """Whether plain HTTP to a host leads over no network (RFC 1122 section 3.2.1.3: all of 127.0.0.0/8)."""
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Shape(Struct, frozen=True):
    """How a value is written, for editors: a JSON Schema, as bytes, because types must be hashable."""

    encoded: bytes

    @property
    def schema(self) -> dict[str, Any]:
        """As an object; ``$comment`` says it in words for people."""
        return msgspec.json.decode(self.encoded)


def _shape(schema: dict[str, Any], words: str) -> Shape:
    return Shape(msgspec.json.encode({**schema, "$comment": words}))


def wrong(text: str) -> PydanticCustomError:
    """An error whose text is already a whole sentence: what is wrong; expected ...; fix: ..."""
    return PydanticCustomError("poller", "{text}", {"text": text})


def _said(parse: Callable[[Any], Any]) -> BeforeValidator:
    """A parser whose ValueError is already a whole sentence."""

    def validate(value: object) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return BeforeValidator(validate)


def _formed(pattern: str, expected: str) -> BeforeValidator:
    """A text of a form; ``expected`` says it in words."""
    form = re.compile(pattern)

    def validate(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise wrong(f"not of its form; expected {expected}; fix: write it so")
        return value

    return BeforeValidator(validate)


def _text(pattern: str | None, words: str) -> Shape:
    return _shape({"type": "string"} if pattern is None else {"type": "string", "pattern": f"^(?:{pattern})$"}, words)


def secret_at(value: object, folder: Path = Path()) -> SecretRef:
    """A reference to a secret as it is written; a relative path is relative to ``folder``. Raises PydanticCustomError."""
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, where)] = value.items()
        if kind in ("env", "file") and isinstance(where, str) and where:
            try:
                return SecretRef(env=where) if kind == "env" else SecretRef(file=located(folder, where))
            except ValueError as error:
                raise wrong(str(error)) from None
    if not isinstance(value, dict):
        raise wrong(
            "a literal secret; expected {env: NAME} or {file: PATH}; fix: put the secret into a file or a variable and name it here"
        )
    raise wrong("not a reference to a secret; expected {env: NAME} or {file: PATH}; fix: write exactly one of the two")


def _one_key(name: str) -> dict[str, Any]:
    return {"type": "object", "required": [name], "additionalProperties": False, "properties": {name: {"type": "string", "minLength": 1}}}


FilePath = Annotated[str, _said(lambda value: with_a_home(value) if isinstance(value, str) else value)]
"""A file or a folder; relative to the configuration's folder."""

_DURATION = r"\s*\d+(\.\d+)?(ms|s|m|h|d)\s*"


def _within(least: Instant, most: Instant = DURATION_MAX) -> BeforeValidator:
    """A duration within bounds: beyond them it can never work; what is only unusual is the operator's to choose."""
    return _said(partial(duration, least=least, most=most))


def _told(least: Instant, most: Instant = DURATION_MAX) -> Shape:
    """The same for editors and people."""
    bounds = [f"at least {spelled(least)}"] * (least > 0) + [f"at most {spelled(most)}"] * (most < DURATION_MAX)
    return _text(_DURATION, "a duration: 500ms, 15s, 10m, 6h, 7d" + ("; " + ", ".join(bounds) if bounds else ""))


SESSION = (SECOND // 5, 30 * MINUTE)
"""The least and the most of a session, in microseconds: two heartbeats, which are 100 ms apart; what brokers take."""

INTERVAL_MIN: Instant = SECOND // 10
"""A look for new messages takes about as long: a shorter interval would be another word for none."""

MOMENT_MIN: Instant = SECOND // 1000
"""A duration that must be some time: shorter ones print as none."""

Duration = Annotated[Instant, _within(0), _told(0)]
SessionTimeout = Annotated[Instant, _within(*SESSION), _told(*SESSION)]
Interval = Annotated[Instant, _within(INTERVAL_MIN), _told(INTERVAL_MIN)]
SomeTime = Annotated[Instant, _within(MOMENT_MIN), _told(MOMENT_MIN)]
Rate = Annotated[tuple[int, float], _said(rate), _text(r"\s*[1-9]\d*/(s|min)\s*", "a rate: 1/s, 400/min")]
_SECRET = _shape({"oneOf": [_one_key("env"), _one_key("file")]}, "{env: NAME} or {file: PATH}")
SECRET = _SECRET.schema
"""How a secret is referred to."""

Secret = Annotated[Any, BeforeValidator(secret_at), _SECRET]
Mode = Literal["plain", "mask", "hash", "drop"]

_TOPIC, _ACCOUNT = r"[A-Za-z0-9._-]{1,249}", r"[a-z0-9][a-z0-9-]{0,31}"
TopicName = Annotated[str, _formed(_TOPIC, "up to 249 letters, digits, dots, dashes and underscores"), _text(_TOPIC, "a topic's name")]
AccountName = Annotated[
    str,
    _formed(_ACCOUNT, "up to 32 small letters, digits and dashes, a letter or digit first"),
    _text(_ACCOUNT, "up to 32 small letters, digits and dashes"),
]


class StartFrom(Struct, frozen=True, kw_only=True):
    """How far back a stream without state begins."""

    kind: Literal["ago", "at", "earliest"]
    value: Instant = 0


def _start_from(value: object) -> StartFrom:
    if isinstance(value, StartFrom):
        return value
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


Start = Annotated[StartFrom, _said(_start_from), _text(None, "a duration, a timestamp, or earliest")]


def _overlap(value: object) -> Any:
    return value if value == "auto" else duration(value, least=MOMENT_MIN)


Overlap = Annotated[Instant | Literal["auto"], _said(_overlap), _text(rf"auto|{_DURATION}", "a duration, at least 1ms, or auto")]


def _replication(value: object) -> int | None:
    if value == "auto" or value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32:
        return value
    raise ValueError("not a replication factor; expected auto or a number from 1; fix: write auto")


Replication = Annotated[
    int | None,
    _said(_replication),
    _shape({"oneOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 32}]}, "auto, or a number"),
]

_INSTANCE = re.compile(_TOPIC)


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


InstanceId = Annotated[
    str,
    _said(_instance_id),
    _shape({"oneOf": [{"type": "string", "pattern": f"^{_TOPIC}$"}, _one_key("env")]}, "a name, or {env: NAME}"),
]


PORT_MAX = 65_535
"""The highest port that TCP has."""

_PORT = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(r"[^\s,/\"'<>\\^`{|}]+")


def _address(least: int, example: str) -> BeforeValidator:
    """HOST:PORT, with a port from ``least`` on."""

    def parse(value: object) -> str:
        host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
        if not _HOST.fullmatch(host) or not (_PORT.fullmatch(port) and least <= int(port) <= PORT_MAX):
            raise ValueError(f"not an address; expected HOST:PORT, with a port from {least} to {PORT_MAX}; fix: write e.g. {example}")
        return str(value)

    return _said(parse)


Server = Annotated[str, _address(1, "kafka-1:9092"), _text(r"[^\s,]+:\d{1,5}", "HOST:PORT")]
Listen = Annotated[str, _address(0, "127.0.0.1:8080"), _text(r".+:\d{1,5}", "HOST:PORT")]


def url_problem(url: str, expected: str, *, plain: bool = False) -> str | None:
    """What is wrong with a URL, as a sentence; no credentials in it, and plain HTTP only to this host unless none are sent (``plain``)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not _HOST.fullmatch(host) or port == 0 or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        scheme = "http(s)" if plain else "https"
        return f"not {expected}; expected {scheme}://HOST[:PORT][/PREFIX], with a port from 1 to {PORT_MAX}; fix: correct it"
    if parts.scheme == "http" and not is_loopback(host) and not plain:
        return "plain http would show the credentials to everybody; expected https; fix: write https://"
    return None


def _registry_url(value: object) -> str:
    problem = url_problem(value if isinstance(value, str) else "", "a URL")
    if problem is not None:
        raise ValueError(problem)
    return str(value)


def _collector_url(value: object) -> str:
    try:
        installed = find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        raise ValueError(
            "OpenTelemetry is not installed; expected the extra traces; fix: pip install 'poller[traces]', or leave traces out"
        )
    problem = url_problem(value if isinstance(value, str) else "", "a URL", plain=True)
    if problem is not None:
        raise ValueError(problem)
    return str(value)


CollectorUrl = Annotated[str, _said(_collector_url), _text(None, "http(s)://HOST[:PORT][/PREFIX]")]

RegistryUrl = Annotated[str, _said(_registry_url), _text(None, "https://HOST[:PORT][/PREFIX]")]


def stream_ids(value: object) -> tuple[str, ...] | Path:
    """A list of streams as it is written: ids, or the file of them. Raises ValueError with a whole sentence."""
    if isinstance(value, dict) and list(value) == ["file"] and isinstance(value["file"], str):
        return Path(with_a_home(value["file"]))
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        if not all(addressable(each) for each in value):
            raise ValueError("an id is empty or only dots; expected ids that a URL can hold; fix: remove it")
        if len(set(value)) < len(value):
            raise ValueError("an id is listed twice; expected each once; fix: remove the repetition")
        return tuple(value)
    raise ValueError(
        "not a list of ids; expected [ID, ...] of texts, or {file: PATH}; fix: list at least one id, in quotes if it is a number"
    )


STREAM_IDS = _shape(
    {"oneOf": [{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}, _one_key("file")]},
    "[ID, ...] or {file: PATH}",
)
"""How a list of streams is written; its key is the provider's."""


def _provider(value: object) -> str:
    if isinstance(value, str) and value in registry.names():
        return value
    raise ValueError(registry.unknown(value if isinstance(value, str) else ""))


ProviderName = Annotated[str, _said(_provider), _text(None, "a provider's name")]
