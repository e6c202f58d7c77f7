"""The exam that every provider passes, built in or from a package outside. In a package's own tests::

    from poller.providers import exam

    def test_my_provider() -> None:
        exam.examine("myvendor", cases="tests/cases")

The exam asks for what the contract promises: requests that hold no secret, continuations that survive state, answers of
every kind read or refused by the right error, rows that never raise, and the vendor's own case files. It needs no
test framework: what is wrong is an AssertionError with a sentence.

A case file is JSON: ``why`` (a sentence), ``window`` {``since``, ``until``} in epoch seconds, ``stream``, ``options``,
``learned``, or ``lookup`` (a message id); ``exchanges``: each with the expected ``request`` {``method``, ``path``, ``query``,
``body``}, the ``response`` {``status``, ``headers``, ``body`` or ``text``}, and what comes of it: ``ids``, ``bad`` [[reason, field]],
``gaps``, ``oddities``, or ``error`` (its kind) and ``wait_s``; ``open`` where the sweep goes on; and ``rows``: by id, what each must
be read as. A member that is not named may be anything; null means absent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..errors import PollerError, ProviderError, RateLimited, Unauthorized, Unreachable
from ..model import DAY, SECOND, STATUS_RANK, BadRow, Instant, Observation, Row, Stream
from ..times import parse_rfc3339
from .contract import (
    LOOKUP,
    ByTime,
    Fixed,
    Headers,
    Named,
    Page,
    Provider,
    Request,
    Response,
    SecretOption,
    Skipped,
    Token,
    TokenRequest,
    View,
    Whole,
    Window,
    recalled,
)
from .registry import provider_of

NOW: Instant = 1_790_000_000 * SECOND
"""When the exam takes place, on the provider's clock."""

MUTATED = 300
"""Rows with random damage that are read, for each vendor: a second's work, and every kind of damage some twenty times."""

ODD: tuple[bytes, ...] = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b'""',
    b'"\xf6"',
    b'"\\ud83d"',
    b"[]",
    b"{}",
    b"[" * 200 + b"]" * 200,
    b"9" * 400,
    b"NaN",
)
"""What a member may hold in place of what the vendor documents."""


def examine(name: str, cases: Path | str | None = None) -> None:
    """The whole exam of a registered provider. Raises AssertionError with what is wrong; ConfigError for an unknown name."""
    provider = provider_of(name)
    files = sorted(Path(cases).glob("*.json")) if cases is not None else []
    assert cases is None or files, f"no case files in {cases}"
    facts(provider, name)
    requests(provider)
    answers(provider)
    rows_never_raise(provider, [raw for file in files for raw in _rows_of(file)] or [b'{"id":"1"}'])
    for file in files:
        case(file, name)


def stream_of(provider: Provider, name: str = "s1") -> Stream:
    """A stream of the provider: of its fixed ones the one of this name, else the first; or any."""
    fixed = provider.streams.names if isinstance(provider.streams, Fixed) else (name,)
    return Stream(provider.name, "main", name if name in fixed else fixed[0])


def facts(provider: Provider, name: str) -> None:
    """What the provider says of itself is of the contract's kinds, and it is a value."""
    assert provider.name == name, f"the provider calls itself {provider.name}, and is registered as {name}"
    assert provider.base_url is None or provider.base_url.startswith("https://"), "the base_url is not https"
    assert provider.rate_limit[0] > 0 and provider.rate_limit[1] > 0, "the rate limit is no rate"
    assert provider.credentials and all(isinstance(each, frozenset) and each for each in provider.credentials), "no set of credentials"
    assert isinstance(provider.streams, Fixed | Named), "streams are neither Fixed nor Named"
    assert isinstance(provider.listing, Whole | ByTime), "listing is neither Whole nor ByTime"
    made: Any = type(provider)
    assert made(provider.Options()) == provider, "a provider of default options differs from the provider"
    assert len({each.name for each in provider.side_queries}) == len(provider.side_queries), "two side queries have one name"
    assert all(0 < each.share < 1 for each in provider.side_queries), "a side query's share is not between 0 and 1"


