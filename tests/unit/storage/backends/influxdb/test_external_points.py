"""Points of others: put at their day's midnight, with the types of our rows."""

from __future__ import annotations

import pytest

from storage.backends.influxdb.external_points import align_timestamp, coerce_field_types, split
from storage.backends.influxdb.line_protocol import midnight_seconds
from storage.errors import UsageError
from storage.models import DurationDaily, TimeBasedDaily
from tests.support.rows import DAY


@pytest.mark.parametrize("stamp", ["", " 1", " -1", " 1772452800"])
@pytest.mark.parametrize(
    "text",
    [
        "m,date=2026-03-02 f=1i",
        'm,date=2026-03-02,e=x f="ends in a number 12"',
        'm,a=in\\\\ ner,date=2026-03-02,e=x f="a,date=1999-01-01 b"',
        "m,e=x\\ y,date=2026-03-02 f=1",
    ],
)
def test_a_line_with_a_date_lies_at_its_midnight(text: str, stamp: str) -> None:
    assert align_timestamp(text + stamp) == f"{text} {midnight_seconds(DAY)}"


@pytest.mark.parametrize(
    "text",
    ["m,e=x f=1i 12", 'm f="x,date=2026-03-02" 12', "m,update=2026-03-02 f=1", "m,e=a\\,date=2026-03-02 f=1 5", "m"],
)
def test_a_line_without_a_date_stays_as_it_is(text: str) -> None:
    assert align_timestamp(text) == text


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'2026-02-31' is not a valid day"):
        align_timestamp("m,date=2026-02-31 f=1")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n \r\n\t\n", []),
        ("m f=1i\r\nm f=2i 5 \n", ["m f=1i", "m f=2i 5"]),
        ('# it\'s a "comment\nm f="x" 1\n  # another\n', ['m f="x" 1']),
        ('  m,t=a"b f="two\nlines \\" quoted" 1\nm f=1i', ['m,t=a"b f="two\nlines \\" quoted" 1', "m f=1i"]),
        ("m,t=a\\ b f=1i\nno fields\nno-blank", ["m,t=a\\ b f=1i", "no fields", "no-blank"]),
        ('m f="never closed\nm f=1i', ["m f=", '"never closed', "m f=1i"]),
    ],
)
def test_a_text_is_split_where_a_line_ends(text: str, lines: list[str]) -> None:
    assert list(split(text)) == lines


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("avg_duration_seconds=60i,episodes=2 5", "avg_duration_seconds=60,episodes=2i 5"),
        ("avg_duration_seconds=1e3,min_duration_seconds=+5u", "avg_duration_seconds=1e3,min_duration_seconds=+5"),
        ("episodes=2.0,duration_variance=-0.0", "episodes=2i,duration_variance=-0.0"),
        ("episodes=12.,foreign=1i", "episodes=12i,foreign=1i"),
        ("episodes=1e1", "episodes=10i"),
        ('note="episodes=2, \\" x=3",episodes=3', 'note="episodes=2, \\" x=3",episodes=3i'),
        ("x-episodes=5,my\\ episodes=6,x\\=episodes=7", "x-episodes=5,my\\ episodes=6,x\\=episodes=7"),
        ("episodes=2,", "episodes=2,"),
        ("nothing", "nothing"),
    ],
)
def test_numbers_of_a_models_fields_take_its_types(fields: str, expected: str) -> None:
    assert (
        coerce_field_types(f"duration_daily,episodes=2 {fields}", DurationDaily)
        == f"duration_daily,episodes=2 {expected}"
    )


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("occurrences=5.5", "occurrences=5.5 is not a valid integer"),
        ("occurrences=true", "is not a valid integer"),
        ('occurrences="5"', "is not a valid integer"),
        ("frequency=t", "is not a valid float"),
        ("peak_hours=3", "is not a valid json"),
        ("occurrences=nan", "is not a valid integer"),
    ],
)
def test_a_value_that_would_have_later_rows_refused_is_refused_itself(field: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        coerce_field_types(f"time_based_daily,date=2026-03-02 {field}", TimeBasedDaily)
