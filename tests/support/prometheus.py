"""Run Prometheus' own programs on this project's metrics, alerts and settings."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.support.compose import read_compose
from tests.support.daemon import get
from tests.support.home import ROOT
from tests.support.influxdb import free_port
from tests.support.skips import skip_without

CONFIG = ROOT / "config" / "prometheus"
READY_SECONDS = 60


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skip the test where it is missing."""
    found = shutil.which(name)
    if found is None:
        skip_without("Prometheus", f"{name} is not on PATH")
    return found


def promtool(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool, with ``stdin`` as its input."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=240)


def value_of(text: str, series: str) -> float:
    """The value of one of our series in the text that a daemon answers with."""
    prefix = f"pattern_aggregates_{series} "
    (value,) = (line.removeprefix(prefix) for line in text.splitlines() if line.startswith(prefix))
    return float(value)


class Prometheus:
    """A running server.

    Args:
        port: Where it answers, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        status, body = get(self._port, f"/api/v1/{path}?{urlencode(parameters)}")
        assert status == 200, f"{parameters}: {body}"
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an instant vector."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait until ``holds`` returns something true."""
        deadline = time.monotonic() + READY_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"not true after {READY_SECONDS} s"
            time.sleep(0.2)


@contextmanager
def watching(target: int, folder: Path) -> Iterator[Prometheus]:
    """Run a real server with this project's settings, rules and options; only target and intervals differ.

    Args:
        target: The port of a daemon on loopback.
        folder: Where its data goes.
    """
    settings = yaml.safe_load((CONFIG / "prometheus.yml").read_text(encoding="utf-8"))
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for name in settings["rule_files"]:
        shutil.copy(CONFIG / name, folder)
    port = free_port()
    options = " ".join(read_compose()["services"]["prometheus"]["command"])
    options = options.replace("=/etc/prometheus/", f"={folder}/").replace("=/prometheus", f"={folder}/data")
    command = [program("prometheus"), *options.split(), f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        server = Prometheus(port)
        server.wait_until(lambda: get(port, "/-/ready")[0] == 200 or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
        yield server
    finally:
        process.kill()
        process.wait()
