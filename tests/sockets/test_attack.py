"""An attack on every member of every vendor's row, through the real client to the bytes of a transaction: one row of it ends nothing.

Each answer lists a good row, the attacked ones, and another good row. What comes of it is committed by a real committer to a
writer that only notes, with privacy or without, and every state record is read back.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.kafka.port import Record
from poller.model import DAY, SECOND, Observation, Row, Stream
from poller.polling.page import page_of
from poller.polling.rows import AccountRows
from poller.providers.contract import Request, Response, Window
from poller.providers.registry import BUILT_IN, provider_of
from poller.publishing.cache import CacheDirectory
from poller.publishing.commit import Committer
from poller.publishing.diff import PageContext
from poller.publishing.events import Publisher
from poller.publishing.privacy import Privacy
from poller.publishing.shard_state import ShardState, claim
from poller.publishing.state_records import Kind, decode_message_state, decode_state
from poller.telemetry.facts import Telemetry
from tests.sockets.test_hostile_bytes import _whole, server
from tests.support.vendor import client_of
from tests.support.vendor_rows import LEAST, body_of, id_name, members_of, raw_of

NOW = 1_790_000_000 * SECOND
DEEP = 2_000
VALUES: dict[str, bytes] = {
    "a huge integer": b"9" * 400, "a huge negative one": b"-" + b"9" * 400, "beyond 64 bits": b"18446744073709551616", "the least of 64 bits": b"-9223372036854775808",
    "a huge exponent": b"1e999", "a tiny one": b"1e-999", "minus nothing": b"-0", "NaN": b"NaN", "an infinity": b"-Infinity", "a fraction": b"1790000000.999999999",
    "half of an emoji": rb'"\ud83d"', "the other half": rb'"x\ude00y"', "NUL": rb'"\u0000"', "every control character": b'"' + bytes(range(32)) + b'"',
    "bytes that are no UTF-8": b'"\xf6\xff\xfe"', "an overlong NUL": b'"\xc0\x80"', "beyond Unicode": b'"\xf4\x90\x80\x80"', "a noncharacter": '"\uffff\ufeff"'.encode(),
    "deep lists": b"[" * DEEP + b"]" * DEEP, "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP, "a wide list": b"[" + b"0," * 20_000 + b"0]",
    "a key twice": b'{"id":1,"id":2,"id":{"id":3}}', "a long text": b'"' + b"x" * 70_000 + b'"', "a longer one": b'"' + "ä".encode() * 600_000 + b'"',
    "the year 0": b'"0000-01-01T00:00:00Z"', "the year 1": b'"0001-01-01T00:00:00Z"', "the year 9999": b'"9999-12-31T23:59:59.999999999Z"', "later still": b'"99999-01-01T00:00:00Z"',
    "a leap second": b'"2016-12-31T23:59:60Z"', "a leap second that was none": b'"2026-09-21T14:13:60Z"', "an offset without measure": b'"2026-09-21T14:13:20+99:99"',
    "the year 9999, west": b'"9999-12-31T23:59:59-23:59"', "the year 1, east": b'"0001-01-01T00:00:00+23:59"', "February 30": b'"2026-02-30T00:00:00Z"', "24 o'clock": b'"2026-09-21T24:00:00Z"',
    "a mail date of year 0": b'"Sat, 01 Jan 0000 00:00:00 +0000"', "a mail date out of range": b'"Fri, 31 Dec 9999 23:59:59 -2359"', "a mail date of nonsense": b'"Xxx, 99 Yyy 99999 99:99:99 +9999"',
    "epoch in microseconds": b"1790000000000000", "epoch before all": b"-62135596801", "epoch after all": b"253402300800", "digits of another script": '"١٧٩٠٠٠٠٠٠٠"'.encode(),
    "a negative count": b"-1", "a text as a count": b'"-1"', "a truth": b"true", "nothing": b"null", "an empty text": b'""', "white space": '"\u00a0\u2028\t "'.encode(),
    "a slash": b'"/../..//%2e%2e/\\\\"', "a header": rb'"x\r\nSet-Cookie: a=b\r\n\r\n"', "a template": b'"{auth_id}{{}}{0.__class__}%s%n"', "a URL": b'"http://[::1]:99999/?a=b#c"',
}  # fmt: skip
PRIVACY = {
    "plain": Privacy(),
    "hidden": Privacy(numbers="mask", text="drop", original_dead_letters=False),
    "hashed": Privacy(numbers="hash", text="hash", key=b"k" * 32),
}


class Chain:
    """One account behind its client, up to the transactions."""

    def __init__(self, provider: str, folder: Path, store: CacheDirectory, privacy: Privacy) -> None:
        self.provider, self.stream, self.written = provider_of(provider), Stream(provider, "main", "s1"), list[Record]()
        publisher = Publisher(partitions=4, privacy=privacy, latest=True)
        self.state, clock = ShardState(store.shard(0), claim(None, group="g", shards=1), publisher), SystemClock()
        telemetry, writer = Telemetry(version="x", level="critical", form="json"), SimpleNamespace(commit=self._commit)
        self.committer = Committer(self.state, shard=0, writer=writer, rows=store.shard(0), cluster="c", clock=clock, telemetry=telemetry)  # pyright: ignore[reportArgumentType]
        settings: Any = SimpleNamespace(channels=frozenset({"sms", "mms", "rcs", "whatsapp", "email"}), publish_drafts=True)
        self.rows, self.poll = AccountRows(settings, self.provider, self.committer, clock), SimpleNamespace(lookups=None)

    async def _commit(self, records: list[Record], **_: Any) -> int:
        self.written += records
        return len(self.written)

    async def take(self, url: str, folder: Path) -> None:
        """Ask once, and commit all that comes of it."""
        asked = self.provider.first_page(self.stream, Window(NOW - DAY, NOW + DAY, NOW), None)
        async with client_of(url, folder) as client:
            answer = (await client.exchange(Request("GET", "/x"))).response
        page = page_of(self.provider.read_page, asked, answer)
        context = PageContext(stream=self.stream, floor=0, requested_at=self.state.tick(), observed=NOW)
        changes, _ = await self.rows.compare(self.poll, page, context, every=False, now=NOW)  # pyright: ignore[reportArgumentType]
        self.committer.queue(changes, Cursor(0, 0, (), 0, 0), always=True)
        await self.committer.drain()

    def judge(self) -> set[str]:
        """All that was written can be read; the ids of the messages that were created."""
        created = set[str]()
        for record in self.written:
            headers = dict(record.headers)
            if record.topic == "state":
                assert record.key is not None
                assert record.value is not None
                decode_message_state(record.value) if record.key[:1] == Kind.MESSAGE else decode_state(record.key, record.value)
            elif headers["ce_type"].startswith(b"sms.message.created"):
                created.add(json.loads(record.value or b"")["message_id"])
            assert all(value.decode() is not None for value in headers.values())
        return created


@pytest.mark.parametrize(("provider", "privacy"), zip(sorted(BUILT_IN), [*PRIVACY] * 2, strict=True))
def test_whatever_a_member_of_a_row_holds_its_neighbours_are_published(provider: str, privacy: str, tmp_path: Path) -> None:
    """Every value, in every third member in turn and in the id: published, or a dead letter; and all that is written can be read back."""
    (tmp_path / "token").write_text("invented")
    name, rows = id_name(provider), list[bytes]()
    good = [raw_of(provider, {name: b'"good%d"' % number}) for number in range(2)]
    members = sorted(members_of(provider) - {name})
    for turn, value in enumerate(VALUES.values()):
        rows += [raw_of(provider, {name: b'"%d"' % len(rows), member: value}) for member in members[turn % 3 :: 3]]
        rows.append(raw_of(provider, {name: value}))
    rows = [row for row in rows if len(row) < 100_000] + [row for row in rows if len(row) >= 100_000][:8]
    body = body_of(provider, good[0], *rows, good[1])

    async def play(url: str) -> None:
        with CacheDirectory(tmp_path / "state") as store:
            chain = Chain(provider, tmp_path, store, PRIVACY[privacy])
            await chain.take(url, tmp_path)
            assert {"good0", "good1"} <= chain.judge()
            assert any(record.topic == "dead_letters" for record in chain.written)

    with server(lambda found: found.sendall(_whole(body))) as url:
        anyio.run(play, url)


@pytest.mark.parametrize("name", list(VALUES))
def test_a_row_of_one_value_alone_stops_no_other(name: str) -> None:
    """Whatever is in all of its members at once, also beside an id that is one: of every vendor, the rows before and after it are read."""
    for provider in sorted(BUILT_IN):
        made, id_ = provider_of(provider), id_name(provider)
        members = sorted(members_of(provider), key=lambda member: (member not in LEAST[provider], member))
        odd = dict.fromkeys(members if len(VALUES[name]) < 1000 else members[:6], VALUES[name])
        rows = (
            raw_of(provider, {id_: b'"good0"'}),
            raw_of(provider, odd),
            raw_of(provider, odd | {id_: b'"odd"'}),
            raw_of(provider, {id_: b'"good1"'}),
        )
        asked = made.first_page(Stream(provider, "main", "s1"), Window(NOW - DAY, NOW + DAY, NOW), None)
        page = made.read_page(asked, Response(200, {}, body_of(provider, *rows)))
        read = [made.read_row(row) if isinstance(row, Row) else row for row in page.rows]
        assert {"good0", "good1"} <= {seen.message.message_id for seen in read if isinstance(seen, Observation)}
