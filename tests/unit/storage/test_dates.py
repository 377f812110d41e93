"""Days and ranges of days, as people write them."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.dates import DateRange, is_relative, month_name, parse_day, week_name
from storage.errors import UsageError

TODAY = dt.date(2026, 3, 2)
DATES = st.dates(dt.date(1970, 1, 1), dt.date(2100, 12, 31))
RANGES = st.builds(lambda first, days: DateRange(first, first + dt.timedelta(days)), DATES, st.integers(0, 400))


@given(DATES)
def test_a_day_is_read_as_it_is_written(day: dt.date) -> None:
    assert parse_day(day.isoformat()) == parse_day(day) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-03-02"),
        ("yesterday", "2026-03-01"),
        ("-0d", "2026-03-02"),
        ("-7d", "2026-02-23"),
        ("-366d", "2025-03-01"),
        ("2024-02-29", "2024-02-29"),
        ("-0w", "2026-03-02"),
        ("-1w", "2026-02-23"),
        ("-52w", "2025-03-03"),
    ],
)
def test_words_are_read_from_today(text: str, day: str) -> None:
    assert parse_day(text, today=TODAY) == dt.date.fromisoformat(day)


@pytest.mark.parametrize("text", ["today", "yesterday", "-7d"])
def test_words_mean_nothing_where_today_is_not_known(text: str) -> None:
    with pytest.raises(UsageError, match="is not a valid day"):
        parse_day(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "20260302", "2026-02-30", "2026-13-01", "02.03.2026", "2026-3-2", "2026-03-02T00:00", " 2026-03-02"),
        *("0000-01-01", "2026-03-0x", "\u0662026-03-02", "tomorrow", "YESTERDAY", "-d", "- 7d", "7d", "2026-W10"),
        *("2026-W10-1", "-w", "-1m", "1w", "-1W", "2026-03", "last-week", "last-month", "2026-03-01..2026-03-02"),
    ],
)
def test_what_is_not_a_day_is_refused_with_the_form_to_use(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_day(text, today=TODAY)
    assert repr(text) in str(refused.value)
    assert "YYYY-MM-DD" in refused.value.hint


@pytest.mark.parametrize("text", ["-99999d", "-00001d"])
def test_a_number_of_days_is_counted_back_as_far_as_the_calendar_goes(text: str) -> None:
    assert parse_day(text, today=TODAY) == TODAY - dt.timedelta(int(text[1:-1]))


def test_a_number_of_days_before_the_calendar_is_refused() -> None:
    with pytest.raises(UsageError):
        parse_day("-99999d", today=dt.date(200, 1, 1))


def test_a_datetime_stands_for_its_date_as_written() -> None:
    assert parse_day(dt.datetime(2026, 3, 2, 23, 59, tzinfo=dt.timezone(dt.timedelta(hours=-12)))) == TODAY


def test_a_range_includes_both_its_ends() -> None:
    days = DateRange.parse("2024-02-28", "2024-03-01")
    assert [day.isoformat() for day in days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert len(days) == 3
    assert str(days) == "2024-02-28 to 2024-03-01"


@given(RANGES)
def test_a_range_iterates_its_days_in_order_without_gap(days: DateRange) -> None:
    listed = list(days)
    assert (listed[0], listed[-1], len(listed)) == (days.first, days.last, len(days))
    assert all(after - before == dt.timedelta(1) for before, after in pairwise(listed))


@given(RANGES, DATES)
def test_a_range_contains_what_it_iterates(days: DateRange, day: dt.date) -> None:
    assert (day in days) == (day in set(days))


@given(RANGES, RANGES)
def test_what_two_ranges_share_is_the_days_in_both(one: DateRange, other: DateRange) -> None:
    shared = one & other
    assert sorted(set(one) & set(other)) == ([] if shared is None else list(shared))


def test_a_range_of_one_day_holds_it() -> None:
    assert list(DateRange(TODAY, TODAY)) == [TODAY]
    assert "2026-03-02" not in DateRange(TODAY, TODAY)


def test_a_range_that_ends_before_it_begins_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="before it begins") as refused:
        DateRange.parse("2026-03-02", "2026-03-01")
    assert "Swap" in refused.value.hint


def test_a_range_takes_words_from_the_same_today() -> None:
    assert DateRange.parse("-7d", "yesterday", today=TODAY) == DateRange.ending(dt.date(2026, 3, 1), 7)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("-7d", DateRange(dt.date(2026, 2, 23), dt.date(2026, 3, 1))),
        ("-2d", DateRange(dt.date(2026, 2, 28), dt.date(2026, 3, 1))),
        ("-1d", DateRange(dt.date(2026, 3, 1), dt.date(2026, 3, 1))),
        ("-0d", DateRange(TODAY, TODAY)),
        ("yesterday", DateRange(dt.date(2026, 3, 1), dt.date(2026, 3, 1))),
        ("today", DateRange(TODAY, TODAY)),
        ("2026-02-20", DateRange(dt.date(2026, 2, 20), dt.date(2026, 2, 20))),
        (dt.date(2026, 2, 20), DateRange(dt.date(2026, 2, 20), dt.date(2026, 2, 20))),
        (DateRange(dt.date(2026, 2, 20), TODAY), DateRange(dt.date(2026, 2, 20), TODAY)),
        ("-1w", DateRange(dt.date(2026, 2, 23), dt.date(2026, 3, 1))),
        ("-2w", DateRange(dt.date(2026, 2, 16), dt.date(2026, 3, 1))),
    ],
)
def test_a_range_without_a_last_day_is_one_day_or_the_days_counted_back(
    first: str | dt.date | DateRange, expected: DateRange
) -> None:
    assert DateRange.parse(first, today=TODAY) == expected


def test_a_range_with_a_last_day_beside_it_is_refused() -> None:
    with pytest.raises(UsageError, match="is a range already") as refused:
        DateRange.parse(DateRange(TODAY, TODAY), "2026-03-02")
    assert "Leave out" in refused.value.hint


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        (("last-week",), "2026-02-23", "2026-03-01"),
        (("last-month",), "2026-02-01", "2026-02-28"),
        (("2026-W10",), "2026-03-02", "2026-03-08"),
        (("2026-W01",), "2025-12-29", "2026-01-04"),
        (("2020-W53",), "2020-12-28", "2021-01-03"),
        (("2024-02",), "2024-02-01", "2024-02-29"),
        (("2026-12",), "2026-12-01", "2026-12-31"),
        (("2026-02-03..2026-02-05",), "2026-02-03", "2026-02-05"),
        (("-2w..-1w",), "2026-02-16", "2026-02-23"),
        (("2026-01..2026-02",), "2026-01-01", "2026-02-28"),
        (("2026-W06..yesterday",), "2026-02-02", "2026-03-01"),
        (("2026-02-03..",), "2026-02-03", "2026-03-01"),
        (("last-week..today",), "2026-02-23", "2026-03-02"),
        (("2026-01", "2026-W06"), "2026-01-01", "2026-02-08"),
        (("last-month", "yesterday"), "2026-02-01", "2026-03-01"),
        (("-1w", "2026-02-24"), "2026-02-23", "2026-02-24"),
    ],
)
def test_a_range_is_read_as_people_write_it(words: tuple[str, ...], first: str, last: str) -> None:
    expected = DateRange(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    assert DateRange.parse(*words, today=TODAY) == expected


@pytest.mark.parametrize(
    ("today", "week", "month"),
    [
        (
            "2026-03-01",
            ("2026-02-16", "2026-02-22"),
            ("2026-02-01", "2026-02-28"),
        ),  # a Sunday, and a first of the month
        ("2026-03-02", ("2026-02-23", "2026-03-01"), ("2026-02-01", "2026-02-28")),  # a Monday
        ("2026-01-31", ("2026-01-19", "2026-01-25"), ("2025-12-01", "2025-12-31")),
        ("2024-03-31", ("2024-03-18", "2024-03-24"), ("2024-02-01", "2024-02-29")),
    ],
)
def test_last_week_and_last_month_are_whole_and_over(today: str, week: tuple[str, str], month: tuple[str, str]) -> None:
    for word, (first, last) in (("last-week", week), ("last-month", month)):
        found = DateRange.parse(word, today=dt.date.fromisoformat(today))
        assert (found.first.isoformat(), found.last.isoformat()) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-W54",
            "2026-W00",
            "2025-W53",
            "2026-13",
            "2026-00",
            "0000-W01",
            "2026-W5",
            "2026-w10",
            "2026-3",
            "2026",
        ),
        *(
            "2026-03-01...2026-03-02",
            "2026-01..2026-02..2026-03",
            "last-year",
            "next-week",
            "-1m",
        ),
        "2026-03-01..tomorrow",
    ],
)
def test_what_is_not_a_range_is_refused_with_the_forms_to_use(text: str) -> None:
    with pytest.raises(UsageError, match="is not a valid day") as refused:
        DateRange.parse(text, today=TODAY)
    assert "2026-W47" in refused.value.hint


@pytest.mark.parametrize("text", ["last-week", "last-month", "-1w", "-1w..2026-03-01"])
def test_a_range_counted_from_today_means_nothing_where_today_is_not_known(text: str) -> None:
    with pytest.raises(UsageError, match="is not a valid day"):
        DateRange.parse(text)


def test_two_ends_in_one_text_with_a_last_day_beside_them_are_refused() -> None:
    with pytest.raises(UsageError, match="is a range already"):
        DateRange.parse("2026-02-03..2026-02-05", "2026-02-06", today=TODAY)


@given(DATES)
def test_the_name_of_a_week_or_month_names_its_days(day: dt.date) -> None:
    assert DateRange.parse(week_name(day)) == DateRange.week_of(day)
    assert DateRange.parse(month_name(day)) == DateRange.month_of(day)


@pytest.mark.parametrize(
    ("text", "relative"),
    [
        *(
            ("-7d", True),
            ("yesterday", True),
            ("today", True),
            ("2026-03-02", False),
            ("tomorrow", False),
            (None, False),
        ),
        *(("-1w", True), ("last-week", True), ("last-month", True), ("2026-W10", False), ("2026-03", False)),
        *(("2026-03..2026-04", False), ("2026-03..", True), ("2026-03..today", True), ("-7d..2026-03-01", True)),
    ],
)
def test_a_day_counted_from_today_is_known_as_such(text: str | None, relative: bool) -> None:
    assert is_relative(text) is relative


@pytest.mark.parametrize("days", [0, -3])
def test_a_range_of_no_days_is_refused(days: int) -> None:
    with pytest.raises(UsageError):
        DateRange.ending(TODAY, days)


@given(DATES)
def test_a_week_is_monday_to_sunday_around_its_day(day: dt.date) -> None:
    week = DateRange.week_of(day)
    assert (week.first.weekday(), week.last.weekday(), len(week)) == (0, 6, 7)
    assert day in week


@given(DATES)
def test_a_month_is_the_whole_calendar_month_around_its_day(day: dt.date) -> None:
    month = DateRange.month_of(day)
    assert day in month
    assert month.first.day == (month.last + dt.timedelta(1)).day == 1
    assert {one.month for one in month} == {day.month}


@pytest.mark.parametrize(
    ("text", "today", "missing"),
    [("..2026-03-01", TODAY, "first"), ("2026-03-01..", None, "last"), ("..", TODAY, "first")],
)
def test_a_range_without_one_of_its_days_is_refused_by_what_is_missing(
    text: str, today: dt.date | None, missing: str
) -> None:
    with pytest.raises(UsageError, match=f"its {missing} day is missing"):
        DateRange.parse(text, today=today)


def test_a_range_of_one_day_is_written_as_that_day() -> None:
    assert str(DateRange.parse("2026-03-01")) == "2026-03-01"
    assert str(DateRange.parse("2026-03-01", "2026-03-02")) == "2026-03-01 to 2026-03-02"
