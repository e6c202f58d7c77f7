"""``poller``, with one crash built in: ``CRASH`` names the point, ``SEED`` decides the moment, ``COMMITS`` counts transactions.

Run as ``python -m tests.support.crash_worker run --config ...``. The product itself knows nothing of this.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import Any

from aiokafka import AIOKafkaProducer

from poller import cli
from poller.kafka import writer
from poller.kafka.port import STATE
from poller.publishing import restore

CRASH, MUTANT = os.environ.get("CRASH", ""), os.environ.get("MUTANT", "")
RANDOM = random.Random(int(os.environ.get("SEED", "0")))
ARMED = RANDOM.randrange(2, 8)
"""Transactions to be committed before the crash."""

done = 0


def die(point: str) -> None:
    """Die here, if this is the point and it is time."""
    if point == CRASH and (point == "restore" or (done >= ARMED and RANDOM.random() < 0.5)):
        os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Put the crash points in."""
    send_batch, commit_transaction = AIOKafkaProducer.send_batch, AIOKafkaProducer.commit_transaction
    commit, newest_meta = writer.KafkaWriter.commit, restore._newest_meta

    async def sending(self: Any, *args: Any, **kwargs: Any) -> Any:
        future = await send_batch(self, *args, **kwargs)
        if CRASH == "mid_send":
            await asyncio.sleep(0)
        die("mid_send")
        return future

    async def committing(self: Any) -> None:
        die("before_commit")
        if CRASH == "in_commit" and done >= ARMED:
            asyncio.get_running_loop().call_later(RANDOM.random() * 0.012, os.kill, os.getpid(), signal.SIGKILL)
        await commit_transaction(self)

    async def committed(self: Any, records: Any, *, timeout_s: float) -> int:
        global done
        if MUTANT == "state_outside":
            await commit(self, [r for r in records if r.topic != STATE] + [records[0]], timeout_s=timeout_s)
            die("after_commit")
        offset = await commit(self, [r for r in records if MUTANT != "state_outside" or r.topic == STATE], timeout_s=timeout_s)
        done += 1
        with open(os.environ["COMMITS"], "ab") as counter:
            counter.write(b".")
        die("after_commit")
        return offset

    def restoring(chunk: Any) -> Any:
        die("restore")
        return newest_meta(chunk)

    AIOKafkaProducer.send_batch, AIOKafkaProducer.commit_transaction = sending, committing
    writer.KafkaWriter.commit, restore._newest_meta = committed, restoring


if __name__ == "__main__":
    install()
    cli.main()
