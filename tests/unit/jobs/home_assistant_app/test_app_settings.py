"""From the app's options and the services of other apps to the job's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.home_assistant_app.options import Options
from jobs.home_assistant_app.settings import INGRESS, PORT, settings_of
from jobs.home_assistant_app.supervisor import Service
from jobs.settings import HomeAssistantDatabaseSettings, InfluxSourceSettings, Settings
from storage.errors import SettingsError
from storage.settings_check import check
from storage.settings_file import Document

RECORDER = "sqlite:////homeassistant/home-assistant_v2.db"
BROKER = Service(host="core-mosquitto", port=1883, username="addons", password="s3cret-word", ssl=True)  # noqa: S106 - of no real broker


def made(mqtt: Service | None = None, **options: Any) -> dict[str, Any]:
    return settings_of(
        Options(**options),
        time_zone="Europe/Berlin",
        recorder_url=RECORDER,
        home_assistant=Path("/homeassistant"),
        data=Path("/data"),
        mqtt=mqtt,
    )


def checked(table: dict[str, Any]) -> Settings:
    return check(Settings, Document(table, Path("/run"), "settings.toml"))


def test_every_option_reaches_its_setting() -> None:
    found = checked(
        made(
            run_at="02:15",
            retention_days=365,
            exclude=["sensor.*"],
            calendar="https://example.org/family.ics",
            calendar_events=["*holiday*"],
        )
    )
    assert found.home.time_zone == "Europe/Berlin"
    assert isinstance(found.source, HomeAssistantDatabaseSettings)
    assert (found.source.url, found.source.registry_dir) == (RECORDER, "/homeassistant/.storage")
    assert (str(found.store.with_base(Path("/run")).file), found.store.retention_days) == ("/data/aggregates.db", 365)
    assert found.ledger.path == "/data/ledger.db"
    assert found.schedule.at == "02:15"
    assert found.entities.exclude == ("sensor.*",)
    assert (found.away.calendar, found.away.events) == ("https://example.org/family.ics", ("*holiday*",))


def test_the_pages_answer_ingress_only() -> None:
    health = checked(made()).health
    assert (health.host, health.port, health.ingress) == ("0.0.0.0", PORT, INGRESS)  # noqa: S104 - what is written


def test_the_broker_of_another_app_is_used_with_its_account() -> None:
    mqtt = checked(made(mqtt=BROKER)).mqtt
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.tls) == ("core-mosquitto", 1883, "addons", True)
    assert mqtt.password.get_secret_value() == "s3cret-word"
    assert checked(made()).mqtt.host == ""


def test_further_settings_count_before_the_options_and_add_to_their_tables() -> None:
    lines = ['entities.include = ["light.*"]', 'schedule.at = "04:00"', "detectors.anomaly.min_days = 10"]
    found = checked(made(settings=lines, exclude=["light.attic"], run_at="02:15"))
    assert (found.entities.include, found.entities.exclude) == (("light.*",), ("light.attic",))
    assert found.schedule.at == "04:00"
    assert found.detectors == {"anomaly": {"min_days": 10}}


def test_another_kind_of_source_takes_the_place_of_the_recorder() -> None:
    lines = ['source = {kind = "influxdb", url = "http://influx:8086", bucket = "homeassistant"}']
    assert isinstance(checked(made(settings=lines)).source, InfluxSourceSettings)


@pytest.mark.parametrize("line", ["entities.include = [light.*]", "schedule.at", "a = 1\na = 2"])
def test_a_line_that_is_not_a_setting_is_named(line: str) -> None:
    with pytest.raises(SettingsError, match="the option settings is not valid"):
        made(settings=[line])


def test_options_and_services_show_no_secret() -> None:
    options = Options(
        database_url="mysql://u:pw-of-db@h/d", calendar="https://x/token-of-calendar", settings=("a = 'pw'",)
    )
    assert not {"pw-of-db", "token-of-calendar", "pw"} & set(repr(options).replace("'", " ").split())
    assert "s3cret-word" not in repr(BROKER)


def test_a_service_without_a_login_may_say_so_with_null() -> None:
    found = Service.model_validate({"host": "core-mosquitto", "port": 1883, "username": None, "password": None})
    assert (found.username, found.password) == ("", "")
