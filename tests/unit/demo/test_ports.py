"""Where brokers of the demo and of tests listen."""

from __future__ import annotations

import socket
from pathlib import Path

from poller.demo.kafka.broker import PORTS, _free_ports


def test_no_port_is_one_of_outgoing_connections() -> None:
    """One of those could take it in the seconds before its broker listens."""
    kernel = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(kernel.read_text().split()[0]) if kernel.exists() else 32_768
    assert max(_free_ports(20)) < min(lowest, PORTS.stop)


def test_no_port_is_given_twice_nor_one_that_is_taken() -> None:
    """A broker that has not begun to listen keeps its port."""
    first = _free_ports(5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first[-1] + 1))
        second = _free_ports(5)
    assert not {*first, first[-1] + 1} & {*second}
