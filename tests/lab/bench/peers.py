"""What poller is measured against, each a client process of its own: ``python -m tests.lab.bench.peers NAME URL BOOTSTRAP TOPIC``.

* ``fetch``: httpx over aiohttp, every page fetched and parsed, nothing else;
* ``bare``: every page fetched, not even parsed;
* ``transactional``: the fetch floor, and as many records of the same size as poller publishes (an event a message, a status a sent
  one, a state record each) in prepared batches, compressed, one transaction every two thousand messages. No logic at all;
* ``loop``: what anybody writes in an afternoon, on the fastest transport: a seen map in memory, one ``send`` an event, no transaction.

Commands come on standard input, a line each: ``walk COUNT ROUNDS`` lists that many rows so often, ``follow SECONDS REACH`` polls the
newest REACH seconds each second. Each answers with a line: CPU seconds, wall seconds, rows, new rows, requests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from aiokafka import AIOKafkaProducer
from httpx_aiohttp import AiohttpTransport

LIMIT = 1000
TRANSACTION = 2000


class Row(msgspec.Struct):
    """The fields that poller reads too."""

    id: int
    date: str
    text: str
    status: str
    type: str
    phone: str
    updated: str
    user: int
    local_id: str
    conversation: dict[str, object]


class Peer:
    """Fetches and parses; ``new`` is told what has not been seen."""

    def __init__(self, url: str, limit: int) -> None:
        self.url, self.limit = url, limit
        self.client = httpx.AsyncClient(transport=AiohttpTransport())
        self.requests = self.rows = self.fresh = 0
        self.decode = msgspec.json.Decoder(list[Row]).decode

    async def page(self, cursor: str | None) -> list[Any]:
        """One page before the cursor."""
        body = {"limit": self.limit} | ({"created_at": cursor} if cursor else {})
        answer = await self.client.post(self.url, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
        self.requests += 1
        rows = self.read(answer.content)
        self.rows += len(rows)
        return rows

    def read(self, body: bytes) -> list[Any]:
        """An answer's rows."""
        return self.decode(body)

    async def take(self, rows: list[Any]) -> None:
        """What to do with a page."""

    async def walk(self, count: int, rounds: int) -> None:
        """The newest ``count`` rows, so often."""
        for _ in range(rounds):
            listed, cursor = 0, None
            while listed < count:
                rows = await self.page(cursor)
                listed, cursor = listed + len(rows), self.date(rows[-1])
                await self.take(rows)
            await self.end()

    async def follow(self, seconds: float, reach: float) -> None:
        """The newest ``reach`` seconds, once a second."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            due, cursor = time.monotonic() + 1, None
            oldest = datetime.now(UTC) - timedelta(seconds=reach)
            while cursor is None or datetime.fromisoformat(cursor) > oldest:
                rows = await self.page(cursor)
                if not rows:
                    break
                cursor = self.date(rows[-1])
                await self.take(rows)
            await self.end()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def date(self, row: Any) -> str:
        """The cursor after a row."""
        return row.date

    async def end(self) -> None:
        """A round is over."""


class Bare(Peer):
    """Not even parsed: the cursor is cut out of the bytes."""

    def read(self, body: bytes) -> list[Any]:
        """As many rows as there are dates; only the last is looked at."""
        parts = body.split(b'"date": "')
        return [parts[-1][:24].decode()] * (len(parts) - 1)

    def date(self, row: Any) -> str:
        """It is the date."""
        return row


class Transactional(Peer):
    """The fetch floor and the same records, in transactions, without logic: every row of a first walk is forwarded."""

    def __init__(self, url: str, limit: int, bootstrap: str, topic: str) -> None:
        super().__init__(url, limit)
        self.topic, self.taken, self.forward = topic, 0, True
        self.producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=topic,
            max_batch_size=262144,
            compression_type="zstd",
            transaction_timeout_ms=40_000,
        )
        self.open, self.waiting = False, list[Any]()

    async def take(self, rows: list[Any]) -> None:
        """An event a row, a status every other, a state record each: as poller does."""
        if not self.forward:
            return
        if not self.open:
            await self.producer.begin_transaction()
            self.open = True
        value = msgspec.json.encode
        for partition, kinds in enumerate((rows, rows[::2], rows)):
            batch = self.producer.create_batch()
            for each in kinds:
                body = value(each) if partition < 2 else b"s" * 96
                if batch.append(key=b"heymarket/main/%d" % each.id, value=body, timestamp=None) is None:
                    self.waiting.append(await self.producer.send_batch(batch, self.topic, partition=partition))
                    batch = self.producer.create_batch()
                    batch.append(key=b"heymarket/main/%d" % each.id, value=body, timestamp=None)
            self.waiting.append(await self.producer.send_batch(batch, self.topic, partition=partition))
        self.fresh += len(rows)
        self.taken += len(rows)
        if self.taken >= TRANSACTION:
            await self._commit()

    async def _commit(self) -> None:
        if self.open:
            for future in self.waiting:
                await future
            await self.producer.commit_transaction()
            self.waiting, self.taken, self.open = [], 0, False

    async def end(self) -> None:
        """The last rows of a round; later rounds forward nothing."""
        await self._commit()
        self.forward = False


class Loop(Peer):
    """The afternoon's loop."""

    def __init__(self, url: str, limit: int, bootstrap: str, topic: str) -> None:
        super().__init__(url, limit)
        self.topic, self.seen = topic, dict[object, object]()
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)

    def read(self, body: bytes) -> list[Any]:
        """As one does."""
        return json.loads(body)

    def date(self, row: Any) -> str:
        """The cursor after a row."""
        return row["date"]

    async def take(self, rows: list[Any]) -> None:
        """Send what is new or changed, wait for a page's sends."""
        sent = []
        for row in rows:
            if self.seen.get(row["id"]) != row["status"]:
                self.seen[row["id"]] = row["status"]
                self.fresh += 1
                key = f"heymarket/main/{row['id']}".encode()
                sent.append(await self.producer.send(self.topic, json.dumps(normalized(row)).encode(), key=key))
        await asyncio.gather(*sent)


def normalized(row: dict[str, object]) -> dict[str, object]:
    """A message as one would publish it."""
    return {
        "provider": "heymarket",
        "account": "main",
        "message_id": str(row["id"]),
        "direction": row["type"],
        "from": row["phone"],
        "text": row["text"],
        "status": row["status"],
        "created_at": row["date"],
        "updated_at": row["updated"],
    }


async def main(name: str, url: str, bootstrap: str, topic: str, limit: int) -> None:
    """Obey."""
    plain = {"fetch": Peer, "bare": Bare}
    peer: Any = (
        plain[name](url, limit) if name in plain else {"transactional": Transactional, "loop": Loop}[name](url, limit, bootstrap, topic)
    )
    if name not in plain:
        await peer.producer.start()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *values = line.split()
        peer.requests = peer.rows = peer.fresh = 0
        cpu, wall = time.process_time(), time.monotonic()
        await getattr(peer, command)(*(float(value) if command == "follow" else int(value) for value in values))
        print(time.process_time() - cpu, time.monotonic() - wall, peer.rows, peer.fresh, peer.requests, flush=True)
    if name not in plain:
        await peer.producer.stop()
    await peer.client.aclose()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*sys.argv[1:5], limit=int(sys.argv[5])))
