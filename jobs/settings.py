"""The job's settings, typed. ``storage.settings`` says where they come from; ``config/default.toml`` shows them all."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field

from jobs.activity.entities import Kind
from storage.columns import closest
from storage.settings import AnyStoreSettings, InfluxServerSettings, Section, SqlStoreSettings, Whole


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = closest(name, available_timezones())
        raise ValueError(f"{name!r} is no IANA time zone" + (f"; {near}" if near else "")) from error
    return name


def _time(text: str) -> str:
    try:
        parsed = dt.time.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time of day; write it like 03:30") from error
    if parsed.tzinfo is not None:
        raise ValueError("it is a local time of day, without an offset")
    return text


class HomeSettings(Section):
    """``[home]``: where the home is in time."""

    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"


class SimulatedHomeSettings(Section):
    """``[source]`` of kind simulated_home."""

    kind: Literal["simulated_home"] = "simulated_home"
    seed: Annotated[Whole, Field(ge=0, lt=2**32)] = 1
    events_per_day: Annotated[Whole, Field(ge=500, le=200_000)] = 10_000
    first_day: dt.date = dt.date(2025, 1, 1)
    last_day: dt.date | None = None


class HomeAssistantDatabaseSettings(Section):
    """``[source]`` of kind home_assistant_db."""

    kind: Literal["home_assistant_db"] = "home_assistant_db"
    url: Annotated[str, Field(repr=False)]  # it may hold a password
    registry_dir: str | None = None


class CsvFilesSettings(Section):
    """``[source]`` of kind csv_files."""

    kind: Literal["csv_files"] = "csv_files"
    path: str


class InfluxSourceSettings(InfluxServerSettings):
    """``[source]`` of kind influxdb.

    ``layout`` says where things stand in the points; a name beside it says otherwise, and "" that it stands nowhere.
    """

    kind: Literal["influxdb"] = "influxdb"
    bucket: Annotated[str, Field(min_length=1)]
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    layout: Literal["home_assistant", "home_assistant_events"] = "home_assistant"
    measurement: str | None = None
    entity_tag: Annotated[str, Field(min_length=1)] | None = None
    domain_tag: str | None = None
    area_tag: str | None = None
    device_tag: str | None = None
    event_tag: str | None = None
    fields: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    registry_dir: str | None = None
    lookback_days: Annotated[Whole, Field(ge=1, le=90)] = 7
    max_silence_hours: Annotated[float, Field(gt=0, le=24)] = 6.0


SourceSettings = SimulatedHomeSettings | HomeAssistantDatabaseSettings | CsvFilesSettings | InfluxSourceSettings


class LedgerSettings(Section):
    """``[ledger]``: the book of what is done."""

    path: str = "data/ledger.db"


class ScheduleSettings(Section):
    """``[schedule]``: when the daemon works, and how far back it looks."""

    at: Annotated[str, AfterValidator(_time)] = "03:30"
    recheck_days: Annotated[Whole, Field(ge=0, le=60)] = 2
    catch_up: Literal["all", "latest", "none"] = "all"


class HealthSettings(Section):
    """``[health]``: where the daemon answers about itself."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080  # 0: nowhere


class OverrideSettings(Section):
    """``[entities.override."GLOB"]``: what holds for entities whose id matches."""

    kind: Kind | None = None
    device_class: str | None = None
    area: str | None = None
    active_states: tuple[str, ...] | None = None
    presence: bool | None = None


class EntitiesSettings(Section):
    """``[entities]``: which entities are looked at, and how."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    override: dict[str, OverrideSettings] = Field(default_factory=dict)


class Settings(Section):
    """Everything the job can be told."""

    home: HomeSettings = HomeSettings()
    source: Annotated[SourceSettings, Field(discriminator="kind")] = SimulatedHomeSettings()
    store: AnyStoreSettings = SqlStoreSettings()
    ledger: LedgerSettings = LedgerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    health: HealthSettings = HealthSettings()
    entities: EntitiesSettings = EntitiesSettings()
    detectors: dict[str, dict[str, Any]] = Field(default_factory=dict)
