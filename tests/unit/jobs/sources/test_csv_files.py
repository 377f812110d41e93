"""CSV files as people make them: by hand, by spreadsheet, by a program that was stopped in the middle of a line."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow, from_instant
from jobs.sources.csv_files import CsvFiles
from storage.dates import DateRange
from storage.errors import SourceCorrupt, SourceMismatch, SourceUnavailable

MADRID: Final = ZoneInfo("Europe/Madrid")
DAY: Final = dt.date(2025, 10, 21)
HEADING: Final = "time,entity_id,state\n"
GOOD: Final = (
    HEADING
    + """\
2025-10-20T08:00:00+02:00,light.lamp,off
2025-10-21T08:00:00+02:00,light.lamp,on
2025-10-21T09:00:00+02:00,light.lamp,off
2025-10-22T08:00:00+02:00,light.lamp,on
"""
)

Read = Callable[..., DayLog]


def source(path: Path | str) -> CsvFiles:
    return CsvFiles(str(path), MADRID, EntityRules())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


@pytest.fixture
def read(file: Path) -> Read:
    """Reads a day of a file that holds a text."""

    def read_it(text: str | bytes, day: dt.date = DAY) -> DayLog:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return source(file).read(DayWindow(day, MADRID))

    return read_it


def times(log: DayLog) -> list[str]:
    return [from_instant(at).astimezone(MADRID).isoformat() for at in log.events.at.tolist()]


def states(log: DayLog) -> list[str]:
    return [log.states[code] for code in log.events.state.tolist()]


# --- the file --------------------------------------------------------------------------------------------------------


def test_no_file_is_unavailable_and_may_come(tmp_path: Path) -> None:
    absent = source(tmp_path / "*.csv")
    with pytest.raises(SourceUnavailable, match="no file matches") as caught:
        absent.span()
    assert "source.path" in caught.value.hint
    (tmp_path / "late.csv").write_text(GOOD, encoding="utf-8")
    assert absent.span() == DateRange(dt.date(2025, 10, 20), dt.date(2025, 10, 22))


@pytest.mark.parametrize("column", ["time", "entity_id", "state"])
def test_a_missing_column_is_named_with_its_file(read: Read, file: Path, column: str) -> None:
    with pytest.raises(SourceMismatch, match=rf"events\.csv has no column {column}") as caught:
        read(GOOD.replace(column, "other", 1))
    assert "first line" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00\x01", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_csv_is_refused(read: Read, content: bytes) -> None:
    with pytest.raises(SourceMismatch):
        read(content)


def test_columns_may_come_in_any_order_and_case_with_others_between(read: Read) -> None:
    log = read(
        " State ,comment,TIME,Entity_ID\noff,,2025-10-21 08:00,light.lamp\non,by hand,2025-10-21 09:00,light.lamp\n"
    )
    assert times(log) == ["2025-10-21T09:00:00+02:00"]
    assert log.notices == ()


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_trouble(read: Read) -> None:
    log = read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert (len(log.events), log.notices) == (2, ())


HISTORY: Final = """\
entity_id,state,last_changed
light.bath,off,2025-10-20T11:00:00.000Z
light.bath,on,2025-10-21T07:00:00.123Z
light.bath,unavailable,2025-10-21T07:10:00.123Z
light.bath,on,2025-10-21T07:11:00.123Z
light.bath,off,2025-10-21T07:30:00.456Z
light.hall,off,2025-10-20T11:00:00.000Z
light.hall,on,2025-10-21T18:00:00.123Z
light.hall,off,2025-10-21T18:30:00.456Z
light.hall,on,2025-10-22T12:00:00.000Z
"""


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("heading", ["", "sep={}\n", "\ufeff"])
@pytest.mark.parametrize("time", ["last_changed", "last_updated", "time", "Timestamp", "DATETIME"])
def test_a_history_export_of_home_assistant_is_read_whatever_a_spreadsheet_made_of_it(
    read: Read, separator: str, heading: str, time: str
) -> None:
    text = heading.format(separator) + HISTORY.replace("last_changed", time).replace(",", separator)
    log = read(text)
    assert [
        (log.entities[code].entity_id, at[11:16])
        for code, at in zip(log.events.entity.tolist(), times(log), strict=True)
    ] == [
        ("light.bath", "09:00"),
        ("light.bath", "09:30"),
        ("light.hall", "20:00"),
        ("light.hall", "20:30"),
    ]
    assert log.notices == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_read_in_its_encoding_with_or_without_a_byte_order_mark(read: Read, encoding: str, mark: str) -> None:
    by_codec = encoding in {"utf-8-sig", "utf-16"}  # these write the mark themselves
    assert len(read((HISTORY if by_codec else mark + HISTORY).encode(encoding)).events) == 4


@pytest.mark.parametrize("heading", ["Last Changed,Entity ID,State", "LAST_CHANGED, entity_id , state"])
def test_columns_are_known_by_their_words_however_these_are_joined(read: Read, heading: str) -> None:
    log = read(f"{heading}\n2025-10-21 08:00,light.a,off\n2025-10-21 09:00,light.a,on\n")
    assert times(log) == ["2025-10-21T09:00:00+02:00"]


def test_of_several_columns_with_times_the_plainest_name_counts(read: Read) -> None:
    log = read("last_changed,time,entity_id,state\nx,2025-10-21 08:00,light.a,off\nx,2025-10-21 09:00,light.a,on\n")
    assert times(log) == ["2025-10-21T09:00:00+02:00"]


@pytest.mark.parametrize(("hours", "known"), [(48, 86_400.0), (48.1, 0.0)])
def test_a_silence_of_everything_for_more_than_two_days_is_not_known_time(
    read: Read, hours: float, known: float
) -> None:
    first = dt.datetime(2025, 10, 20, 8, tzinfo=MADRID)
    later = (first.astimezone(dt.UTC) + dt.timedelta(hours=hours)).isoformat()
    assert read(f"{HEADING}{first.isoformat()},light.a,off\n{later},light.a,on\n").known_seconds == known


def test_one_row_of_a_clock_that_was_not_set_makes_no_days(file: Path) -> None:
    file.write_text(GOOD.replace(HEADING, HEADING + "1970-01-01T00:00:09Z,light.lamp,off\n"), encoding="utf-8")
    assert source(file).span() == DateRange(dt.date(2025, 10, 20), dt.date(2025, 10, 22))


def test_blank_lines_and_a_missing_last_line_end_are_no_trouble(read: Read) -> None:
    log = read(GOOD.replace("\n", "\n\n").rstrip())
    assert (len(log.events), log.notices) == (2, ())


def test_a_heading_alone_holds_nothing(read: Read, file: Path) -> None:
    log = read(HEADING)
    assert (len(log.events), log.samples, log.known_seconds) == (0, 0, 0.0)
    assert source(file).span() is None


def test_a_gzip_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    assert len(source(tmp_path / "events.csv.gz").read(DayWindow(DAY, MADRID)).events) == 2


def _cut(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


def _flipped(packed: bytes) -> bytes:
    return packed[:40] + bytes([packed[40] ^ 0xFF]) + packed[41:]


def _wrong_sum(packed: bytes) -> bytes:
    return packed[:-8] + bytes(8)


def _not_packed(_packed: bytes) -> bytes:
    return GOOD.encode()


@pytest.mark.parametrize("damage", [_cut, _flipped, _wrong_sum, _not_packed])
def test_a_gzip_file_that_is_cut_short_or_damaged_is_said_to_be(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    many = GOOD + "".join(f"2025-10-22T09:{n % 60:02}:00+02:00,light.n{n},on\n" for n in range(500))
    (tmp_path / "events.csv.gz").write_bytes(damage(gzip.compress(many.encode())))
    with pytest.raises(SourceCorrupt, match="gzip"):
        source(tmp_path / "events.csv.gz").span()


@pytest.mark.skipif(os.geteuid() == 0, reason="not here: a user whom permissions stop")
def test_a_file_that_may_not_be_read_is_unavailable(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    file.chmod(0)
    with pytest.raises(SourceUnavailable, match=r"events\.csv"):
        source(file).span()


def test_a_folder_is_a_matter_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SourceMismatch, match="is not a regular file"):
        source(tmp_path).span()


def test_a_glob_reads_all_its_files_as_one(tmp_path: Path) -> None:
    lines = GOOD.removeprefix(HEADING).splitlines(keepends=True)
    (tmp_path / "b.csv").write_text(HEADING + "".join(lines[:2]), encoding="utf-8")
    (tmp_path / "a.csv").write_text(
        "entity_id,state,time\nlight.lamp,off,2025-10-21T09:00:00+02:00\n", encoding="utf-8"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.csv.gz").write_bytes(gzip.compress((HEADING + lines[3]).encode()))
    whole = source(tmp_path / "**" / "*.csv*")
    assert whole.span() == DateRange(dt.date(2025, 10, 20), dt.date(2025, 10, 22))
    assert times(whole.read(DayWindow(DAY, MADRID))) == ["2025-10-21T08:00:00+02:00", "2025-10-21T09:00:00+02:00"]


@pytest.mark.parametrize("name", ["events[1].csv", "what?.csv", "a*b.csv"])
def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD, encoding="utf-8")
    assert len(source(tmp_path / name).read(DayWindow(DAY, MADRID)).events) == 2


def test_a_file_that_grows_is_read_again(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    growing, window = source(file), DayWindow(DAY, MADRID)
    before = growing.fingerprint(window)
    assert len(growing.read(window).events) == 2
    with file.open("a", encoding="utf-8") as opened:
        opened.write("2025-10-21T12:00:00+02:00,light.lamp,on\n2025-10-24T07:00:00+02:00,light.lamp,off\n")
    assert growing.fingerprint(window) != before
    assert len(growing.read(window).events) == 3
    assert growing.span() == DateRange(dt.date(2025, 10, 20), dt.date(2025, 10, 24))


def test_a_file_that_is_not_touched_is_read_once(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    steady, window = source(file), DayWindow(DAY, MADRID)
    log = steady.read(window)
    assert steady.read(window).entities is log.entities


# --- rows that cannot be used ----------------------------------------------------------------------------------------

BAD_ROWS: Final = {
    "too few cells": "2025-10-21T08:30:00+02:00,light.lamp",
    "no time": ",light.lamp,on",
    "a time that is none": "yesterday,light.lamp,on",
    "the 30th of February": "2025-02-30T08:00:00,light.lamp,on",
    "a time out of this world": "0001-01-01T00:00:00+14:00,light.lamp,on",
    "no entity": "2025-10-21T08:30:00+02:00,,on",
    "an entity of 256 characters": f"2025-10-21T08:30:00+02:00,{'x' * 256},on",
    "an entity that ends in a backslash": "2025-10-21T08:30:00+02:00,light.x\\,on",
    "an entity with a line break": '2025-10-21T08:30:00+02:00,"light\n.x",on',
    "a state of 256 characters": f"2025-10-21T08:30:00+02:00,light.lamp,{'x' * 256}",
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_costs_nothing_but_itself_and_is_said_with_its_line(read: Read, bad: str) -> None:
    lines = GOOD.splitlines()
    log = read("\n".join([*lines[:3], bad, *lines[3:]]))
    assert times(log) == ["2025-10-21T08:00:00+02:00", "2025-10-21T09:00:00+02:00"]
    (notice,) = log.notices
    lines_lost = bad.count("\n") + 1  # each line is read by itself
    assert notice.startswith(f"{lines_lost} bad row{'s' if lines_lost > 1 else ''}: events.csv line 4: ")


@pytest.mark.parametrize("place", [1, 2], ids=["entity", "state"])
def test_text_that_is_no_utf8_costs_its_row_only(read: Read, place: int) -> None:
    cells = [b"2025-10-21T08:30:00+02:00", b"light.lamp", b"on"]
    cells[place] = b"k\xfcche"
    lines = GOOD.encode().splitlines()
    log = read(b"\n".join([*lines[:3], b",".join(cells), *lines[3:]]))
    assert len(log.events) == 2
    assert [notice for notice in log.notices if "line 4" in notice]


def test_an_area_that_is_no_utf8_costs_the_area_at_most(read: Read) -> None:
    lines = GOOD.encode().splitlines()
    log = read(
        b"\n".join(
            [lines[0] + b",area,device_class", lines[1] + b",k\xfcche,mot\xfcon", *(line + b",," for line in lines[2:])]
        )
    )
    assert len(log.events) == 2
    assert log.entities[0].area_id is None


def test_many_bad_rows_are_counted_and_the_first_few_shown(read: Read) -> None:
    lines = GOOD.splitlines()
    log = read("\n".join([*lines[:3], *["nonsense"] * 1000, *lines[3:]]))
    (notice,) = log.notices
    assert notice.startswith("1,000 bad rows: ")
    assert notice.endswith("and 997 more")
    assert len(notice) < 300
    assert len(log.events) == 2


def test_bad_rows_are_told_on_the_day_of_their_neighbours_only(read: Read, file: Path) -> None:
    lines = GOOD.splitlines()
    read("\n".join([*lines[:3], "nonsense", *lines[3:]]))
    told = {day: source(file).read(DayWindow(dt.date(2025, 10, day), MADRID)).notices for day in (20, 21, 22)}
    assert [day for day, notices in told.items() if notices] == [21]


def test_a_bad_row_before_all_good_ones_is_told_on_the_first_day(read: Read) -> None:
    lines = GOOD.splitlines()
    log = read("\n".join([lines[0], "nonsense", *lines[1:]]), dt.date(2025, 10, 20))
    assert log.notices == ("1 bad row: events.csv line 2: no entity_id",)


def test_a_file_of_bad_rows_alone_is_an_error_that_names_the_first_of_them(file: Path) -> None:
    file.write_text(HEADING + "soon,light.lamp,on\n" * 5, encoding="utf-8")
    for use in (source(file).span, lambda: source(file).read(DayWindow(DAY, MADRID))):
        with pytest.raises(SourceMismatch, match=r"none of 5 rows can be read: events\.csv line 2: 'soon'") as caught:
            use()
        assert "2026-11-26T07:00:00" in caught.value.hint


def test_a_file_of_bad_rows_beside_good_ones_is_told_on_each_day(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADING + "soon,light.lamp,on\n" * 5, encoding="utf-8")
    (tmp_path / "b.csv").write_text(GOOD, encoding="utf-8")
    both = source(tmp_path / "*.csv")
    for day in (20, 21, 22):
        (notice,) = both.read(DayWindow(dt.date(2025, 10, day), MADRID)).notices
        assert notice.startswith("5 bad rows: a.csv line 2: 'soon' is not a valid time")
    assert len(both.read(DayWindow(DAY, MADRID)).events) == 2


@pytest.mark.parametrize("content", ["", "hello\n", "when,what,how\n2025-10-21 08:00,light.lamp,on\n"])
def test_a_file_without_the_columns_beside_a_good_one_is_told_on_each_day(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    (tmp_path / "b.csv").write_text(GOOD, encoding="utf-8")
    both = source(tmp_path / "*.csv")
    for day in (20, 21, 22):
        (notice,) = both.read(DayWindow(dt.date(2025, 10, day), MADRID)).notices
        assert "a.csv has no column time" in notice
    assert len(both.read(DayWindow(DAY, MADRID)).events) == 2


def test_files_none_of_which_has_the_columns_are_an_error(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("hello\n", encoding="utf-8")
    with pytest.raises(SourceMismatch, match=r"a\.csv has no column time"):
        source(tmp_path / "*.csv").span()


def test_a_bad_row_with_a_good_time_is_told_on_its_own_day(read: Read) -> None:
    lines = GOOD.splitlines()
    log = read("\n".join([*lines[:2], "2025-10-21T07:00:00+02:00,,on", *lines[2:]]))
    assert log.notices == ("1 bad row: events.csv line 3: the entity_id is empty",)


def test_a_last_line_cut_in_the_middle_is_one_bad_row(read: Read) -> None:
    log = read(GOOD[: GOOD.index("2025-10-22")] + "2025-10-21T10:0")
    assert len(log.events) == 2
    assert len(log.notices) == 1


# --- cells -----------------------------------------------------------------------------------------------------------


def test_quotes_and_commas_in_cells_are_text(read: Read) -> None:
    log = read(
        HEADING + '2025-10-21 08:00,sensor.song,"one, two"\n2025-10-21 09:00,sensor.song,"she said ""hi"""\n'
        "2025-10-21 11:00,sensor.song,plain\n"
    )
    assert states(log) == ['she said "hi"', "plain"]
    assert log.notices == ()


