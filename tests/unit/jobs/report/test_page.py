"""The page: whole without network and script, for eyes, keyboards and screen readers, small, and always the same."""

from __future__ import annotations

import random
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from jobs.names import NO_NAMES, Names
from jobs.report.one_day import find_one_day
from jobs.report.page import render_one_day
from jobs.report.report import MAX_BYTES, fit_period
from jobs.report.stored_rows import StoredRows
from storage.dates import DateRange
from storage.models import DailyAggregate
from tests.support.page_structure import Page, read_page
from tests.support.report_rows import DETECTORS, LAST, WEEKS, anomaly, busy_home, query, runs, used

ZONE = ZoneInfo("Europe/Berlin")
ALL_DAYS = DateRange.ending(LAST, 56)


def period(rows: list[DailyAggregate], names: Names = NO_NAMES, days: DateRange = WEEKS) -> str:
    aggregates = query(rows)
    return fit_period(aggregates, StoredRows(aggregates, days, DETECTORS), names, ZONE)


def one_day(rows: list[DailyAggregate], names: Names = NO_NAMES) -> str:
    aggregates = query(rows)
    stored = StoredRows(aggregates, DateRange(LAST, LAST), DETECTORS)
    return render_one_day(find_one_day(aggregates, stored, names, ZONE))


@pytest.fixture(scope="module")
def busy() -> list[DailyAggregate]:
    return busy_home(12, ALL_DAYS)


def pages(rows: list[DailyAggregate]) -> dict[str, Page]:
    return {"period": read_page(period(rows)), "one day": read_page(one_day(rows))}


def test_headings_are_in_order_and_there_is_one_title(busy: list[DailyAggregate]) -> None:
    for page in pages(busy).values():
        assert page.headings[0] == 1
        assert Counter(page.headings)[1] == 1
        assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
        assert page.landmarks == ["header", "main", "footer"]


def test_tables_have_captions_and_pictures_have_names_or_are_hidden(busy: list[DailyAggregate]) -> None:
    for page in pages(busy).values():
        assert page.tables
        assert all(table == {"caption", "th"} for table in page.tables)
        assert page.pictures
        for picture in page.pictures:
            assert (
                picture.get("aria-hidden") == "true"
                or picture.get("class") == "defs"
                or (picture["role"] == "img" and picture["title"])
            )


def test_every_link_and_reference_has_its_target_once(busy: list[DailyAggregate]) -> None:
    for page in pages(busy).values():
        assert not [id_ for id_, count in Counter(page.ids).items() if count > 1]
        assert set(page.targets) <= set(page.ids)


def test_nothing_is_fetched_and_no_script_runs(busy: list[DailyAggregate]) -> None:
    for html in (period(busy), one_day(busy)):
        page = read_page(html)
        assert "default-src 'none'; style-src 'unsafe-inline'" in html
        assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}
        assert not [one for one in page.attributes if one[1].startswith("on") or one[1] == "src"]
        assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
        assert "url(" not in html.replace("url(#head)", "")
        assert "@import" not in html


def test_every_number_of_a_heat_map_is_in_a_table_too(busy: list[DailyAggregate]) -> None:
    page = read_page(period(busy))
    numbers = [value for tag, name, value in page.attributes if (tag, name, value) == ("th", "scope", "rowgroup")]
    assert len(maps_of(page)) == len(numbers) == 12 + 1  # each device, and the one room


@pytest.mark.parametrize("shuffle", [1, 2])
def test_equal_rows_give_equal_bytes_in_whatever_order_they_are_read(busy: list[DailyAggregate], shuffle: int) -> None:
    shuffled = list(busy)
    random.Random(shuffle).shuffle(shuffled)
    assert period(shuffled) == period(busy)
    assert one_day(shuffled) == one_day(busy)


def home_of_a_hundred() -> list[DailyAggregate]:
    """Rows of the busy home, with devices that are used in some hours of the day, as devices in homes are."""
    return busy_home(100, WEEKS, hours_of_use=10)


def maps_of(page: Page) -> list[str]:
    """The titles of all heat maps."""
    return [picture["title"] for picture in page.pictures if "by day of the week" in picture.get("title", "")]


def test_four_weeks_of_a_hundred_devices_stay_under_300_kb_with_a_map_of_each() -> None:
    html = period(home_of_a_hundred())
    assert 150_000 < len(html.encode()) < 300_000
    assert len(maps_of(read_page(html))) == 100 + 10  # devices and rooms


def test_however_busy_a_home_is_the_page_stays_small_and_says_how_many_devices_are_left_out() -> None:
    html = period(busy_home(200, WEEKS))
    assert len(html.encode()) <= MAX_BYTES
    page = read_page(html)
    shown = len(maps_of(page)) - 20  # rooms
    assert shown >= 20
    assert f"{200 - shown} devices that are used less" in page.text


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>x",
    "{{ 7 * 7 }}{% raw %}",
    "a\x1b[2J\u202eb",
    "&lt;script&gt;",
    "'; DROP TABLE x --",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_device_room_or_reason_is_text_and_nothing_else(
    busy: list[DailyAggregate], name: str
) -> None:
    ids = sorted({row.entity_id for row in busy if row.measurement == "time_based_daily"})  # type: ignore[attr-defined]
    names = Names({one: f"{name} {number}" for number, one in enumerate(ids)}, {"room_0": name})
    strange = [anomaly(ids[0], LAST, anomaly_type="count_low", muted=name), *runs([LAST], ["other"], reason=name)]
    for render in (period, one_day):
        plain, hostile = read_page(render(busy)), read_page(render([*busy, *strange], names))
        assert hostile.tags <= plain.tags | {"details", "summary"}
        assert not [one for one in hostile.attributes if one[1].startswith("on")]
        assert "\x1b" not in hostile.text
        assert "\u202e" not in hostile.text
    shown = name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert f"{shown} 0" in hostile.text


def test_ids_are_in_tooltips_and_names_in_the_text() -> None:
    rows = [*runs(ALL_DAYS), *(used("light.a", day, 4) for day in ALL_DAYS)]
    html = period(rows, Names({"light.a": "Hall lamp"}))
    assert 'title="light.a">Hall lamp' in html
    assert "light.a" not in read_page(html).text.replace("Hall lamp light.a", "")  # but above the table of its numbers


def test_a_home_without_a_single_row_still_has_a_page() -> None:
    page = read_page(period(list(runs(WEEKS))))
    assert "All 28 days were usual." in page.text
    assert "Nothing was used" in page.text
    assert page.headings[:2] == [1, 2]
