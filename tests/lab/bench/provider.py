"""A quick Heymarket stand-in for measurements: a fixed list of invented messages, newest first, paged by the documented cursor.

Runs as a process of its own (``python -m tests.lab.bench.provider COUNT``), prints its port, and
ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

STEP = timedelta(milliseconds=10)


def messages(count: int, newest: datetime) -> list[tuple[str, bytes]]:
    """``(date, row)`` in ascending order, one every 10 ms up to ``newest``."""
    rows: list[tuple[str, bytes]] = []
    for number in range(count):
        date = (newest - STEP * (count - number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = {
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
        }
        rows.append((date, json.dumps(row).encode()))
    return rows


class Provider:
    """Keep-alive HTTP/1.1 with as little work as possible, so that the client is what is measured."""

    def __init__(self, rows: list[tuple[str, bytes]]) -> None:
        self._dates = [date for date, _ in rows]
        self._rows = [row for _, row in rows]

    def page(self, body: bytes) -> bytes:
        """The rows before the cursor, newest first."""
        asked = json.loads(body or b"{}")
        end = bisect_left(self._dates, asked["created_at"]) if asked.get("created_at") else len(self._rows)
        start = max(0, end - int(asked.get("limit", 30)))
        return b"[" + b",".join(reversed(self._rows[start:end])) + b"]"

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client closes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(l.split(b":")[1]) for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")), 0)
                body = self.page(await reader.readexactly(size))
                now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: %b\r\ncontent-length: %d\r\n\r\n%b"
                    % (now, len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(count: int) -> None:
    """Serve until standard input ends."""
    provider = Provider(messages(count, datetime.now(UTC) - timedelta(seconds=5)))
    server = await asyncio.start_server(provider.connection, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
