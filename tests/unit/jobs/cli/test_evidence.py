"""Evidence as people read it: names in headings and notes, local times, lengths of time in words."""

from __future__ import annotations

import pytest

from jobs.cli.evidence import print_evidence, shown
from jobs.detector import Evidence
from jobs.names import Names

NAMES = Names({"light.hall": "Hall lamp", "light.hall_2": "Landing", "switch.tv": "TV"})


def test_headings_and_notes_have_names_instead_of_ids(capsys: pytest.CaptureFixture[str]) -> None:
    noted = "light.hall_2:on follows 3 of 4 times; my.light.hall and light.hall_20 are others"
    print_evidence(Evidence(("light.hall:off", "light.hall_2:on", "switch.tv"), [(1, 2, 3)], (noted,)), NAMES)
    printed = capsys.readouterr().out
    assert [name in printed for name in ("Hall lamp off", "Landing on", "TV", "switch.tv")] == [True, True, True, False]
    assert "Landing on follows 3 of 4 times; my.light.hall and light.hall_20 are others" in " ".join(printed.split())


def test_lengths_are_in_hours_and_minutes_and_what_came_earlier_is_negative() -> None:
    values = [shown("seconds between", value, NAMES, has_offsets=False) for value in (-150, -2, 0.0, 22453.0)]
    assert values == ["-2 min", "-2 s", "0 s", "6 h 14 min"]


def test_instants_keep_their_offset_on_the_day_of_a_clock_change_only(capsys: pytest.CaptureFixture[str]) -> None:
    summer, winter = "2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"
    print_evidence(Evidence(("from", "to", "seconds"), [(summer, winter, 3600.0)]), NAMES)
    assert "02:30:00+02:00" in capsys.readouterr().out
    print_evidence(Evidence(("from", "to", "seconds"), [(summer, summer, 0.0)]), NAMES)
    printed = capsys.readouterr().out
    assert ("02:30:00" in printed, "+02:00" in printed) == (True, False)


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        ("subject", "light.hall", "Hall lamp"),
        ("subject", "hall", "The hall"),
        ("subject", "home", "home"),
        ("habit", "light.hall|switch.tv", "Hall lamp and TV"),
        ("habit", "5a85d003af6587df", "5a85d003af6587df"),
    ],
)
def test_what_a_rollup_is_about_has_its_name(tag: str, value: str, name: str) -> None:
    assert Names(NAMES.entities, {"hall": "The hall"}).value(tag, value) == name