def requests(provider: Provider) -> None:
    """What is asked is the same for the same question, holds no secret, and goes on after a hand-over."""
    for keys in provider.credentials:
        secrets = {key: f"invented-{key}" for key in keys}
        assert provider.identity(secrets) and provider.identity(secrets) == provider.identity(dict(secrets)), "no identity"
        made = provider.authenticate(secrets, None, NOW)
        assert isinstance(made, Headers | TokenRequest), "authenticate gives neither headers nor a request for a token"
        if isinstance(made, TokenRequest):
            assert isinstance(provider.authenticate(secrets, Token("issued"), NOW), Headers), "a token gives no headers"
    stream, window = stream_of(provider), Window(NOW - 600 * SECOND, None, NOW)
    first = provider.first_page(stream, window, None)
    assert first == provider.first_page(stream, window, None), "the first page is not the same for the same window"
    assert first.resumable, "the first page of a sweep must be resumable: after a restart the sweep goes on from it"
    for request in (first, provider.probe(stream, NOW)):
        assert request.path.startswith("/") and request.path.isascii(), "a path does not begin with / or is not percent-encoded"
    survives(provider, first)


def survives(provider: Provider, request: Request) -> None:
    """A resumable request is the same after it was kept in state."""
    if not request.resumable:
        return
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=Request)
    again = msgspec.structs.replace(kept, continuation=recalled(provider.Continuation, kept.continuation))
    assert again == request, "a continuation does not survive being kept in state"


def answers(provider: Provider) -> None:
    """Every answer is read, or refused by the error that says who stops."""
    first = provider.first_page(stream_of(provider), Window(NOW - 600 * SECOND, None, NOW), None)
    for status, error in ((401, Unauthorized), (429, RateLimited), (500, Unreachable), (503, Unreachable)):
        try:
            provider.read_page(first, Response(status, {}, b"{}"))
        except error:
            continue
        raise AssertionError(f"an answer {status} is not {error.__name__}")
    for status in (200, 204, 301, 400, 403, 404, 410, 418):
        for body in (b"", b"[]", b"{}", b"null", b"<html>", b"[{", b'{"messages":5}', b"\xff\xfe", b"[" * 5000):
            try:
                provider.read_page(first, Response(status, {"content-type": "application/json"}, body))
            except ProviderError:
                continue


def rows_never_raise(provider: Provider, raws: list[bytes], seed: int = 1) -> None:
    """A row with any damage is a message that can be published, a dead letter, or skipped."""
    rng = random.Random(seed)  # noqa: S311 - an exam wants the same rows each time, not secrets
    for _ in range(MUTATED):
        raw = _damaged(rng, rng.choice(raws))
        read = provider.read_row(Row("1", NOW, raw))
        assert isinstance(read, Observation | BadRow | Skipped), "a row is read as something else"
        if isinstance(read, Observation):
            message = read.message
            msgspec.json.encode(message)
            assert message.status in STATUS_RANK, "a status is none of the model's"
            for time in (message.created_at, message.updated_at, message.sent_at, message.delivered_at):
                assert time is None or (found := parse_rfc3339(time)) is None or found.text == time, "a time is not canonical"
            stamp = provider.change_stamp(message)
            assert stamp is None or isinstance(stamp, int), "a change stamp is no instant"


def case(path: Path, name: str) -> None:
    """The provider asks and reads as one case file says, exchange by exchange."""
    told = json.loads(path.read_text(encoding="utf-8"))
    provider = provider_of(name, msgspec.convert(told.get("options", {}), provider_of(name).Options, dec_hook=_secret))
    request, read = _begun(provider, told)
    rows: dict[str, Row] = {}
    for number, exchange in enumerate(told["exchanges"]):
        where = f"{path.name}, exchange {number}"
        assert request is not None, f"{where}: the provider stopped too early"
        assert _matches(exchange.get("request", {}), _shown(request)), f"{where}: asked {_shown(request)}"
        request = _exchange(provider, read, request, exchange, rows, where)
    assert told.get("open") or request is None, f"{path.name}: the provider goes on"
    for id_, expected in told.get("rows", {}).items():
        seen = msgspec.to_builtins(provider.read_row(rows[id_]))
        assert _matches(expected, seen), f"{path.name}: {id_} is read as {seen}"


