"""Days away from a calendar: which events count, how they repeat, and what happens when it cannot be read."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from jobs.household_calendar import MAX_BYTES, CalendarDays, CalendarSource, read_calendar
from storage.dates import DateRange

ZONE = ZoneInfo("Europe/Berlin")
YEAR = DateRange(dt.date(2026, 1, 1), dt.date(2026, 12, 31))


def calendar(*events: str) -> str:
    bodies = [f"BEGIN:VEVENT\nUID:{number}\n{event}\nEND:VEVENT" for number, event in enumerate(events)]
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test", *bodies, "END:VCALENDAR"]) + "\n"


def read(folder: Path, text: str, *globs: str, days: DateRange = YEAR) -> CalendarDays:
    file = folder / "holidays.ics"
    file.write_text(text, encoding="utf-8")
    return read_calendar(CalendarSource(str(file), globs, 5.0, folder / "cache.ics"), ZONE, days)


def away(folder: Path, *events: str, days: DateRange = YEAR) -> list[str]:
    found = read(folder, calendar(*events), days=days)
    assert not found.notices
    return [str(one.days) for one in found.away]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20260801\nDTEND;VALUE=DATE:20260815", ["2026-08-01 to 2026-08-14"]),
        ("DTSTART;VALUE=DATE:20260801", ["2026-08-01"]),
        ("DTSTART;VALUE=DATE:20260801\nDURATION:P3D", ["2026-08-01 to 2026-08-03"]),
        # times: the days of travelling count, if there is a whole day between them
        ("DTSTART:20260801T070000Z\nDTEND:20260803T160000Z", ["2026-08-01 to 2026-08-03"]),
        ("DTSTART:20260801T070000Z\nDTEND:20260802T160000Z", []),
        ("DTSTART;TZID=Europe/Berlin:20260801T000000\nDURATION:PT24H", ["2026-08-01"]),
        ("DTSTART;TZID=America/New_York:20260731T180000\nDURATION:PT24H", ["2026-08-01"]),
        ("DTSTART:20260801T090000\nDTEND:20260801T100000", []),
        ("DTSTART;VALUE=DATE:20260801\nDTEND;VALUE=DATE:20260815\nSTATUS:CANCELLED", []),
        ("DTSTART;VALUE=DATE:20270801\nDTEND;VALUE=DATE:20270815", []),
        ("SUMMARY:without a start", []),
    ],
)  # fmt: skip
def test_events_of_a_whole_day_or_more_are_days_away(tmp_path: Path, event: str, expected: list[str]) -> None:
    assert away(tmp_path, event) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("RRULE:FREQ=WEEKLY;COUNT=3", ["01-05", "01-12", "01-19"]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20260119", ["01-05", "01-12", "01-19"]),
        ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20260112", ["01-05", "01-19"]),
        ("RDATE;VALUE=DATE:20260220", ["01-05", "02-20"]),
        ("RRULE:FREQ=MONTHLY;BYDAY=1MO;UNTIL=20260401", ["01-05", "02-02", "03-02"]),
        ("RRULE:FREQ=SECONDLY", ["01-05"]),
    ],
)
def test_events_repeat_with_their_exceptions(tmp_path: Path, rule: str, expected: list[str]) -> None:
    found = read(tmp_path, calendar(f"DTSTART;VALUE=DATE:20260105\n{rule}"))
    assert [f"{one.first:%m-%d}" for one in found.away] == expected


def test_an_event_that_has_repeated_for_years_costs_little_and_is_found(tmp_path: Path) -> None:
    event = "DTSTART;VALUE=DATE:20000103\nRRULE:FREQ=WEEKLY"
    assert away(tmp_path, event, days=DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 10))) == ["2026-01-05"]


def test_one_of_several_repeats_can_be_moved(tmp_path: Path) -> None:
    text = calendar("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=2", "X").replace(
        "UID:1\nX", "UID:0\nRECURRENCE-ID;VALUE=DATE:20260112\nDTSTART;VALUE=DATE:20260114"
    )
    assert [f"{one.first:%m-%d}" for one in read(tmp_path, text).away] == ["01-05", "01-14"]


def test_repeats_keep_their_local_time_when_the_clock_changes(tmp_path: Path) -> None:
    event = (
        "DTSTART;TZID=Europe/Berlin:20260327T000000\nDTEND;TZID=Europe/Berlin:20260328T000000\nRRULE:FREQ=DAILY;COUNT=4"
    )
    assert len(away(tmp_path, event)) == 4


def test_only_events_with_a_chosen_title_count(tmp_path: Path) -> None:
    text = calendar(
        "DTSTART;VALUE=DATE:20260801\nSUMMARY:Summer HOLIDAY", "DTSTART;VALUE=DATE:20260901\nSUMMARY:Anna's birthday"
    )
    assert [one.note for one in read(tmp_path, text, "*holiday*").away] == ["Summer HOLIDAY"]
    assert len(read(tmp_path, text).away) == 2


@pytest.mark.parametrize("text", ["", "BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "garbage", "<html></html>"])
def test_what_is_not_a_calendar_is_a_notice(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert found.away == ()
    assert "not a valid calendar" in found.notices[0]


def test_a_file_that_is_missing_or_never_ends_is_a_notice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("nothing.ics", "No such file"), ("pipe", "not a regular file")):
        source = CalendarSource(str(tmp_path / name), (), 5.0, tmp_path / "cache.ics")
        (notice,) = read_calendar(source, ZONE, YEAR).notices
        assert message in notice


EVENT = calendar("DTSTART;VALUE=DATE:20260801\nSUMMARY:Norway")


def test_an_address_is_read_and_what_it_gave_last_is_used_while_it_cannot_be_read(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_ordered_request("/secret-token.ics").respond_with_data(EVENT)
    httpserver.expect_ordered_request("/secret-token.ics").respond_with_data("busy", status=503)
    httpserver.expect_ordered_request("/secret-token.ics").respond_with_data("<html>Please log in</html>")
    source = CalendarSource(httpserver.url_for("/secret-token.ics"), (), 5.0, tmp_path / "cache.ics")
    assert read_calendar(source, ZONE, YEAR).notices == ()
    for message in ("the server answers 503", "not a valid calendar"):
        found = read_calendar(source, ZONE, YEAR)
        assert [one.note for one in found.away] == ["Norway"]
        assert message in found.notices[0]
        assert "what was read last is used" in found.notices[0]
        assert "secret" not in found.notices[0]


def test_an_address_that_cannot_be_reached_the_first_time_is_a_notice(tmp_path: Path) -> None:
    source = CalendarSource("http://127.0.0.1:9/secret.ics", (), 2.0, tmp_path / "cache.ics")
    (notice,) = read_calendar(source, ZONE, YEAR).notices
    assert "never read before" in notice
    assert "secret" not in notice


def test_an_answer_that_does_not_end_is_given_up_in_time(tmp_path: Path, httpserver: HTTPServer) -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(2_000):
            time.sleep(0.05)
            yield b"x" * 10

    def slowly(_request: Request) -> Response:
        return Response(drops(), mimetype="text/calendar")

    httpserver.expect_request("/slow.ics").respond_with_handler(slowly)
    source = CalendarSource(httpserver.url_for("/slow.ics"), (), 0.5, tmp_path / "cache.ics")
    began = time.monotonic()
    (notice,) = read_calendar(source, ZONE, YEAR).notices
    assert "0.5 s" in notice
    assert time.monotonic() - began < 60  # on a busy machine; the whole answer would take 100


def test_an_answer_that_is_too_large_is_given_up(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/large.ics").respond_with_data(b"x" * (MAX_BYTES + 1))
    source = CalendarSource(httpserver.url_for("/large.ics"), (), 20.0, tmp_path / "cache.ics")
    (notice,) = read_calendar(source, ZONE, YEAR).notices
    assert "larger than" in notice