def test_an_empty_state_is_a_gap(read: Read) -> None:
    log = read(
        HEADING + "2025-10-21 08:00,light.lamp,off\n2025-10-21 09:00,light.lamp,\n2025-10-21 10:00,light.lamp,on\n"
        "2025-10-21 11:00,light.lamp,off\n"
    )
    assert times(log) == ["2025-10-21T11:00:00+02:00"]


def test_area_and_device_class_are_the_newest_word_and_blank_takes_nothing_back(read: Read) -> None:
    log = read(
        "time,entity_id,state,area,device_class\n2025-10-21 08:00,binary_sensor.hall,off,attic,door\n"
        "2025-10-21 09:00,binary_sensor.hall,on,hall,motion\n2025-10-21 10:00,binary_sensor.hall,off,,\n"
    )
    (entity,) = log.entities
    assert (entity.area_id, entity.device_class, entity.presence) == ("hall", "motion", True)


def test_an_entity_without_a_domain_is_classed_by_its_states(read: Read) -> None:
    log = read(HEADING + "2025-10-21 08:00,Fridge,off\n2025-10-21 09:00,Fridge,on\n2025-10-21 09:00,Meter,1.5\n")
    assert [(entity.entity_id, entity.domain, entity.kind) for entity in log.entities] == [
        ("Fridge", "other", Kind.ACTIVITY),
        ("Meter", "other", Kind.READING),
    ]


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2025-10-21T09:00:00+02:00",
        "2025-10-21T07:00:00Z",
        "2025-10-21 02:00:00-05:00",
        "2025-10-21 09:00",
        "2025-10-21T09:00:00",
        "2025-10-21T09:00:00.000000",
        " 2025-10-21 09:00:00 ",
    ],
)
def test_a_time_has_an_offset_or_is_local(read: Read, text: str) -> None:
    log = read(f"{HEADING}2025-10-21 08:00,light.lamp,off\n{text},light.lamp,on\n2025-10-21 10:00,light.lamp,on\n")
    assert times(log) == ["2025-10-21T09:00:00+02:00"]


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ("20.10.2025 08:00", "21.10.2025 09:00"),
        ("20.10.25 08:00", "21.10.25 09:00:00"),
        ("20/10/2025 08:00", "21/10/2025 09:00"),
        ("20-10-2025 08:00", "21-10-2025 09:00"),
        ("20/10/2025, 08:00:00", "21/10/2025, 09:00:00"),
        ("10/20/2025 8:00 AM", "10/21/2025 9:00 AM"),
        ("10/20/2025 8:00:00 am", "10/21/2025 9:00:00 a.m."),
        ("1760940000", "1761030000"),
        ("1760940000000", "1761030000000"),
        ("1760940000.5", "1761030000.0"),
        ("1760940000,5", "1761030000,0"),
        ("1760940000000000", "1761030000000000"),
        ("1760940000000000000", "1761030000000000000"),
        ("2025/10/20 08:00", "2025/10/21 09:00:00"),
        ("2025/10/20 06:00 UTC", "2025-10-21 07:00:00 UTC"),
        ("2025-10-20T06:00:00 GMT", "2025-10-21T07:00:00.000 utc"),
    ],
)
def test_dates_of_other_orders_and_seconds_are_times(read: Read, other: str, text: str) -> None:
    log = read(f'time;entity_id;state\n"{other}";light.lamp;off\n"{text}";light.lamp;on\n')
    assert times(log) == ["2025-10-21T09:00:00+02:00"]
    assert log.notices == ()


