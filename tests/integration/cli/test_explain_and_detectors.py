"""`explain` shows the evidence for rows, `detectors` what is registered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, Home

DETECTORS = [
    "active_time",
    "bout_times",
    "co_occurrence",
    "duration",
    "room_based",
    "sequence",
    "time_based",
    "anomaly",
]


def test_detectors_shows_names_versions_and_settings(tmp_path: Path) -> None:
    home = Home(
        tmp_path, CSV_CONFIG + "[detectors.duration]\naround_seconds = 60\n[detectors.time_based]\nenabled = false"
    )
    listed = {one["name"]: one for one in home.json("detectors", "--json")}
    assert listed["duration"]["settings"] == {"around_seconds": 60}
    assert listed["duration"]["origin"] == "jobs.detectors.duration"
    assert (listed["time_based"]["enabled"], listed["duration"]["enabled"]) == (False, True)
    assert "around_seconds = 60" in home.call("detectors").stdout
    report = home.json("backfill", "2026-03-02", "2026-03-02", "--json")
    assert set(report["days"][0]["detectors"]) == {*DETECTORS} - {"time_based"}


def test_explain_shows_the_evidence_for_a_row(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    hours = home.json("explain", "time_based", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    (one,) = hours
    assert one["evidence"]["columns"] == ["hour", "events", "expected", "p", ""]
    assert [line[1] for line in one["evidence"]["lines"]] == one["row"]["hourly_distribution"]
    assert sum(line[2] for line in one["evidence"]["lines"]) == pytest.approx(3, abs=0.2)
    (lit,) = home.json("explain", "duration", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    assert [line[2:] for line in lit["evidence"]["lines"]] == [[1800.0, "measured"], [16200.0, "not finished"]]
    (room,) = home.json("explain", "room_based", "2026-03-02", "--json")
    assert sum(line[1] for line in room["evidence"]["lines"]) == 5
    assert "measured" in home.call("explain", "duration", "2026-03-02").stdout


def test_explain_says_why_there_is_no_row_or_that_nothing_was_computed(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    assert "the baseline has 0 of the 14" in home.call("explain", "anomaly", "2026-03-02").stderr
    missing = home.call("explain", "anomaly", "2026-03-03")
    assert (missing.exit_code, "was not computed" in missing.stderr) == (2, True)


def test_explain_shows_what_is_stored_where_raw_events_are_gone(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    (home.folder / "events.csv").write_text("time,entity_id,state\n2026-05-01T00:00:00,light.kitchen,off\n")
    (one,) = home.json("explain", "time_based", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    assert one["evidence"]["notes"] == ["as stored: the raw events are gone"]
    assert ["occurrences", "3"] in one["evidence"]["lines"]


@pytest.mark.slow
def test_explain_shows_matches_and_baseline_days(tmp_path: Path) -> None:
    source = 'kind = "simulated_home"\nevents_per_day = 2000\nfirst_day = 2025-03-01'
    home = Home(tmp_path, CSV_CONFIG.replace('kind = "csv_files"\npath = "events.csv"', source))
    home.call("backfill", "2025-03-01", "2025-03-31")
    pairs = home.json("query", "co_occurrence", "2025-03-31", "2025-03-31", "--format", "json")
    explained = home.json("explain", "co_occurrence", "2025-03-31", "--json")
    assert [len(one["evidence"]["lines"]) for one in explained] == [row["co_occurrence_count"] for row in pairs]
    assert pairs
    assert all("p = " in one["evidence"]["notes"][0] for one in explained)
    chains = home.json("query", "sequence", "2025-03-01", "2025-03-31", "--format", "json")
    assert chains
    for row in chains[:2]:
        (one,) = home.json("explain", "sequence", row["date"], "--where", f"sequence_id={row['sequence_id']}", "--json")
        counted = [line for line in one["evidence"]["lines"] if line[-1] == ""]
        assert len(counted) == one["row"]["frequency"]
        assert sum(line[-2] for line in counted) / len(counted) == pytest.approx(
            one["row"]["avg_duration_seconds"], abs=0.1
        )
    unlike = home.json("query", "anomaly", "2025-03-01", "2025-03-31", "--format", "json")
    for row in unlike[:1]:
        (one, *_) = home.json("explain", "anomaly", row["date"], "--where", f"entity_id={row['entity_id']}", "--json")
        assert len(one["evidence"]["lines"]) == 28
        assert "used" in {line[2] for line in one["evidence"]["lines"]}
