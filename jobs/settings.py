"""The job's settings. ``storage.settings_file`` reads them; ``config/default.toml`` shows each with its default."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.activity.entities import Kind
from jobs.publish.settings import MessagesSettings, MqttSettings, PingSettings
from storage.daily_aggregate import home_name_fault
from storage.settings import DEFAULT_LEDGER, AnyStoreSettings, InfluxServerSettings, SqlStoreSettings
from storage.settings_check import Section, Whole
from storage.time_zones import zone_fault


def _zone(name: str) -> str:
    if fault := zone_fault(name):
        raise ValueError(fault)
    return name


def _home_name(name: str) -> str:
    if fault := home_name_fault(name):
        raise ValueError(fault)
    return name


def _time(text: str) -> str:
    try:
        parsed = dt.time.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a valid time of day; write it like 03:30") from error
    if parsed.tzinfo is not None:
        raise ValueError("must be a local time of day, without an offset")
    return text


def _address(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError as error:
        raise ValueError(f"{text!r} is not a valid IP address; Home Assistant's ingress has 172.30.32.2") from error


class HomeSettings(Section):
    """``[home]``: the home's time zone, and its name where a store holds several homes."""

    name: Annotated[str, AfterValidator(_home_name)] = ""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"


class SimulatedHomeSettings(Section):
    """``[source]`` of kind simulated_home."""

    kind: Literal["simulated_home"] = "simulated_home"
    seed: Annotated[Whole, Field(ge=0, lt=2**32)] = 1
    events_per_day: Annotated[Whole, Field(ge=500, le=200_000)] = 10_000
    first_day: dt.date = dt.date(2025, 1, 1)
    last_day: dt.date | None = None
    unusual_days: bool = False


class HomeAssistantDatabaseSettings(Section):
    """``[source]`` of kind home_assistant_db."""

    kind: Literal["home_assistant_db"] = "home_assistant_db"
    url: Annotated[str, Field(repr=False)]  # it may hold a password
    registry_dir: str | None = None
    max_silence_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 6.0
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0


class CsvFilesSettings(Section):
    """``[source]`` of kind csv_files."""

    kind: Literal["csv_files"] = "csv_files"
    path: str


class ParquetFilesSettings(Section):
    """``[source]`` of kind parquet_files: files with the raw events of many homes.

    Attributes:
        path: A folder, a file, a glob, or a URL that fsspec knows.
        home: The ``home_id`` of this home.
    """

    kind: Literal["parquet_files"] = "parquet_files"
    path: Annotated[str, Field(min_length=1, repr=False)]  # a URL may hold a password
    home: Annotated[str, Field(min_length=1)]
    lookback_days: Annotated[Whole, Field(ge=1, le=90)] = 7
    max_silence_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 48.0


class InfluxSourceSettings(InfluxServerSettings):
    """``[source]`` of kind influxdb.

    ``layout`` names the tags and fields that hold entity, area and so on. A setting beside it replaces one of these
    names; an empty text means that the points have no such tag.

    Attributes:
        home_tag: The tag that holds the name of the home where one bucket has points of many homes; empty if it has
            those of this home only.
        home: The value of that tag in the points of this home.
    """

    renamed: ClassVar = {"longest_silence_hours": "max_silence_hours"}

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
    home_tag: str = ""
    home: str = ""

    @model_validator(mode="after")
    def _names_tag_and_home(self) -> Self:
        if bool(self.home_tag) != bool(self.home):
            raise ValueError("home_tag and home belong together: name the tag and its value for this home, or neither")
        return self


SourceSettings = (
    SimulatedHomeSettings
    | HomeAssistantDatabaseSettings
    | CsvFilesSettings
    | ParquetFilesSettings
    | InfluxSourceSettings
)


class LedgerSettings(Section):
    """``[ledger]``: where the record of what was computed is kept: a file, or a PostgreSQL database."""

    path: str = DEFAULT_LEDGER
    url: Annotated[str, Field(repr=False)] = ""  # it may hold a password

    @model_validator(mode="after")
    def _names_one_place(self) -> Self:
        if self.url and "path" in self.model_fields_set:
            raise ValueError("path and url exclude each other: name a file or a database")
        return self


class ScheduleSettings(Section):
    """``[schedule]``: when the daemon runs, and which days it runs again."""

    at: Annotated[str, AfterValidator(_time)] = "03:30"
    recheck_days: Annotated[Whole, Field(ge=0, le=60)] = 2
    catch_up: Literal["all", "latest", "none"] = "all"
    max_day_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 60.0


class HealthSettings(Section):
    """``[health]``: the address of the daemon's pages, and the only client that they answer, if there is one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080  # 0 turns it off
    hosts: tuple[str, ...] = ()  # further names under which they are requested
    ingress: Annotated[str, AfterValidator(_address)] = ""


class AwaySettings(Section):
    """``[away]``: a calendar with the days on which nobody is home."""

    calendar: Annotated[str, Field(repr=False)] = ""  # the address of a shared calendar is a password
    events: tuple[str, ...] = ()
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0


class OverrideSettings(Section):
    """``[entities.override."GLOB"]``: corrections for entities whose id matches the glob."""

    kind: Kind | None = None
    device_class: str | None = None
    area: str | None = None
    active_states: tuple[str, ...] | None = None
    presence: bool | None = None


class EntitiesSettings(Section):
    """``[entities]``: which entities are used, and how they are classified."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    override: dict[str, OverrideSettings] = Field(default_factory=dict)


class Settings(Section):
    """All settings of the job."""

    home: HomeSettings = HomeSettings()
    source: Annotated[SourceSettings, Field(discriminator="kind")] = SimulatedHomeSettings()
    store: AnyStoreSettings = SqlStoreSettings()
    ledger: LedgerSettings = LedgerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    health: HealthSettings = HealthSettings()
    away: AwaySettings = AwaySettings()
    mqtt: MqttSettings = MqttSettings()
    messages: MessagesSettings = MessagesSettings()
    ping: PingSettings = PingSettings()
    entities: EntitiesSettings = EntitiesSettings()
    detectors: dict[str, dict[str, Any]] = Field(default_factory=dict)