@pytest.mark.parametrize(
    ("rows", "month_and_day"),
    [
        (["03/10/2025 08:00", "04/10/2025 08:00", "01/11/2025 08:00"], [(10, 4), (11, 1)]),  # days ascend in a month
        (["10/03/2025 08:00", "10/04/2025 08:00", "11/01/2025 08:00"], [(10, 4), (11, 1)]),  # the month comes first
        (["03/10/2025 08:00", "04/10/2025 08:00", "13/10/2025 08:00"], [(10, 4), (10, 13)]),  # there is no 13th month
        (["03/10/2025 08:00", "03/11/2025 08:00", "03/13/2025 08:00"], [(3, 11), (3, 13)]),
        (["05/05/2025 08:00", "05/05/2025 09:00", "05/05/2025 10:00"], [(5, 5), (5, 5)]),
        (["11/05/2025 08:00", "11/06/2025 08:00", "11/07/2025 08:00"], [(11, 6), (11, 7)]),  # days, and not months
        (["05/11/2025 08:00", "06/11/2025 08:00", "07/11/2025 08:00"], [(11, 6), (11, 7)]),
        (["12/01/2025 08:00", "12/01/2025 09:00", "12/01/2025 10:00"], [(1, 12), (1, 12)]),  # nothing tells: day first
    ],
)
def test_the_order_of_day_and_month_is_the_one_in_which_the_file_makes_sense(
    file: Path, rows: list[str], month_and_day: list[tuple[int, int]]
) -> None:
    states = ("off", "on", "off")
    file.write_text(
        HEADING + "".join(f"{at},light.lamp,{one}\n" for at, one in zip(rows, states, strict=True)), "utf-8"
    )
    wide = CsvFiles(str(file), MADRID, EntityRules(), max_silence_hours=24 * 366)
    found = []
    for month, day in dict.fromkeys(month_and_day):
        log = wide.read(DayWindow(dt.date(2025, month, day), MADRID))
        found += [(from_instant(at).month, from_instant(at).day) for at in log.events.at.tolist()]
    assert found == month_and_day


