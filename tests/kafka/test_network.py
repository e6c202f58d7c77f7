"""The network is cut in every state of a transaction, on real Kafka: before it, in it, at its commit, with the reply lost."""

from __future__ import annotations

import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from poller.demo.kafka.broker import Cluster, _free_ports
from poller.demo.kafka.jars import fetch
from tests.support.proxy import ADD_PARTITIONS, AFTER, BEFORE, END_TXN, HANG, INIT_PRODUCER_ID, PRODUCE, Proxy
from tests.support.trial import Trial, faults

pytestmark = pytest.mark.anyio
APIS = (INIT_PRODUCER_ID, ADD_PARTITIONS, PRODUCE, END_TXN)


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[Cluster, int]]:
    """A broker that sends its clients to another port, and that port."""
    with tempfile.TemporaryDirectory(prefix="poller-tests-") as folder:
        [port] = _free_ports(1)
        advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
        with Cluster(fetch(progress=print), Path(folder) / "kafka", overrides=advertised) as cluster:
            yield cluster, port


async def test_a_cut_network_loses_and_doubles_nothing(behind_proxy: tuple[Cluster, int], names: dict[str, str], tmp_path: Path) -> None:
    """Each kind of request is cut before it arrives, after it arrived, and held back for seconds: everything once, no transaction torn."""
    cluster, port = behind_proxy
    rng, left = random.Random(7), {(api, how): 2 for api in APIS for how in (BEFORE, AFTER, HANG)}

    def cut(api: int) -> str | None:
        how = rng.choice((BEFORE, AFTER, HANG))
        if not calm and (api == INIT_PRODUCER_ID or rng.random() < 0.2) and left.get((api, how)):
            left[api, how] -= 1
            return how
        return None

    calm = False
    proxy = Proxy(cluster.nodes[0].port, cut)
    proxy.port = port
    trial = Trial(tmp_path, f"127.0.0.1:{port}", names, seed=11)
    async with proxy.open(), trial.providers():
        process = trial.start()
        with anyio.move_on_after(60):
            while any(left[api, how] for api in APIS[1:] for how in (BEFORE, AFTER, HANG)):
                await anyio.sleep(0.1)
                assert process.poll() is None
        calm = True
        process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(process.wait, 25) == 0
        verdict = await trial.settle()
    assert verdict.good, (verdict, proxy.cuts)
    assert not faults(trial.events)
    assert {api for api, _ in proxy.cuts} == set(APIS)
    assert proxy.cuts[END_TXN, AFTER] == proxy.cuts[END_TXN, BEFORE] == 2, proxy.cuts
