"""Everything of a home that could be wrong, each with what to do about it: for ``doctor`` and ``setup``."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from jobs.activity.entities import Entity
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from jobs.cli.app import MAX_DAYS
from jobs.lost_days import find_lost_days
from jobs.outcome import Outcome
from jobs.sentences.wording import length, listed
from jobs.sources.base import DatesNewestRow
from jobs.wiring import Home
from storage.errors import HomeMismatch, PatternAggregatesError, SettingsError, SourceMismatch, StoreMissing
from storage.ledger.entry import Status
from storage.plurals import counted
from storage.settings_file import hint_with_origin, secrets_in

LIBRARIES = ("numpy", "pydantic", "sqlalchemy", "apscheduler", "influxdb-client")
MAX_AGE_SECONDS = 6 * 3600  # of the newest row; a living home records something much more often
NAMES_OF_UTC = frozenset({"UTC", "UCT", "Universal", "Zulu"})
MIN_FREE_BYTES = 16 * 2**20  # with less, a run soon runs out of space


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    about: str
    verdict: Literal["ok", "note", "problem"]
    found: str
    hint: str = ""
    outcome: Outcome = Outcome.INCOMPLETE  # if it is a problem


def _problem(about: str, error: PatternAggregatesError) -> Check:
    """Return the check that an error has ended; settings that name the wrong thing have an exit code of their own."""
    is_wrong = isinstance(error, SettingsError) and not isinstance(error, SourceMismatch)
    outcome = Outcome.of_error(error) if is_wrong else Outcome.INCOMPLETE
    return Check(about, "problem", str(error), error.hint, outcome)


def check_home(home: Home) -> tuple[list[Check], list[Entity]]:
    """Check everything of a home that could be wrong. Nothing is changed.

    Returns:
        The checks, and the entities of the newest day, ordered by class and id; none if the source cannot be read.
    """
    checks = [*_settings(home), *_store(home), *_ledger(home), *_home(home), *_space(home), *_channels(home)]
    source_checks, log = _source(home)
    checks += source_checks
    entities = sorted(log.entities, key=lambda entity: (entity.kind, entity.entity_id)) if log else []
    return [_with_origin(check, home) for check in checks], entities


def _with_origin(check: Check, home: Home) -> Check:
    """Add to the hint of a problem with source or store which environment variable or secret file sets it."""
    if check.verdict != "problem" or check.about not in ("source", "store"):
        return check
    error = SettingsError(f"{check.about}: {check.found}", hint=check.hint)
    return replace(check, hint=hint_with_origin(error, home.overrides))


def _settings(home: Home) -> Iterator[Check]:
    from_elsewhere = "".join(f"; {name} is set by {origin}" for name, origin in sorted(home.overrides.items()))
    yield Check("settings", "ok", f"from {home.origin}{from_elsewhere}")
    yield from _secrets(Path(home.origin))
    ours = f"pattern-aggregates {version('pattern-aggregates')}, Python {sys.version.split()[0]}"
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield Check("versions", "ok", f"{ours}, {libraries}")
    zone = home.settings.home.time_zone
    now = home.clock().astimezone(home.zone)
    if zone.removeprefix("Etc/") in NAMES_OF_UTC:
        hint = 'Set home.time_zone, for example "Europe/Berlin"; otherwise days and hours are wrong.'
        default = ", the default" if zone == "UTC" else ""
        yield Check("time zone", "note", f"{zone}{default}; few homes are in UTC", hint)
    else:
        yield Check("time zone", "ok", f"{zone}, where it is {now:%Y-%m-%d %H:%M}")
    enabled = home.enabled_detectors
    hint = "" if enabled else "Set enabled = true in some [detectors.NAME]."
    yield Check("detectors", "ok" if enabled else "problem", ", ".join(enabled) or "none are enabled", hint)


def _channels(home: Home) -> Iterator[Check]:
    """Check the channels over which findings are published; no run fails if one does not work."""
    from jobs.publish.trials import try_channels  # noqa: PLC0415 - only where it is used

    for trial in try_channels(home):
        yield Check(trial.channel, "ok" if trial.is_well else "note", trial.found, trial.hint)


def _secrets(file: Path) -> Iterator[Check]:
    """Check that no other user can read the secrets in the configuration file."""
    try:
        others_may_read = file.stat().st_mode & stat.S_IROTH
        names = secrets_in(file) if others_may_read else []
    except (OSError, ValueError):
        return  # there is none: the defaults hold
    if names:
        hint = f"chmod o-r {file}, or move them into environment variables or secret files."
        yield Check("settings", "note", f"every user of this machine can read {', '.join(names)} in {file}", hint)


def _store(home: Home) -> Iterator[Check]:
    try:
        store = home.open_store(read_only=True)
        try:
            problems = store.check()
        finally:
            store.close()
    except StoreMissing:
        yield _writable("store", home.store_settings.file or home.base)
    except PatternAggregatesError as error:
        yield _problem("store", error)
    else:
        for problem in problems:
            yield Check("store", "problem", problem)
        file = home.store_settings.file
        if file is not None and not _can_write(file):
            yield Check(
                "store", "problem", f"{file} cannot be written to", "Make it writable for the user that runs the job."
            )
        if not problems:
            days = home.settings.store.retention_days
            kept = f"keeps {days} days" if days else "keeps every day"
            yield Check("store", "ok", f"{home.settings.store.kind}, {kept}")


def _ledger(home: Home) -> Iterator[Check]:
    file = home.ledger_path
    if file is not None and not file.exists():
        yield _writable("ledger", file, "; if an earlier one was lost, run doctor --rebuild-ledger")
        return
    try:
        with home.open_ledger(read_only=True) as ledger:
            entries = ledger.entries().values()
    except PatternAggregatesError as error:
        yield _problem("ledger", error)
        return
    if file is not None and not _can_write(file):
        yield Check(
            "ledger",
            "problem",
            f"{file} cannot be written to",
            "Make it writable for the user that runs the job.",
        )
    written = sum(entry.status is Status.WRITTEN for entry in entries)
    yield Check("ledger", "ok", f"{written} detector days written, {len(entries) - written} not written")
    for entry in entries:
        if entry.error:
            yield Check("ledger", "note", f"{entry.day} {entry.detector} {entry.status}: {entry.error}")


def _home(home: Home) -> Iterator[Check]:
    """Check that settings, ledger and store are of one home, and that the store holds what is listed as written."""
    if not home.has_ledger:
        return
    try:
        with home.open_checked() as (ledger, store):
            noted, entries = ledger.read_home(), ledger.entries()
            lost = find_lost_days(
                entries.values(), store, home.oldest_kept_day(), max_days=MAX_DAYS, models=home.stored_models
            )
    except HomeMismatch as error:
        yield _problem("home", error)
    except PatternAggregatesError:
        return  # the checks of ledger and store have reported it
    else:
        if noted is not None:
            yield Check("home", "ok", f"settings, ledger and store are of {noted.identity}")
        if lost:
            yield Check("store", "problem", str(lost), lost.hint)


def _space(home: Home) -> Iterator[Check]:
    for name, folder in home.folders.items():
        there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if free < MIN_FREE_BYTES:
            yield Check(name, "problem", f"only {free / 2**20:.1f} MiB are free under {there}", "Make space.")


def _can_write(file: Path) -> bool:
    """Return whether SQLite can write to a file, and create its other files in the same folder."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)


