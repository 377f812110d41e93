"""Raw events on object storage: few bytes, new files, plain errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules
from jobs.activity.window import HOUR, MINUTE, DayWindow, to_instant
from jobs.sources import parquet_events
from jobs.sources.parquet_events import EventFiles
from jobs.sources.parquet_files import ParquetFiles
from storage.errors import SourceUnavailable
from tests.support.object_storage import ObjectStorage
from tests.support.parquet_events import EventRow, write_file

UTC: Final = ZoneInfo("UTC")
DAY: Final = dt.date(2025, 10, 21)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of 100 homes, sorted by home, with a row group for every two homes."""
    ObjectStorage.begin()
    for day in (20, 21, 22):
        midnight = to_instant(dt.datetime(2025, 10, day, tzinfo=dt.UTC))
        rows = [
            EventRow(f"home {home:02}", f"sensor.{minute % 7}", midnight + minute * MINUTE, f"{home * minute}")
            for home in range(100)
            for minute in range(0, 1440, 5)
        ]
        write_file(tmp_path / f"day=2025-10-{day}" / "a.parquet", rows, row_group_size=2 * 288)
    return tmp_path


def source(files: EventFiles) -> ParquetFiles:
    return ParquetFiles(files, "home 33", UTC, EntityRules(), lookback_days=1)


def test_only_the_bytes_of_the_homes_row_groups_and_the_footers_are_read(folder: Path) -> None:
    files = EventFiles(f"objects://{folder}")
    assert source(files).read(DayWindow(DAY, UTC)).samples == 288
    size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    first = ObjectStorage.bytes_read
    assert 0 < first < size / 2  # most of it are the footers, which say what lies where
    assert ObjectStorage.requests <= 3 * 3
    ObjectStorage.begin()
    later = EventFiles(f"objects://{folder}")
    later.files()
    ParquetFiles(later, "nobody", UTC, EntityRules(), lookback_days=1).read(DayWindow(DAY, UTC))
    footers = ObjectStorage.bytes_read
    assert 0 < first - footers < 1.2 * size / 50


def test_a_file_that_comes_later_is_found_though_the_file_system_keeps_its_listings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_events, "LISTING_SECONDS", 0.0)
    files = EventFiles(f"objects://{folder}")
    assert len(files.files()) == 3
    midnight = to_instant(dt.datetime(2025, 10, 21, tzinfo=dt.UTC))
    row = EventRow("home 33", "light.new", midnight + HOUR, "on")
    write_file(folder / "day=2025-10-21" / "b.parquet", [row])
    assert len(files.files()) == 4
    assert source(files).read(DayWindow(DAY, UTC)).samples == 289


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("error", [PermissionError("Forbidden"), OSError(16, "SlowDown"), ConnectionResetError(104)])
def test_a_server_that_refuses_is_named_by_its_url_and_asked_again_the_next_time(
    folder: Path, error: Exception, is_listed: bool
) -> None:
    files = EventFiles(f"objects://{folder}")
    if is_listed:
        files.files()
    ObjectStorage.error = error
    with pytest.raises(SourceUnavailable, match=rf"^objects://{folder}.*{type(error).__name__}") as raised:
        source(files).read(DayWindow(DAY, UTC))
    assert raised.value.retryable
    assert ("account" in raised.value.hint) == isinstance(error, PermissionError)
    ObjectStorage.error = None
    assert source(files).read(DayWindow(DAY, UTC)).samples == 288


def test_keys_in_what_a_library_says_are_not_shown(folder: Path) -> None:
    files = EventFiles(f"objects://{folder}")
    ObjectStorage.error = OSError(5, "GET https://me:topsecret@host/a.parquet?X-Amz-Signature=topsecret, refused")
    with pytest.raises(SourceUnavailable, match=r"https://host/a\.parquet") as raised:
        source(files).read(DayWindow(DAY, UTC))
    assert "topsecret" not in str(raised.value)


@pytest.mark.parametrize("glob", ["", "/day=*"])
def test_a_folder_that_cannot_be_listed_is_an_error_and_not_left_out(folder: Path, glob: str) -> None:
    ObjectStorage.refused = "day=2025-10-21"
    with pytest.raises(SourceUnavailable, match="PermissionError"):
        source(EventFiles(f"objects://{folder}{glob}")).read(DayWindow(DAY, UTC))
    ObjectStorage.refused = ""
    assert source(EventFiles(f"objects://{folder}{glob}")).read(DayWindow(DAY, UTC)).samples == 288
