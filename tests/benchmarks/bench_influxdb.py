"""Writes and reads on a real InfluxDB 2.x, beside the client of the story and beside bare HTTP, in one run.

    python -m tests.benchmarks.bench_influxdb [--story PATH]

The story's client is taken from the story's text when this runs; without that text its column stays empty. One home's
90 days in the story's schema: 100 time_based, 100 co_occurrence, 50 sequence, 8 room, 60 duration and 10 anomaly rows a
day. Exits with 1 if a figure misses what was asked for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from storage.backends.influxdb.store import InfluxStore
from storage.dates import ONE_DAY, DateRange
from storage.models import (
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
    TimeBasedDaily,
)
from storage.pattern_aggregate_client import PatternAggregateClient
from tests.support.influxdb import Influxd, LiveServer, find_binary

DAYS = 90
STORY = Path(__file__).parents[3] / "shared" / "story.md"
MEGABYTE = 1_000_000


@dataclass
class Figure:
    """One line of the table, in milliseconds or megabytes."""

    name: str
    ours: float
    asked: float
    story: float | None = None
    raw: float | None = None
    least_gain: float = 0.0
    most_over_raw: float = 0.0

    def misses(self) -> list[str]:
        found = []
        if self.ours >= self.asked:
            found.append(f"{self.ours:.1f} is not below {self.asked:g}")
        if self.story is not None and self.least_gain and self.story / self.ours < self.least_gain:
            found.append(f"only {self.story / self.ours:.1f} times the story's client, not {self.least_gain:g}")
        if self.raw is not None and self.most_over_raw and self.ours / self.raw > self.most_over_raw:
            found.append(f"{self.ours / self.raw:.1f} times bare HTTP, at most {self.most_over_raw:g}")
        return found

    def __str__(self) -> str:
        story = "-" if self.story is None else f"{self.story:.1f}"
        raw = "-" if self.raw is None else f"{self.raw:.1f}"
        return f"{self.name:<52}{self.ours:>10.1f}{self.asked:>10.0f}{story:>12}{raw:>12}  {'; '.join(self.misses())}"


def home_day(day: dt.date) -> list[DailyAggregate]:
    """One day of a made-up home."""
    hours = [3, 0, 0, 0, 0, 1, 7, 9, 4, 2, 1, 2, 3, 2, 1, 1, 2, 8, 12, 15, 11, 6, 4, 2]
    rows: list[DailyAggregate] = [
        TimeBasedDaily(
            date=day,
            entity_id=f"light.room_{number}",
            domain="light",
            hourly_distribution=hours,
            peak_hours=[18, 19, 20],
            frequency=0.75,
            confidence=0.5,
            occurrences=sum(hours),
            bouts=31,
        )
        for number in range(100)
    ]
    rows += [
        CoOccurrenceDaily(
            date=day,
            device_pair=f"binary_sensor.motion_{number}|light.room_{number}",
            co_occurrence_count=17,
            time_window_seconds=300,
            confidence=0.6,
            typical_hours=[7, 18, 19],
            expected_count=2.5,
            median_gap_seconds=3.25,
            first_share=0.9,
        )
        for number in range(100)
    ]
    rows += [
        SequenceDaily(
            date=day,
            sequence_id=f"{number:016x}",
            sequence=[f"binary_sensor.door_{number}:on", f"light.room_{number}:on", "light.hall:off"],
            frequency=6,
            avg_duration_seconds=42.5,
            confidence=0.4,
        )
        for number in range(50)
    ]
    rows += [
        RoomBasedDaily(
            date=day,
            area_id=f"room_{number}",
            activity_level=0.125,
            device_usage={f"light.room_{number}": 96, f"binary_sensor.motion_{number}": 40},
            transition_patterns=[{"to": "hall", "count": 9, "probability": 0.75, "median_seconds": 31.5}],
            peak_activity_hours=[18, 19],
        )
        for number in range(8)
    ]
    rows += [
        DurationDaily(
            date=day,
            entity_id=f"light.room_{number}",
            avg_duration_seconds=900.5,
            min_duration_seconds=10.0,
            max_duration_seconds=3600.0,
            duration_variance=12345.5,
            efficiency_score=0.8,
            episodes=12,
        )
        for number in range(60)
    ]
    rows += [
        AnomalyDaily(
            date=day,
            entity_id=f"light.room_{number}",
            anomaly_type="count_high",
            anomaly_score=0.5,
            baseline_deviation=4.5,
            occurrences=99,
            severity=Severity.HIGH,
        )
        for number in range(10)
    ]
    return rows


def milliseconds(call: Callable[[], object], times: int) -> float:
    """The best time of a call, after one that warms up: whatever else runs on the machine only ever adds."""
    call()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append((time.perf_counter() - began) * 1000)
    return min(found)


def story_client(story: Path, server: LiveServer, bucket: str) -> Any:
    """The client as the story writes it; None where its text is not at hand."""
    if not story.is_file():
        return None
    blocks = re.findall(r"```python\n(.*?)```", story.read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if "class PatternAggregateClient" in block)
    module = types.ModuleType("story_client")
    exec(compile(code, str(story), "exec"), module.__dict__)  # noqa: S102 - the baseline is code in a document
    return module.PatternAggregateClient(url=server.url, token=server.token, org=server.org, bucket=bucket)


def zoned(day: dt.date) -> dt.datetime:
    """The story formats Flux times with isoformat, which Flux takes only with an offset."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


