"""What a detector is, and how the registered ones are found.

A detector is a frozen dataclass whose fields are its parameters, marked with ``@detector``. It has a ``name``, a
``version`` (raise it when the same day would give other rows) and the ``model`` of its rows, whose measurement is
``<name>_daily``. Adding one is adding one file to ``jobs/detectors``; another package adds its own by an entry point
of the group ``pattern_aggregates.detectors``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from jobs.activity.events import DayLog
from storage.columns import closest, columns
from storage.errors import DetectorInvalid, SettingsError
from storage.models import DailyAggregate
from storage.store import AggregateReader

GROUP: Final = "pattern_aggregates.detectors"
PACKAGE: Final = "jobs.detectors"

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MARK = "__pattern_aggregates_detector__"
C = TypeVar("C", bound=type)


class Finding(NamedTuple):
    """What a detector has to say of one day.

    Attributes:
        rows: Its aggregates, all of its model and of the day.
        reason: What was tested, cut and not judged, in words; it matters most where there are no rows.
    """

    rows: Sequence[DailyAggregate]
    reason: str


class Evidence(NamedTuple):
    """What speaks for one row, as a table.

    Attributes:
        columns: The headings.
        lines: The lines, a value for each heading.
        notes: What the lines do not say, in words.
    """

    columns: tuple[str, ...]
    lines: list[tuple[str | int | float, ...]]
    notes: tuple[str, ...] = ()


class NotJudged(Finding):
    """A finding that says nothing of the day, not even that nothing happened: what is stored of it stays.

    Its ``reason`` says why; it has no rows.
    """

    __slots__ = ()


def left_out(count: int, what: str) -> list[str]:
    """A part of a reason, where there is something to say: how many of what were left out."""
    return [f"{count:,} {what} left out"] if count else []


class Described(Protocol):
    """What every detector says of itself."""

    @property
    def name(self) -> str:
        """One word for file, settings table, measurement prefix and log field."""
        ...

    @property
    def version(self) -> int:
        """Raised when the same day would give other rows."""
        ...

    @property
    def model(self) -> type[DailyAggregate]:
        """The class of its rows."""
        ...


@runtime_checkable
class EventDetector(Described, Protocol):
    """Judges a day by its events: a function of the log only."""

    def detect(self, log: DayLog) -> Finding:
        """The day's rows."""
        ...


@runtime_checkable
class HistoryDetector(Described, Protocol):
    """Judges a day by stored aggregates, so it needs no raw events, then or later."""

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """The day's rows, from what is stored (or staged) up to this day; ``NotJudged`` if that is too little."""
        ...


@runtime_checkable
class ExplainsByEvents(Protocol):
    """An event detector that can say what speaks for one of its rows."""

    def explain(self, row: Any, log: DayLog) -> Evidence:  # noqa: ANN401 - a row of the detector's model
        """The evidence for a row of its model, from the log of its day."""
        ...


@runtime_checkable
class ExplainsByHistory(Protocol):
    """A history detector that can say what speaks for one of its rows."""

    def explain_by_history(self, row: Any, history: AggregateReader) -> Evidence:  # noqa: ANN401 - a row of its model
        """The evidence for a row of its model, from what is stored."""
        ...


Detector = EventDetector | HistoryDetector


def detector(cls: C) -> C:
    """Mark a class as a detector, to be found by ``load``."""
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
        return dataclasses.asdict(self.detector)  # type: ignore[call-overload, no-any-return]  # checked by _fault


