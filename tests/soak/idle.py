"""Measure how soon the daemon is ready, and what it costs while it has nothing to do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import urllib3

from tests.soak.nights import process_now
from tests.support.influxdb import free_port

MINUTE: Final = 60.0
MAX_WAIT_SECONDS: Final = 120.0


class Idle(NamedTuple):
    """The measured figures.

    Attributes:
        ready_seconds: From the start of the program until ``/readyz`` answers that it is ready.
        memory_mb: Resident memory after the first run and an idle minute.
        cpu_share: Of one core, over that minute.
        exit_code: After SIGTERM.
    """

    ready_seconds: float
    memory_mb: float
    cpu_share: float
    exit_code: int


def idle(folder: Path, *, seconds: float = MINUTE) -> Idle:
    """Start the daemon for a simulated home of thirty days, wait for its first run, and measure it while idle."""
    port = free_port()
    config = folder / "config.toml"
    config.write_text(
        f"""
        [source]
        kind = "simulated_home"
        first_day = 2026-03-01
        last_day = 2026-03-30
        [store]
        url = "sqlite:///{folder / "aggregates.db"}"
        retention_days = 0
        [ledger]
        path = "{folder / "ledger.db"}"
        [schedule]
        catch_up = "all"
        [health]
        port = {port}
        """,
        encoding="utf-8",
    )
    began = time.monotonic()
    command = [sys.executable, "-m", "jobs", "--config", str(config), "serve"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _await(f"http://127.0.0.1:{port}/readyz", r"true")
            ready_seconds = time.monotonic() - began
            _await(f"http://127.0.0.1:{port}/metrics", r"\npattern_aggregates_runs_total{.*} [1-9]")
            before = _cpu_seconds(process.pid)
            time.sleep(seconds)
            share = (_cpu_seconds(process.pid) - before) / seconds
            memory_mb, _ = process_now(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
        return Idle(ready_seconds, memory_mb, share, process.wait(20))


def _await(url: str, sign: str) -> None:
    until = time.monotonic() + MAX_WAIT_SECONDS
    while time.monotonic() < until:
        try:
            if re.search(sign, urllib3.request("GET", url, retries=False, timeout=5).data.decode()):
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"{url} never answered {sign!r}")


def _cpu_seconds(pid: int) -> float:
    """Return user plus system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
