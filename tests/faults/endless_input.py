"""Responses of an InfluxDB server and texts of a source that are endless, compressed or of a false length.

Each is given to the whole program in a process of its own, whose peak of memory (VmHWM) is bounded.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import multiprocessing
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized
from typing import Final
from urllib.parse import urlsplit

from jobs.activity.window import HOUR, DayWindow
from tests.faults.homes import DAYS, EXIT_UNAVAILABLE, ZONE, Bench, HomeUnderTest, InfluxStoreKind, Result
from tests.support.influxdb import LiveServer
from tests.support.recorder import RecorderDatabase, StateRow

MAX_MEGABYTES: Final = 512  # what docs/performance.md promises for any home
MAX_SECONDS: Final = 120
EXIT_INCOMPLETE: Final = 1
TIMEOUT_SECONDS: Final = 1.0
FIRST: Final = DAYS.first
LAST: Final = FIRST + dt.timedelta(days=3)
NEXT: Final = ("run", "--day", str(LAST))
STATE_BYTES: Final = 50 * 2**20
ROW: Final = '{"results":[{"series":[{"name":"m","columns":["time","state"],"values":[%s]}]}]}\n'

_FORK = multiprocessing.get_context("fork")
_RUN: Final = """
import sys
from jobs.cli import main
try:
    code = main()