@pytest.mark.parametrize("text", ["32.10.2025 08:00", "21.13.2025 08:00", "21.10.2025 25:00", "10/21/2025 13:00 PM"])
def test_a_date_that_does_not_exist_costs_its_row(read: Read, text: str) -> None:
    log = read(GOOD + f'"{text}",light.lamp,off\n')
    assert [
        notice for notice in read(GOOD + f'"{text}",light.lamp,off\n', dt.date(2025, 10, 22)).notices if text in notice
    ]
    assert len(log.events) == 2


def test_two_orders_of_dates_in_one_file_are_not_mixed(read: Read) -> None:
    log = read(
        HEADING + "20/10/2025 08:00,light.lamp,off\n21/10/2025 08:00,light.lamp,on\n10/22/2025 08:00,light.lamp,off\n"
    )
    assert [notice for notice in log.notices if "10/22/2025" in notice]


def test_a_repeated_local_hour_is_read_in_order(read: Read) -> None:
    log = read(
        HEADING
        + "".join(
            f"2025-10-26 {time},light.lamp,{('off', 'on')[number % 2]}\n"
            for number, time in enumerate(["01:50", "02:10", "02:50", "02:05", "02:40", "03:10", "04:00"])
        ),
        dt.date(2025, 10, 26),
    )
    assert [text[11:16] + text[19:] for text in times(log)] == [
        "02:10+02:00",
        "02:50+02:00",
        "02:05+01:00",
        "02:40+01:00",
        "03:10+01:00",
        "04:00+01:00",
    ]


