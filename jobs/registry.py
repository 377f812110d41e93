"""What a detector is, and how the registered ones are found.

A detector is a frozen dataclass whose fields are its parameters, marked with ``@detector``. It has a ``name``, a
``version`` (raise it when the same day would give other rows) and the ``model`` of its rows, whose measurement is
``<name>_daily``. To add one, add a file of its name to ``jobs/detectors``; another package adds its own by an entry
point of the group ``pattern_aggregates.detectors``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from jobs.isolation import describe, run_isolated
from storage.columns import closest, columns
from storage.errors import DetectorInvalid
from storage.models import DailyAggregate, DetectorRunDaily
from storage.plurals import counted
from storage.settings_check import Problem, problems_error, unknown_key
from storage.settings_file import Document
from storage.store import AggregateReader

if TYPE_CHECKING:
    from jobs.activity.events import DayLog  # loads numpy, which a list of detectors does not need

__all__ = [  # what detectors of other packages build on
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
PACKAGE: Final = "jobs.detectors"

RENAMED_PARAMETERS: Final[Mapping[str, str]] = {
    "wired": "linked",
    "longest": "max_steps",
    "most_links": "max_links",
    "most_rows": "max_rows",
    "least_days": "min_days",
    "complete": "min_known_share",
}
RENAMED_VALUES: Final[Mapping[str, Mapping[str, str]]] = {"linked": {"leave_out": "exclude", "mark": "flag"}}

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MARK = "__pattern_aggregates_detector__"
C = TypeVar("C", bound=type)
_Candidate = tuple[Any, str, str]  # perhaps a detector class, where it was found, why it could not be loaded


class Finding(NamedTuple):
    """What a detector found on one day.

    Attributes:
        rows: Its aggregates, all of its model and of the day.
        reason: What was tested, cut and not judged, in words; it matters most where there are no rows.
    """

    rows: Sequence[DailyAggregate]
    reason: str


class Evidence(NamedTuple):
    """The evidence behind one row, as a table.

    Attributes:
        columns: The headings.
        lines: The lines, a value for each heading.
        notes: What the table cannot show, in words.
    """

    columns: tuple[str, ...]
    lines: list[tuple[str | int | float, ...]]
    notes: tuple[str, ...] = ()


class NotJudged(Finding):
    """The detector could not judge the day; what is already stored for that day stays.

    It has no rows, and ``reason`` says why.
    """

    __slots__ = ()


def left_out(count: int, singular: str, plural: str) -> list[str]:
    """Return the part of a reason that says how many of what were left out; empty if none were."""
    return [f"{counted(count, singular, plural)} left out"] if count > 0 else []


class Described(Protocol):
    """The attributes that every detector has."""

    @property
    def name(self) -> str:
        """One word: its file, its settings table, the prefix of its measurement, and a field in logs."""
        ...

    @property
    def version(self) -> int:
        """A whole number, raised when the same day would give other rows."""
        ...

    @property
    def model(self) -> type[DailyAggregate]:
        """The class of its rows."""
        ...


@runtime_checkable
class EventDetector(Described, Protocol):
    """A detector that reads the events of one day: a function of the log only."""

    def detect(self, log: DayLog) -> Finding:
        """Return the day's rows."""
        ...


@runtime_checkable
class HistoryDetector(Described, Protocol):
    """A detector that reads stored aggregates, so that it never needs raw events."""

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return the day's rows, from what is stored or staged up to this day; ``NotJudged`` if that is too little."""
        ...


@runtime_checkable
class ExplainsByEvents(Protocol):
    """An event detector that can show the evidence behind one of its rows."""

    def explain(self, row: Any, log: DayLog) -> Evidence:  # noqa: ANN401 - a row of the detector's model
        """Return the evidence behind a row, from the log of its day."""
        ...


@runtime_checkable
class ExplainsByHistory(Protocol):
    """A history detector that can show the evidence behind one of its rows."""

    def explain_by_history(self, row: Any, history: AggregateReader) -> Evidence:  # noqa: ANN401 - a row of its model
        """Return the evidence behind a row, from what is stored."""
        ...


Detector = EventDetector | HistoryDetector


