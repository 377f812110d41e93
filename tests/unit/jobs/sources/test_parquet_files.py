"""Raw events of one home out of files that hold many."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.local import LocalFileSystem

from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, from_instant, to_instant
from jobs.sources.csv_files import CsvFiles
from jobs.sources.parquet_events import EventFiles
from jobs.sources.parquet_files import ParquetFiles
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError, SourceCorrupt, SourceMismatch, SourceUnavailable
from tests.support.parquet_events import SCHEMA, EventRow, write_events, write_file

DAY: Final = dt.date(2025, 10, 21)
UTC: Final = ZoneInfo("UTC")
HOMES: Final = [f"home {number:03}" for number in range(100)]


def at(text: str) -> int:
    return to_instant(dt.datetime.fromisoformat(f"2025-10-{text}").replace(tzinfo=dt.UTC))


def event(time: str, state: str | None = "on", home: str = "a", entity: str = "light.lamp", **about: Any) -> EventRow:
    return EventRow(home, entity, at(time), state, **about)


def usual_days(home: str = "a", days: Sequence[int] = (19, 20, 21, 22)) -> list[EventRow]:
    """Return a lamp that goes on at 8 and off at 20, on some days of October."""
    return [event(f"{day} {hour}:00", state, home) for day in days for hour, state in (("08", "on"), ("20", "off"))]


def source(folder: Path | str, home: str = "a", zone: str = "UTC", **settings: Any) -> ParquetFiles:
    return ParquetFiles(EventFiles(str(folder)), home, ZoneInfo(zone), EntityRules(), **settings)


def events_of(log: DayLog) -> list[str]:
    return [
        f"{from_instant(at):%d %H:%M} {log.states[state]}"
        for at, state in zip(log.events.at.tolist(), log.events.state.tolist(), strict=True)
    ]


class CountedFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system that counts the bytes that are read of files."""

    protocol = "counted"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("counted://")))  # which fsspec does by itself since 2026.4

    bytes_read = 0

    def open(self, path: str, mode: str = "rb", **settings: Any) -> Any:
        file = super().open(path.removeprefix("counted://"), mode, **settings)
        return _Counted(file)


class _Counted:
    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, *args: Any) -> bytes:
        data: bytes = self._file.read(*args)
        CountedFiles.bytes_read += len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_home_is_given_its_own_events_only(tmp_path: Path) -> None:
    rows = [row for home in ("a", "b", "c") for row in usual_days(home)]
    write_events(tmp_path, [*rows, event("21 12:00", "off", home="b"), event("21 13:00", "on", home="b")], shards=2)
    assert events_of(source(tmp_path, "a").read(DayWindow(DAY, UTC))) == ["21 08:00 on", "21 20:00 off"]
    assert len(events_of(source(tmp_path, "b").read(DayWindow(DAY, UTC)))) == 4


@pytest.mark.parametrize("home", ["../b", "a\nb", "' OR '1'='1", "küche 💡", "a*", " a", "A", "x" * 5000, "\udcff"])
def test_a_home_of_any_name_is_given_its_own_events_only(tmp_path: Path, home: str) -> None:
    write_events(
        tmp_path, [*usual_days("a"), *usual_days(home, [20, 22]), event("21 10:00", home=home, entity="light.b")]
    )
    log = source(tmp_path, home).read(DayWindow(DAY, UTC))
    assert log.samples == 1
    assert source(tmp_path, "a").read(DayWindow(DAY, UTC)).samples == 2


