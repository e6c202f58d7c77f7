"""The floor: the same fetch, the same parse, the same forward, and no logic at all.

``python -m tests.lab.bench.floor URL BOOTSTRAP TOPIC COUNT ROUNDS``: walks the list by the cursor;
the first round forwards every row in prepared batches, later rounds only fetch and parse.
Prints CPU seconds and rows of the first round and of the others.
"""

from __future__ import annotations

import sys
import time

import httpx
import msgspec
from aiokafka import AIOKafkaProducer
from httpx_aiohttp import AiohttpTransport


class Row(msgspec.Struct):
    """The fields that the product reads too."""

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


async def main(url: str, bootstrap: str, topic: str, count: int, rounds: int) -> None:
    """Walk, forward, measure."""
    decode, encode = msgspec.json.Decoder(list[Row]).decode, msgspec.json.encode
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=262144)
    await producer.start()
    partitions = sorted(await producer.partitions_for(topic))
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        for number in range(rounds):
            began, seen, cursor = time.process_time(), 0, None
            while seen < count:
                body = {"limit": 100} | ({"created_at": cursor} if cursor else {})
                rows = decode((await client.post(url, content=encode(body))).content)
                seen, cursor = seen + len(rows), rows[-1].date
                if number == 0:
                    batch = producer.create_batch()
                    for row in rows:
                        batch.append(key=b"heymarket/main/%d" % row.id, value=encode(row), timestamp=None)
                    await (await producer.send_batch(batch, topic, partition=partitions[seen // 100 % len(partitions)]))
            print(number, time.process_time() - began, seen, flush=True)
    await producer.stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
