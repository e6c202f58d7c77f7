"""The vendors' own example answers, read by our providers: each row becomes a message with a status that is known, none a dead letter."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from poller.demo.simulator.profiles import PLIVO, TELNYX, TWILIO
from poller.model import HOUR, SECOND, Observation, Row, Stream
from poller.providers.contract import LOOKUP, Provider, Response, View, Window
from poller.providers.registry import provider_of

HERE = Path(__file__).parent
NOW = 1_790_000_000 * SECOND
TWILIO_LIST = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
TWILIO_ONE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"


def twilio(folder: Path) -> Iterator[Any]:
    """Every example of a list and of one message in the vendor's OpenAPI file."""
    paths = json.loads((folder / "twilio.json").read_text(encoding="utf-8"))["paths"]
    for path in (TWILIO_LIST, TWILIO_ONE):
        for example in paths[path]["get"]["responses"]["200"]["content"]["application/json"]["examples"].values():
            yield example["value"]


def telnyx(folder: Path) -> Iterator[Any]:
    """A record of the examples that the OpenAPI file gives for its members, with each word that it lists."""
    members = json.loads((folder / "telnyx.json").read_text(encoding="utf-8"))["components"]["schemas"]["MessageDetailRecord"]["properties"]
    record = {name: member["example"] for name, member in members.items() if "example" in member}
    lists = {name: member["enum"] for name, member in members.items() if "enum" in member}
    rows = [{**record, **{name: word for name, word in zip(lists, words, strict=True) if word}} for words in zip_longest(*lists.values())]
    yield {"data": rows, "meta": {"page_number": 1, "page_size": 50, "total_pages": 1, "total_results": len(rows)}}


def plivo(folder: Path) -> Iterator[Any]:
    """What the vendor's Node client records for its tests."""
    command = ["node", HERE / "plivo_answers.js", (folder / "plivo" / "package" / "dist" / "rest" / "request-test.js").resolve()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    yield from map(json.loads, done.stdout.splitlines())


SOURCES = {TWILIO: twilio, TELNYX: telnyx, PLIVO: plivo}


def read(provider: Provider, answer: Any) -> list[Any]:
    """What the answer of a list, or of one message, is read as."""
    stream, response = Stream(provider.name, "a", "s"), Response(200, {}, json.dumps(answer).encode())
    wraps = any(isinstance(value, list) for value in answer.values())
    if wraps:
        rows = provider.read_page(provider.first_page(stream, Window(NOW - HOUR, None, NOW), None), response).rows
    else:
        query = next(each for each in provider.side_queries if each.name == LOOKUP)
        asked = query.begin(stream, View(NOW, 0, HOUR, HOUR, message_id="1"))
        assert asked is not None
        rows = query.read(asked, response).rows
    return [provider.read_row(row) if isinstance(row, Row) else row for row in rows]


def judge(folder: Path) -> bool:
    """Print what was read; whether all of it is a message whose status is known."""
    good = True
    for vendor, source in SOURCES.items():
        answers = list(source(folder))
        rows = [row for answer in answers for row in read(provider_of(vendor), answer)]
        wrong = [row for row in rows if not isinstance(row, Observation) or row.oddities]
        good = good and bool(rows) and not wrong
        print(f"{vendor}: {len(answers)} of the vendor's own answers, {len(rows)} rows, {len(wrong)} of them not read", *wrong)
    return good
