"""Whatever a server sends, and however long a line of a file is, memory stays bounded and the error names it."""

import datetime as dt
import gzip
import io
import itertools
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules
from jobs.activity.window import HOUR, MINUTE, DayWindow, midnight
from jobs.sources.csv_files import CsvFiles
from jobs.sources.csv_rows import MAX_LINE_CHARACTERS, lines_of
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from storage.drivers.influxdb.connection import Connection, ErrorClasses
from storage.drivers.influxdb.influxql import Query
from storage.drivers.influxdb.server import Server
from storage.errors import StoreError, StoreMissing, StoreUnavailable
from tests.support.raw_server import Answer, raw_server
from tests.support.recorder import RecorderDatabase, StateRow

MAX_MEGABYTES = 200
HEAD = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: application/json\r\n%s\r\n"
PIECE = b"1," * 2**19
UTC = ZoneInfo("UTC")
ERRORS = ErrorClasses(StoreUnavailable, StoreMissing, StoreError)


def peak_megabytes(work: Callable[[], object]) -> float:
    """The most memory that Python's objects take at once while something is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def endless_line() -> Iterable[bytes]:
    return itertools.chain([HEAD % (b"200 OK", b""), b'{"results":[{"series":[{"values":[['], itertools.repeat(PIECE))


def endless_error() -> Iterable[bytes]:
    return itertools.chain([HEAD % (b"400 Bad Request", b""), b'{"error":"'], itertools.repeat(PIECE))


@cache
def compressed(megabytes: int) -> Iterable[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    return [HEAD % (b"200 OK", b"Content-Encoding: gzip\r\n"), packed]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("pieces", [endless_line, endless_error, lambda: compressed(300)])
def test_an_endless_answer_is_given_up_and_its_server_named(
    pieces: Callable[[], Iterable[bytes]], version: str
) -> None:
    with raw_server(*(Answer(pieces()) for _ in range(3))) as server:
        opened = Connection(
            Server(server.url, "home" if version == "2" else "", timeout_seconds=5, compress=True),
            ERRORS,
            "store",
            sleep=lambda _: None,
        )

        def query() -> None:
            with pytest.raises(StoreUnavailable, match=r"store at http://127\.0\.0\.1:\d+ cannot be used now: .* MB"):
                opened.execute(Query("bucket", "SELECT 1"), list)

        assert peak_megabytes(query) < MAX_MEGABYTES
        opened.close()


def test_an_endless_body_of_a_call_of_the_library_is_given_up() -> None:
    with raw_server(*(Answer(endless_error()) for _ in range(3))) as server:
        opened = Connection(Server(server.url, "home", timeout_seconds=5), ERRORS, "store", sleep=lambda _: None)

        def write() -> None:
            with pytest.raises(StoreUnavailable, match="longer than 16 MB"):
                opened.write("bucket", "m f=1 1")

        assert peak_megabytes(write) < MAX_MEGABYTES
        opened.close()


def test_rows_without_an_end_are_given_up() -> None:
    line = (
        b'{"results":[{"series":[{"name":"m","columns":["time"],"values":[' + b",".join([b"[1]"] * 2000) + b"]}]}]}\n"
    )
    with raw_server(
        *(Answer(itertools.chain([HEAD % (b"200 OK", b"")], itertools.repeat(line))) for _ in "123")
    ) as far:
        opened = Connection(Server(far.url, "home", timeout_seconds=1), ERRORS, "source", sleep=lambda _: None)
        opened.max_tries = 1
        with pytest.raises(StoreUnavailable, match=r"source at .*: the response (is longer than|was not complete)"):
            opened.execute(Query("bucket", "SELECT 1"), lambda parts: sum(len(part.values) for part in parts))
        opened.close()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nX: ", b"y"], id="a header"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], id="interim responses"),
        pytest.param([HEAD % (b"200 OK", b"") + b'{"results":[', b" "], id="a body"),
        pytest.param([HEAD % (b"400 Bad Request", b"") + b'{"error":"', b"y"], id="an error"),
    ],
)
@pytest.mark.parametrize("call", ["query", "write", "get"])
def test_a_response_that_arrives_byte_by_byte_is_given_up(pieces: list[bytes], call: str) -> None:
    with raw_server(Answer(itertools.chain(pieces, itertools.repeat(pieces[-1])), pause_seconds=0.05)) as server:
        opened = Connection(Server(server.url, "home", timeout_seconds=0.2), ERRORS, "store", sleep=lambda _: None)
        opened.max_tries = 1
        calls: dict[str, Callable[[], object]] = {
            "query": lambda: opened.execute(Query("bucket", "SELECT 1"), list),
            "write": lambda: opened.write("bucket", "m f=1 1"),
            "get": lambda: opened.get("/ping"),
        }
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"in time|not complete after"):
            calls[call]()
        assert time.monotonic() - began < 60  # on a busy machine; without a limit it would take for ever
        opened.close()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_an_endless_line_of_a_file_costs_that_line(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"home{suffix}"
    with gzip.open(file, "wt", 1) if suffix == ".csv.gz" else file.open("w") as opened:
        opened.write("time,entity_id,state\n2026-03-02T06:00:00Z,light.lamp,off\n2026-03-02T06:30:00Z,light.lamp,")
        for _ in range(100):
            opened.write("x" * 2**20)
        opened.write("\n2026-03-02T07:00:00Z,light.lamp,on\n")
    source = CsvFiles(str(file), UTC, EntityRules())
    window = DayWindow(dt.date(2026, 3, 2), UTC)
    logs = []
    assert peak_megabytes(lambda: logs.append(source.read(window))) < 50
    (log,) = logs
    assert len(log.events) == 1
    assert any("1 bad row" in notice and "line 3" in notice for notice in log.notices)


@pytest.mark.parametrize("longer_by", [0, 1, 5 * MAX_LINE_CHARACTERS])
def test_only_what_is_beyond_the_longest_line_is_skipped(longer_by: int) -> None:
    text = "x" * (MAX_LINE_CHARACTERS + longer_by - 1)
    first, second = lines_of(io.StringIO(f"{text}\nnext\n", newline=""))
    assert first.rstrip() == "x" * min(len(text), MAX_LINE_CHARACTERS)
    assert second == "next\n"


def test_a_huge_text_in_a_recorder_database_costs_its_row(tmp_path: Path) -> None:
    path = tmp_path / "home-assistant_v2.db"
    start = midnight(dt.date(2026, 3, 2), UTC)
    states = ((0, "off"), (9, "x" * 100_000_000), (10, "off"), (12, "on"), (13, "off"))
    with RecorderDatabase(path) as recorder:
        recorder.run(start, start + 25 * HOUR)
        recorder.describe("light.lamp", {"note": "x" * 100_000_000})
        recorder.write(StateRow(start + hour * HOUR, "light.lamp", state) for hour, state in states)
    source = HomeAssistantDatabase(f"sqlite:///{path}", UTC, EntityRules())
    logs = []
    assert peak_megabytes(lambda: logs.append(source.read(DayWindow(dt.date(2026, 3, 2), UTC)))) < 50
    source.close()
    (log,) = logs
    assert len(log.events) == 2
    assert "1 states are not texts of at most 255 characters and were read as not known" in log.notices


@pytest.mark.parametrize(("length", "events"), [(255, 2), (256, 0)])
def test_a_state_may_have_255_characters(tmp_path: Path, length: int, events: int) -> None:
    path = tmp_path / "home-assistant_v2.db"
    start = midnight(dt.date(2026, 3, 2), UTC)
    with RecorderDatabase(path) as recorder:
        recorder.run(start, start + 25 * HOUR)
        recorder.write(
            StateRow(start + hour * HOUR, "select.mode", state)
            for hour, state in ((1, "a"), (9, "x" * length), (10, "a"))
        )
    source = HomeAssistantDatabase(f"sqlite:///{path}", UTC, EntityRules())
    assert len(source.read(DayWindow(dt.date(2026, 3, 2), UTC)).events) == events
    source.close()


@pytest.mark.parametrize("length", [256, 16_384, 16_385, 3_000_000])
@pytest.mark.parametrize("row", [0, 499, 500, 1_203])
def test_the_rows_around_a_state_that_is_too_long_are_all_read_once(tmp_path: Path, length: int, row: int) -> None:
    """SQLite refuses the longest; then the rows that are left are read in another way, also in the midst of a chunk."""
    start = midnight(dt.date(2026, 3, 2), UTC)
    logs = []
    for name, state in (("unknown", "unknown"), ("too_long", "x" * length)):
        with RecorderDatabase(tmp_path / f"{name}.db") as recorder:
            recorder.run(start, start + 25 * HOUR)
            texts = [state if number == row else "on" if number % 2 else "off" for number in range(1_300)]
            recorder.write(StateRow(start + number * MINUTE, "light.lamp", text) for number, text in enumerate(texts))
        source = HomeAssistantDatabase(recorder.url, UTC, EntityRules())
        logs.append(source.read(DayWindow(dt.date(2026, 3, 2), UTC)))
        source.close()
    unknown, too_long = logs
    assert too_long.events.at.tolist() == unknown.events.at.tolist()
    assert len(too_long.intervals) == len(unknown.intervals)
    assert too_long.samples == unknown.samples == 1_300
    assert too_long.notices == ("1 states are not texts of at most 255 characters and were read as not known",)
