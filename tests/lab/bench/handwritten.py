"""The loop that anybody writes in an afternoon: httpx, json, a seen map in memory, one send per event. It promises nothing.

``python -m tests.lab.bench.handwritten URL BOOTSTRAP TOPIC COUNT ROUNDS``, printing as ``floor.py`` does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import httpx
from aiokafka import AIOKafkaProducer


def normalize(row: dict[str, object]) -> dict[str, object]:
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


async def main(url: str, bootstrap: str, topic: str, count: int, rounds: int) -> None:
    """Poll everything, send what is new or changed."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    await producer.start()
    seen: dict[object, object] = {}
    async with httpx.AsyncClient() as client:
        for number in range(rounds):
            began, rows_seen, cursor = time.process_time(), 0, None
            while rows_seen < count:
                answer = await client.post(url, json={"limit": 100} | ({"created_at": cursor} if cursor else {}))
                rows = answer.json()
                rows_seen, cursor, sent = rows_seen + len(rows), rows[-1]["date"], []
                for row in rows:
                    if seen.get(row["id"]) != row["status"]:
                        seen[row["id"]] = row["status"]
                        key = f"heymarket/main/{row['id']}".encode()
                        sent.append(await producer.send(topic, json.dumps(normalize(row)).encode(), key=key))
                await asyncio.gather(*sent)
            print(number, time.process_time() - began, rows_seen, flush=True)
    await producer.stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
