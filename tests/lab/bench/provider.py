"""A quick Heymarket stand-in for measurements: invented messages, newest first, paged by the documented cursor.

Runs as a process of its own (``python -m tests.lab.bench.provider CAP``), prints its port, and ends when its standard
input is closed. Each line there is a command: ``reveal N`` lists N messages that are as old as need be, one every 10 ms; ``past N`` N that are
an hour old and more;
``flow R`` adds R messages a second from now on; ``restless 0|1``: whether an unknown field of one row in each page
changes with every answer, so that no page is the one before byte for byte. It compares instants, not texts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

STEP = timedelta(milliseconds=10)
PAST = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def row(number: int, moment: datetime) -> bytes:
    """One row; ``@@@@@@`` is where a restless field changes."""
    date = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    value = {
        "id": 9_000_000 + number,
        "text": f"Your parcel {number} is on its way and will be with you tomorrow before noon.",
        "type": "outbound" if number % 2 else "inbound",
        "status": "delivered",
        "phone": f"1415555{number % 10_000:04d}",
        "date": date,
        "updated": date,
        "media": "",
        "flagged": False,
        "user": 55,
        "local_id": f"k-{number}",
        "conversation": {"id": number % 977, "inbox": 101, "target": f"1415555{number % 10_000:04d}", "status": "open"},
        "op": "@@@@@@",
    }
    return json.dumps(value).encode()


class Provider:
    """Keep-alive HTTP/1.1 with as little work as possible, so that the client is what is measured."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._dates: list[int] = []
        self._rows: list[bytes] = []
        self._flow, self._restless, self._answers = 0.0, False, 0

    def command(self, line: str) -> None:
        """One line of standard input."""
        name, _, value = line.partition(" ")
        if name in ("reveal", "past"):
            newest = datetime.now(UTC) - (PAST if name == "past" else timedelta(seconds=5))
            for number in range(int(value)):
                self._add(newest - STEP * (int(value) - number))
        elif name == "flow":
            self._flow = float(value)
        elif name == "restless":
            self._restless = value == "1"
        print(line, flush=True)

    async def run(self) -> None:
        """Let messages flow."""
        owed = 0.0
        while True:
            await asyncio.sleep(0.05)
            owed += self._flow * 0.05
            while owed >= 1:
                owed -= 1
                self._add(datetime.now(UTC))

    def _add(self, moment: datetime) -> None:
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        while self._dates and micros(moment) <= self._dates[-1]:
            moment += timedelta(milliseconds=1)
        self._dates.append(micros(moment))
        self._rows.append(row(len(self._rows), moment))

    def answer(self, path: bytes, body: bytes) -> bytes:
        """A count, or the rows before the cursor, newest first."""
        asked = json.loads(body or b"{}")
        until = asked.get("created_at")
        end = bisect_left(self._dates, micros(datetime.fromisoformat(until))) if until else len(self._rows)
        if path.endswith(b"/count"):
            return b'"%d"' % end
        start = max(0, end - min(self._cap, int(asked.get("limit", 30))))
        rows = self._rows[start:end][::-1]
        if self._restless and rows:
            self._answers += 1
            rows[0] = rows[0].replace(b"@@@@@@", b"%06d" % (self._answers % 1_000_000))
        return b"[" + b",".join(rows) + b"]"

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client closes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(l.split(b":")[1]) for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")), 0)
                body = self.answer(head.split(b" ", 2)[1], await reader.readexactly(size))
                now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: %b\r\ncontent-length: %d\r\n\r\n" % (now, len(body))
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(cap: int) -> None:
    """Serve until standard input ends."""
    provider, loop, ended = Provider(cap), asyncio.get_running_loop(), asyncio.Event()
    server = await asyncio.start_server(provider.connection, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(provider.command, line.strip())
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    flowing = asyncio.create_task(provider.run())
    await ended.wait()
    flowing.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
