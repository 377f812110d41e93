"""A real MariaDB for tests: a server of its own for one run, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from tests.support.influxdb import free_port
from tests.support.skips import skip_without

_PROGRAMS: Final = ("mariadbd", "mariadb-install-db", "mariadb")
_READY_SECONDS: Final = 60
_STOP_SECONDS: Final = 20
_USER: Final = "tester"


def find_programs() -> dict[str, str] | None:
    """Return the path of each program by its name, or None unless all of them are installed.

    Debian puts the server into ``/usr/sbin``, which is not on every user's PATH.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = {name: shutil.which(name, path=path) for name in _PROGRAMS}
    return None if None in found.values() else {name: str(file) for name, file in found.items()}


class MariaDb:
    """A server with data of its own, whose user ``tester`` may do anything without a password.

    Args:
        programs: The path of each program by its name.
        folder: Where its data goes.

    Attributes:
        url: The address of the server, without a database: give it a driver with ``set(drivername=...)`` if another
            one is wanted.
    """

    def __init__(self, programs: dict[str, str], folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        port = free_port()
        self._socket = f"/tmp/mariadb-{port}.sock"  # noqa: S108 - a socket's path may have 107 characters only
        self.url = sa.URL.create("mysql+pymysql", _USER, host="127.0.0.1", port=port)
        self._common = ["--no-defaults", f"--datadir={folder / 'data'}"]
        if os.getuid() == 0:
            self._common.append("--user=root")  # pytest's folders are for their owner only
        self._server = [
            *(programs["mariadbd"], *self._common, f"--socket={self._socket}", f"--pid-file={folder / 'pid'}"),
            *(f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M"),
            f"--init-file={folder / 'users.sql'}",
        ]
        (folder / "users.sql").write_text(
            "".join(
                f"CREATE USER IF NOT EXISTS '{_USER}'@'{host}';\nGRANT ALL ON *.* TO '{_USER}'@'{host}';\n"
                for host in ("localhost", "127.0.0.1")
            ),
            encoding="utf-8",
        )

    @property
    def process_id(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Create the data on the first start, and wait until the server answers.

        Raises:
            RuntimeError: It did not start; with the end of its log.
        """
        with (self._folder / "log").open("ab") as log:
            if not (self._folder / "data").exists():
                install = [self._programs["mariadb-install-db"], *self._common]
                install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
                subprocess.run(install, check=True, stdout=log, stderr=log, timeout=_READY_SECONDS)
            self._process = subprocess.Popen(self._server, cwd=self._folder, stdout=log, stderr=log)
        give_up_at = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.stop()
                raise RuntimeError(f"mariadbd did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; with ``SIGKILL`` as if the machine had lost its power."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        Path(self._socket).unlink(missing_ok=True)

    def execute(self, statements: str, database: str | None = None) -> str:
        """Return what the server's own client prints for some SQL, one row a line, columns between tabs."""
        return self._client(statements, database, check=True).stdout

    def new_database(self) -> sa.URL:
        """Create an empty database, as Home Assistant wants it, and return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return self.url.set(database=name)

    def _answers(self) -> bool:
        return self._client("SELECT 1", None, check=False).returncode == 0

    def _client(self, statements: str, database: str | None, *, check: bool) -> subprocess.CompletedProcess[str]:
        command = [self._programs["mariadb"], "--no-defaults", f"--socket={self._socket}", f"--user={_USER}"]
        command += [
            "--default-character-set=utf8mb4",
            "--batch",
            "--skip-column-names",
            *([database] if database else []),
        ]
        return subprocess.run(command, input=statements, check=check, capture_output=True, text=True, timeout=30)


@contextmanager
def running(folder: Path) -> Iterator[MariaDb]:
    """Run a server for as long as the block lasts; skip the test where MariaDB is not installed."""
    programs = find_programs()
    if programs is None:
        skip_without("MariaDB", "mariadbd, mariadb-install-db and mariadb are not on PATH")
    server = MariaDb(programs, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """One server for all tests of a process: take a new database each."""
    with running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server