def detector(cls: C) -> C:
    """Mark a class as a detector, so that ``load`` finds it."""
    setattr(cls, _MARK, True)
    return cls


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
    problems = _unknown_detectors(settings, found)
    for name, (cls, origin) in found.items():
        table = dict(settings.get(name, {}))
        enabled, fault = _enabled(name, table.pop("enabled", True))
        instance, faults = _instance(cls, name, table)
        problems += fault + faults
        if instance is not None:
            registered.append(Registered(instance, origin, enabled))
    return sorted(registered, key=lambda one: (isinstance(one.detector, HistoryDetector), one.detector.name)), problems


def enabled_names(settings: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[Problem]]:
    """Return the names of the enabled detectors, sorted, and the problems of the settings, parameters unchecked.

    Of the package's own detectors none is imported, so this takes no time.

    Raises:
        DetectorInvalid: A detector of another package is broken.
    """
    names = {module.name.rpartition(".")[2] for module in _modules()}
    names |= {cls.name for cls, *_ in _checked(_from_entry_points())}
    problems = _unknown_detectors(settings, names)
    enabled = []
    for name in sorted(names):
        is_enabled, fault = _enabled(name, settings.get(name, {}).get("enabled", True))
        problems += fault
        enabled += [name] if is_enabled else []
    return enabled, problems


def _unknown_detectors(settings: Iterable[str], known: Iterable[str]) -> list[Problem]:
    """Return a problem for each settings table that no detector has."""
    return [
        (f"detectors.{name}", f"no such detector; {closest(name, known) or 'there are ' + ', '.join(sorted(known))}")
        for name in settings
        if name not in known
    ]


def _enabled(name: str, value: object) -> tuple[bool, list[Problem]]:
    try:
        return TypeAdapter(bool).validate_python(value), []
    except ValidationError:
        return False, [(f"detectors.{name}.enabled", "must be true or false")]


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
        fault = error or run_isolated(partial(_fault, cls))
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


def _modules() -> Iterator[pkgutil.ModuleInfo]:
    """Yield the modules that are named for a detector; one whose name begins with an underscore is part of another."""
    for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__, f"{PACKAGE}."):
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
            if isinstance(value, type) and _MARK in vars(value) and value.__module__ == module.__name__:
                yield value, module.__name__, ""


def _from_entry_points() -> Iterator[_Candidate]:
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else "an unknown distribution"
        origin = f"{entry.value} of {distribution}"
        try:
            yield run_isolated(entry.load), origin, ""
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
    if model.measurement != f"{name}_daily":
        return f"its model's measurement is {model.measurement!r}, not '{name}_daily'"
    try:
        columns(model)
    except TypeError as error:
        return str(error)
    if callable(getattr(cls, "detect", None)) == callable(getattr(cls, "judge", None)):
        return "it needs either detect(log) or judge(day, history)"
    return ""


def _instance(cls: Any, name: str, parameters: Mapping[str, Any]) -> tuple[Detector | None, list[Problem]]:  # noqa: ANN401 - a detector class
    """Make a detector with its parameters; None if these have problems."""
    known = [field.name for field in dataclasses.fields(cls)]
    problems: list[Problem] = []
    for key, value in parameters.items():
        where = f"detectors.{name}.{key}"
        if key not in known:
            renamed = {old: new for old, new in RENAMED_PARAMETERS.items() if new in known}
            also = _renamed_value(renamed.get(key, ""), value)
            problems.append((where, unknown_key(key, (*known, "enabled"), renamed) + (f", and {also}" if also else "")))
        elif also := _renamed_value(key, value):
            problems.append((where, also))
    reported = {where for where, _ in problems}
    built = None
    try:
        given = {key: parameters[key] for key in known if key in parameters}
        built = run_isolated(partial(TypeAdapter(cls).validate_python, given))
    except ValidationError as error:
        found = ((f"detectors.{name}.{'.'.join(map(str, part['loc']))}", part["msg"]) for part in error.errors())
        problems += [(where, message) for where, message in found if where not in reported]
    except Exception as error:  # noqa: BLE001 - a detector's own check of its parameters may raise anything
        problems.append((f"detectors.{name}", f"cannot be made: {describe(error)}"))
    return (None if problems else built), problems


def _renamed_value(key: str, value: object) -> str:
    """Say how a value is called now, if an earlier version had another word for it."""
    new = RENAMED_VALUES.get(key, {}).get(value) if isinstance(value, str) else None
    return f"its value {value!r} is now {new!r}" if new is not None else ""
