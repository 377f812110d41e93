"""HTTP connections that give up a response whose head does not end.

A socket's time-out begins anew with each byte, so a server that sends one now and then, or an interim response after
another, is waited for without end. Bodies are bounded where they are read (``client``, ``connection``).
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

MAX_TIMEOUTS: Final = 2  # a server that computes a result sends nothing until then, and then the head as a whole


class _BoundedHead(HTTPConnection):
    def getresponse(self) -> Any:  # noqa: ANN401 - what urllib3 returns
        """Return the response once its head is complete.

        Raises:
            TimeoutError: It was not complete in time.
        """
        connected, seconds = self.sock, self.timeout
        if connected is None or not isinstance(seconds, int | float):
            return super().getresponse()
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)  # whoever waits for it goes on

        timer = threading.Timer(MAX_TIMEOUTS * seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except Exception as error:  # whatever a connection that was shut down makes of it; others go on
            if is_late.is_set():
                raise _too_late(timer) from error
            raise
        finally:
            timer.cancel()
        if is_late.is_set():  # a head that is cut off is taken for a whole one
            response.close()
            self.close()
            raise _too_late(timer)
        return response


def _too_late(timer: threading.Timer) -> TimeoutError:
    return TimeoutError(f"the head of the response was not complete after {timer.interval:g} s")


class _BoundedHttpsHead(_BoundedHead, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _BoundedHead


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _BoundedHttpsHead


def bound_heads(pool: urllib3.PoolManager) -> None:
    """Let the connections that a pool opens from now on bound the time until a head is complete."""
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