def _writable(about: str, file: Path, else_hint: str = "") -> Check:
    """Check whether a file that the first run creates can be created."""
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Check(about, "note", f"{file} does not exist yet", f"The first run creates it{else_hint}.")
    return Check(
        about, "problem", f"{file} cannot be created", f"Make {folder} writable for the user that runs the job."
    )


def _source(home: Home) -> tuple[list[Check], DayLog | None]:
    kind = home.settings.source.kind
    try:
        source = home.open_source()
        try:
            span = source.span()
            if span is None:
                return [
                    Check(
                        "source",
                        "problem",
                        f"{kind} holds no whole day",
                        "Let it record for a day, or correct [source].",
                    )
                ], None
            newest = min(span.last, home.yesterday())
            newest_row = source.newest_row() if isinstance(source, DatesNewestRow) else None
            log = source.read(DayWindow(max(newest, span.first), home.zone))
        finally:
            source.close()
    except PatternAggregatesError as error:
        return [_problem("source", error)], None
    checks = [Check("source", "ok", f"{kind} holds {span.first} to {newest}"), *_newest(newest_row, home)]
    if span.last < home.yesterday():
        hint = "Is the recorder running, and is this the database it writes to?"
        checks.append(
            Check("source", "note", f"stale: its newest whole day is {span.last}, not {home.yesterday()}", hint)
        )
    if span.last > home.today():
        checks.append(
            Check(
                "source",
                "note",
                f"holds events of {span.last}, in the future",
                "Check the clock of the machine that records.",
            )
        )
    found = (
        f"{log.window.day}: {counted(log.samples, 'sample')} of {counted(len(log.entities), 'entity', 'entities')}, "
        f"{counted(len(log.events), 'event')}"
    )
    checks.append(Check("newest day", "ok" if len(log.events) else "note", found))
    checks += [Check("newest day", "note", notice) for notice in log.notices]
    return [*checks, *_areas(log, home)], log


def _newest(instant: dt.datetime | None, home: Home) -> Iterator[Check]:
    """Check how old the newest row of the source is."""
    if instant is None:
        return
    age_seconds = (home.clock() - instant).total_seconds()
    found = f"the newest row is of {instant.astimezone(home.zone):%Y-%m-%d %H:%M}, {length(max(age_seconds, 0))} ago"
    if age_seconds <= MAX_AGE_SECONDS:
        yield Check("source", "ok", found)
    else:
        yield Check("source", "note", found, "If Home Assistant is running, it writes to another database.")


def _areas(log: DayLog, home: Home) -> Iterator[Check]:
    """Check that activity can be told apart by areas."""
    active = [one for one in log.entities if one.kind == "activity"]
    missing = [one.entity_id for one in active if one.area_id is None]
    if not missing:
        return
    of_all = counted(len(active), "active entity", "active entities")
    what = f"{len(missing)} of {of_all} {'has' if len(missing) == 1 else 'have'} no area"
    named = "" if len(missing) == len(active) else f": {listed(missing)}"
    hint = 'Assign areas in Home Assistant, or set area in [entities.override."GLOB"]; room_based leaves them out.'
    if len(missing) == len(active) and getattr(home.settings.source, "registry_dir", "") is None:
        hint = "Set source.registry_dir to Home Assistant's folder .storage, which says in which area an entity is."
    yield Check("areas", "note", what + named, hint)
