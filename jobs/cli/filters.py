"""What a command is asked about: a measurement by its name, and rows by the values of their tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from jobs.cli.app import print_message
from jobs.wiring import Home
from storage.columns import closest
from storage.dates import DateRange
from storage.errors import UsageError
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.rollup_models import ROLLUPS
from storage.store import AggregateReader

Conditions = dict[str, list[str]]

_GLOB_CHARACTERS = frozenset("*?[")


def model_of(home: Home, measurement: str) -> type[DailyAggregate]:
    """Return the model of a measurement, whose name may lack the ending ``_daily``."""
    built_in: tuple[type[DailyAggregate], ...] = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)
    models = {model.measurement: model for model in built_in}
    models |= {one.detector.model.measurement: one.detector.model for one in home.registered}
    found = models.get(measurement) or models.get(f"{measurement}_daily")
    if found is None:
        hint = closest(measurement, models) or f"There are {', '.join(sorted(models))}."
        raise UsageError(f"unknown measurement {measurement!r}", hint=hint)
    return found


def conditions_of(where: Sequence[str]) -> Conditions:
    """Return the values that ``--where TAG=VALUE`` options name for each tag."""
    conditions: Conditions = defaultdict(list)
    for condition in where:
        tag, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(f"--where {condition!r} is not a valid filter", hint="Write it as TAG=VALUE.")
        conditions[tag].append(value)
    return dict(conditions)


def is_glob(value: str) -> bool:
    """Return whether a value is a pattern such as ``light.*``."""
    return not _GLOB_CHARACTERS.isdisjoint(value)


def without_globs(
    store: AggregateReader, model: type[DailyAggregate], days: DateRange, conditions: Mapping[str, Sequence[str]]
) -> Conditions:
    """Return conditions with the stored values that match in place of each glob; a tag that nothing matches has none.

    The store lists the values of a tag, so rows that do not match are not read. A value that is stored as it was typed
    is not taken for a glob.
    """
    found: Conditions = {}
    for tag, values in conditions.items():
        globs = [value for value in values if is_glob(value)]
        found[tag] = [value for value in values if value not in globs]
        if not globs:
            continue
        stored = sorted({str(group.by[tag]) for group in store.summarize(model, days, {}, [tag])})
        for glob in globs:
            matching = [glob] if glob in stored else [value for value in stored if fnmatchcase(value, glob)]
            if not matching:
                print_message(f"no {tag} from {days} matches {glob}", style="yellow")
            found[tag] += [value for value in matching if value not in found[tag]]
    return found
