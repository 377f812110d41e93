"""A real PostgreSQL for tests: a cluster of its own for one run, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from tests.support.influxdb import free_port
from tests.support.skips import skip_without


def find_programs() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``: on PATH, or where Debian puts the newest version."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    return folders[-1].parent if folders else None


class Cluster:
    """A server with data of its own, whose superuser needs no password.

    Args:
        programs: Where its programs are.
        folder: Where its data goes.

    Attributes:
        url: The database that always exists.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
        port = free_port()
        self._options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        self.url = sa.URL.create("postgresql+psycopg", "tester", host="127.0.0.1", port=port, database="postgres")
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "--auth", "trust", "--username", "tester", "--encoding", "UTF8", "--no-sync")

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"), "--options", self._options)

    @property
    def process_id(self) -> int:
        """The process that accepts connections."""
        return int((self._folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def stop(self) -> None:
        """Stop it as if the machine had lost its power."""
        self._run("pg_ctl", "stop", "--mode", "immediate")

    def kill(self) -> None:
        """Kill the process that accepts connections with SIGKILL, and wait for the others, which end with it."""
        server = psutil.Process(self.process_id)
        others = server.children()
        server.kill()
        psutil.wait_procs([server, *others], timeout=60)

    def kill_session(self, choose: Callable[[Sequence[psutil.Process]], psutil.Process]) -> bool:
        """Kill the process of one session with SIGKILL, at which the server ends all others and starts again.

        Args:
            choose: Chooses one.

        Returns:
            Whether there was any.
        """
        with suppress(psutil.Error, IndexError):  # none is there, or it has ended meanwhile
            sessions = [
                child
                for child in psutil.Process(self.process_id).children()
                if " ".join(child.cmdline()).startswith(f"postgres: {self.url.username} ")
            ]
            choose(sessions).kill()
            return True
        return False

    def _run(self, program: str, *arguments: str) -> None:
        command: list[str | Path] = [self._programs / program, "--pgdata", self._folder / "data", *arguments]
        subprocess.run(command, user=self._user, cwd=self._folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def running() -> Iterator[Cluster]:
    """Run a cluster for as long as the block lasts; skip the test where PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        skip_without("PostgreSQL", "initdb is neither on PATH nor under /usr/lib/postgresql")
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:  # pytest's own are for their owner only
        cluster = Cluster(programs, Path(folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def new_database(server: sa.URL) -> sa.URL:
    """Create an empty database and return its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} LC_COLLATE 'C.UTF-8' TEMPLATE template0"))
    engine.dispose()
    return server.set(database=name)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """One server for all tests of a process: take a new database each."""
    with running() as cluster:
        yield cluster
