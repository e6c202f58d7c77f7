"""Whatever is left to chance or to the machine, decided by a seed: the order of tasks, and the operating system's randomness."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from poller.polling import account
from poller.publishing import shard_state


class Invented(random.Random):
    """In place of the operating system's randomness."""

    def token_hex(self, count: int) -> str:
        """As secrets does."""
        return self.randbytes(count).hex()

    def token_bytes(self, count: int) -> bytes:
        """As secrets does."""
        return self.randbytes(count)


class Chance:
    """All that one history leaves to chance; it goes on where it was when the history is played again."""

    def __init__(self, seed: int) -> None:
        self._tasks, self._secrets = random.Random(seed), Invented(seed)

    @contextmanager
    def decided(self, look_s: float) -> Iterator[None]:
        """Nothing else is left to chance meanwhile, and all is as before afterwards.

        ``look_s``: how often accounts look for another configuration; long histories cannot look each second.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
            patch.setattr(trio._core._run, "_r", self._tasks)
            patch.setattr(shard_state, "secrets", self._secrets)
            patch.setattr(account, "LOOK_S", look_s)
            yield