@pytest.mark.parametrize("zone", ["Pacific/Apia", "Pacific/Honolulu", "Europe/Madrid", "America/St_Johns"])
@pytest.mark.parametrize("folders", ["UTC", "local"])
def test_each_event_is_on_its_local_day_whether_folders_are_of_utc_or_local_days(
    tmp_path: Path, zone: str, folders: str
) -> None:
    rows = [EventRow("a", "light.lamp", at("19 00:00") + hour * HOUR, ("off", "on")[hour % 2]) for hour in range(120)]
    for row in rows:
        assert row.time is not None
        moment = from_instant(row.time).astimezone(UTC if folders == "UTC" else ZoneInfo(zone))
        write_file(tmp_path / f"day={moment.date()}" / f"{row.time}.parquet", [row])
    found = source(tmp_path, zone=zone, lookback_days=2)
    days = DateRange(DAY, DAY + ONE_DAY)
    logs = [found.read(DayWindow(day, ZoneInfo(zone))) for day in days]
    assert [len(log.events) for log in logs] == [24, 24]
    assert all(log.window.start <= one < log.window.end for log in logs for one in log.events.at.tolist())
    assert [log.known_seconds for log in logs] == [86_400, 86_400]
    assert [log.notices for log in logs] == [(), ()]


def test_only_row_groups_of_the_home_are_read(tmp_path: Path) -> None:
    """Each home has a row group of its own, and 2,000 different rows a day."""
    rng = np.random.default_rng(1)
    for day in (20, 21, 22):
        rows = [
            EventRow(home, f"sensor.number_{code}", at(f"{day} 00:00") + int(second) * SECOND, f"{rng.random()}")
            for home in HOMES[:20]
            for code, second in enumerate(rng.integers(0, 86_400, 2_000))
        ]
        write_file(tmp_path / f"day=2025-10-{day}" / "shard=0" / "a.parquet", rows, row_group_size=2_000)
    fsspec.register_implementation("counted", CountedFiles, clobber=True)
    files = EventFiles(f"counted://{tmp_path}")
    absent, present = (
        ParquetFiles(files, home, UTC, EntityRules(), lookback_days=1) for home in ("home 0075", HOMES[7])
    )
    assert absent.read(DayWindow(DAY, UTC)).samples == 0  # reads the footers
    CountedFiles.bytes_read = 0
    assert present.read(DayWindow(DAY, UTC)).samples == 2_000
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.parquet"))
    assert 0 < CountedFiles.bytes_read < 1.1 * size / 20


def test_homes_that_share_files_read_each_row_group_once(tmp_path: Path) -> None:
    for day in (20, 21, 22):
        rows = [row for home in HOMES for row in usual_days(home, [day])]
        write_file(tmp_path / f"day=2025-10-{day}" / "shard=0" / "a.parquet", rows)
    fsspec.register_implementation("counted", CountedFiles, clobber=True)
    files = EventFiles(f"counted://{tmp_path}")
    read = []
    for home in HOMES:
        CountedFiles.bytes_read = 0
        log = ParquetFiles(files, home, UTC, EntityRules()).read(DayWindow(DAY, UTC))
        assert len(log.events) == 2
        read.append(CountedFiles.bytes_read)
    assert read[0] > 0
    assert not any(read[1:])


def test_what_is_kept_of_row_groups_is_bounded(tmp_path: Path) -> None:
    rows = [event("21 08:00", f"state {number}") for number in range(8_000)]
    write_file(tmp_path / "day=2025-10-21" / "a.parquet", rows, row_group_size=1_000)
    kept = {}
    for limit in (10, 400_000, 10_000_000):
        files = EventFiles(str(tmp_path), max_cached_bytes=limit)
        assert ParquetFiles(files, "a", UTC, EntityRules()).read(DayWindow(DAY, UTC)).samples == 8_000
        kept[limit] = files.cached_bytes
        assert kept[limit] <= limit
    assert kept[10] == 0 < kept[400_000] < kept[10_000_000]


@pytest.mark.parametrize(("rows", "is_read"), [(1_000, True), (1_001, False)])
def test_a_row_group_that_would_fill_the_memory_is_refused(tmp_path: Path, rows: int, is_read: bool) -> None:
    write_file(tmp_path / "day=2025-10-21" / "a.parquet", [event("21 08:00")] * rows, row_group_size=rows)
    found = ParquetFiles(EventFiles(str(tmp_path), max_rows_in_group=1_000), "a", UTC, EntityRules())
    if is_read:
        assert found.read(DayWindow(DAY, UTC)).samples == rows
    else:
        with pytest.raises(SourceMismatch, match="a row group of 1,001 rows"):
            found.read(DayWindow(DAY, UTC))