except SystemExit as ended:
    code = ended.code
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.stderr.write(f"\\npeak {int(peak) / 1024}\\n")
sys.exit(code)
"""


def _head(*more: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def _bomb() -> Iterable[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield _head("Content-Encoding: gzip")
    for _ in range(2000):
        yield packer.compress(bytes(2**20))
    yield packer.flush()


_PIECE: Final = b"1," * 2**19
_ROWS: Final = (ROW % ",".join(['[1772348400000000,"on"]'] * 2000)).encode()
RESPONSES: Final[Mapping[str, Callable[[], Iterable[bytes]]]] = {
    "an endless line": lambda: itertools.chain([_head(), b'{"results":[{"a":['], itertools.repeat(_PIECE)),
    "endless rows": lambda: itertools.chain([_head()], itertools.repeat(_ROWS)),
    "an endless error": lambda: itertools.chain(
        [_head(status="400 Bad Request"), b'{"error":"'], itertools.repeat(_PIECE)
    ),
    "endless headers": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-A: b\r\n" * 1000)),
    "a compressed response of 2 GB": _bomb,
    "a length that is too great": lambda: [_head("Content-Length: 99999999999"), b'{"results":[]}'],
    "a length that is too small": lambda: [_head("Content-Length: 3"), b'{"results":[]}'],
    "a length below zero": lambda: [_head("Content-Length: -1"), b'{"results":[]}'],
    "a length that is not a number": lambda: [_head("Content-Length: many"), b'{"results":['],
    "a chunk whose length is not a number": lambda: [_head("Transfer-Encoding: chunked"), b"ZZ\r\n{}\r\n"],
    "a chunk of more than a terabyte": lambda: [_head("Transfer-Encoding: chunked"), b"fffffffffff\r\n{}\r\n"],
}


def endless_input(bench: Bench) -> Iterator[Result]:
    """Yield a line for an InfluxDB store, an InfluxDB source, a CSV line and a recorder state."""
    for kind in bench.influx_stores():
        with _relay(kind.server.url) as relay:
            yield _bad_store(bench, kind, relay)
            yield _bad_source(bench, kind, relay)
    yield _long_line(bench)
    yield _long_state(bench)


def _bad_store(bench: Bench, kind: InfluxStoreKind, relay: _Relay) -> Result:
    result = Result(f"endless, compressed and malformed responses of the store, {kind.name}")
    home = bench.home(InfluxStoreKind(kind.server, url=relay.url, timeout_seconds=TIMEOUT_SECONDS))
    _disturb(home, relay, result, {"endless rows": EXIT_INCOMPLETE})  # they can be read, and are not the store's
    return result


def _bad_source(bench: Bench, kind: InfluxStoreKind, relay: _Relay) -> Result:
    result = Result(f"endless, compressed and malformed responses of the source, {kind.name}")
    home = bench.home(source=_influx_source(kind.server, relay.url))
    _disturb(home, relay, result, {})
    return result


def _disturb(home: HomeUnderTest, relay: _Relay, result: Result, others: Mapping[str, int]) -> None:
    """Compute some days, then let the next one meet each response, and then the server itself.

    Args:
        home: The home, of which nothing is computed yet.
        relay: Before its store or source.
        result: What is seen.
        others: The exit codes of the responses that do not end with 75.
    """
    peaks, codes = [0.0], Counter[int]()
    code = home.call("backfill", str(FIRST), str(LAST - dt.timedelta(days=1)))
    result.check("" if code == 0 else f"exit code {code}: {home.log_tail()}", "before")
    rows, written = home.rows(), home.entries()
    for number, name in enumerate(RESPONSES):
        relay.chosen.value = number
        home.log.unlink(missing_ok=True)
        code, peak = _measured(home, *NEXT)
        relay.chosen.value = -1
        result.tries += 1
        codes[code] += 1
        peaks.append(peak)
        is_right = code == others.get(name, EXIT_UNAVAILABLE)
        result.check("" if is_right else f"exit code {code}: {home.log_tail()}", name)
        result.check("" if 0 < peak < MAX_MEGABYTES else f"{peak:.0f} MB of memory", name)
        result.check("a traceback" if "Traceback" in home.log.read_text(encoding="utf-8") else "", name)
        result.check("" if home.rows() == rows else "the store has changed", name)
        entries = home.entries()
        result.check("" if written.items() <= entries.items() else "the ledger has changed", name)
        result.check(home.false_claims(), name)
    code = home.call(*NEXT)
    result.check("" if code == 0 else f"exit code {code}: {home.log_tail()}", "afterwards")
    result.check(home.false_claims(), "afterwards")
    has_next = any(row["date"] == str(LAST) for row in home.rows()["time_based_daily"])
    result.check("" if has_next else "the day is not in the store", "afterwards")
    counts = ", ".join(f"exit code {code} {count} times" for code, count in sorted(codes.items()))
    result.seen = f"{counts}, then 0; at most {max(peaks):.0f} MB"


def _long_line(bench: Bench) -> Result:
    """Give the rows of an undisturbed CSV file, with a line of 1 GB among them."""
    result = Result("a line of 1 GB in a CSV file")
    rows = [f"{_moment(at)},light.lamp,{state}\n" for at, state in _changes()]
    homes = [bench.home(source='[source]\nkind = "csv_files"\npath = "events.csv"\n') for _ in range(2)]
    for home, megabytes in zip(homes, (0, 1024), strict=True):
        with (home.folder / "events.csv").open("w", encoding="ascii") as file:
            file.write("time,entity_id,state\n")
            file.writelines(rows[:9])
            for _ in range(megabytes):
                file.write("x" * 2**20)
            file.write("\n" if megabytes else "")
            file.writelines(rows[9:])
    _compare(homes[0], homes[1], result)
    (homes[1].folder / "events.csv").unlink()
    return result


def _long_state(bench: Bench) -> Result:
    """Give another entity of a recorder database a state of 50 MB."""
    result = Result("a state of 50 MB in a recorder database")
    homes = []
    for length in (300, STATE_BYTES):
        folder = bench.new_folder()
        with RecorderDatabase(folder / "home-assistant_v2.db") as recorder:
            recorder.run(_start(), _start() + 97 * HOUR)
            recorder.write(
                StateRow(at, entity_id, state)
                for at, of in _changes()
                for entity_id, state in (("light.lamp", of), ("switch.fan", "x" * length if of == "on" else of))
                if entity_id == "light.lamp" or at < _start() + 4 * HOUR
            )
        source = f'[source]\nkind = "home_assistant_db"\nurl = "sqlite:///{folder}/home-assistant_v2.db"\n'
        homes.append(bench.home(source=source))
    _compare(homes[0], homes[1], result)
    return result


def _compare(undisturbed: HomeUnderTest, home: HomeUnderTest, result: Result) -> None:
    words = ("backfill", str(FIRST), str(LAST))
    code, _ = _measured(undisturbed, *words)
    result.check("" if code == 0 else f"exit code {code}: {undisturbed.log_tail()}", "undisturbed")
    code, peak = _measured(home, *words)
    result.tries = 1
    result.check("" if code == 0 else f"exit code {code}: {home.log_tail()}")
    result.check("" if 0 < peak < MAX_MEGABYTES else f"{peak:.0f} MB of memory")
    found, expected = (
        [row for row in one.rows()["time_based_daily"] if row["entity_id"] == "light.lamp"]
        for one in (home, undisturbed)
    )
    result.check("" if found == expected and expected else "the rows of another entity differ")
    result.seen = f"exit code {code}, the other rows as without it; {peak:.0f} MB"


def _measured(home: HomeUnderTest, *words: str) -> tuple[int, float]:
    """Run a command in a process of its own. Return its exit code and its peak of memory in MB."""
    command = [sys.executable, "-P", "-c", _RUN, "--config", str(home.config), *words]
    with home.log.open("ab") as log:
        try:
            code = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=MAX_SECONDS).returncode
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL, 0.0
    text = home.log.read_text(encoding="utf-8", errors="replace")
    peaks: list[str] = re.findall(r"^peak (\S+)$", text, re.MULTILINE)
    return code, float(peaks[-1]) if peaks else 0.0


def _start() -> int:
    return DayWindow(FIRST, ZONE).start


def _moment(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 10**6, dt.UTC).isoformat()


def _changes() -> list[tuple[int, str]]:
    """Return four days of a lamp: instants and states, one each hour."""
    return [(_start() + hour * HOUR, ("off", "on")[hour % 2]) for hour in range(97)]


def _influx_source(server: LiveServer, url: str) -> str:
    bucket = server.new_bucket()
    lines = [f'light.lamp,domain=light,entity_id=lamp state="{state}" {at}000' for at, state in _changes()]
    server.write(bucket, "\n".join(lines).encode())
    values = {"url": url, "org": server.org, "token": server.token, "bucket": bucket}
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f'[source]\nkind = "influxdb"\ntimeout_seconds = {TIMEOUT_SECONDS}\n{more}'


class _Relay(socketserver.ThreadingTCPServer):
    """Pass bytes on to the real server, or give one of the responses instead: ``chosen``, -1 for none."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(target)
        self.target = parts.hostname or "", parts.port or 0
        self.chosen: Synchronized[int] = _FORK.Value("i", -1)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Ignore clients that are gone."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Relay
    request: socket.socket

    def handle(self) -> None:
        if self.server.chosen.value >= 0:
            self.request.recv(65536)
            for piece in list(RESPONSES.values())[self.server.chosen.value]():
                self.request.sendall(piece)
            return
        with socket.create_connection(self.server.target) as server:
            back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
            back.start()
            _copy(self.request, server)
            back.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextmanager
def _relay(target: str) -> Iterator[_Relay]:
    """Run a relay in a process of its own, so that this one has no further threads and can fork."""
    relay = _Relay(target)
    process = _FORK.Process(target=relay.serve_forever, daemon=True)
    process.start()
    relay.server_close()
    try:
        yield relay
    finally:
        process.kill()
        process.join()
