"""Rows written into a folder of Parquet files, and read from it."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from storage.backends.memory import MemoryStore
from storage.backends.parquet import ParquetStore
from storage.backends.parquet_layout import SHARDS, file_name, month_of, row_schema
from storage.dates import ONE_DAY, DateRange
from storage.errors import HomeMismatch, SettingsError, StoreCorrupt, StoreMissing, StoreUnavailable, UsageError
from storage.identity import HomeIdentity, Place
from storage.models import DurationDaily, TimeBasedDaily
from storage.parquet_export import count_exported, export_rows, forget_exported
from tests.support.exporting import SPRING, export, filled, start_exports
from tests.support.object_storage import ObjectStorage
from tests.support.rows import DAY, batch, duration, finding


def read(folder: Path, home: str | None, days: DateRange = SPRING) -> list[TimeBasedDaily]:
    return ParquetStore(str(folder), home=home).read(TimeBasedDaily, days)


def test_files_lie_by_measurement_and_month_and_only_there(tmp_path: Path) -> None:
    export(filled("", "north"), tmp_path, "", "north")
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.parquet"))
    assert names == sorted(
        f"measurement={measurement}/month={month}/{name}"
        for measurement in ("time_based_daily", "detector_run_daily")
        for month in ("2026-02", "2026-03", "2026-04")
        for name in ("home.parquet", file_name("north"))
    )


def test_all_files_of_a_measurement_have_one_schema_and_a_row_group_has_rows_of_one_home(tmp_path: Path) -> None:
    homes = [f"house {number}" for number in range(3 * SHARDS)]
    export(filled(*homes, days=DateRange(DAY, DAY)), tmp_path, *homes)
    files = [pq.ParquetFile(file) for file in (tmp_path / "measurement=time_based_daily").rglob("*.parquet")]
    assert 1 < len(files) <= SHARDS
    seen: list[str] = []
    for file in files:
        assert file.schema_arrow.equals(row_schema(TimeBasedDaily))
        assert {file.metadata.row_group(0).column(n).compression for n in range(3)} == {"ZSTD"}
        groups = [set(file.read_row_group(n).column("home").to_pylist()) for n in range(file.num_row_groups)]
        assert all(len(group) == 1 for group in groups)
        seen += [home for group in groups for home in group]
        file.close()
    assert sorted(seen) == sorted(homes)


def test_exporting_days_again_replaces_them_and_leaves_other_days_and_homes(tmp_path: Path) -> None:
    north, south = next((a, b) for a, b in pairs_of_one_file())
    export(filled("", north, south), tmp_path, "", north, south)
    changed = DateRange(dt.date(2026, 2, 27), dt.date(2026, 3, 2))
    newer = filled(north, days=DateRange(changed.first + ONE_DAY, changed.last), occurrences=99)
    assert export(newer, tmp_path, north, days=changed)["time_based_daily"] == 6
    found = read(tmp_path, north)
    assert {row.date for row in with_occurrences(found, 99)} == {*changed} - {changed.first}
    assert {row.date for row in with_occurrences(found, 12)} == {*SPRING} - {*changed}
    assert read(tmp_path, south) == filled(south).for_home(south).read(TimeBasedDaily, SPRING)
    assert read(tmp_path, "") == filled("").for_home("").read(TimeBasedDaily, SPRING)
    assert read(tmp_path, None) == sorted(
        [*read(tmp_path, ""), *found, *read(tmp_path, south)], key=lambda row: (row.date, row.home, row.key())
    )


def with_occurrences(rows: list[TimeBasedDaily], occurrences: int) -> list[TimeBasedDaily]:
    return [row for row in rows if row.occurrences == occurrences]


def pairs_of_one_file() -> Any:
    """Yield pairs of names of homes whose rows lie in the same file."""
    names = [f"house {number}" for number in range(500)]
    return ((a, b) for a in names for b in names if a < b and file_name(a) == file_name(b))


def test_a_file_whose_last_row_goes_is_deleted(tmp_path: Path) -> None:
    export(filled("a"), tmp_path, "a")
    export(MemoryStore(home=None), tmp_path, "a")
    assert not list(tmp_path.rglob("*.parquet"))
    assert ParquetStore(str(tmp_path), home=None).homes() == []


def test_the_rows_of_a_home_are_counted_in_every_measurement(tmp_path: Path) -> None:
    export(filled("a", "b"), tmp_path, "a", "b")
    assert ParquetStore(str(tmp_path), home="a").count_rows() == (2 + 2) * len(SPRING)
    assert ParquetStore(str(tmp_path), home="c").count_rows() == 0


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "1", tmp_path / "2"):
        export(filled("a", "b"), folder, "b", "a")
    export(filled("a", "b"), tmp_path / "1", "a")
    one, two = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.parquet")}
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert one == two


def test_a_home_of_90_days_among_many_is_read_without_opening_the_others_files(tmp_path: Path) -> None:
    homes = [f"house {number}" for number in range(300)]
    export(filled(*homes, days=DateRange(DAY, DAY)), tmp_path, *homes)
    for file in tmp_path.rglob("*.parquet"):
        if file.name != file_name("house 7"):
            file.write_bytes(b"damaged")
    assert len(read(tmp_path, "house 7")) == 2
    everything = ParquetStore(str(tmp_path), home=None)
    assert len(everything.read(TimeBasedDaily, SPRING, {"home": ["house 7", "house 7"]})) == 2
    with pytest.raises(StoreCorrupt):
        read(tmp_path, None)


def test_a_file_of_an_earlier_version_is_read_and_extended(tmp_path: Path) -> None:
    """It lacks a column that came later."""
    export(filled("a"), tmp_path, "a")
    for file in (tmp_path / "measurement=time_based_daily").rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        pq.write_table(table.drop_columns(["bouts"]), file)
    assert {row.bouts for row in read(tmp_path, "a")} == {None}
    export(filled("a"), tmp_path, "a", days=DateRange(DAY, DAY))
    assert {row.bouts for row in read(tmp_path, "a") if row.date == DAY} == {5}
    assert {row.bouts for row in read(tmp_path, "a") if row.date != DAY} == {None}


@pytest.mark.parametrize("content", [b"", b"PAR1half", b"PAR1" + b"\0" * 100])
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    export(filled("a"), tmp_path, "a")
    file = tmp_path / "measurement=time_based_daily" / "month=2026-03" / file_name("a")
    file.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=file.name):
        export(filled("a"), tmp_path, "a")
    assert file.read_bytes() == content
    with pytest.raises(StoreCorrupt):
        read(tmp_path, "a")


def test_another_home_of_the_same_name_is_refused(tmp_path: Path) -> None:
    stores = [filled("a"), filled("a")]
    for store in stores:
        store.for_home("a").write_home(HomeIdentity("UTC", Place("somewhere")).with_new_id())
    export(stores[0], tmp_path, "a")
    with pytest.raises(HomeMismatch):
        export(stores[1], tmp_path, "a")
    assert ParquetStore(str(tmp_path), home="a").read_home() == stores[0].for_home("a").read_home()


def test_what_a_crash_left_is_no_data_and_is_replaced(tmp_path: Path) -> None:
    export(filled("a"), tmp_path, "a")
    place = tmp_path / "measurement=time_based_daily" / "month=2026-03"
    (place / f".{file_name('a')}.tmp").write_bytes(b"half")
    before = read(tmp_path, "a")
    export(filled("a"), tmp_path, "a")
    assert read(tmp_path, "a") == before
    assert [file.name for file in place.iterdir()] == [file_name("a")]


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_old_or_new_files_and_nothing_between(tmp_path: Path) -> None:
    rng = random.Random(7)
    started = time.monotonic()
    export(filled("a", occurrences=0), tmp_path, "a")
    usual = time.monotonic() - started
    killed, before = 0, 0
    for round_number in range(1, 21):
        process = start_exports(tmp_path, "a", round_number)
        time.sleep(rng.random() * 1.2 * usual)
        process.kill()
        process.join()
        killed += process.exitcode != 0
        rows = read(tmp_path, "a")
        assert len(rows) == 2 * len(SPRING)
        for month in ("2026-02", "2026-03", "2026-04"):
            counts = {row.occurrences for row in rows if f"{row.date:%Y-%m}" == month}
            assert len(counts) == 1  # a file is of one export
            assert counts <= {*range(before, round_number + 1)}
    assert killed > 3
    export(filled("a", occurrences=50), tmp_path, "a")
    assert {row.occurrences for row in read(tmp_path, "a")} == {50}


def rows_and_notes(folder: Path, home: str) -> tuple[list[TimeBasedDaily], bool]:
    return read(folder, home), f'"{home}"' in (folder / "_homes.json").read_text()


def test_a_forgotten_home_leaves_nothing_and_the_others_of_its_files_keep_everything(tmp_path: Path) -> None:
    same_file = next(f"house {number}" for number in range(1000) if file_name(f"house {number}") == file_name("north"))
    store = filled("", "north", same_file, "alone")
    for home in ("north", same_file, "alone"):
        store.for_home(home).write_home(HomeIdentity("UTC", Place("somewhere")).with_new_id())
    export(store, tmp_path, "", "north", same_file, "alone")
    kept = {home: rows_and_notes(tmp_path, home) for home in ("", same_file, "alone")}
    unfinished = tmp_path / "measurement=time_based_daily" / "month=2026-03" / f".{file_name('north')}.tmp"
    unfinished.write_bytes(b"half")
    days = SPRING.last - SPRING.first
    assert count_exported(tmp_path, "north") == 4 * (days.days + 1) + 2  # with its note and the unfinished file
    forget_exported(tmp_path, "north")
    assert count_exported(tmp_path, "north") == 0
    assert rows_and_notes(tmp_path, "north") == ([], False)
    assert {home: rows_and_notes(tmp_path, home) for home in kept} == kept
    assert not unfinished.exists()
    forget_exported(tmp_path, "alone")
    assert not list(tmp_path.rglob(file_name("alone")))
    forget_exported(tmp_path, "never")


def test_a_home_is_not_forgotten_while_an_export_writes_nor_where_nothing_was_exported(tmp_path: Path) -> None:
    export(filled("north"), tmp_path, "north")
    with FileLock(tmp_path / ".lock"), pytest.raises(StoreUnavailable, match="another export is writing"):
        forget_exported(tmp_path, "north", max_wait_seconds=0.1)
    assert count_exported(tmp_path, "north") > 0
    for call in (count_exported, forget_exported):
        with pytest.raises(UsageError, match="is not a folder"):
            call(tmp_path / "none", "north")
    assert not (tmp_path / "none").exists()


def test_two_exports_at_once_wait_for_each_other(tmp_path: Path) -> None:
    a, b = next(pairs_of_one_file())
    processes = [start_exports(tmp_path, home, 1, 2, 3) for home in (a, b)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(read(tmp_path, a)) == len(read(tmp_path, b)) == 2 * len(SPRING)


def test_an_export_that_waits_too_long_says_for_what(tmp_path: Path) -> None:
    class Slow(MemoryStore):
        def read(self, model: Any, days: DateRange, where: Any = None) -> Any:
            with pytest.raises(StoreUnavailable, match="another export is writing"):
                export_rows(MemoryStore(), tmp_path, [], days, [""], max_wait_seconds=0.01)
            return []

    export_rows(Slow(), tmp_path, [], DateRange(DAY, DAY), [""])


def test_an_export_is_read_from_any_file_system(tmp_path: Path) -> None:
    export(filled("a"), tmp_path, "a")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/exported", recursive=True)
    try:
        assert ParquetStore("memory://exported", home="a").read(TimeBasedDaily, SPRING) == read(tmp_path, "a")
    finally:
        memory.rm("/exported", recursive=True)


def test_one_home_on_object_storage_costs_few_bytes_and_a_month_that_comes_later_is_found(tmp_path: Path) -> None:
    homes = [f"house {number}" for number in range(100)]
    name = "house 7"
    export(filled(*homes, days=DateRange(DAY, DAY)), tmp_path, *homes)
    ObjectStorage.begin()
    store = ParquetStore(f"objects://{tmp_path}", home=name)
    assert len(store.read(TimeBasedDaily, SPRING)) == 2
    file = next((tmp_path / "measurement=time_based_daily").rglob(file_name(name)))
    assert 0 < ObjectStorage.bytes_read <= 2 * file.stat().st_size
    later = DateRange(dt.date(2026, 4, 1), dt.date(2026, 4, 1))
    export(filled(name, days=later), tmp_path, name, days=later)
    assert {row.date for row in store.read(TimeBasedDaily, SPRING)} == {DAY, later.first}


@pytest.mark.parametrize("error", [PermissionError("Forbidden"), OSError(16, "SlowDown"), ConnectionResetError(104)])
def test_a_server_that_refuses_is_not_taken_for_an_empty_store(tmp_path: Path, error: Exception) -> None:
    export(filled("a"), tmp_path, "a")
    ObjectStorage.begin()
    store = ParquetStore(f"objects://{tmp_path}", home="a")
    ObjectStorage.error = error
    for question in (lambda: store.read(TimeBasedDaily, SPRING), store.homes, store.count_rows, store.read_home):
        with pytest.raises(StoreUnavailable, match=f"^objects://{tmp_path}.*{type(error).__name__}"):
            question()
    with pytest.raises(StoreUnavailable):
        ParquetStore(f"objects://{tmp_path}", home="a")
    ObjectStorage.error = None
    ObjectStorage.refused = "month=2026-03"
    with pytest.raises(StoreUnavailable):
        store.read(TimeBasedDaily, SPRING)


def test_a_folder_that_is_not_there_is_an_error_and_not_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        ParquetStore(str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"store\.path"):
        ParquetStore("nothing://rows")


def test_an_exported_store_refuses_to_write(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    home = HomeIdentity("UTC", Place("x"))
    for change in (
        store.prepare,
        store.forget,
        lambda: store.replace_day(batch(finding(DurationDaily, [duration()]))),
        lambda: store.expire(DAY),
        lambda: store.write_home(home),
    ):
        with pytest.raises(UsageError, match="can only be read"):
            cast("Callable[[], object]", change)()


@pytest.mark.parametrize(
    ("path", "home", "month"),
    [
        ("month=2026-03/home.parquet", "", "2026-03"),
        ("month=2026-03/home.parquet", "a", None),
        ("month=2026-03/home.parquet", None, "2026-03"),
        ("month=2026-03/part-00000.parquet", "a", "2026-03"),  # compacted by another program
        (f"month=2026-03/{file_name('a')}", "a", "2026-03"),
        (f"month=2026-03/{file_name('a')}", "", None),
        ("month=2026-03/.home.parquet.tmp", "", None),
        ("month=2026-03/_temporary/home.parquet", "", None),
        ("month=2026-3/home.parquet", "", None),
        ("home.parquet", "", None),
    ],
)
def test_files_that_may_have_rows_of_a_home_are_known_by_their_path(
    path: str, home: str | None, month: str | None
) -> None:
    assert month_of(path, None if home is None else [home]) == month


def test_a_table_of_arrow_has_the_same_columns_as_a_file(tmp_path: Path) -> None:
    export(filled("a"), tmp_path, "a")
    file = next((tmp_path / "measurement=time_based_daily").rglob("*.parquet"))
    assert pq.read_schema(file).field("hourly_distribution").type.value_type == pa.int64()
    assert pq.read_schema(file).names == ["date", "home", *list(TimeBasedDaily.model_fields)[2:]]
