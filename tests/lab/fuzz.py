"""Mutated pages for every provider: ``python -m tests.lab.fuzz 100000`` (``make fuzz``), and 2,000 of them in the suite."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from poller.errors import ProviderError
from poller.model import SECOND, BadRow, Observation, Row, Stream
from poller.providers.contract import Response, Skipped, Window
from poller.providers.registry import BUILT_IN, provider_of

CASES = Path(__file__).parent.parent / "providers" / "cases"
NOW = 1_790_000_000 * SECOND
TOKENS = (
    b"null",
    b"1e999",
    b"-0",
    b'""',
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"\\ud800",
    b"9" * 40,
    b"NaN",
    b"[" * 500,
    b'"\\u0000"',
    b"0.1",
    b"true",
    b',"id":"x"',
)


def corpus(provider: str) -> list[bytes]:
    """The bodies of the provider's case files."""
    bodies = []
    for path in sorted((CASES / provider).glob("*.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            response = exchange["response"]
            bodies.append(response["text"].encode() if "text" in response else json.dumps(response.get("body")).encode())
    return bodies


def mutate(rng: random.Random, bodies: list[bytes]) -> bytes:
    """A page that a broken, careless or hostile provider might send."""
    body = bytearray(rng.choice(bodies))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0:
                body[at : at + rng.randrange(8)] = rng.choice(TOKENS)
            case 1:
                del body[at : at + rng.randrange(1, 20)]
            case 2 if body:
                body[at % len(body)] = rng.randrange(256)
            case 3:
                part = body[at : at + rng.randrange(1, 200)]
                body[at:at] = part
            case _:
                other = rng.choice(bodies)
                body[at:at] = other[: rng.randrange(len(other) + 1)]
    return bytes(body)


def fuzz(provider: str, count: int, seed: int) -> dict[str, int]:
    """Feed so many pages; what came out, by kind. Any exception but a typed one goes through."""
    rng, made, bodies = random.Random(seed), provider_of(provider), corpus(provider)
    stream = Stream(provider, "main", "s1")
    found = {"pages": 0, "errors": 0, "messages": 0, "dead letters": 0}
    for _ in range(count):
        request = made.first_page(stream, Window(NOW - 600 * SECOND, NOW, NOW), {})
        for _ in range(3):
            try:
                page = made.read_page(request, Response(200, {"content-type": "application/json"}, mutate(rng, bodies)))
            except ProviderError:
                found["errors"] += 1
                break
            found["pages"] += 1
            for row in page.rows:
                read = made.read_row(row) if isinstance(row, Row) else row
                assert isinstance(read, Observation | BadRow | Skipped)
                found["messages" if isinstance(read, Observation) else "dead letters"] += 1
            if page.next is None:
                break
            request = page.next
    return found


if __name__ == "__main__":
    from tests.lab.fuzz_http import fuzz_http
    from tests.lab.fuzz_rows import fuzz_rows

    many = int(sys.argv[1])
    for name in BUILT_IN:
        print(name, "pages", fuzz(name, many, 1), flush=True)
        print(name, "answers", fuzz_http(name, many, 1), flush=True)
        print(name, "rows read twice", fuzz_rows(name, 2 * many, 1), flush=True)
