"""A TCP server that answers with given bytes, for answers that no HTTP library would send."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """A running server and the requests it got.

    Attributes:
        url: Its address.
        requests: The first bytes of each request.
    """

    url: str
    requests: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What a connection is answered.

    Attributes:
        pieces: The bytes, in pieces; perhaps without an end.
        pause_seconds: How long to wait before each piece.
        reset: Whether the connection is reset at the end instead of closed.
    """

    pieces: Iterable[bytes] = ()
    pause_seconds: float = 0.0
    reset: bool = False


def reply(body: bytes, *, length: int | None = None, status: str = "200 OK") -> bytes:
    """Return a whole HTTP reply; ``length`` declares a wrong length."""
    declared = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {declared}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def raw_server(*answers: Answer) -> Iterator[RawServer]:
    """Serve the answers, one a connection, the last one to all further connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stopped = threading.Event()

    def talk(connection: socket.socket, answer: Answer) -> None:
        with connection, suppress(OSError):
            server.requests.append(connection.recv(65536))
            for piece in answer.pieces:
                stopped.wait(answer.pause_seconds)
                connection.sendall(piece)
            if answer.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def serve() -> None:
        for number in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            answer = answers[min(number, len(answers) - 1)]
            talks.append(threading.Thread(target=talk, args=(connection, answer), daemon=True))
            talks[-1].start()

    talks: list[threading.Thread] = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for running in (thread, *talks):
            running.join(timeout=5)
