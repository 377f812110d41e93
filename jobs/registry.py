"""The registry: how detectors are found, checked, and given their parameters.

To add a detector (``jobs.detector`` says what one is), add a file of its name to ``jobs/detectors``, or of a rollup to
``jobs/rollups``; another package adds its own by an entry point of the group ``pattern_aggregates.detectors``.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobs.detector import (
    MARK,
    AggregateReader,
    Described,
    Detector,
    EventDetector,
    Evidence,
    ExplainsByEvents,
    ExplainsByHistory,
    Finding,
    HistoryDetector,
    NotJudged,
    detector,
)
from jobs.detector_parameters import make, read_enabled, unknown_detectors
from jobs.isolation import describe, load_isolated, note_foreign_code, run_isolated
from storage.columns import columns
from storage.errors import DetectorInvalid
from storage.models import DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of
from storage.settings_check import Problem, problems_error
from storage.settings_file import Document

__all__ = [  # what detectors written for version 0.1.0 import from here; it is ``jobs.detector``'s now
    "AggregateReader",
    "Described",
    "Detector",
    "EventDetector",
    "Evidence",
    "ExplainsByEvents",
    "ExplainsByHistory",
    "Finding",
    "HistoryDetector",
    "NotJudged",
    "detector",
]

GROUP: Final = "pattern_aggregates.detectors"
PACKAGES: Final = ("jobs.detectors", "jobs.rollups")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_Candidate = tuple[Any, str, str]  # perhaps a detector class, where it was found, why it could not be loaded


class Registered(NamedTuple):
    """A detector ready to run.

    Attributes:
        detector: The detector with its parameters.
        origin: Where it was found.
        enabled: Whether the settings let it run.
    """

    detector: Detector
    origin: str
    enabled: bool

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters it runs with."""
        return dataclasses.asdict(self.detector)  # type: ignore[call-overload, no-any-return]  # _fault has checked it


def load(settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Registered]:
    """Return all registered detectors with their parameters: event detectors first, then by name.

    Args:
        settings: The ``[detectors.NAME]`` tables: ``enabled`` and the detector's own parameters.

    Raises:
        DetectorInvalid: Some detectors are broken, or two share a name; all of them are named with their origins.
        SettingsError: A table names no detector, or has a key or value that its detector does not take.
    """
    registered, problems = build(settings or {})
    if problems:
        raise problems_error(Document({}, Path(), "[detectors]"), problems)
    return registered


def build(settings: Mapping[str, Mapping[str, Any]]) -> tuple[list[Registered], list[Problem]]:
    """Do what ``load`` does, but return the problems of the settings instead of raising them.

    Raises:
        DetectorInvalid: As for ``load``.
    """
    found = _find()
    registered = []
    problems = unknown_detectors(settings, found)
    for name, (cls, origin) in found.items():
        table = dict(settings.get(name, {}))
        enabled, fault = read_enabled(name, table.pop("enabled", True))
        instance, faults = make(cls, name, table)
        problems += fault + faults
        if instance is not None:
            registered.append(Registered(instance, origin, enabled))
    return sorted(registered, key=_place_in_day), problems


def enabled_names(settings: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[Problem]]:
    """Return the names of the enabled detectors, sorted, and the problems of the settings, parameters unchecked.

    Of the package's own detectors none is imported, so this takes no time.

    Raises:
        DetectorInvalid: A detector of another package is broken.
    """
    names = {module.name.rpartition(".")[2] for module in _modules()}
    names |= {cls.name for cls, *_ in _checked(_from_entry_points())}
    problems = unknown_detectors(settings, names)
    enabled = []
    for name in sorted(names):
        is_enabled, fault = read_enabled(name, settings.get(name, {}).get("enabled", True))
        problems += fault
        enabled += [name] if is_enabled else []
    return enabled, problems


def foreign_models() -> list[type[DailyAggregate]]:
    """Return the models of the detectors of other packages, also of those that are not enabled.

    Raises:
        DetectorInvalid: One of them is broken.
    """
    return [cls.model for cls, _ in _checked(_from_entry_points())]


def _place_in_day(one: Registered) -> tuple[bool, bool, str]:
    """Events before history, and those of other packages last, so that no mistake in them reaches ours on that day."""
    is_foreign = not one.origin.startswith(tuple(f"{package}." for package in PACKAGES))
    return isinstance(one.detector, HistoryDetector), is_foreign, one.detector.name


