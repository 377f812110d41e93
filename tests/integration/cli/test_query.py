"""`query`, and the same rows from other code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from storage.query import DurationDaily, TimeBasedDaily, open_query
from tests.support.home import EVENTS, Home


def test_what_is_written_can_be_queried_from_other_code(home: Home) -> None:
    home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    with open_query(config=home.config) as aggregates:
        (light,) = aggregates.daily(TimeBasedDaily, "2026-03-02", "2026-03-02", entity_id="light.kitchen")
        (burned,) = aggregates.daily(DurationDaily, "2026-03-02", "2026-03-03", entity_id="light.kitchen")
    assert {hour: count for hour, count in enumerate(light.hourly_distribution) if count} == {7: 2, 19: 1}
    # The second episode ran into an outage and is not measured. Motion was seen until 07:10, and for ten minutes more;
    # of the hours since 19:00 nothing moved.
    assert (burned.episodes, burned.avg_duration_seconds) == (1, 1800.0)
    assert burned.efficiency_score == pytest.approx((20 * 60 - 5) / (1800 + 4.5 * 3600))


def test_query_prints_json_csv_and_tables(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    words = ("query", "time_based_daily", "2026-03-02", "2026-03-02", "--where", "entity_id=light.kitchen")
    (row,) = home.json(*words, "--format", "json")
    assert list(row) == [name for name in TimeBasedDaily.model_fields if name != "home"]
    assert (row["date"], row["peak_hours"], row["bouts"]) == ("2026-03-02", [], 3)
    (record,) = csv.DictReader(io.StringIO(home.call(*words, "--format", "csv").stdout))
    assert json.loads(record["hourly_distribution"]) == row["hourly_distribution"]
    assert "light.kitchen" in home.call(*words).stdout
    (total,) = home.json(
        "query", "time_based", "2026-03-01", "2026-03-03", "--by", "domain", "--sum", "occurrences", "--format", "json",
        "--where", "domain=light", "--where", "domain=switch", "--mean", "frequency",
    )  # fmt: skip
    assert total == {"domain": "light", "occurrences": 3, "frequency": pytest.approx(2 / 24)}
    assert "no rows" in home.call("query", "time_based_daily", "2026-03-03", *words[4:]).stdout


def test_query_gives_several_functions_of_one_field_under_names_of_their_own(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    words = ("--sum", "occurrences", "--max", "occurrences", "--max", "occurrences", "--min", "bouts")
    (total,) = home.json("query", "time_based", "2026-03-02", *words, "--format", "json")
    assert total == {"occurrences_sum": 5, "occurrences_max": 3, "bouts": 2}


def test_commands_take_one_day_or_the_days_counted_back_without_a_last_day(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    one_day = ("query", "time_based", "--by", "date", "--count", "bouts", "--format", "json", "2026-03-02")
    assert [record["date"] for record in home.json(*one_day)] == ["2026-03-02"]
    result = home.call("query", "time_based", "-7d", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "7 of 7 days are not computed" in result.stderr
    assert [day["day"] for day in home.json("status", "2026-03-02", "--json")] == ["2026-03-02"]
    assert len(home.json("status", "-7d", "--json")) == 7
    assert [day["day"] for day in home.json("backfill", "2026-03-02", "--redo", "all", "--json")["days"]] == [
        "2026-03-02"
    ]


def test_every_command_with_days_takes_weeks_months_and_two_ends_in_one_word(home: Home) -> None:
    home.call("backfill", "2026-W09..2026-03-03")
    dates = ("--by", "date", "--count", "rows", "--json")
    for words in (("2026-03",), ("2026-03-01..2026-03-03",), ("2026-02", "2026-W10"), ("2026-W09..2026-W10",)):
        found = home.json("query", "detector_run", *words, *dates)
        assert [record["date"] for record in found] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert [day["day"] for day in home.json("status", "2026-02-28..2026-03-01", "--json")] == [
        "2026-02-28",
        "2026-03-01",
    ]
    assert len(home.json("status", "2026-W10", "--json")) == 7


def test_query_summarizes_by_week_and_month(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    words = ("query", "time_based", "2026-03", "--sum", "occurrences", "--json", "--by")
    assert home.json(*words, "week") == [{"week": "2026-W10", "occurrences": 5}]
    assert home.json(*words, "month", "--by", "domain", "--sort", "-domain")[0]["month"] == "2026-03"


def test_query_prints_the_highest_or_the_first_rows(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    summary = ("query", "time_based", "2026-03", "--by", "entity_id", "--sum", "occurrences", "--json")
    result = home.call(*summary, "--top", "1")
    assert json.loads(result.stdout) == [{"entity_id": "light.kitchen", "occurrences": 3}]
    assert result.stderr.endswith("1 of 2 rows\n")
    assert [one["occurrences"] for one in home.json(*summary, "--sort", "occurrences")] == [2, 3]
    assert [one["occurrences"] for one in home.json(*summary, "--sort", "-occurrences", "--limit", "1")] == [3]
    (row,) = home.json("query", "time_based", "2026-03-02", "--sort", "bouts", "--top", "1", "--json")
    assert row["entity_id"] == "light.kitchen"


def test_a_glob_chooses_rows_by_their_tags(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")

    def found(*where: str) -> set[str]:
        words = [word for one in where for word in ("--where", one)]
        return {row["entity_id"] for row in home.json("query", "time_based", "2026-03", "--json", *words)}

    assert found("entity_id=light.*") == {"light.kitchen"}
    assert found("entity_id=*.[km]*") == {"light.kitchen", "binary_sensor.motion"}
    assert found("entity_id=light.*", "entity_id=binary_sensor.motion") == {"light.kitchen", "binary_sensor.motion"}
    assert found("entity_id=*", "domain=l?ght") == {"light.kitchen"}
    assert found("entity_id=LIGHT.*") == set()
    result = home.call("query", "time_based", "2026-03", "--where", "entity_id=fan.*")
    assert (result.stdout, result.exit_code) == ("no rows\n", 0)
    assert "no entity_id from 2026-03-01 to 2026-03-31 matches fan.*" in result.stderr


def test_json_and_csv_are_options_too_and_only_one_form_is_printed(home: Home) -> None:
    home.call("backfill", "2026-03-02")
    words = ("query", "time_based", "2026-03-02")
    assert home.call(*words, "--csv").stdout == home.call(*words, "--format", "csv").stdout
    assert home.call(*words, "--json").stdout == home.call(*words, "--format", "json").stdout
    for both in (("--json", "--csv"), ("--csv", "--format", "json")):
        assert home.call(*words, *both).exit_code == 2


def test_query_says_on_standard_error_which_days_were_never_computed(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    result = home.call("query", "time_based", "2026-03-01", "2026-03-03", "--format", "json")
    assert "2 of 3 days are not computed" in result.stderr
    assert len(json.loads(result.stdout)) == 2


def test_a_name_that_a_query_uses_itself_is_refused_like_any_other(home: Home) -> None:
    home.call("init")
    for words in (("--where", "model=x"), ("--sum", "by")):
        assert home.call("query", "time_based", "2026-03-02", "2026-03-02", *words).exit_code == 2


def test_characters_that_do_not_print_are_escaped_on_a_terminal(tmp_path: Path) -> None:
    events = EVENTS.replace("light.kitchen", "light.\x1b[31mred")
    home = Home(tmp_path, events=events)
    home.call("backfill", "2026-03-02", "2026-03-02")
    for words in (("query", "time_based", "2026-03-02", "2026-03-02"), ("doctor",)):
        assert "light.\\x1b[31mred" in home.call(*words).stdout