@pytest.mark.parametrize("seed", range(4))
def test_a_day_is_the_same_as_from_a_csv_file(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, rows = at("14 00:00"), []
    for _ in range(1_500):
        start += int(rng.exponential(9 * MINUTE))
        number = int(rng.integers(12))
        state = str(rng.choice(["on", "off", "on", "off", "unavailable", " on ", "", "12.5"]))
        about = {"area": ("", "kitchen", "hall")[number % 3], "device_class": ("door", "", "motion", None)[number % 4]}
        about = about if rng.random() < 0.9 else {}
        rows.append(EventRow("a", f"binary_sensor.number_{number}", start, state, **about))
    write_events(tmp_path / "events", [*rows, *usual_days("b")])
    lines = [
        ",".join(
            [from_instant(row.time or 0).isoformat(), row.entity_id, row.state or "", *(one or "" for one in row[4:])]
        )
        for row in rows
    ]
    (tmp_path / "events.csv").write_text("time,entity_id,state,area,device_class\n" + "\n".join(lines))
    zone = ZoneInfo("Europe/Madrid")
    from_csv = CsvFiles(str(tmp_path / "events.csv"), zone, EntityRules())
    from_parquet = source(tmp_path / "events", zone="Europe/Madrid", lookback_days=14)
    assert from_csv.span() == from_parquet.span()
    for day in DateRange(dt.date(2025, 10, 13), dt.date(2025, 10, 25)):
        expected, found = (one.read(DayWindow(day, zone)) for one in (from_csv, from_parquet))
        assert described(found) == described(expected)
        assert (found.samples, found.known.tolist()) == (expected.samples, expected.known.tolist())


def described(log: DayLog) -> list[object]:
    """Return events, intervals and episodes with ids instead of codes, and the entities that have any."""
    entity = [about.entity_id for about in log.entities]
    rows: list[object] = []
    for one in (log.events, log.intervals):
        rows += [
            (entity[code], log.states[state], int(instant))
            for code, state, instant in zip(
                one.entity, one.state, one.at if one is log.events else log.intervals.start, strict=True
            )
        ]
    rows += [(entity[code], int(start)) for code, start in zip(log.episodes.entity, log.episodes.start, strict=True)]
    used = {entity[code] for code in log.intervals.entity.tolist()}
    return [*sorted(rows, key=repr), *(about for about in log.entities if about.entity_id in used)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (event("21 10:00", entity="light.a\nb"), "the entity_id contains a line break"),
        (event("21 10:00", entity="light.\udcff"), "the entity_id contains half of a character"),
        (event("21 10:00", entity=""), "the entity_id is empty"),
        (event("21 10:00", "x" * 256), "the state is not a text of at most 255 characters"),
        (event("21 10:00", "\udcff"), "the state is not a text of at most 255 characters"),
        (EventRow("a", "light.lamp", None, "on"), "1 row has no time"),
        (EventRow("a", "light.lamp", 5, "on"), "1 row has no time, or one of a clock that was not set"),
        (event("25 00:00"), "1 row is in the future"),
        (event("18 10:00"), "1 row is not of the day that its folder names"),
        (EventRow("a", None, at("21 10:00"), "on"), "no entity_id"),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_row_that_cannot_be_used_is_reported_on_its_day_and_costs_nothing_else(
    tmp_path: Path, row: EventRow, reason: str
) -> None:
    write_events(tmp_path, usual_days())
    write_file(tmp_path / "day=2025-10-21" / "odd.parquet", [row])
    found = source(tmp_path, clock=lambda: dt.datetime(2025, 10, 23, tzinfo=dt.UTC))
    log = found.read(DayWindow(DAY, UTC))
    assert events_of(log) == ["21 08:00 on", "21 20:00 off"]
    assert len(log.notices) == 1
    assert log.notices[0].startswith("1 bad row: odd.parquet: ")
    assert reason in log.notices[0]
    assert found.read(DayWindow(DAY + ONE_DAY, UTC)).notices == ()
    assert found.fingerprint(DayWindow(DAY, UTC)) == source(tmp_path).fingerprint(DayWindow(DAY, UTC)) or row.time


def test_a_null_state_is_a_gap_and_an_entity_keeps_what_was_known_of_it(tmp_path: Path) -> None:
    door = {"entity": "binary_sensor.door", "area": "hall", "device_class": "door"}
    blank = {"entity": "binary_sensor.door"}
    write_events(
        tmp_path,
        [
            event("21 08:00", "off", **door),
            event("21 09:00", "on", **blank),
            event("21 09:30", None, **blank),
            event("21 12:00", "off", **blank),
        ],
    )
    log = source(tmp_path).read(DayWindow(DAY, UTC))
    assert events_of(log) == ["21 09:00 on"]
    (entity,) = log.entities
    assert (entity.area_id, entity.device_class, entity.kind) == ("hall", "door", Kind.ACTIVITY)


def test_a_state_from_further_back_than_the_lookback_is_not_known(tmp_path: Path) -> None:
    write_events(tmp_path, [event("13 12:00", "off"), event("21 12:00", "on"), event("21 13:00", "off")])
    assert events_of(source(tmp_path, lookback_days=7).read(DayWindow(DAY, UTC))) == ["21 13:00 off"]
    assert events_of(source(tmp_path, lookback_days=8, max_silence_hours=200).read(DayWindow(DAY, UTC))) == [
        "21 12:00 on",
        "21 13:00 off",
    ]


@pytest.mark.parametrize(("hours", "known"), [(12.0, 24.0), (11.9, 12.0)])
def test_a_silence_is_known_time_up_to_its_bound(tmp_path: Path, hours: float, known: float) -> None:
    write_events(tmp_path, usual_days())
    log = source(tmp_path, max_silence_hours=hours).read(DayWindow(DAY, UTC))
    assert log.known_seconds == (known if hours == 12.0 else 0) * 3600


def test_a_home_without_rows_is_named(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days())
    with pytest.raises(SourceMismatch, match="no row of the home 'z'") as caught:
        source(tmp_path, "z").span()
    assert "source.home" in caught.value.hint


def test_the_span_of_a_home_is_its_own_whatever_the_folders_hold(tmp_path: Path) -> None:
    write_events(tmp_path, [*usual_days("a", [20, 21]), *usual_days("b", [18, 19, 20, 21, 22])])
    assert source(tmp_path, "a").span() == DateRange(dt.date(2025, 10, 20), DAY)
    assert source(tmp_path, "a", zone="Pacific/Apia").span() == DateRange(dt.date(2025, 10, 20), DAY + ONE_DAY)


def test_a_damaged_file_is_an_error_on_the_days_it_may_hold_and_on_no_other(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days("a", [11, 12, 21, 22]))
    damaged = tmp_path / "day=2025-10-11" / "shard=0" / "part-0.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert len(source(tmp_path).read(DayWindow(DAY, UTC)).events) == 1
    with pytest.raises(SourceCorrupt, match=r"part-0.parquet is not a valid Parquet file"):
        source(tmp_path).read(DayWindow(dt.date(2025, 10, 12), UTC))


def test_bytes_that_are_wrong_inside_a_file_are_an_error(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days())
    damaged = tmp_path / "day=2025-10-21" / "shard=0" / "part-0.parquet"
    content = bytearray(damaged.read_bytes())
    content[4:40] = b"\xff" * 36
    damaged.write_bytes(content)
    with pytest.raises(SourceCorrupt, match=r"part-0.parquet"):
        source(tmp_path).read(DayWindow(DAY, UTC))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (SCHEMA.remove(0), "has no column home_id"),
        (SCHEMA.remove(2), "has no column time"),
        (SCHEMA.set(2, pa.field("time", pa.int64())), "the column time is of type int64"),
        (SCHEMA.set(3, pa.field("state", pa.binary())), "the column state is of type binary"),
    ],
)
def test_a_file_with_other_columns_is_refused_by_name(tmp_path: Path, schema: pa.Schema, message: str) -> None:
    write_events(tmp_path, usual_days())
    write_file(tmp_path / "day=2025-10-21" / "other.parquet", usual_days(days=[21]), schema=schema)
    with pytest.raises(SourceMismatch, match=message) as caught:
        source(tmp_path).read(DayWindow(DAY, UTC))
    assert "other.parquet" in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("home_id", pa.string()), ("entity_id", pa.large_string()), *list(SCHEMA)[2:4]]),
        SCHEMA.set(2, pa.field("time", pa.timestamp("ns"))),
        SCHEMA.set(2, pa.field("time", pa.timestamp("ms", tz="Europe/Madrid"))),
        SCHEMA.set(2, pa.field("time", pa.timestamp("s", tz="UTC"))),
        SCHEMA.set(0, pa.field("home_id", pa.dictionary(pa.int32(), pa.string()))),
        SCHEMA.set(3, pa.field("state", pa.string_view())),
    ],
    ids=["without area", "nanoseconds, no zone", "milliseconds", "seconds", "dictionary", "views"],
)
def test_texts_and_times_of_any_width_are_read(tmp_path: Path, schema: pa.Schema) -> None:
    for day in (20, 21, 22):
        write_file(tmp_path / f"day=2025-10-{day}" / "a.parquet", usual_days(days=[day]), schema=schema)
    assert events_of(source(tmp_path).read(DayWindow(DAY, UTC))) == ["21 08:00 on", "21 20:00 off"]


