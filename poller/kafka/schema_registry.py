"""A schema registry: the schemas of what is published, registered before anything is, by Confluent's HTTP API.

Asked at the start only. What comes back are numbers, which are kept in memory: a registry that goes away later
stops nobody. A schema that is known already is only looked up, so a worker needs no right to write where an
operator registers the schemas. A subject that is new gets the level FORWARD_TRANSITIVE: within v1 fields are
only added, and readers of any older schema must read what is published today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
import httpx
from msgspec import Struct

from ..config.certificates import tls_context
from ..config.file import SchemaRegistry
from ..config.proxies import proxy_of
from ..errors import ConfigError, Refused, RegistryDenied, RegistryUnavailable

LEVEL = "FORWARD_TRANSITIVE"
"""What a new subject demands of its next schema. An operator's own level is kept."""

ALL_S = 8.0
"""Seconds that asking for all schemas may take, so that a registry's silence is said within 10 s; then the start begins anew."""

DEFAULT_TIMEOUT_S = 5.0
"""Seconds that one answer may take."""

SAID_MAX = 200
"""Characters of what a registry says that are passed on."""

_HEADERS = {"accept": "application/vnd.schemaregistry.v1+json, application/json"}


class Registered(Struct, frozen=True):
    """What a registry calls a schema."""

    id: int
    guid: str | None
    """None where the registry gives its schemas numbers only."""


class _Answer(NamedTuple):
    code: int
    body: dict[str, Any]

    @property
    def registered(self) -> Registered | None:
        number, guid = self.body.get("id"), self.body.get("guid")
        if self.code != 200 or not isinstance(number, int) or not 0 <= number < 1 << 32:
            return None
        return Registered(number, guid if isinstance(guid, str) else None)


async def register(link: SchemaRegistry, schemas: Mapping[str, str], *, write: bool = True) -> dict[str, Registered]:
    """What the registry calls each schema; ``schemas`` maps subjects to JSON Schemas. Without ``write`` only those that it knows.

    Raises RegistryUnavailable where it does not answer, RegistryDenied, and Refused for a schema that is not compatible.
    """
    try:
        with anyio.fail_after(ALL_S):
            async with _client(link) as client:
                found = {subject: await _subject(client, subject, schema, write=write) for subject, schema in schemas.items()}
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        raise RegistryUnavailable(
            f"the schema registry does not answer ({type(error).__name__})", fix="see kafka.schema_registry.url"
        ) from None
    return {subject: each for subject, each in found.items() if each is not None}


def _client(link: SchemaRegistry) -> httpx.AsyncClient:
    """Raises Refused where the files or variables give no connection."""
    try:
        auth = None if link.username is None or link.password is None else (link.username, link.password.read())
        verify, proxy = tls_context(link.authorities), proxy_of(None, link.url)
    except ConfigError as error:
        raise Refused(str(error), fix="see kafka.schema_registry") from None
    return httpx.AsyncClient(
        base_url=link.url.rstrip("/"), auth=auth, verify=verify, proxy=proxy, trust_env=False, timeout=DEFAULT_TIMEOUT_S, headers=_HEADERS
    )


async def _subject(client: httpx.AsyncClient, subject: str, schema: str, *, write: bool) -> Registered | None:
    """One schema: looked up, else held against those before it, else registered."""
    place, body = f"/subjects/{quote(subject, safe='')}", {"schemaType": "JSON", "schema": schema}
    known = (await _ask(client, "POST", place, body, (404,))).registered
    if known is not None:
        return known
    if write and (await _ask(client, "GET", place.replace("/subjects", "/config"), None, (404,))).code == 404:
        await _ask(client, "PUT", place.replace("/subjects", "/config"), {"compatibility": LEVEL})
    verdict = await _ask(client, "POST", f"/compatibility{place}/versions?verbose=true", body, (404,))
    if verdict.body.get("is_compatible") is False:
        raise _incompatible(subject, "; ".join(map(str, verdict.body.get("messages") or ())))
    if not write:
        return None
    made = await _ask(client, "POST", f"{place}/versions", body, (409,))
    if made.code == 409:
        raise _incompatible(subject, str(made.body.get("message", "")))
    if made.registered is None:
        raise Refused(f"the schema registry gives {subject} no id", fix="see that kafka.schema_registry.url is a schema registry")
    return made.registered


async def _ask(client: httpx.AsyncClient, method: str, path: str, body: dict[str, str] | None, expected: tuple[int, ...] = ()) -> _Answer:
    """A request and its answer: 200, or an expected code. Raises RegistryUnavailable, RegistryDenied, Refused."""
    answer = await client.request(method, path, json=body)
    code = answer.status_code
    if code in (401, 403):
        raise RegistryDenied(
            f"the schema registry refuses the credentials ({code})", fix="see kafka.schema_registry.username and .password"
        )
    if code == 429 or code >= 500:
        raise RegistryUnavailable(f"the schema registry answers {code}", fix="see the registry's log")
    try:
        told = answer.json()
    except ValueError:
        told = None
    if (code != 200 and code not in expected) or not isinstance(told, dict):
        raise Refused(
            f"the schema registry answers {code} to {method} {path}", fix="see that kafka.schema_registry.url is a schema registry"
        )
    return _Answer(code, told)


def _incompatible(subject: str, why: str) -> Refused:
    return Refused(
        f"the schema of {subject} is not compatible with those that are registered: {why[:SAID_MAX] or 'no reason given'}",
        fix="give this installation subjects of its own, or set the subject's compatibility to FORWARD_TRANSITIVE",
    )
