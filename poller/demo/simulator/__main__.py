"""The simulated providers alone: ``python -m poller.demo.simulator [HOST:PORT]``, for `deploy/compose.yaml` and for trying an adapter by hand."""

from __future__ import annotations

import sys
import time

import anyio

from ...model import SECOND
from ...signals import until_signal
from .server import serving
from .vendors.routes import Providers
from .world import World

LISTEN = "127.0.0.1:9000"
"""Where the simulated vendors listen, should nothing else be said."""


async def _serve(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    async with serving(Providers(World(int(time.time()), time.time_ns() * SECOND // 10**9)), host=host, port=int(port)) as url:
        print(f"simulated providers at {url}", flush=True)
        async with until_signal():
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(_serve, sys.argv[1] if len(sys.argv) > 1 else LISTEN)