class Bench:
    """Both clients on one server, each with a bucket as it would make it."""

    def __init__(self, server: LiveServer, story: Path) -> None:
        self.server = server
        self.last = dt.datetime.now(dt.UTC).date()
        self.ours_bucket = server.new_bucket(retention_days=DAYS + 10)
        self.ours = PatternAggregateClient(server.url, server.token, server.org, self.ours_bucket)
        self.store = InfluxStore(server.server(), self.ours_bucket)
        self.story_bucket = _bucket_with_default_shards(server, "story")
        self.story = story_client(story, server, self.story_bucket)
        self.pool = urllib3.PoolManager()
        self.range = DateRange.ending(self.last, DAYS)

    def fill(self) -> None:
        beside = PatternAggregateClient(self.server.url, self.server.token, self.server.org, self.story_bucket)
        for day in self.range:
            rows = home_day(day)
            for client in (self.ours, beside) if self.story else (self.ours,):
                if not client.write_batch(rows):
                    raise RuntimeError(str(client.last_error))
        beside.close()

    def single_write(self) -> Figure:
        row = home_day(self.last)[0]
        values = row.model_dump(exclude={"date", "bouts"})
        at = zoned(self.last)
        return Figure(
            "write one row, ms",
            milliseconds(lambda: _true(self.ours.write_time_based_daily(date=at, **values)), 50),
            10,
            milliseconds(lambda: _true(self.story.write_time_based_daily(date=at, **values)), 50)
            if self.story
            else None,
        )

    def batch_write(self, count: int, asked: float) -> Figure:
        rows = [row for _, row in zip(range(count), self._many(), strict=False)]
        story = None
        if self.story:
            story = milliseconds(lambda: _true(self.story.write_batch([_point(row) for row in rows])), 7)
        ours = milliseconds(lambda: _true(self.ours.write_batch([_remade(row) for row in rows])), 7)
        return Figure(f"write {count} rows, built and validated, ms", ours, asked, story)

    def read(self, days: int, asked: float) -> Figure:
        within = DateRange.ending(self.last, days)
        ours = milliseconds(lambda: _length(self.store.read(TimeBasedDaily, within), 100 * days), 7)
        figure = Figure(f"all entities typed, {days} days, ms", ours, asked)
        figure.raw = milliseconds(lambda: self._raw(within), 7)
        figure.most_over_raw = 1.45 if days == DAYS else 2.5
        if self.story:
            start, stop = zoned(within.first), zoned(within.last + ONE_DAY)
            figure.story = milliseconds(lambda: _some(self.story.query_time_based_daily(start, stop)), 2)
            figure.least_gain = 10.0 if days == DAYS else 0.0
        return figure

    def read_dicts(self, days: int, asked: float) -> Figure:
        first = self.last - (days - 1) * ONE_DAY
        rows = milliseconds(lambda: _length(self.ours.query_time_based_daily(first, self.last), 100 * days), 7)
        return Figure(f"all entities as dicts, {days} days, ms", rows, asked)

    def read_one(self) -> Figure:
        one = {"entity_id": "light.room_7"}
        ours = milliseconds(lambda: _length(self.store.read(TimeBasedDaily, self.range, one), DAYS), 20)
        figure = Figure("one entity typed, 90 days, ms", ours, 20)
        if self.story:
            start, stop = zoned(self.range.first), zoned(self.last + ONE_DAY)
            ask = self.story.query_time_based_daily
            figure.story = milliseconds(lambda: _some(ask(start, stop, "light.room_7")), 3)
        return figure

    def summarize(self) -> Figure:
        def ask() -> None:
            found = self.store.summarize(TimeBasedDaily, self.range, {"occurrences": "sum"}, by=["entity_id"])
            _length(found, 100)

        reading = milliseconds(lambda: _length(self.store.read(TimeBasedDaily, self.range), 100 * DAYS), 7)
        return Figure("sum by entity, 90 days, no slower than reading, ms", milliseconds(ask, 7), reading)

    def memory(self) -> Figure:
        """Measured in a process of its own, as a peak that was reached once never falls."""
        told = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_influxdb", "--memory", self.server.url, self.ours_bucket],
            capture_output=True,
            text=True,
            check=True,
            input=json.dumps([self.server.token, self.server.org]),
        )
        return Figure("memory added by 90 days read, 1,000 writes, MB", float(told.stdout), 50)

    def _many(self) -> Iterator[DailyAggregate]:
        for day in self.range:
            yield from home_day(day)

    def _raw(self, within: DateRange) -> None:
        """The same question over bare HTTP, its answer not even parsed."""
        names = ", ".join(f'"{name}"' for name in TimeBasedDaily.model_fields)
        first, last = (int(zoned(day).timestamp()) for day in (within.first, within.last + ONE_DAY))
        question = f'SELECT {names} FROM "time_based_daily" WHERE time >= {first}s AND time < {last}s'  # noqa: S608 - all ours
        reply = self.pool.request(
            "POST",
            self.server.url + "/query",
            fields={"db": self.ours_bucket, "epoch": "s", "q": question},
            encode_multipart=False,
            headers={"Authorization": f"Token {self.server.token}"},
        )
        if reply.status != 200 or len(reply.data) < 1000:
            raise RuntimeError(reply.data[:200])