def _find() -> dict[str, tuple[Any, str]]:
    """Return every detector class with its origin, by name."""
    found: dict[str, tuple[Any, str]] = {}
    for cls, origin in _checked(chain(_from_package(), _from_entry_points())):
        found[cls.name] = cls, origin
    return found


def _checked(candidates: Iterable[_Candidate]) -> list[tuple[Any, str]]:
    """Return classes with their origins if all of them are valid detectors with a name of their own."""
    origins: dict[str, str] = {}
    checked: list[tuple[Any, str]] = []
    problems: list[str] = []
    for cls, origin, error in candidates:
        fault = error or _checked_fault(cls, origin)
        if fault:
            problems.append(f"{origin}: {fault}")
        elif cls.name in origins:
            problems.append(f"{cls.name} is registered twice: by {origins[cls.name]} and by {origin}")
        else:
            origins[cls.name] = origin
            checked.append((cls, origin))
    if problems:
        raise DetectorInvalid("detectors cannot be registered:\n" + "\n".join(f"  {problem}" for problem in problems))
    return checked


def _checked_fault(cls: Any, origin: str) -> str:  # noqa: ANN401 - it may be anything
    try:
        return load_isolated(partial(_fault, cls), f"checking {origin}")
    except Exception as error:  # noqa: BLE001 - the attributes of another package's class may raise anything
        return f"cannot be checked: {describe(error)}"


def _modules() -> Iterator[pkgutil.ModuleInfo]:
    """Yield the modules that are named for a detector; one whose name begins with an underscore is part of another."""
    for package in PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.rpartition(".")[2].startswith("_"):
                yield module


def _from_package() -> Iterator[_Candidate]:
    for module_info in _modules():
        try:
            module = run_isolated(partial(importlib.import_module, module_info.name))
        except Exception as error:  # noqa: BLE001 - whatever a file that was added raises is reported
            yield None, module_info.name, f"cannot be loaded: {describe(error)}"
            continue
        for value in vars(module).values():
            if isinstance(value, type) and MARK in vars(value) and value.__module__ == module.__name__:
                yield value, module.__name__, ""


def _from_entry_points() -> Iterator[_Candidate]:
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else "an unknown distribution"
        origin = f"{entry.value} of {distribution}"
        note_foreign_code()
        try:
            yield load_isolated(entry.load, f"importing {entry.module}"), origin, ""
        except Exception as error:  # noqa: BLE001 - whatever another package raises is reported
            yield None, origin, f"cannot be loaded: {describe(error)}"


def _fault(cls: Any) -> str:  # noqa: ANN401, PLR0911 - it may be anything; the first fault decides
    """Return why an object is not a valid detector class; empty if it is one."""
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        return "is not a dataclass"
    name, version, model = (getattr(cls, attribute, None) for attribute in ("name", "version", "model"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"its name {name!r} is not lower-case letters, digits and underscores"
    if type(version) is not int or version < 1:
        return f"its version {version!r} is not a positive whole number"
    if not isinstance(model, type) or not issubclass(model, DailyAggregate):
        return "its model is not a DailyAggregate"
    if model.measurement == DetectorRunDaily.measurement:
        return f"its model's measurement {model.measurement!r} is that of the records of runs"
    if fault := _period_fault(cls, name):
        return fault
    expected = name if cadence_of(name) else f"{name}_daily"
    if model.measurement != expected:
        return f"its model's measurement is {model.measurement!r}, not {expected!r}"
    try:
        columns(model)
    except TypeError as error:
        return str(error)
    if callable(getattr(cls, "detect", None)) == callable(getattr(cls, "judge", None)):
        return "it needs either detect(log) or judge(day, history)"
    return ""


def _period_fault(cls: Any, name: str) -> str:  # noqa: ANN401 - a detector class
    """Return why a class is not a valid rollup although it has a rollup's name or cadence; empty otherwise."""
    by_name, cadence = cadence_of(name), getattr(cls, "cadence", None)
    if by_name is None and cadence is None:
        return ""
    if by_name != cadence:
        return f"its cadence is {cadence!r}: that of a name ending with _weekly or _monthly, and of no other name"
    if type(getattr(cls, "history_days", None)) is not int or not getattr(cls, "reads", None):
        return "a rollup needs history_days and reads"
    return "" if callable(getattr(cls, "judge", None)) else "a rollup needs judge(day, history)"
