"""A small HTTP proxy on loopback: CONNECT to any port of this host, or an answer that a proxy in trouble gives instead."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread


class ConnectProxy:
    """``answer`` instead of a tunnel, where it is not None; ``heard`` are the heads of all requests."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer, self.heard = answer, list[str]()
        self.port = 0

    @contextmanager
    def open(self) -> Iterator[ConnectProxy]:
        """Listen for as long as the block lasts."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            Thread(target=self._serve, args=(listener,), daemon=True).start()
            yield self

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._talk, args=(listener.accept()[0],), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536) or b"\r\n\r\n"
            self.heard.append(head.decode("latin-1"))
            if self.answer is not None:
                client.sendall(self.answer)
                return
            target = head.split(b" ", 2)[1].decode()
            with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                Thread(target=_forward, args=(server, client), daemon=True).start()
                _forward(client, server)


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
