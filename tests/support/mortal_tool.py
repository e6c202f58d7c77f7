"""A command of ``poller``, killed by SIGKILL before and after each of its steps, until it ends by itself.

Run as ``python -m tests.support.mortal_tool rebuild --config ...``. Each transaction, creation and deletion is a step. Each try
dies at the first place where no earlier one did, so every place that is come to is died at once. A try is a child of this process:
what takes long to import is imported once. The last line of stdout says how many were killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from poller import cli
from poller.commands import state_topic
from poller.kafka import topics
from poller.kafka.port import STATE

TRIES_MAX = 100
"""More than any command of a trial has places to die at."""


class Mortal:
    """Dies at the first place that is new, and says where."""

    def __init__(self, known: set[str], deaths: int) -> None:
        self.known, self.deaths, self.seen = known, deaths, Counter[str]()

    def at(self, place: str) -> None:
        """A place; when it is come to again it is another."""
        self.seen[place] += 1
        place = f"{place} {self.seen[place]}"
        if place not in self.known:
            os.write(self.deaths, place.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def step(self, step: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """A step with a place before and one after it."""

        async def stepped(*args: Any, **kwargs: Any) -> Any:
            self.at(f"before {name(*args)}")
            done = await step(*args, **kwargs)
            self.at(f"after {name(*args)}")
            return done

        return stepped

    def install(self) -> None:
        """Into this process."""
        state_topic.Batches.flush = self.step(state_topic.Batches.flush, lambda to: f"{to._writer._topics[STATE]} {to._shard}")
        topics.delete_state = self.step(topics.delete_state, lambda kafka: f"deletion of {kafka.connection.topics[STATE]}")
        topics.create = self.step(topics.create, lambda kafka, *_: f"creation of {kafka.connection.topics[STATE]}")


def main() -> int:
    """Ends as the try that nothing killed."""
    known = set[str]()
    for _ in range(TRIES_MAX):
        sys.stdout.flush()
        told, deaths = os.pipe()
        child = os.fork()
        if child == 0:
            Mortal(known, deaths).install()
            cli.main(sys.argv[1:])
        os.close(deaths)
        with os.fdopen(told) as where:
            known.add(where.read())
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended != -signal.SIGKILL:
            print(f"killed {len(known) - 1} times")
            return ended
    return 1


if __name__ == "__main__":
    sys.exit(main())
