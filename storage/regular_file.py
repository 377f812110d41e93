"""Open files for reading in a way that cannot wait for ever, and write files as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def open_regular(file: Path) -> BinaryIO:
    """Open a file for reading bytes; refuse what may never end or never begin: a pipe, a socket or a device.

    Raises:
        OSError: It is not a regular file, or cannot be read.
    """
    # Without O_NONBLOCK, opening a pipe waits until somebody writes into it. It changes nothing for a regular file.
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    return os.fdopen(descriptor, "rb")


def read_regular_text(file: Path) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        OSError: As ``open_regular``.
        UnicodeDecodeError: It is not UTF-8.
    """
    with open_regular(file) as opened:
        return opened.read().decode()


def replace_file(file: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read: whatever happens, it has its former contents or all of the new ones.

    A link in its place is replaced, and what it points to stays as it is. Root does not take a file away from its
    owner: a command run as root must not keep the daemon from reading it.

    Args:
        file: The file; its folder exists.
        content: What it shall hold; text in UTF-8.

    Raises:
        OSError: It cannot be written; the disk is full, for example.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content.encode() if isinstance(content, str) else content)
            opened.flush()
            os.fsync(opened.fileno())
        if os.geteuid() == 0:
            owned = file if file.is_file() and not file.is_symlink() else file.parent
            os.chown(name, owned.stat().st_uid, owned.stat().st_gid)
        Path(name).replace(file)
    except BaseException:  # also an interrupt: no half-written file stays behind
        with suppress(OSError):
            Path(name).unlink()
        raise
