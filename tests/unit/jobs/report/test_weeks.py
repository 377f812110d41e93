"""The section on weeks: what became new or was lost, drifts, and regularity against the weeks before."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.report.report import fit_period
from jobs.report.stored_rows import StoredRows
from jobs.report.weeks import MAX_HABITS, Regularity, find_weeks
from storage.dates import ONE_DAY, DateRange
from storage.models import DailyAggregate
from tests.support.page_structure import read_page
from tests.support.report_rows import DETECTORS, LAST, WEEKS, query, run, runs
from tests.support.rollup_rows import drift, habit, routine

NAMES = Names({"light.lamp": "Lamp", "switch.tv": "TV"}, {"hall": "Hall"})
WEEK = 7 * ONE_DAY


def stored(*rows: DailyAggregate) -> StoredRows:
    computed = [run(name, LAST) for name in ("habit_weekly", "drift_weekly", "routine_weekly")]
    return StoredRows(query([*computed, *rows]), WEEKS, DETECTORS)


def test_habits_are_listed_by_trend_and_only_those_of_the_newest_week() -> None:
    found = find_weeks(stored(habit("steady"), habit("new", 1), habit("lost", 2, LAST - WEEK)), NAMES)
    assert found.week == "23 to 29 November"
    assert [(group.title, group.left_out) for group in found.habits] == [("New", 0), ("As before", 0)]
    assert found.habits[0].sentences == [
        (
            "Lamp and TV were used together on 6 of the 7 days on which both were used, 2 min apart, mostly between "
            "19:00 and 20:00; this is new"
        )
    ]


def test_a_chain_goes_by_its_entities_and_what_is_cut_is_counted() -> None:
    chains = [habit("steady", kind="chain", habit=f"{number:016x}") for number in range(MAX_HABITS + 2)]
    (group,) = find_weeks(stored(*chains), NAMES).habits
    assert (len(group.sentences), group.left_out) == (MAX_HABITS, 2)
    assert group.sentences[0].startswith("Lamp, then TV: on 6 of the 7 days")


def test_regularity_is_compared_with_the_mean_of_the_four_weeks_before() -> None:
    earlier = [routine(value, LAST - number * WEEK) for number, value in enumerate((60.0, 70.0, 80.0, 90.0, 0.0), 1)]
    found = find_weeks(stored(routine(50.0), *earlier, routine(20.0, scope="area", subject="hall")), NAMES)
    assert found.regularity == [Regularity("The home", 50.0, 75.0), Regularity("Hall", 20.0, None)]


def test_the_page_shows_the_week_and_says_where_there_is_none() -> None:
    rows = stored(habit("new"), habit("fading", 1), drift(), routine(50.0))
    aggregates = query([])
    html = fit_period(aggregates, rows, NAMES, ZoneInfo("Europe/Berlin"))
    assert "Lamp is used more often since Tuesday 2026-11-24: 16 times a day, 8 times a day before." in html
    page = read_page(html)
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
    without = fit_period(aggregates, StoredRows(query(runs(WEEKS)), WEEKS, DETECTORS), NAMES, ZoneInfo("Europe/Berlin"))
    assert "No week that ends in these days was computed." in without


def test_a_week_that_could_not_be_judged_says_why() -> None:
    runs_of_week = [run("habit_weekly", LAST, reason="not judged: 3 complete days")]
    found = find_weeks(StoredRows(query(runs_of_week), DateRange(LAST, LAST), DETECTORS), NAMES)
    assert (found.habits, found.reasons) == ([], ["not judged: 3 complete days"])
