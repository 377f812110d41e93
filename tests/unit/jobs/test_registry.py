"""Detectors are found in the package and by entry points; broken ones are refused with their origin."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jobs.detectors
import jobs.rollups
from jobs.activity.building import example_day
from jobs.detector import EventDetector, Finding, HistoryDetector
from jobs.detectors.duration import Duration
from jobs.detectors.time_based import TimeBased
from jobs.registry import enabled_names, load
from storage.errors import DetectorInvalid, SettingsError
from storage.periods import cadence_of
from tests.support.packages import write_package

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from jobs.detector import Finding, detector
from storage.models import DailyAggregate, Tag

class VisitsDaily(DailyAggregate):
    measurement: ClassVar[str] = "visits_daily"
    door: Tag
    visits: int

@detector
@dataclass(frozen=True)
class Visits:
    name: ClassVar = "visits"
    version: ClassVar = 1
    model: ClassVar = VisitsDaily
    least: int = 3

    def detect(self, log):
        return Finding([VisitsDaily(date=log.window.day, door="front", visits=self.least)], "counted")
"""

Provide = Callable[..., None]


@pytest.fixture
def provide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provide]:
    """Installs a distribution with one module of detectors, as an installer would: files on the import path."""
    modules: list[str] = []

    def install(source: str, *names: str, distribution: str = "visitors", entry: str = "") -> None:
        modules.append(f"{distribution}_detectors")
        monkeypatch.syspath_prepend(write_package(tmp_path, source, *names, distribution=distribution, entry=entry))

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def files() -> list[str]:
    folders = [*jobs.detectors.__path__, *jobs.rollups.__path__]
    return sorted(module.name for module in pkgutil.iter_modules(folders) if module.name[0] != "_")


def refusal(settings: dict[str, Any] | None = None) -> str:
    with pytest.raises(DetectorInvalid) as error:
        load(settings)
    return str(error.value)


def problems(settings: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        load(settings)
    assert not isinstance(error.value, DetectorInvalid)
    return str(error.value)


def test_every_file_of_the_package_is_one_detector_of_its_name_and_measurement() -> None:
    registered = load()
    assert sorted(one.detector.name for one in registered) == files()
    for one in registered:
        cadence = cadence_of(one.detector.name)
        assert one.origin == f"jobs.{'rollups' if cadence else 'detectors'}.{one.detector.name}"
        assert one.detector.model.measurement == f"{one.detector.name}{'' if cadence else '_daily'}"
        assert one.detector.version >= 1
        assert one.enabled


def test_the_names_that_need_no_import_are_those_of_the_registered_detectors() -> None:
    assert enabled_names({}) == (files(), [])
    assert "anomaly" not in enabled_names({"anomaly": {"enabled": False}})[0]


def test_registered_detectors_satisfy_exactly_one_contract_and_are_sorted() -> None:
    registered = [one.detector for one in load()]
    assert all(isinstance(one, EventDetector) != isinstance(one, HistoryDetector) for one in registered)
    keys = [(isinstance(one, HistoryDetector), one.name) for one in registered]
    assert keys == sorted(keys)


def test_without_settings_detectors_run_with_their_defaults() -> None:
    by_name = {one.detector.name: one for one in load()}
    assert by_name["duration"].detector == Duration()
    assert by_name["time_based"].detector == TimeBased()
    assert by_name["time_based"].parameters == {"peak_false_discovery_rate": 0.05}


def test_detectors_are_values_that_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load()[0].detector.around_seconds = 1  # type: ignore[union-attr]


def test_parameters_come_from_the_settings_and_a_detector_can_be_switched_off() -> None:
    by_name = {
        one.detector.name: one
        for one in load({"duration": {"around_seconds": 60, "enabled": True}, "time_based": {"enabled": False}})
    }
    assert by_name["duration"].detector == Duration(around_seconds=60)
    assert (by_name["duration"].enabled, by_name["time_based"].enabled) == (True, False)


def test_the_settings_given_are_left_as_they_were() -> None:
    settings = {"duration": {"enabled": False, "around_seconds": 1}}
    load(settings)
    assert settings == {"duration": {"enabled": False, "around_seconds": 1}}


def test_an_unknown_detector_is_reported_with_the_nearest_or_with_all() -> None:
    assert "detectors.duraton: no such detector; did you mean 'duration'?" in problems({"duraton": {}})
    assert f"detectors.zzz: no such detector; there are {', '.join(files())}" in problems({"zzz": {}})


@pytest.mark.parametrize(
    ("key", "hint"), [("around_second", "; did you mean 'around_seconds'?"), ("enable", "; did you mean 'enabled'?")]
)
def test_an_unknown_key_is_reported_with_the_nearest(key: str, hint: str) -> None:
    assert f"detectors.duration.{key}: unknown key{hint}" in problems({"duration": {key: 1}})


@pytest.mark.parametrize("key", ["name", "version", "model", "detect"])
def test_what_a_detector_is_cannot_be_set(key: str) -> None:
    assert f"detectors.duration.{key}: unknown key" in problems({"duration": {key: "x"}})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("duration", "around_seconds", -1),
        ("duration", "around_seconds", 86_401),
        ("duration", "around_seconds", "long"),
        ("duration", "around_seconds", 1.5),
        ("time_based", "peak_false_discovery_rate", 0),
        ("time_based", "peak_false_discovery_rate", 1),
        ("time_based", "peak_false_discovery_rate", float("nan")),
        ("time_based", "enabled", "perhaps"),
        ("time_based", "enabled", []),
    ],
)
def test_a_value_that_a_detector_does_not_take_is_reported_by_its_place(name: str, key: str, value: object) -> None:
    assert f"detectors.{name}.{key}: " in problems({name: {key: value}})