def _bucket_with_default_shards(server: LiveServer, name: str) -> str:
    """A bucket as the story asks for it: a retention and no word on shard groups."""
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415 - the baseline's import

    with InfluxDBClient(url=server.url, token=server.token, org=server.org) as admin:
        rules = [{"type": "expire", "everySeconds": (DAYS + 10) * 86400}]
        admin.buckets_api().create_bucket(bucket_name=name, retention_rules=rules, org=server.org)
    return name


def _point(row: DailyAggregate) -> Any:
    """A row the way the story builds its points."""
    from influxdb_client.client.write.point import Point  # noqa: PLC0415 - the baseline's import

    make: Any = Point  # it has no types
    point = make(row.measurement).tag("date", row.date.strftime("%Y-%m-%d"))
    for name, value in row.model_dump(mode="json", exclude={"date"}).items():
        if name in row.tags():
            point.tag(name, value)
        else:
            point.field(name, json.dumps(value) if isinstance(value, list | dict) else value)
    return point.time(zoned(row.date), "s")


def _remade(row: DailyAggregate) -> DailyAggregate:
    """The row built anew from its values, so that validation is a part of the figure."""
    return type(row)(**dict(row))


def _true(answer: object) -> None:
    if answer is not True:
        raise RuntimeError("a write failed")


def _some(rows: list[Any]) -> None:
    if not rows:
        raise RuntimeError("a query found nothing")


def _length(rows: list[Any], expected: int) -> None:
    if len(rows) != expected:
        raise RuntimeError(f"{len(rows)} rows, not {expected}")


def _added_memory(url: str, bucket: str) -> float:
    token, org = json.loads(sys.stdin.read())
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak of the imports
    before = _peak()
    last = dt.datetime.now(dt.UTC).date()
    with PatternAggregateClient(url, token, org, bucket) as client:
        rows = client.query_time_based_daily(last - (DAYS - 1) * ONE_DAY, last)
        _length(rows, 100 * DAYS)
        for row in home_day(last) * 4:
            _true(client.write_batch([row]))
    return (_peak() - before) / MEGABYTE


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@contextmanager
def _running(binary: str) -> Iterator[LiveServer]:
    with tempfile.TemporaryDirectory() as folder:
        process = Influxd(binary, "2", Path(folder))
        try:
            yield process.start()
        finally:
            process.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--story", type=Path, default=STORY)
    parser.add_argument("--memory", nargs=2, metavar=("URL", "BUCKET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(_added_memory(*options.memory))
        return 0
    binary = find_binary("2")
    if binary is None:
        print("not here: an InfluxDB 2.x on PATH; nothing was measured")
        return 0
    with _running(binary) as server:
        bench = Bench(server, options.story)
        bench.fill()
        print(f"{'':<52}{'ours':>10}{'asked':>10}{'story':>12}{'bare HTTP':>12}")
        figures = []
        for measure in (
            bench.single_write,
            lambda: bench.batch_write(100, 100),
            lambda: bench.batch_write(1000, 100),
            lambda: bench.read(7, 50),
            lambda: bench.read(30, 120),
            lambda: bench.read(90, 300),
            lambda: bench.read_dicts(90, 300),
            bench.read_one,
            bench.summarize,
            bench.memory,
        ):
            figure = measure()
            figures.append(figure)
            print(figure, flush=True)
    return int(any(figure.misses() for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
