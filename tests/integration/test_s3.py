"""Raw events and exported rows in a bucket of a server that speaks S3: moto's, where it and s3fs are installed."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import fsspec
import pytest

from tests.integration.test_parquet_homes import DAYS, NAMES, events_of, texts
from tests.support.home import CSV_CONFIG, Home
from tests.support.parquet_events import write_events
from tests.support.skips import skip_without

KEY: Final = "key-that-nobody-may-see"
CONFIG: Final = CSV_CONFIG.replace('kind = "csv_files"', 'kind = "parquet_files"\nhome = "north"').replace(
    'path = "events.csv"', 'path = "EVENTS"'
)
EXPORTED: Final = CONFIG.replace(
    '[store]\nurl = "sqlite:///aggregates.db"\nretention_days = 0',
    '[store]\nkind = "parquet"\npath = "s3://BUCKET/rows"',
)


class Server:
    """A running server with an empty bucket."""

    def __init__(self, process: subprocess.Popen[bytes], bucket: str) -> None:
        self.process = process
        self.bucket = bucket

    @property
    def files(self) -> Any:
        return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    program = shutil.which("moto_server")
    if program is None or importlib.util.find_spec("s3fs") is None:
        skip_without("S3", "moto_server is not on PATH, or s3fs is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    process = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        running = Server(process, f"fleet-{port}")
        _wait(url)
        running.files.mkdir(running.bucket)
        yield running
    finally:
        process.kill()
        process.wait()


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - the server that was just started
                return
        except URLError:
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.fixture
def homes(tmp_path: Path, server: Server) -> tuple[Home, Home]:
    """The same home twice: with its raw events in a local folder, and in the bucket."""
    write_events(tmp_path / "events", [row for name in NAMES for row in events_of(name, texts()[name])])
    server.files.put(f"{tmp_path}/events/", f"{server.bucket}/events/", recursive=True)
    made = []
    for name, path in (("local", f"{tmp_path}/events"), ("remote", f"s3://{server.bucket}/events")):
        (tmp_path / name).mkdir()
        made.append(Home(tmp_path / name, CONFIG.replace("EVENTS", path), events=None))
    return made[0], made[1]


def test_rows_and_exported_rows_are_those_of_local_files(
    homes: tuple[Home, Home], server: Server, tmp_path: Path
) -> None:
    found = []
    for home in homes:
        result = home.call("backfill", *DAYS)
        assert result.exit_code == 0, result.output
        found.append(home.json("query", "time_based_daily", *DAYS, "--json"))
    assert found[0] == found[1] != []
    assert homes[1].call("export", *DAYS, "--parquet", str(homes[1].folder / "rows")).exit_code == 0
    server.files.put(f"{homes[1].folder}/rows/", f"{server.bucket}/rows/", recursive=True)
    exported = EXPORTED.replace("EVENTS", f"s3://{server.bucket}/events").replace("BUCKET", server.bucket)
    reader = Home(homes[1].folder, exported, events=None)
    assert reader.json("query", "time_based_daily", *DAYS, "--json") == found[0]
    server.stop()
    result = reader.call("query", "time_based_daily", *DAYS)
    assert result.exit_code == 75
    assert f"s3://{server.bucket}/rows" in "".join(result.output.split())
    assert KEY not in result.output


def test_a_server_that_is_gone_costs_no_day_and_the_next_run_computes_all(
    homes: tuple[Home, Home], server: Server
) -> None:
    home = homes[1]
    endpoint = server.process.args
    server.stop()
    result = home.call("backfill", *DAYS)
    assert result.exit_code == 75, result.output
    assert f"s3://{server.bucket}/events" in "".join(result.output.split())
    assert KEY not in result.output
    assert isinstance(endpoint, list)
    again = subprocess.Popen(endpoint, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{endpoint[-1]}")
        server.files.mkdir(server.bucket)  # it keeps its files in memory
        server.files.put(f"{home.folder.parent}/events/", f"{server.bucket}/events/", recursive=True)
        result = home.call("backfill", *DAYS)
        assert result.exit_code == 0, result.output
        assert len(home.json("query", "time_based_daily", *DAYS, "--json")) > 0
    finally:
        again.kill()
        again.wait()


def test_a_bucket_that_is_not_there_is_named(homes: tuple[Home, Home], server: Server) -> None:
    home = homes[1]
    home.config.write_text(home.config.read_text().replace(server.bucket, "nobodys"))
    result = home.call("backfill", *DAYS)
    assert result.exit_code == 75
    assert "s3://nobodys/events" in "".join(result.output.split())