def load(settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Registered]:
    """All registered detectors with their parameters, those that judge events first, then by name.

    Args:
        settings: The ``[detectors.NAME]`` tables: ``enabled`` and the detector's own parameters.

    Raises:
        DetectorInvalid: Some are broken or share a name or measurement; all of them are named with their origins.
        SettingsError: A table names no detector or has a key or value that its detector does not take.
    """
    found = _find()
    registered, problems = [], []
    settings = settings or {}
    for name in settings:
        if name not in found:
            near = closest(name, found) or f"there are {', '.join(sorted(found))}"
            problems.append(f"detectors.{name}: no such detector; {near}")
    for name, (cls, origin) in found.items():
        parameters = dict(settings.get(name, {}))
        enabled = parameters.pop("enabled", True)
        try:
            enabled = TypeAdapter(bool).validate_python(enabled)
        except ValidationError:
            problems.append(f"detectors.{name}.enabled: must be true or false")
        instance, faults = _build(cls, name, parameters)
        problems += faults
        if instance is not None:
            registered.append(Registered(instance, origin, bool(enabled)))
    if problems:
        raise SettingsError("problems with the detectors' settings:\n" + "\n".join(f"  {p}" for p in problems))
    return sorted(registered, key=lambda one: (isinstance(one.detector, HistoryDetector), one.detector.name))


def _find() -> dict[str, tuple[Any, str]]:
    """Every detector class with its origin, by name."""
    found: dict[str, tuple[Any, str]] = {}
    problems: list[str] = []
    for cls, origin, trouble in (*_from_package(), *_from_entry_points()):
        fault = trouble or _fault(cls)
        if fault:
            problems.append(f"{origin}: {fault}")
        elif cls.name in found:
            problems.append(f"{cls.name} is registered twice: by {found[cls.name][1]} and by {origin}")
        else:
            found[cls.name] = cls, origin
    if problems:
        raise DetectorInvalid("detectors cannot be registered:\n" + "\n".join(f"  {problem}" for problem in problems))
    return found


def _from_package() -> Iterator[tuple[Any, str, str]]:
    package = importlib.import_module(PACKAGE)
    for module_info in pkgutil.iter_modules(package.__path__, f"{PACKAGE}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if isinstance(value, type) and _MARK in vars(value) and value.__module__ == module.__name__:
                yield value, module.__name__, ""


def _from_entry_points() -> Iterator[tuple[Any, str, str]]:
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else "an unknown distribution"
        origin = f"{entry.value} of {distribution}"
        try:
            yield entry.load(), origin, ""
        except Exception as error:  # noqa: BLE001 - whatever another package raises is reported
            yield None, origin, f"cannot be loaded: {type(error).__name__}: {error}"


def _fault(cls: Any) -> str:  # noqa: ANN401, PLR0911 - it may be anything; the first fault decides
    """What keeps an object from being a detector class; empty if nothing does."""
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        return "is no dataclass"
    name, version, model = (getattr(cls, attribute, None) for attribute in ("name", "version", "model"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"its name {name!r} is not lower-case letters, digits and underscores"
    if type(version) is not int or version < 1:
        return f"its version {version!r} is no positive whole number"
    if not isinstance(model, type) or not issubclass(model, DailyAggregate):
        return "its model is no DailyAggregate"
    if model.measurement != f"{name}_daily":
        return f"its model's measurement is {model.measurement!r}, not '{name}_daily'"
    try:
        columns(model)
    except TypeError as error:
        return str(error)
    if callable(getattr(cls, "detect", None)) == callable(getattr(cls, "judge", None)):
        return "it needs either detect(log) or judge(day, history)"
    return ""


def _build(cls: Any, name: str, parameters: dict[str, Any]) -> tuple[Detector | None, list[str]]:  # noqa: ANN401 - a detector class
    known = [field.name for field in dataclasses.fields(cls)]
    faults = []
    for key in (key for key in parameters if key not in known):
        hint = closest(key, (*known, "enabled"))
        faults.append(f"detectors.{name}.{key}: unknown key" + (f"; {hint}" if hint else ""))
    built = None
    try:
        built = TypeAdapter(cls).validate_python({key: parameters[key] for key in known if key in parameters})
    except ValidationError as error:
        faults += [f"detectors.{name}.{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
    return (None if faults else built), faults
