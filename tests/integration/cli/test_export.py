"""``export`` writes rows for other programs; they and ``storage.query`` read them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest

from storage.query import DetectorRunDaily, TimeBasedDaily, open_query
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home

DAYS = ("2026-03-01", "2026-03-03")


@pytest.fixture
def written(tmp_path: Path) -> Home:
    home = Home(tmp_path, CSV_CONFIG)
    home.call("backfill", *DAYS)
    return home


@pytest.fixture
def folder(written: Home) -> Path:
    folder = written.folder / "rows"
    result = written.call("export", *DAYS, "--parquet", str(folder))
    assert result.exit_code == 0, result.output
    return folder


def stored(home: Home, measurement: str = "time_based_daily") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = home.json("query", measurement, *DAYS, "--json")
    return rows


def test_json_counts_rows_by_measurement(written: Home) -> None:
    folder = str(written.folder / "rows")
    document = written.json("export", *DAYS, "--parquet", folder, "--json")
    assert (document["folder"], document["first"], document["last"], document["homes"]) == (folder, *DAYS, 1)
    for measurement in ("time_based_daily", "duration_daily", "detector_run_daily"):
        assert document["rows"][measurement] == len(stored(written, measurement))
    assert document["rows"]["time_based_daily"] > 0
    assert document["files"] == len(list(Path(folder).rglob("*.parquet")))


def test_duckdb_reads_an_export_with_its_folders_as_columns(written: Home, folder: Path) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT measurement, month, date::text, entity_id, occurrences, hourly_distribution[20] "
            "FROM read_parquet(?, hive_partitioning = true) ORDER BY date, entity_id",
            [f"{folder}/measurement=time_based_daily/**/*.parquet"],
        ).fetchall()
    assert found == [
        (
            "time_based_daily",
            "2026-03",
            row["date"],
            row["entity_id"],
            row["occurrences"],
            row["hourly_distribution"][19],
        )
        for row in stored(written)
    ]


def test_polars_reads_an_export(written: Home, folder: Path) -> None:
    table = pl.read_parquet(f"{folder}/measurement=time_based_daily/**/*.parquet", hive_partitioning=True)
    assert table.sort("date", "entity_id")["occurrences"].to_list() == [row["occurrences"] for row in stored(written)]
    assert table.schema["date"] == pl.Date
    assert set(table["month"].to_list()) == {"2026-03"}


def test_arrow_finds_the_partitions_as_spark_does(written: Home, folder: Path) -> None:
    dataset = ds.dataset(str(folder), format="parquet", partitioning="hive")  # leaves out names with _ and . too
    runs = dataset.to_table(filter=ds.field("measurement") == "detector_run_daily")
    assert runs.num_rows == len(stored(written, "detector_run_daily"))


def test_a_query_of_an_export_answers_as_its_store_does(written: Home, folder: Path) -> None:
    config = written.folder / "exported.toml"
    config.write_text('[store]\nkind = "parquet"\npath = "rows"\n', encoding="utf-8")
    with open_query(config=config) as exported, open_query(config=written.config) as original:
        for model in (TimeBasedDaily, DetectorRunDaily):
            assert exported.daily(model, *DAYS) == original.daily(model, *DAYS) != []
        fields: Any = {"occurrences": ["sum", "mean"]}
        for by in (["entity_id"], ["month"], []):
            assert exported.summarize(TimeBasedDaily, *DAYS, by=by, fields=fields) == original.summarize(
                TimeBasedDaily, *DAYS, by=by, fields=fields
            )
        assert exported.completeness(*DAYS) == original.completeness(*DAYS)
        assert exported.involving("light.kitchen", *DAYS) == original.involving("light.kitchen", *DAYS) != []


def test_the_query_command_reads_an_export(written: Home, folder: Path) -> None:
    config = CSV_CONFIG.replace(
        '[store]\nurl = "sqlite:///aggregates.db"\nretention_days = 0', '[store]\nkind = "parquet"\npath = "rows"'
    )
    expected = stored(written)
    written.config.write_text(config, encoding="utf-8")
    assert stored(written) == expected
    result = written.call("run")
    assert result.exit_code == 78
    assert "store.kind = 'parquet' can only be read" in result.output


def test_an_export_of_another_home_does_not_mix_with_the_first(
    written: Home, folder: Path, tmp_path_factory: Any
) -> None:
    other = Home(tmp_path_factory.mktemp("other"), CSV_CONFIG, EVENTS.replace("kitchen", "cellar"))
    other.call("backfill", *DAYS)
    before = {file: file.read_bytes() for file in folder.rglob("*.parquet")}
    result = other.call("export", *DAYS, "--parquet", str(folder))
    assert result.exit_code == 78
    assert "belongs to" in result.output
    assert {file: file.read_bytes() for file in folder.rglob("*.parquet")} == before


def test_days_that_were_never_computed_are_named(written: Home) -> None:
    result = written.call("export", "2026-03-02", "2026-03-05", "--parquet", str(written.folder / "rows"))
    assert result.exit_code == 0
    assert "2 of 4 days not computed (2026-03-04, 2026-03-05)" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no folder to write to is named"),
        (("--parquet", "rows", "--home", "a", "--all-homes"), "not both --home and --all-homes"),
        (("--parquet", "rows", "--home", "nobody"), "the store holds no home 'nobody'"),
        (("--parquet", "config.toml"), "config.toml cannot be written"),
        (("--parquet", "s3://me:secret@bucket/rows"), "s3://bucket/rows is not a folder"),
    ],
)
def test_a_call_that_is_not_valid_says_what_to_do(
    written: Home, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(written.folder)
    result = written.call("export", *DAYS, *words)
    assert result.exit_code == 2
    assert message in result.output
    assert "hint: " in result.output


def test_neither_query_nor_other_commands_load_arrow_unless_they_need_it(written: Home) -> None:
    code = (
        "import sys, json\nfrom tests.support.home import Home\n"
        "from storage.query import open_query\n"
        f"with open_query(config={str(written.config)!r}) as q: q.involving('light.kitchen', '2026-03-02')\n"
        "print(json.dumps([name for name in ('pyarrow', 'fsspec') if name in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