def test_all_problems_of_the_settings_are_reported_at_once() -> None:
    message = problems({"duration": {"around_seconds": -1}, "time_based": {"peek": 1}, "zzz": {}})
    for place in ("detectors.duration.around_seconds", "detectors.time_based.peek", "detectors.zzz"):
        assert place in message


def test_unknown_keys_and_wrong_values_of_one_detector_are_reported_together() -> None:
    message = problems({"duration": {"around_seconds": -1, "zzz": 1}})
    assert "detectors.duration.zzz" in message
    assert "detectors.duration.around_seconds" in message


def test_another_package_adds_its_detector_by_an_entry_point(provide: Provide) -> None:
    provide(GOOD, "Visits")
    (visits,) = (one for one in load({"visits": {"least": 5}}) if one.detector.name == "visits")
    assert "visitors_detectors:Visits" in visits.origin
    assert "visitors" in visits.origin
    assert visits.parameters == {"least": 5}
    assert isinstance(visits.detector, EventDetector)
    log = example_day([(0, "light.a", "off")])
    found: Finding = visits.detector.detect(log)
    assert (found.reason, [row.key() for row in found.rows]) == ("counted", [("front",)])


def test_its_unknown_keys_and_values_are_refused_like_our_own(provide: Provide) -> None:
    provide(GOOD, "Visits")
    assert "detectors.visits.leest: unknown key; did you mean 'least'?" in problems({"visits": {"leest": 1}})
    assert "detectors.visits.least: " in problems({"visits": {"least": "few"}})