def test_a_local_time_that_the_clock_skipped_keeps_its_place(read: Read) -> None:
    log = read(
        HEADING + "2026-03-29 01:59,light.lamp,off\n2026-03-29 02:30,light.lamp,on\n2026-03-29 03:45,light.lamp,off\n",
        dt.date(2026, 3, 29),
    )
    assert times(log) == ["2026-03-29T03:30:00+02:00", "2026-03-29T03:45:00+02:00"]
    assert log.notices == ()


def test_a_file_sorted_by_entity_reads_each_of_them_in_its_own_repeated_hour(read: Read) -> None:
    """Out of order across entities: an early row of the next entity is no second pass of the hour."""
    log = read(
        HEADING + "2025-10-26 01:00,light.a,off\n2025-10-26 12:00,light.a,on\n2025-10-26 01:10,light.b,off\n"
        "2025-10-26 02:30,light.b,on\n2025-10-26 12:00,light.b,off\n",
        dt.date(2025, 10, 26),
    )
    assert "2025-10-26T02:30:00+02:00" in times(log)


# --- dialects, foreign files, wrong clocks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        *("21 Oct 2025 08:00", "21. October 2025, 8:00:00 AM", "Oct 21, 2025, 8:00 am", "October 21, 2025 08:00:00.0"),
        *("2025-10-21 08:00:00 +0200", "21.10.25 08:00", "2025/10/21 06:00 UTC"),
    ],
)
def test_the_ways_in_which_people_write_a_time_are_read(read: Read, time: str) -> None:
    log = read(f'{HEADING}2025-10-20 08:00,light.a,off\n"{time}",light.a,on\n2025-10-22 08:00,light.a,on\n')
    assert times(log) == ["2025-10-21T08:00:00+02:00"]


