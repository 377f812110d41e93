"""The parameters of detectors: the ``[detectors.NAME]`` tables of the settings, checked and given to the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from jobs.detector import Detector
from jobs.isolation import describe, load_isolated
from storage.columns import closest
from storage.settings_check import Problem, unknown_key

RENAMED_PARAMETERS: Final[Mapping[str, str]] = {
    "wired": "linked",
    "longest": "max_steps",
    "most_links": "max_links",
    "most_rows": "max_rows",
    "least_days": "min_days",
    "complete": "min_known_share",
}
RENAMED_VALUES: Final[Mapping[str, Mapping[str, str]]] = {"linked": {"leave_out": "exclude", "mark": "flag"}}


def unknown_detectors(settings: Iterable[str], known: Iterable[str]) -> list[Problem]:
    """Return a problem for each settings table that no detector has."""
    return [
        (f"detectors.{name}", f"no such detector; {closest(name, known) or 'there are ' + ', '.join(sorted(known))}")
        for name in settings
        if name not in known
    ]


def read_enabled(name: str, value: object) -> tuple[bool, list[Problem]]:
    """Return whether the settings let a detector run, and the problem if the value is not valid."""
    try:
        return TypeAdapter(bool).validate_python(value), []
    except ValidationError:
        return False, [(f"detectors.{name}.enabled", "must be true or false")]


def make(cls: Any, name: str, parameters: Mapping[str, Any]) -> tuple[Detector | None, list[Problem]]:  # noqa: ANN401 - a detector class
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
        validate = partial(TypeAdapter(cls).validate_python, given)
        built = load_isolated(validate, f"making {name}", passing=(ValidationError,))
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
