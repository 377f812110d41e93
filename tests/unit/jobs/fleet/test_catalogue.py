"""A catalogue is read from CSV, Parquet or a database, and each row that is not valid costs its own home only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.fleet.catalogue import Catalogue, read_catalogue
from storage.errors import PatternAggregatesError, SettingsError

Read = Callable[[str], Catalogue]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str) -> Catalogue:
        (tmp_path / "homes.csv").write_text(text, encoding="utf-8")
        return read_catalogue(str(tmp_path / "homes.csv"), tmp_path)

    return read_text


def test_each_row_is_a_home_with_all_its_columns(read: Read) -> None:
    catalogue = read("home,time_zone,path\nflat 1,Europe/Berlin,a/*.csv\n\n flat 2 , UTC ,\n")
    assert list(catalogue.homes) == ["flat 1", "flat 2"]
    assert catalogue.homes["flat 1"].columns["path"] == "a/*.csv"
    assert catalogue.homes["flat 2"].time_zone == "UTC"
    assert catalogue.homes["flat 2"].columns["path"] == ""
    assert catalogue.columns == ("home", "time_zone", "path")
    assert not catalogue.invalid


def test_a_mark_at_the_beginning_of_a_file_belongs_to_no_column(read: Read) -> None:
    assert list(read("\ufeffhome,time_zone\na,UTC\n").homes) == ["a"]


@pytest.mark.parametrize(
    ("row", "home", "reason"),
    [
        ("b,Mars/Olympus", "b", "line 3: 'Mars/Olympus' is not a valid IANA time zone"),
        ("b,europe/berlin", "b", "did you mean 'Europe/Berlin'?"),
        ("b,localtime", "b", "'localtime' is not a valid IANA time zone"),
        ("b,", "b", "line 3: the time zone is missing"),
        ("b,../../etc/passwd", "b", "not a valid IANA time zone"),
        (",UTC", "line 3", "not a valid name of a home: it is empty"),
        ("b\\,UTC", "b\\", "it ends with a backslash"),
        (f"{'b' * 300},UTC", "b" * 300, "characters"),
        ("b", "b", "line 3: 1 cell instead of 2"),
        ("b,UTC,c", "b", "line 3: 3 cells instead of 2"),
    ],
)
def test_a_row_that_is_not_valid_costs_its_own_home_and_is_named(read: Read, row: str, home: str, reason: str) -> None:
    catalogue = read(f"home,time_zone\na,UTC\n{row}\nz,UTC\n")
    assert list(catalogue.homes) == ["a", "z"]
    assert list(catalogue.invalid) == [home]
    assert reason in catalogue.invalid[home]


def test_a_name_that_appears_twice_names_no_home(read: Read) -> None:
    catalogue = read("home,time_zone\na,UTC\nb,UTC\na,Europe/Berlin\na,UTC\n")
    assert list(catalogue.homes) == ["b"]
    assert catalogue.invalid == {"a": "lines 2 and 5 both name it"}


def test_the_place_of_a_row_without_a_name_is_given_once(read: Read) -> None:
    reason = read("home,time_zone\na,UTC\n,UTC\n").invalid["line 3"]
    assert reason == "not a valid name of a home: it is empty"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_as_spreadsheets_write_it_gives_the_same_homes(read: Read, separator: str, end: str) -> None:
    rows = ("home,time_zone,note", "a,UTC,", "b,Europe/Berlin,x", ",,", ",,")
    catalogue = read("\ufeff" + "".join(row.replace(",", separator) + end for row in rows))
    assert [(home.name, home.time_zone) for home in catalogue.homes.values()] == [("a", "UTC"), ("b", "Europe/Berlin")]
    assert not catalogue.invalid


def test_rows_without_a_name_are_each_reported_by_their_line(read: Read) -> None:
    catalogue = read("home,time_zone\n,UTC,c\na,UTC\n,UTC\n")
    assert list(catalogue.homes) == ["a"]
    assert list(catalogue.invalid) == ["line 2", "line 4"]


def test_a_home_is_named_twice_also_where_one_of_its_rows_is_not_valid(read: Read) -> None:
    for rows in ("a,UTC\na,UTC,c\n", "a,UTC,c\na,UTC\n", "a,Mars/Olympus\na,UTC\n"):
        catalogue = read(f"home,time_zone\n{rows}b,UTC\n")
        assert list(catalogue.homes) == ["b"]
        assert catalogue.invalid == {"a": "lines 2 and 3 both name it"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs one column 'home'; it has none"),
        ("name,time_zone\na,UTC\n", "needs one column 'home'; it has name, time_zone"),
        ("home,zone\na,UTC\n", "needs one column 'time_zone'"),
        ("home,home,time_zone\na,b,UTC\n", "needs one column 'home'"),
        ("home,time_zone\n", "lists no home"),
        ('home,time_zone\n"a,UTC\n', "is not valid CSV"),
    ],
)
def test_what_is_not_a_catalogue_is_refused_as_a_whole(read: Read, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(text)


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "homes.csv").write_bytes(b"home,time_zone\n\xff,UTC\n")
    for name in ("homes.csv", "none.csv", "none.parquet"):
        with pytest.raises(SettingsError, match=name):
            read_catalogue(str(tmp_path / name), tmp_path)
    (tmp_path / "homes.parquet").write_bytes(b"home,time_zone\n")
    with pytest.raises(SettingsError, match=r"homes\.parquet cannot be read"):
        read_catalogue(str(tmp_path / "homes.parquet"), tmp_path)


def test_a_parquet_file_gives_the_same_homes_with_its_numbers_as_text(tmp_path: Path) -> None:
    file = tmp_path / "homes.parquet"
    pq.write_table(pa.table({"home": ["a", "b"], "time_zone": ["UTC", None], "seed": [7, 8]}), file)
    catalogue = read_catalogue(str(file), tmp_path)
    assert catalogue.homes["a"].columns == {"home": "a", "time_zone": "UTC", "seed": "7"}
    assert catalogue.invalid == {"b": "row 2: the time zone is missing"}


def test_a_parquet_file_in_which_numbers_became_floats_or_texts_bytes_gives_the_names_that_were_meant(
    tmp_path: Path,
) -> None:
    file = tmp_path / "homes.parquet"
    pq.write_table(pa.table({"home": [7.0, 8.5, float("nan")], "time_zone": [b"UTC", b"UTC", b"UTC"]}), file)
    catalogue = read_catalogue(str(file), tmp_path)
    assert list(catalogue.homes) == ["7", "8.5"]
    assert list(catalogue.invalid) == ["row 3"]


def test_a_file_that_is_not_utf_8_says_so(tmp_path: Path) -> None:
    (tmp_path / "homes.csv").write_bytes("home,time_zone\nküche,UTC\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="not text in UTF-8") as caught:
        read_catalogue(str(tmp_path / "homes.csv"), tmp_path)
    assert caught.value.hint == "Save it as UTF-8."


def test_a_database_gives_the_homes_of_a_query_and_is_never_changed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "homes.db")) as database, database:
        database.execute("CREATE TABLE flats (name TEXT, zone TEXT, seed INTEGER)")
        database.executemany("INSERT INTO flats VALUES (?, 'UTC', ?)", [("a", 1), ("b", 2)])
    url = "sqlite:///homes.db"
    query = "SELECT name AS home, zone AS time_zone, seed FROM flats ORDER BY name"
    assert [one.columns["seed"] for one in read_catalogue(url, tmp_path, query).homes.values()] == ["1", "2"]
    for wrong in ("DELETE FROM flats", "SELECT nothing", "UPDATE flats SET name = 'c' RETURNING name"):
        with pytest.raises((SettingsError, Exception), match=r"homes\.db|--query"):
            read_catalogue(url, tmp_path, wrong)
    assert len(read_catalogue(url, tmp_path, query).homes) == 2


@pytest.mark.parametrize("url", ["oracle://me:secret@127.0.0.1/homes", "nothing://homes", "://homes"])
def test_a_url_of_no_database_that_can_be_read_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="--homes") as caught:
        read_catalogue(url, tmp_path, "SELECT 1")
    assert "secret" not in str(caught.value)


def test_a_file_of_a_database_that_is_missing_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(PatternAggregatesError, match=r"none\.db"):
        read_catalogue("sqlite:///none.db", tmp_path, "SELECT 'a' AS home, 'UTC' AS time_zone")
    assert not (tmp_path / "none.db").exists()


def test_a_database_needs_a_query_and_a_file_takes_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the query is missing"):
        read_catalogue("sqlite:///homes.db", tmp_path)
    with pytest.raises(SettingsError, match="in a database"):
        read_catalogue("homes.csv", tmp_path, "SELECT 1")


def test_a_password_in_the_url_of_a_catalogue_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="catalogue") as caught:
        read_catalogue("postgresql+psycopg://me:secret@127.0.0.1:1/homes", tmp_path, "SELECT 1")
    assert "secret" not in str(caught.value)