BROKEN = {
    "a name that is none": (GOOD.replace('"visits"', '"Visits!"'), "'Visits!'"),
    "a name that is taken": (GOOD.replace('"visits', '"duration'), "duration is registered twice"),
    "another measurement": (GOOD.replace('= "visits"', '= "callers"'), "'visits_daily', not 'callers_daily'"),
    "no positive version": (GOOD.replace("version: ClassVar = 1", "version: ClassVar = 0"), "version 0"),
    "no version": (GOOD.replace("    version: ClassVar = 1\n", ""), "version None"),
    "a version that is a flag": (GOOD.replace("ClassVar = 1", "ClassVar = True"), "version True"),
    "no model": (GOOD.replace("ClassVar = VisitsDaily", "ClassVar = int"), "model is not a DailyAggregate"),
    "no method": (GOOD.replace("def detect", "def detekt"), "detect(log) or judge(day, history)"),
    "both methods": (GOOD + "\n    def judge(self, day, history): ...\n", "detect(log) or judge(day, history)"),
    "no dataclass": (GOOD.replace("@dataclass(frozen=True)\n", ""), "is not a dataclass"),
    "a field no store keeps": (GOOD.replace("visits: int", "visits: bool"), "VisitsDaily.visits: no store can keep"),
    "a model without a tag": (GOOD.replace("door: Tag", "door: str"), "no field annotated as Tag"),
    "an import that fails": (GOOD + "\nimport no_such_module_anywhere\n", "no_such_module_anywhere"),
    "a module that raises": ("raise OSError('on purpose')\n", "OSError: on purpose"),
    "a syntax error": ("class Visits(:\n", "SyntaxError"),
    "no such class": (GOOD.replace("class Visits:", "class Other:"), "Visits"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_detector_is_refused_with_its_origin_and_its_fault(provide: Provide, case: str) -> None:
    source, fault = BROKEN[case]
    provide(source, "Visits")
    message = refusal()
    assert fault in message
    assert "visitors_detectors:Visits" in message
    assert "of visitors" in message


def test_a_detector_whose_parameter_has_no_default_is_refused_or_reported(provide: Provide) -> None:
    provide(GOOD.replace("least: int = 3", "least: int"), "Visits")
    with pytest.raises(SettingsError, match=r"detectors\.visits\.least"):
        load()
    assert "visits" in {one.detector.name for one in load({"visits": {"least": 1}})}


def test_a_name_that_two_packages_give_is_refused_with_both_origins(provide: Provide) -> None:
    provide(GOOD, "Visits", distribution="first")
    provide(GOOD, "Visits", distribution="second")
    message = refusal()
    assert "visits is registered twice" in message
    assert "first_detectors:Visits of first" in message
    assert "second_detectors:Visits of second" in message


def test_all_refusals_are_reported_at_once(provide: Provide) -> None:
    provide(BROKEN["no model"][0], "Visits", distribution="first")
    provide("raise OSError('on purpose')\n", "Visits", distribution="second")
    message = refusal()
    assert "of first" in message
    assert "of second" in message


def test_an_entry_point_that_names_no_class_is_refused(provide: Provide) -> None:
    provide(GOOD, entry="visits = visitors_detectors")
    assert "visitors_detectors of visitors: is not a dataclass" in refusal()


@pytest.mark.parametrize("error", ["SystemExit(0)", "GeneratorExit()", "RecursionError()", "MemoryError()"])
def test_whatever_a_package_raises_when_it_is_imported_is_named_and_ends_nothing(provide: Provide, error: str) -> None:
    provide(f"raise {error}\n", "Visits")
    message = refusal()
    assert "visitors_detectors:Visits of visitors: cannot be loaded" in message
    assert error.partition("(")[0] in message
    with pytest.raises(DetectorInvalid):
        enabled_names({})


def test_what_a_package_prints_when_it_is_imported_is_no_output(
    provide: Provide, capfd: pytest.CaptureFixture[str]
) -> None:
    provide(GOOD + "\nprint('hello')\n", "Visits")
    load()
    found = capfd.readouterr()
    assert (found.out, found.err) == ("", "hello\n")


@pytest.mark.parametrize("error", ["SystemExit(0)", "ZeroDivisionError(0)"])
def test_a_detector_that_cannot_be_made_is_a_problem_of_its_own_settings(provide: Provide, error: str) -> None:
    provide(GOOD + f"\n    def __post_init__(self):\n        raise {error}\n", "Visits")
    assert re.search(rf"detectors\.visits: cannot be made: .*{error.partition('(')[0]}", problems({}))


def test_the_name_of_the_records_of_runs_is_taken(provide: Provide) -> None:
    provide(GOOD.replace("visits_daily", "detector_run_daily").replace('"visits"', '"detector_run"'), "Visits")
    assert "is that of the records of runs" in refusal()
