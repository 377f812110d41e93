"""``away`` and ``mute``: what people enter, and what becomes due by it."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tests.support.home import Home

PERIOD = ("2026-03-01", "2026-03-03")


@pytest.fixture
def written(home: Home) -> Home:
    """A home of which three days are written."""
    assert home.call("backfill", *PERIOD).exit_code == 0
    return home


def plan(home: Home) -> dict[str, list[str]]:
    document = json.loads(home.call("backfill", *PERIOD, "--dry-run", "--json").stdout)
    return {day["day"]: day["detectors"] for day in document["plan"]}


def test_days_away_are_entered_listed_and_removed(home: Home) -> None:
    entered = home.call("away", "2026-08-01", "2026-08-14", "--note", "summer")
    assert "away: 2026-08-01 to 2026-08-14, 14 days" in entered.stderr
    expected = {"first": "2026-08-01", "last": "2026-08-14", "days": 14, "note": "summer", "origin": "entered"}
    assert home.json("away", "--list", "--json") == [expected]
    assert "summer" in home.call("away", "--list").stdout
    left = home.json("away", "--remove", "2026-08-05", "2026-08-20", "--json")
    assert [(one["first"], one["last"]) for one in left] == [("2026-08-01", "2026-08-04")]
    refused = home.call("away", "--remove", "2026-09-01")
    assert (refused.exit_code, "Entered are 2026-08-01 to 2026-08-04." in refused.stderr) == (2, True)


def test_days_away_that_are_entered_afterwards_make_the_days_concerned_due_again(written: Home) -> None:
    assert plan(written) == {}
    written.call("away", "2026-03-02")
    assert plan(written) == {"2026-03-02": ["anomaly"], "2026-03-03": ["anomaly"]}
    (written.folder / "events.csv").unlink()  # no raw events are needed
    (written.folder / "events.csv").write_text("time,entity_id,state\n", encoding="utf-8")
    assert written.call("backfill", *PERIOD).exit_code in {0, 1}
    assert plan(written) == {}
    written.call("away", "--remove", "2026-03-02")
    assert plan(written) == {"2026-03-02": ["anomaly"], "2026-03-03": ["anomaly"]}


def test_a_mute_makes_the_days_that_it_holds_for_due_again(written: Home) -> None:
    muted = written.call("mute", "light.kitchen:count_low", "--from", "2026-03-02", "--until", "2026-03-02")
    assert "muted from 2026-03-02 until 2026-03-02: light.kitchen:count_low" in muted.stderr
    assert plan(written) == {"2026-03-02": ["anomaly"]}


def test_mutes_are_listed_and_removed(written: Home) -> None:
    written.call("mute", "light.*", "--from", "2026-03-02", "--reason", "being repaired")
    (listed,) = written.json("mute", "--list", "--json")
    assert listed == {
        "entity": "light.*",
        "anomaly_type": None,
        "first": "2026-03-02",
        "until": None,
        "reason": "being repaired",
        "holds_today": dt.date(2026, 3, 2) <= dt.datetime.now(dt.UTC).date(),
    }
    assert "being repaired" in written.call("mute", "--list").stdout
    assert written.call("mute", "--remove", "light.*").exit_code == 0
    assert written.json("mute", "--list", "--json") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mute", "light.kitchn"), "did you mean light.kitchen?"),
        (("mute", "light.kitchen:count_hih"), "did you mean 'count_high'"),
        (("mute", "switch.*"), "no entity 'switch.*' is known"),
        (("mute", "light.kitchen", "--until", "2020-01-01"), "before it begins"),
        (("mute", "--remove", "light.kitchen"), "is not muted"),
        (("mute",), "Give ENTITY"),
        (("mute", "light.kitchen", "--reason", "x" * 501), "501 characters"),
        (("away",), "Give FIRST"),
        (("away", "2026-03-05", "2026-03-01"), "Swap the two dates"),
        (("away", "2026-02-30"), "not a valid day"),
        (("away", "2026-03-01", "2027-12-01"), "days long"),
        (("away", "2026-03-01", "--note", "x" * 501), "501 characters"),
    ],
)
def test_a_call_that_is_not_valid_says_what_to_do_and_changes_nothing(
    written: Home, words: tuple[str, ...], message: str
) -> None:
    result = written.call(*words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert not (written.folder / "ledger.household.json").exists()


def test_a_file_that_is_lost_after_days_were_judged_by_it_is_reported_and_nothing_is_judged_without_it(
    written: Home,
) -> None:
    written.call("away", "2026-03-02")
    written.call("backfill", *PERIOD)
    file = written.folder / "ledger.household.json"
    file.rename(written.folder / "backup.json")
    assert plan(written) == {}
    lost = written.call("backfill", *PERIOD)
    assert (lost.exit_code, "with days away and mutes, is gone" in lost.output) == (1, True)
    (written.folder / "backup.json").rename(file)
    assert written.call("backfill", *PERIOD).exit_code == 0


def test_a_damaged_file_costs_the_judgement_of_days_and_nothing_else(home: Home) -> None:
    (home.folder / "ledger.household.json").write_text("{", encoding="utf-8")
    report = home.json("backfill", *PERIOD, "--json", exit_code=1)
    of_day = report["days"][1]["detectors"]
    assert of_day["time_based"]["status"] == "written"
    assert (of_day["anomaly"]["status"], "not valid JSON" in of_day["anomaly"]["error"]) == ("deferred", True)
    (home.folder / "ledger.household.json").unlink()
    assert home.call("backfill", *PERIOD).exit_code == 0


def test_a_lost_ledger_loses_no_days_away(written: Home) -> None:
    written.call("away", "2026-03-02", "--note", "Norway")
    for file in written.folder.glob("ledger.db*"):
        file.unlink()
    written.call("doctor", "--rebuild-ledger")
    assert written.json("away", "--list", "--json")[0]["note"] == "Norway"


def test_control_characters_in_a_note_do_not_reach_the_terminal(home: Home) -> None:
    home.call("away", "2026-08-01", "--note", "sun\x1b[2Jshine")
    assert "\x1b" not in home.call("away", "--list").stdout
    assert json.loads(home.call("away", "--list", "--json").stdout)[0]["note"] == "sun\x1b[2Jshine"


def test_days_away_of_a_calendar_are_listed_and_shown_by_status(written: Home) -> None:
    event = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20260302\nSUMMARY:Norway\nEND:VEVENT"
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x\n{event}\nEND:VCALENDAR\n"
    (written.folder / "holidays.ics").write_text(text, encoding="utf-8")
    with written.config.open("a", encoding="utf-8") as config:
        config.write('[away]\ncalendar = "holidays.ics"\n')
    days = written.json("status", *PERIOD, "--json")
    assert [day["away"] for day in days] == [None, "Norway", None]
    assert plan(written) == {"2026-03-02": ["anomaly"], "2026-03-03": ["anomaly"]}
    (written.folder / "holidays.ics").unlink()
    missing = written.call("backfill", *PERIOD)
    assert "the calendar (away.calendar) cannot be read: No such file" in missing.output
    assert missing.exit_code == 0
