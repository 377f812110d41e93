"""Real InfluxDB servers for tests, in this order: one named by the environment, a binary on PATH, a container.

``INFLUXDB_TEST_URL`` (with ``INFLUXDB_TEST_TOKEN`` and ``INFLUXDB_TEST_ORG`` for 2.x) names a running one. Binaries are
looked for as ``influxd2``, then ``influxd``, and told apart by what ``version`` says. A container needs an engine that
answers. Where a version is to be had nowhere, its tests are skipped and say so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import urllib3
from pydantic import SecretStr

from storage.backends.influxdb.store import ERRORS, InfluxStore
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.server import Server
from tests.support.skips import skip_without

ORG: Final = "home"
TOKEN: Final = "a-token-that-nobody-shall-see"  # noqa: S105 - of servers that live for one test run
VERSIONS: Final = ("influxdb-1", "influxdb-2")

_BINARIES = ("influxd2", "influxd")
_IMAGES = {"1": "influxdb:1.8", "2": "influxdb:2.7"}
_READY_SECONDS = 60


@dataclass(frozen=True)
class LiveServer:
    """A running server.

    Attributes:
        url: Its address.
        major: "1" or "2".
        org: Empty for 1.x.
        token: Empty where none is needed.
    """

    url: str
    major: str
    org: str = ""
    token: str = ""

    def server(self, **more: object) -> Server:
        values = {"url": self.url, "org": self.org, "token": SecretStr(self.token), "timeout_seconds": 30.0, **more}
        return Server(**values)  # type: ignore[arg-type] # whatever a test asks for

    def connection(self) -> Connection:
        return Connection(self.server(), ERRORS, "test server")

    def new_bucket(self, retention_days: int = 0) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        connection = self.connection()
        buckets.create(connection, name, retention_days)
        connection.close()
        return name

    def other_organisation(self, bucket: str) -> LiveServer:
        """Another organisation with a bucket of that name, asked with the token of this one: 2.x only."""
        if not self.org:
            pytest.skip("not here: organisations, which 1.x does not have")
        other = replace(self, org=f"org_{uuid.uuid4().hex[:12]}")
        self.post("/api/v2/orgs", {"name": other.org})
        connection = other.connection()
        buckets.create(connection, bucket, 0)
        connection.close()
        return other

    def token_for(self, bucket: str, *actions: str) -> str:
        """A token for reading or writing one bucket: 2.x only."""
        found = self._request("GET", "/api/v2/buckets?" + urlencode({"name": bucket})).json()["buckets"][0]
        resource = {"type": "buckets", "id": found["id"], "orgID": found["orgID"]}
        permissions = [{"action": action, "resource": resource} for action in actions]
        document = {"orgID": found["orgID"], "permissions": permissions}
        token: str = self.post("/api/v2/authorizations", document)["token"]
        return token

    def write(self, bucket: str, body: bytes, precision: str = "ns") -> None:
        """Write line protocol as another program would."""
        parameters = {"org": self.org, "bucket": bucket} if self.major == "2" else {"db": bucket}
        path = "/api/v2/write" if self.major == "2" else "/write"
        written = self._request("POST", f"{path}?{urlencode({**parameters, 'precision': precision})}", body)
        assert written.status == 204, written.data

    def post(self, path: str, document: object = None) -> dict[str, Any]:
        """The JSON that the server answers to a POST."""
        posted = self._request("POST", path, b"" if document is None else json.dumps(document).encode())
        assert 200 <= posted.status < 300, posted.data
        answer: dict[str, Any] = posted.json()
        return answer

    def _request(self, method: str, path: str, body: bytes = b"") -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        return urllib3.request(method, self.url + path, body=body, headers=headers, timeout=60)

    @contextmanager
    def new_store(self, retention_days: int = 0) -> Iterator[InfluxStore]:
        store = InfluxStore(self.server(), self.new_bucket(retention_days), retention_days=retention_days)
        yield store
        store.close()


class Influxd:
    """A server process of our own, which can be killed and started again where it was.

    Args:
        binary: The program.
        major: Its major version.
        folder: Where its data goes.
    """

    def __init__(self, binary: str, major: str, folder: Path) -> None:
        self._folder = folder
        self._major = major
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        if major == "2":
            self._command = [
                *(binary, "--http-bind-address", f"127.0.0.1:{self._port}", "--reporting-disabled"),
                *("--bolt-path", str(folder / "influxd.bolt"), "--engine-path", str(folder / "engine")),
                *("--sqlite-path", str(folder / "influxd.sqlite")),
            ]
        else:
            (folder / "influxd.toml").write_text(
                f"""
                reporting-disabled = true
                bind-address = "127.0.0.1:{free_port()}"
                [meta]
                dir = "{folder}/meta"
                [data]
                dir = "{folder}/data"
                wal-dir = "{folder}/wal"
                [http]
                bind-address = "127.0.0.1:{self._port}"
                """
            )
            self._command = [binary, "-config", str(folder / "influxd.toml")]

    def start(self) -> LiveServer:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        until = time.monotonic() + _READY_SECONDS
        while not _answers(self.url + "/ping"):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._command[0]} did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        if self._major == "1":
            return LiveServer(self.url, "1")
        set_up(self.url)
        return LiveServer(self.url, "2", ORG, TOKEN)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def new_influxd(major: str, folder: Path) -> Influxd:
    """Return a server that a test may kill, not yet started; skip the test where no binary of that version is."""
    binary = find_binary(major)
    if binary is None:
        skip_without(f"InfluxDB {major}.x", "no influxd on PATH is one, so none can be killed")
    return Influxd(binary, major, folder)


def set_up(url: str) -> None:
    """Give a fresh 2.x server its first user; one that is set up stays as it is."""
    body = (
        f'{{"username":"tester","password":"not-a-secret","org":"{ORG}","bucket":"first","token":"{TOKEN}",'
        '"retentionPeriodSeconds":0}'
    )
    if urllib3.request("GET", url + "/api/v2/setup").json()["allowed"]:
        urllib3.request("POST", url + "/api/v2/setup", body=body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_binary(major: str) -> str | None:
    """A server of that major version on PATH."""
    for name in _BINARIES:
        found = shutil.which(name)
        if found:
            told = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
            if re.search(rf"InfluxDB v?{major}\.", told):
                return found
    return None


@contextmanager
def running(major: str, folder: Path) -> Iterator[LiveServer]:
    """A server of that major version for as long as the block lasts; skips the test where there is none."""
    named = os.environ.get("INFLUXDB_TEST_URL")
    if named and _major_of(named) == major:
        yield LiveServer(
            named, major, os.environ.get("INFLUXDB_TEST_ORG", ""), os.environ.get("INFLUXDB_TEST_TOKEN", "")
        )
        return
    binary = find_binary(major)
    if binary is None:
        with _container(major) as server:
            yield server
        return
    process = Influxd(binary, major, folder)
    try:
        yield process.start()
    finally:
        process.stop()


@contextmanager
def _container(major: str) -> Iterator[LiveServer]:
    name, reason = f"InfluxDB {major}.x", "INFLUXDB_TEST_URL names none, no influxd on PATH is one, and "
    path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("unix://")[2]
    if path and not Path(path).exists():  # else docker leaves a socket open, which fails a later test
        skip_without(name, reason + "there is no container engine")
    try:
        import docker  # noqa: PLC0415 - only where nothing else is at hand
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - likewise
    except ImportError:
        skip_without(name, reason + "testcontainers is not installed")
    try:
        docker.from_env().ping()
    except Exception as error:  # noqa: BLE001 - whatever keeps the engine from answering
        skip_without(name, reason + f"no container engine answers ({type(error).__name__})")
    with DockerContainer(_IMAGES[major]).with_exposed_ports(8086) as container:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8086)}"
        until = time.monotonic() + _READY_SECONDS
        while not _answers(url + "/ping") and time.monotonic() < until:
            time.sleep(0.2)
        if major == "2":
            set_up(url)
            yield LiveServer(url, "2", ORG, TOKEN)
        else:
            yield LiveServer(url, "1")


def _answers(url: str) -> bool:
    try:
        urllib3.request("GET", url, timeout=2, retries=False)
    except (urllib3.exceptions.HTTPError, OSError):
        return False
    return True


def _major_of(url: str) -> str:
    return urllib3.request("GET", url + "/ping").headers.get("X-Influxdb-Version", "").lstrip("v")[:1]


@pytest.fixture(scope="session")
def influxdb_1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running("1", tmp_path_factory.mktemp("influxdb1")) as server:
        yield server


@pytest.fixture(scope="session")
def influxdb_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running("2", tmp_path_factory.mktemp("influxdb2")) as server:
        yield server


@pytest.fixture(params=VERSIONS)
def influxdb(request: pytest.FixtureRequest) -> LiveServer:
    """A server of each version, shared by the tests of a process: take a new bucket each."""
    return server_of(request)


def server_of(request: pytest.FixtureRequest) -> LiveServer:
    """The shared server of the version that is the parameter of the fixture which asks."""
    server: LiveServer = request.getfixturevalue(request.param.replace("-", "_"))
    return server


def new_store(request: pytest.FixtureRequest) -> InfluxStore:
    """An empty store, not yet prepared, on the server that is the parameter of the fixture which asks."""
    return InfluxStore(server_of(request).server(), f"test_{uuid.uuid4().hex[:12]}", retention_days=0)
