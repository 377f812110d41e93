"""What a shell proposes for an unfinished word: measurements, detectors, and tags with their values.

Proposals never fail and never print: where the settings or the store cannot be read soon, there are none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any, Final

import typer

MAX_WAIT_SECONDS: Final = 2.0  # a person is waiting for the next character
RECENT_DAYS: Final = 28  # tags of rows that are older are not proposed


def measurements(_context: typer.Context, incomplete: str) -> list[str]:
    """Return the measurements of this package, and of detectors of others, that begin with a text."""
    return _quietly(lambda: _starting(_measurements(), incomplete))


def detectors(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the registered detectors that begin with a text."""
    return _quietly(lambda: _starting((one.detector.name for one in _home(context).registered), incomplete))


def conditions(context: typer.Context, incomplete: str) -> list[str]:
    """Return ``TAG=`` for each tag of the measurement that was named; after the ``=``, its values in the store."""
    return _quietly(lambda: _conditions(context, incomplete))


def groups(context: typer.Context, incomplete: str) -> list[str]:
    """Return the tags and periods that a summary of the measurement can be grouped by."""
    return _quietly(lambda: _starting(("date", "week", "month", *_model(context).tags()), incomplete))


def fields(context: typer.Context, incomplete: str) -> list[str]:
    """Return the fields of the measurement that was named."""
    return _quietly(lambda: _starting(_model(context).model_fields, incomplete))


def entities(context: typer.Context, incomplete: str) -> list[str]:
    """Return the entities that the store has rows of."""
    return _quietly(lambda: _starting(_values(context, "time_based_daily", "entity_id"), incomplete))


def _conditions(context: typer.Context, incomplete: str) -> list[str]:
    tag, equals, value = incomplete.partition("=")
    model = _model(context)
    if not equals:
        return [f"{name}=" for name in _starting(model.tags(), tag)]
    return [f"{tag}={one}" for one in _starting(_values(context, model.measurement, tag), value)]


def _measurements() -> list[str]:
    from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily  # noqa: PLC0415 - only where it is used
    from storage.rollup_models import ROLLUPS  # noqa: PLC0415 - only where it is used

    models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)
    return [model.measurement for model in models]


def _values(context: typer.Context, measurement: str, tag: str) -> list[str]:
    """Return the values that a tag has in recent rows of the store."""
    from jobs.cli.filters import model_of  # noqa: PLC0415 - only where it is used
    from storage.dates import DateRange  # noqa: PLC0415 - only where it is used

    home = _home(context)
    days = DateRange.ending(home.today(), RECENT_DAYS)
    with closing(home.open_store(read_only=True)) as store:
        found = store.summarize(model_of(home, measurement), days, {}, [tag])
    return sorted({str(group.by[tag]) for group in found})


def _model(context: typer.Context) -> Any:  # noqa: ANN401 - a model, of which only names are read
    from jobs.cli.filters import model_of  # noqa: PLC0415 - only where it is used

    # Of a line that ends with an option without its value, the arguments are not assigned yet.
    named = context.params.get("measurement") or next(iter(context.args), "")
    return model_of(_home(context), named)


def _home(context: typer.Context) -> Any:  # noqa: ANN401 - a home; importing its type takes time
    from jobs.wiring import open_home  # noqa: PLC0415 - only where it is used

    return open_home(context.find_root().params.get("config"), check_parameters=False)


def _starting(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _quietly(complete: Callable[[], list[str]]) -> list[str]:
    """Return proposals; none if they cannot be made in time."""
    found: list[str] = []

    def work() -> None:
        with suppress(Exception):  # a shell prints whatever this fails with into the line that is typed
            found.extend(complete())

    thread = threading.Thread(target=work, daemon=True)  # which the end of the process ends
    thread.start()
    thread.join(MAX_WAIT_SECONDS)
    return list(found)