@pytest.mark.parametrize("month", ["Okt", "Xxx"])
def test_a_month_that_is_not_english_costs_its_row(read: Read, month: str) -> None:
    log = read(f"{GOOD}21 {month} 2025 08:00,light.lamp,on\n", dt.date(2025, 10, 22))
    assert "is not a valid time" in log.notices[0]


def test_a_date_in_a_column_of_its_own_belongs_to_the_time(read: Read) -> None:
    log = read(
        "date;time;item;value\n20.10.2025;08:00:00;light.a;off\n21.10.2025;09:30:00;light.a;on\n22.10.2025;08:00;light.a;off\n"
    )
    assert times(log) == ["2025-10-21T09:30:00+02:00"]


@pytest.mark.parametrize(
    ("foreign", "rows"), [("a;b\n1;2\n3;4\n", "2 rows"), ("", "0 rows"), ("time,state\n2025-10-21,on\n", "1 row")]
)
def test_a_foreign_file_beside_good_ones_is_reported_with_its_rows_on_each_day(
    tmp_path: Path, foreign: str, rows: str
) -> None:
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "other.csv").write_text(foreign, encoding="utf-8")
    for day in (20, 21, 22):
        log = source(tmp_path / "*.csv").read(DayWindow(dt.date(2025, 10, day), MADRID))
        (notice,) = log.notices
        assert notice.startswith(f"a file was left out, with {rows}: ")
        assert "other.csv" in notice


