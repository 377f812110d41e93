"""A lock between processes that is granted in turn and released when its holder exits.

A plain lock goes to whoever tries first. A process that works through many days, each under the lock, releases it and
takes it again within microseconds, so that one waiting beside it would starve. Hence two files: whoever wants the lock
takes the queue file, then the lock, and only then releases the queue file. While one process works, the next one holds
the queue file, and the one that worked last has to wait behind it.

While the lock is held, its file says which process holds it and since when, for whoever waits in vain.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from storage.drivers import sql
from storage.errors import LedgerUnavailable, SettingsError
from storage.regular_file import open_regular

POLL_SECONDS: Final = 0.01  # well under the time of a day's run, so that who waits gets the lock in time

_HOLDER: Final = re.compile(r"process (\d+) since (\S+)\n?")
MAX_HOLDER_BYTES: Final = 100

_TEMPORARY = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


class FairLock:
    """The lock of a file, kept in two files beside it. Not reentrant.

    Args:
        path: The file that is guarded.
        setting: The setting that names it, for messages.
    """

    def __init__(self, path: Path, setting: str) -> None:
        self._folder = path.parent
        self._setting = setting
        self._queue = FileLock(f"{path}.turn", mode=0o600)
        self._lock = FileLock(f"{path}.lock", mode=0o600)

    @contextmanager
    def acquire(self, max_wait_seconds: float) -> Iterator[None]:
        """Hold the lock until the block ends.

        Raises:
            LedgerUnavailable: Others have held it for all of ``max_wait_seconds``, or it cannot be taken now.
            SettingsError: Its files cannot be created.
        """
        deadline = time.monotonic() + max_wait_seconds
        try:
            self._queue.acquire(timeout=max_wait_seconds, poll_interval=POLL_SECONDS)
            try:
                self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0), poll_interval=POLL_SECONDS)
            finally:
                self._queue.release()
        except Timeout as error:
            raise LedgerUnavailable(
                f"another run holds {self._lock.lock_file} for more than {max_wait_seconds:.0f} s{self._holder()}",
                hint="Let it finish, or stop it; the lock is released when its process exits.",
            ) from error
        except OSError as error:
            raise self._translated(error) from error
        try:
            self._name_holder(f"process {os.getpid()} since {dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}\n")
            yield
        finally:
            try:
                self._name_holder("")
            finally:
                self._lock.release()

    def _name_holder(self, text: str) -> None:
        """Write who holds the lock into its file, unless that has other contents; nothing depends on it."""
        with suppress(OSError):
            descriptor = os.open(self._lock.lock_file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                before = os.pread(descriptor, MAX_HOLDER_BYTES, 0)
                if not before or _HOLDER.fullmatch(before.decode("ascii", "replace")):
                    os.ftruncate(descriptor, os.pwrite(descriptor, text.encode(), 0))
            finally:
                os.close(descriptor)

    def _holder(self) -> str:
        """Return which process holds the lock and since when, as the end of a sentence; empty if that is not known."""
        with suppress(OSError), open_regular(Path(self._lock.lock_file)) as file:
            found = _HOLDER.fullmatch(file.read(MAX_HOLDER_BYTES).decode("ascii", "replace"))
            if found is not None:
                return f": process {found[1]}, since {found[2]}"
        return ""

    def _translated(self, error: OSError) -> LedgerUnavailable | SettingsError:
        message = f"{self._setting}: {self._lock.lock_file}: {error.strerror}"
        if error.errno in _TEMPORARY:
            return LedgerUnavailable(message, hint="Nothing is lost; free some space or close some files, run again.")
        return SettingsError(message, hint=sql.permission_hint(self._folder))
