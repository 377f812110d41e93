"""A relay before a server that can stop passing bytes without closing a connection: a network that stops."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final, Self

_CHUNK_BYTES: Final = 65_536


class SilentRelay:
    """A relay on a free loopback port.

    While it is stopped, connections stay open and are still accepted, what is sent is confirmed by this machine, and
    nobody hears that the other side has closed. A network that loses everything does not even confirm, so TCP notices
    it; this is what only a limit of one's own notices.

    Args:
        port: That of the server, on this machine.

    Attributes:
        port: That of the relay.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._passes = threading.Event()
        self._passes.set()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._passes.set()
        self._listener.close()
        self.cut()

    def stop(self) -> None:
        """Pass nothing on from now on."""
        self._passes.clear()

    def resume(self) -> None:
        """Pass everything on again, also what was sent meanwhile."""
        self._passes.set()

    def cut(self) -> None:
        """Close all connections on both sides."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets = []

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                self._passes.wait()
                sink.sendall(data)
        self._passes.wait()
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