@pytest.mark.parametrize("year", [1970, 1969])
def test_rows_of_a_clock_that_was_not_set_make_no_days_however_many_they_are(read: Read, file: Path, year: int) -> None:
    wrong = "".join(f"{year}-01-01T00:00:{second:02}Z,light.lamp,off\n" for second in range(1, 20))
    assert len(read(HEADING + wrong + GOOD.removeprefix(HEADING), dt.date(2025, 10, 20)).notices) == 1
    assert source(file).span() == DateRange(dt.date(2025, 10, 20), dt.date(2025, 10, 22))


def hourly(first: int, last: int) -> str:
    return "".join(f"2025-10-20T{hour:02}:00:00+02:00,sensor.t,{hour}\n" for hour in range(first, last))


@pytest.mark.parametrize(("rows", "on_at"), [(20, []), (0, ["2025-10-21T08:00:00+02:00"])])
def test_a_clock_that_was_set_back_between_on_and_off_makes_no_long_episode(
    read: Read, rows: int, on_at: list[str]
) -> None:
    """Where most lines are in order, one that goes back shows a wrong clock; where few are, it shows nothing."""
    later = "2025-10-21T07:56:00+02:00,sensor.t,1\n2025-10-22T08:00:00+02:00,sensor.t,1\n"
    on, off = "2025-10-21T08:00:00+02:00,light.a,on\n", "2025-10-21T07:55:00+02:00,light.a,off\n"
    log = read(f"{HEADING}2025-10-20T08:00:00+02:00,light.a,off\n{hourly(0, rows)}{on}{off}{later}")
    assert [time for time, state in zip(times(log), states(log), strict=True) if state == "on"] == on_at
    assert bool(log.notices) is (not on_at)
    if log.notices:
        assert "the clock was set back" in log.notices[0]


def test_an_export_with_the_newest_row_first_is_read_by_time(read: Read) -> None:
    heading, *rows = GOOD.splitlines()
    assert len(read("\n".join([heading, *reversed(rows)])).events) == 2


def test_an_entity_that_becomes_another_thing_within_a_day_has_the_events_of_its_words_only(read: Read) -> None:
    watts = "".join(f"2025-10-21T0{hour}:00:00+02:00,sensor.x,{hour * 7 + 1},power\n" for hour in range(8))
    words = "".join(
        f"2025-10-21T{hour}:00:00+02:00,sensor.x,{word},enum\n"
        for hour, word in ((12, "idle"), (13, "run"), (14, "idle"))
    )
    for rows in (watts + words, words + watts, watts + words + "2025-10-21T15:00:00+02:00,sensor.x,5,power\n"):
        log = read(f"time,entity_id,state,device_class\n{rows}")
        assert states(log) == ["run", "idle"]
        assert log.entities[0].kind is Kind.ACTIVITY