def test_numbers_name_homes_too(tmp_path: Path) -> None:
    schema = SCHEMA.set(0, pa.field("home_id", pa.int64()))
    for day in (20, 21, 22):
        rows = [*usual_days("17", [day]), *usual_days("170", [day])]
        write_file(tmp_path / f"day=2025-10-{day}" / "a.parquet", rows, schema=schema)
    assert len(source(tmp_path, "17").read(DayWindow(DAY, UTC)).events) == 2


def test_files_that_are_being_written_are_left_alone(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days())
    for name in ("_temporary/part.parquet", ".part.parquet", "part.parquet.tmp"):
        file = tmp_path / "day=2025-10-21" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"half")
    assert len(source(tmp_path).read(DayWindow(DAY, UTC)).events) == 2


def test_a_glob_names_the_shard_of_a_home(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days())
    shutil.copytree(tmp_path / "day=2025-10-21" / "shard=0", tmp_path / "day=2025-10-21" / "shard=1")
    log = source(f"{tmp_path}/day=*/shard=0").read(DayWindow(DAY, UTC))
    assert (log.samples, len(log.events)) == (2, 2)


def test_files_without_folders_of_days_are_found_by_their_times(tmp_path: Path) -> None:
    write_file(tmp_path / "all.parquet", usual_days())
    found = source(tmp_path / "all.parquet")
    assert len(found.read(DayWindow(DAY, UTC)).events) == 2
    assert found.span() == DateRange(dt.date(2025, 10, 19), dt.date(2025, 10, 22))


def test_events_are_read_from_any_file_system(tmp_path: Path) -> None:
    write_events(tmp_path, usual_days())
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/fleet", recursive=True)
    try:
        assert len(source("memory://fleet").read(DayWindow(DAY, UTC)).events) == 2
    finally:
        memory.rm("/fleet", recursive=True)


def test_a_folder_without_files_or_a_kind_of_url_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"no Parquet file matches"):
        source(tmp_path / "nowhere").read(DayWindow(DAY, UTC))
    with pytest.raises(SettingsError, match=r"source.path"):
        source("nothing://events")
