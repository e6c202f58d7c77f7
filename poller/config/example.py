"""The configuration file for people and for editors."""

from __future__ import annotations

from typing import Any

import msgspec

EXAMPLE = """\
# poller: what to poll, and where to publish it. Everything that is commented out shows its default.
kafka:
  bootstrap_servers: ["127.0.0.1:9092"]
  # security: {protocol: SASL_SSL, mechanism: SCRAM-SHA-512, username: poller, password: {file: /run/secrets/kafka}, ca_file: ca.pem}
  # topics:
  #   messages: sms.messages.v1
  #   status: sms.status-changes.v1
  #   dead_letters: sms.dead-letters.v1
  #   state: sms.poller-state.v1
  # partitions: 16              # of each public topic, at creation
  # shards: 16                  # of the state topic; fixed once it is created
  # replication_factor: auto    # the broker's default, never more than the live brokers
  # group: poller
  # session_timeout: 6s         # a worker that vanished is replaced within this + 6 s
  # instance_id: {env: HOSTNAME}   # static membership, for StatefulSets: a name or a variable
# state:
#   directory: ./poller-state   # local cache; may be lost at any time
# admin:
#   listen: 127.0.0.1:8080
# defaults:                     # any of these may be set again per account
#   interval: 15s
#   overlap: 10m                # re-read at every interval; older ages more slowly
#   start_from: 24h             # how far back a stream without state begins: a duration, a timestamp, or earliest
#   status_horizon: 72h         # how long a message that is not final is waited for
#   reconcile: {every: 6h, back: 7d}
#   timeout: 20s
# privacy: {numbers: plain, text: plain}   # plain | mask | hash | drop; hash needs key: {file: ...}
# log: {level: info, format: auto}
accounts:
- name: main
  provider: heymarket
  credentials: {secret_id: {env: HEYMARKET_ID}, secret_key: {file: /run/secrets/heymarket-key}}   # or {api_key: ...}
  # rate_limit: 400/min         # others 60/min
- name: sydney
  provider: fonedynamics
  credentials: {account_sid: {env: FD_SID}, token: {file: /run/secrets/fd-token}}
  properties: [PR1, PR2]
- name: collections
  provider: stuut
  base_url: https://api.stuut.ai
  credentials: {token: {file: /run/secrets/stuut}}
  threads: [thr_1, thr_2]       # or {file: threads.txt}, one id a line, re-read when it changes
"""

_SECRET: dict[str, Any] = {
    "oneOf": [{"type": "object", "required": [kind], "properties": {kind: {"type": "string"}}} for kind in ("env", "file")]
}


def schema() -> str:
    """JSON Schema 2020-12 of the file: keys, choices, and what is required."""
    from .file import ConfigFile

    return msgspec.json.format(
        msgspec.json.encode(_model(ConfigFile) | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "poller"})
    ).decode()


def _model(model: Any) -> dict[str, Any]:
    from .file import AccountFile

    fields = {name: _field(name, field) for name, field in model.model_fields.items()}
    if model is AccountFile:
        fields |= _of_providers()
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": fields, "description": model.__doc__}


def _of_providers() -> dict[str, Any]:
    """The names of the providers, and their own keys of an account."""
    from .provider_keys import all_own_keys, streams_key

    found: dict[str, Any] = {"provider": {"enum": []}}
    for provider, keys in all_own_keys():
        found["provider"]["enum"].append(provider.name)
        types = {field.encode_name: field.type for field in msgspec.structs.fields(provider.Options)}
        found |= {key: {} if key == streams_key(provider) else msgspec.json.schema(types[key]) for key in keys}
    return found


def _field(name: str, field: Any) -> dict[str, Any]:
    from pydantic import BaseModel

    kind = field.annotation
    for each in (kind, *getattr(kind, "__args__", ())):
        if isinstance(each, type) and issubclass(each, BaseModel) and name != "start_from":
            return {"type": "array", "items": _model(each)} if getattr(kind, "__origin__", None) is list else _model(each)
    choices = [
        value for each in (kind, *getattr(kind, "__args__", ())) for value in getattr(each, "__args__", ()) if isinstance(value, str)
    ]
    if name in ("password", "token", "key", "key_password"):
        return _SECRET
    return {"enum": choices} if choices and getattr(kind, "__origin__", None) is not list else {}
