"""A lock among processes that is taken by turns and dies with its holder.

A lock that is only tried again and again goes to whoever tries first. A process that works off many days, each under
the lock, lets go and takes it again within microseconds, and one that waits beside it starves. So there are two: who
wants the lock takes the turn, then the lock, and only then gives up the turn. While one works, the next holds the
turn, and the one that worked last cannot get past it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from storage.drivers import sql
from storage.errors import LedgerUnavailable, SettingsError

POLL_SECONDS: Final = 0.01  # well under what a day takes, so that who waits is there when the lock comes free

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


class Turns:
    """The lock of a file, in two files beside it. Not reentrant.

    Args:
        path: The file that is guarded.
        setting: What names it, for messages.
    """

    def __init__(self, path: Path, setting: str) -> None:
        self._folder = path.parent
        self._setting = setting
        self._turn = FileLock(f"{path}.turn", mode=0o600)
        self._lock = FileLock(f"{path}.lock", mode=0o600)

    @contextmanager
    def held(self, wait_seconds: float) -> Iterator[None]:
        """The lock, for as long as the block lasts.

        Raises:
            LedgerUnavailable: Others have held it for all of ``wait_seconds``, or it cannot be had now.
            SettingsError: Its files cannot be made.
        """
        until = time.monotonic() + wait_seconds
        try:
            self._turn.acquire(timeout=wait_seconds, poll_interval=POLL_SECONDS)
            try:
                self._lock.acquire(timeout=max(until - time.monotonic(), 0.0), poll_interval=POLL_SECONDS)
            finally:
                self._turn.release()
        except Timeout as error:
            raise LedgerUnavailable(
                f"another run holds {self._lock.lock_file} for more than {wait_seconds:.0f} s",
                hint="Let it finish, or stop it; the lock is released with its process.",
            ) from error
        except OSError as error:
            raise self._translated(error) from error
        try:
            yield
        finally:
            self._lock.release()

    def _translated(self, error: OSError) -> LedgerUnavailable | SettingsError:
        told = f"{self._setting}: {self._lock.lock_file}: {error.strerror}"
        if error.errno in _PASSING:
            return LedgerUnavailable(told, hint="Nothing is lost; run again when that is over.")
        return SettingsError(told, hint=sql.give(self._folder))