def _secret(kind: type, value: object) -> SecretOption:
    """What an option that is a secret holds is not the provider's to see."""
    return SecretOption()


def _begun(provider: Provider, told: dict[str, Any]) -> tuple[Request | None, Callable[[Request, Response], Page]]:
    """The first request of a case, and what reads its answers."""
    stream = stream_of(provider, told.get("stream", "s1"))
    if "lookup" in told:
        query = next(each for each in provider.side_queries if each.name == LOOKUP)
        return query.begin(stream, View(NOW, 0, DAY, DAY, message_id=told["lookup"])), query.read
    span = {"since": NOW // SECOND - 600, "until": None, **told.get("window", {})}
    window = Window(span["since"] * SECOND, None if span["until"] is None else span["until"] * SECOND, NOW)
    return provider.first_page(stream, window, recalled(provider.Learned, told.get("learned", {}))), provider.read_page


def _exchange(
    provider: Provider, read: Callable[[Request, Response], Page], request: Request, told: dict[str, Any], rows: dict[str, Row], where: str
) -> Request | None:
    """One answer: the page, or the error, that it must give."""
    answer = told["response"]
    body = answer["text"].encode() if "text" in answer else json.dumps(answer.get("body")).encode()
    response = Response(answer.get("status", 200), {"content-type": "application/json", **answer.get("headers", {})}, body)
    came = _outcome(read, request, response)
    if not isinstance(came, Page):
        assert came.kind == told.get("error"), f"{where}: the error {came.kind}"
        assert getattr(came, "wait_s", None) == told.get("wait_s"), f"{where}: another wait"
        return None
    page = came
    assert "error" not in told, f"{where}: no error"
    good = [row for row in page.rows if isinstance(row, Row)]
    found = {
        "ids": [row.id for row in good],
        "bad": [[row.reason, row.field] for row in page.rows if isinstance(row, BadRow)],
        "gaps": [gap.reason for gap in page.gaps],
    }
    assert all(found[each] == told.get(each, []) for each in found), f"{where}: found {found}"
    assert set(told.get("oddities", [])) <= set(page.oddities), f"{where}: said {page.oddities}"
    rows.update({row.id: row for row in good})
    if page.next is not None and read == provider.read_page:
        survives(provider, page.next)
    return page.next


def _outcome(read: Callable[[Request, Response], Page], request: Request, response: Response) -> Page | PollerError:
    """What an answer comes to."""
    try:
        return read(request, response)
    except PollerError as error:
        return error


def _matches(expected: Any, found: Any) -> bool:
    """Every member that is expected is there; null means absent."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(_matches(value, found.get(name)) for name, value in expected.items())
    return expected == (list(found) if isinstance(found, tuple) else found)


def _shown(request: Request) -> dict[str, Any]:
    """A request as the case files write it."""
    body = msgspec.json.decode(request.body) if request.body else None
    return {"method": request.method, "path": request.path, "query": dict(request.query), "body": body, "link": request.link}


def _rows_of(file: Path) -> Iterator[bytes]:
    """The objects of a case file's answers that look like rows."""
    level = [exchange["response"].get("body") for exchange in json.loads(file.read_text(encoding="utf-8"))["exchanges"]]
    while level:
        value = level.pop()
        if isinstance(value, dict):
            yield json.dumps(value).encode()
        level += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _damaged(rng: random.Random, raw: bytes) -> bytes:
    """A row with one member that holds something else, or with bytes that were cut or changed."""
    if rng.random() < 0.3:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) * rng.randrange(3) + raw[at + rng.randrange(3) :]
    members = {json.dumps(name).encode(): json.dumps(value).encode() for name, value in json.loads(raw).items()}
    if members:
        members[rng.choice(list(members))] = rng.choice(ODD)
    return b"{" + b",".join(name + b":" + value for name, value in members.items()) + b"}"
