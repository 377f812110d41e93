"""Where settings come from, which wins, and that all problems are reported at once and no secret is shown."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.activity.entities import Kind
from jobs.registry import load
from jobs.settings import CsvFilesSettings, HomeAssistantDatabaseSettings, Settings, SimulatedHomeSettings
from jobs.wiring import open_home
from storage.dates import ONE_DAY
from storage.drivers import sql_urls
from storage.errors import SettingsError
from storage.settings import (
    InfluxStoreSettings,
    SqlStoreSettings,
    StoreSettings,
    absolute_path,
    absolute_url,
    sqlite_file,
    store_settings,
)
from storage.settings_check import check
from storage.settings_file import Document, load_document

PREFIX = "PATTERN_AGGREGATES__"
SECRET = "hunter2-very-secret"  # noqa: S105 - the test proves that it is shown nowhere

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's variables nor a default file below the present folder."""
    for name in [name for name in os.environ if name.startswith("PATTERN_AGGREGATES_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str, name: str = "home.toml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


def loaded(path: Path | None = None, secrets: Path = Path("/nowhere"), **variables: str) -> Document:
    """The document, with variables named by what follows the prefix."""
    return load_document(path, environ={PREFIX + name: text for name, text in variables.items()}, secrets=secrets)


def checked(values: dict[str, Any]) -> Settings:
    return check(Settings, Document(values, Path("/home"), "a test"))


def problems(values: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as error:
        checked(values)
    return str(error.value)


def test_without_any_source_the_defaults_hold() -> None:
    settings = check(Settings, loaded())
    assert settings.home.time_zone == "UTC"
    assert isinstance(settings.source, SimulatedHomeSettings)
    assert (settings.store.kind, settings.store.retention_days) == ("sql", 90)
    assert settings.ledger.path == "data/ledger.db"
    assert (settings.schedule.at, settings.schedule.recheck_days, settings.schedule.catch_up) == ("03:30", 2, "all")
    assert loaded().base == Path.cwd()


def test_a_secret_file_beats_the_environment_and_the_environment_beats_the_file(write: Write) -> None:
    config = write("[store]\nretention_days = 1\n[schedule]\nrecheck_days = 1\n[home]\ntime_zone = 'Asia/Kolkata'\n")
    secret = write("3\n", "secrets/pattern_aggregates__store__retention_days")
    write("7", "secrets/another_program__store__retention_days")
    document = loaded(config, secret.parent, STORE__RETENTION_DAYS="2", SCHEDULE__RECHECK_DAYS="2")
    settings = check(Settings, document)
    assert settings.store.retention_days == 3
    assert settings.schedule.recheck_days == 2
    assert settings.home.time_zone == "Asia/Kolkata"


def test_the_default_file_is_read_where_none_is_named(write: Write) -> None:
    write("[home]\ntime_zone = 'Europe/Berlin'\n", "config/default.toml")
    assert check(Settings, loaded()).home.time_zone == "Europe/Berlin"
    assert loaded().base == Path.cwd() / "config"


def test_the_file_named_in_the_call_beats_the_one_in_the_environment(write: Write) -> None:
    named, other = (
        write("[home]\ntime_zone = 'Asia/Tokyo'\n"),
        write("[home]\ntime_zone = 'Asia/Dubai'\n", "other.toml"),
    )
    environ = {"PATTERN_AGGREGATES_CONFIG": str(other)}
    zones = [load_document(path, environ=environ).values["home"]["time_zone"] for path in (named, None)]
    assert zones == ["Asia/Tokyo", "Asia/Dubai"]


@pytest.mark.parametrize("by_environment", [True, False])
def test_a_file_that_is_named_but_missing_is_an_error(tmp_path: Path, by_environment: bool) -> None:
    missing = tmp_path / "missing.toml"
    environ = {"PATTERN_AGGREGATES_CONFIG": str(missing)} if by_environment else {}
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load_document(None if by_environment else missing, environ=environ)


@pytest.mark.parametrize("content", [b"[home\n", b"x = \n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_not_toml_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"bad\.toml cannot be read as TOML"):
        load_document(file)


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_document(tmp_path)


def test_values_of_the_environment_become_the_types_that_are_wanted() -> None:
    document = loaded(
        STORE__RETENTION_DAYS="7",
        ENTITIES__INCLUDE='["light.*"]',
        ENTITIES__EXCLUDE="['a', 'b']",
        HOME__TIME_ZONE="Europe/Berlin",
        DETECTORS__TIME_BASED__ENABLED="false",
        SOURCE__KIND="simulated_home",
        SOURCE__FIRST_DAY="2026-01-02",
    )
    settings = check(Settings, document)
    assert settings.store.retention_days == 7
    assert (settings.entities.include, settings.entities.exclude) == (("light.*",), ("a", "b"))
    assert settings.home.time_zone == "Europe/Berlin"
    assert [one.enabled for one in load(settings.detectors) if one.detector.name == "time_based"] == [False]
    assert isinstance(settings.source, SimulatedHomeSettings)
    assert settings.source.first_day == dt.date(2026, 1, 2)


def test_a_variable_keeps_the_other_keys_of_its_section(write: Write) -> None:
    config = write("[source]\nkind = 'home_assistant_db'\nurl = 'sqlite:///a.db'\nregistry_dir = 'r'\n")
    source = check(Settings, loaded(config, SOURCE__URL="sqlite:///b.db")).source
    assert source == HomeAssistantDatabaseSettings(url="sqlite:///b.db", registry_dir="r")


@pytest.mark.parametrize("text", ["12345", "true", "2026-01-02", "1e5"])
def test_a_text_that_looks_like_another_type_is_still_a_text_where_one_is_wanted(write: Write, text: str) -> None:
    secret = write(text, "secrets/pattern_aggregates__ledger__path")
    assert check(Settings, loaded(None, secret.parent)).ledger.path == text


def test_a_secret_file_that_is_not_text_is_an_error_that_names_it(write: Write) -> None:
    secret = write("", "secrets/pattern_aggregates__store__url")
    secret.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="pattern_aggregates__store__url"):
        loaded(None, secret.parent)


def test_a_value_with_a_line_break_sets_nothing_else() -> None:
    document = loaded(HOME__TIME_ZONE="'Asia/Tokyo'\nother = 1")
    assert set(document.values) == {"home"}
    assert set(document.values["home"]) == {"time_zone"}


def test_all_problems_are_reported_at_once_each_on_its_line() -> None:
    message = problems(
        {
            "home": {"time_zone": "Europe/Berlln", "time_zon": "UTC"},
            "store": {"retention_days": -1, "retenton_days": 5},
            "schedule": {"at": "25:00", "catch_up": "some", "recheck_days": "two"},
            "entites": {},
        }
    )
    assert message.startswith("8 problem(s) in the settings (a test):")
    for place in (
        "home.time_zone",
        "store.retention_days",
        "schedule.at",
        "schedule.catch_up",
        "schedule.recheck_days",
    ):
        assert f"\n  {place}: " in message
    assert "home.time_zon: unknown key; did you mean 'time_zone'?" in message
    assert "store.retenton_days: unknown key; did you mean 'retention_days'?" in message
    assert "entites: unknown key; did you mean 'entities'?" in message


def test_an_unknown_key_that_resembles_nothing_is_reported_without_a_guess() -> None:
    assert "zzz: unknown key\n" in problems({"zzz": 1}) + "\n"


def test_an_unknown_zone_is_reported_with_the_nearest_one() -> None:
    message = problems({"home": {"time_zone": "Europe/Berlln"}})
    assert "'Europe/Berlln' is not a valid IANA time zone; did you mean 'Europe/Berlin'?" in message


@pytest.mark.parametrize("zone", ["", "../../etc/passwd", "/etc/passwd", "Mars/Base", "a\x00b", "Europe", 5])
def test_what_is_not_a_time_zone_is_refused(zone: object) -> None:
    assert "home.time_zone" in problems({"home": {"time_zone": zone}})


@pytest.mark.parametrize("at", ["24:00", "3:30", "noon", "03:30+01:00", "", 330])
def test_what_is_not_a_time_of_day_is_refused(at: object) -> None:
    assert "schedule.at" in problems({"schedule": {"at": at}})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "csv_files"}, "source.path: "),
        ({"kind": "csv_files", "path": "x", "pth": "y"}, "source.pth: unknown key; did you mean 'path'?"),
        ({"kind": "home_assistant_db", "url": "x", "registry_dr": 1}, "did you mean 'registry_dir'?"),
        ({"kind": "home_assistant_db", "url": "x", "seed": 1}, "source.seed: unknown key"),
        ({"kind": "parquet_files", "path": "events"}, "source.home: "),
        ({"kind": "influxdb", "bucket": "b", "home_tag": "home"}, "home_tag and home belong together"),
        ({"kind": "influxdb", "bucket": "b", "home": "a"}, "home_tag and home belong together"),
        ({"kind": "csv"}, "source.kind: "),
        ({"path": "x"}, "source"),
        ("csv_files", "source: "),
    ],
)
def test_a_problem_of_a_kind_of_source_is_reported_by_its_place_in_the_file(source: object, expected: str) -> None:
    message = problems({"source": source})
    assert expected in message
    assert "source.csv_files" not in message
    assert "source.home_assistant_db" not in message


def test_an_override_is_reported_by_its_glob_and_key() -> None:
    message = problems({"entities": {"override": {"light.*": {"aera": "hall", "kind": "activty"}}}})
    assert "entities.override.light.*.aera: unknown key; did you mean 'area'?" in message
    assert "entities.override.light.*.kind: " in message
    good = checked({"entities": {"override": {"light.*": {"kind": "reading", "active_states": ["on"]}}}})
    assert good.entities.override["light.*"].kind is Kind.READING


@pytest.mark.parametrize(
    "values",
    [
        {"store": {"url": SECRET, "retention_days": SECRET}},
        {"store": {"token": SECRET}},
        {"source": {"kind": "home_assistant_db", "url": [SECRET]}},
        {"source": {"kind": SECRET}},
        {"schedule": {"recheck_days": SECRET, "catch_up": SECRET}},
        {"store": SECRET},
        {"ledger": {"path": {"password": SECRET}}},
        {"home": {"time_zone": [SECRET]}},
    ],
)
def test_a_value_is_never_in_a_message(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        checked(values)
    assert SECRET not in str(error.value) + error.value.hint + repr(error.value)


def test_a_secret_never_shows_in_a_repr(write: Write) -> None:
    secret = write(f"postgresql+psycopg://ann:{SECRET}@host/db", "secrets/pattern_aggregates__store__url")
    document = loaded(None, secret.parent)
    store = check(Settings, document).store
    assert isinstance(store, SqlStoreSettings)
    assert SECRET in store.url
    assert SECRET not in repr(check(Settings, document)) + repr(document)


def test_relative_paths_start_at_the_folder_of_the_configuration_file(write: Write, tmp_path: Path) -> None:
    config = write(
        "[store]\nurl = 'sqlite:///data/a.db'\n[ledger]\npath = 'data/l.db'\n[source]\nkind='csv_files'\npath='x'\n",
        "deep/folder/home.toml",
    )
    home = open_home(config)
    folder = tmp_path / "deep" / "folder"
    assert home.ledger_path == folder / "data" / "l.db"
    assert home.store_settings.file == folder / "data" / "a.db"
    assert store_settings(load_document(config, environ={})) == home.store_settings
    assert isinstance(home.settings.source, CsvFilesSettings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///a.db", "sqlite:////base/a.db"),
        ("sqlite:////abs/a.db", "sqlite:////abs/a.db"),
        ("sqlite:///a.db?mode=ro", "sqlite:////base/a.db?mode=ro"),
        ("sqlite+pysqlite:///a.db", "sqlite+pysqlite:////base/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://host/db", "postgresql+psycopg://host/db"),
        ("postgresql:///db", "postgresql:///db"),
    ],
)
def test_only_the_file_of_an_sqlite_url_is_made_absolute(url: str, expected: str) -> None:
    assert absolute_url(Path("/base"), url) == expected


def test_a_path_is_made_absolute_unless_it_is_absolute_or_in_the_users_home() -> None:
    assert absolute_path(Path("/base"), "a/b") == Path("/base/a/b")
    assert absolute_path(Path("/base"), "/a/b") == Path("/a/b")
    assert absolute_path(Path("/base"), "~/b") == Path("~/b").expanduser()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////abs/a.db",
        "sqlite:////abs/a%3Fb%25.db?timeout=5",
        "sqlite+pysqlite:////abs/a.db",
        "sqlite:///a.db",
        "postgresql+psycopg://host/db",
        "postgresql:///db",
    ],
)
def test_settings_and_database_driver_agree_on_which_file_a_url_names(url: str) -> None:
    assert sqlite_file(url) == sql_urls.sqlite_file(sql_urls.parse_url(url, "store.url"))


YESTERDAY = dt.date(2026, 3, 10)


@pytest.mark.parametrize(
    ("store", "kept_days", "oldest"),
    [
        (SqlStoreSettings(retention_days=0), 0, dt.date.min),
        (SqlStoreSettings(retention_days=1), 1, YESTERDAY),
        (SqlStoreSettings(retention_days=2), 2, YESTERDAY - ONE_DAY),
        (InfluxStoreSettings(retention_days=0), 0, dt.date.min),
        (InfluxStoreSettings(retention_days=1), 1, YESTERDAY),
        (InfluxStoreSettings(retention_days=2), 1, YESTERDAY),
        (InfluxStoreSettings(retention_days=3), 2, YESTERDAY - ONE_DAY),
    ],
)
def test_a_store_knows_how_many_past_days_it_keeps(store: StoreSettings, kept_days: int, oldest: dt.date) -> None:
    assert (store.kept_days, store.oldest_kept_day(YESTERDAY)) == (kept_days, oldest)


def test_a_problem_names_the_variable_or_secret_file_that_it_comes_from(write: Write) -> None:
    config = write("[store]\nretention_days = -1\n")
    secret = write("noon", "secrets/pattern_aggregates__schedule__at")
    document = loaded(config, secret.parent, SCHEDULE__CATCH_UP="some", SOURCE='{kind = "csv_files"}', STOER__URL="x")
    with pytest.raises(SettingsError) as error:
        check(Settings, document)
    lines = {line.strip().partition(": ")[0]: line for line in str(error.value).splitlines()[1:]}
    assert lines["store.retention_days"].endswith("greater than or equal to 0")  # it comes from the file
    assert lines["schedule.at"].endswith("(set by pattern_aggregates__schedule__at)")
    assert lines["schedule.catch_up"].endswith("(set by PATTERN_AGGREGATES__SCHEDULE__CATCH_UP)")
    assert lines["source.path"].endswith("(set by PATTERN_AGGREGATES__SOURCE)")
    assert "did you mean 'store'? (set by PATTERN_AGGREGATES__STOER__URL)" in lines["stoer"]


def test_the_setting_of_the_influxdb_source_that_was_renamed_is_named_with_its_new_name() -> None:
    message = problems({"source": {"kind": "influxdb", "bucket": "b", "longest_silence_hours": 3}})
    assert "source.longest_silence_hours: was renamed; it is now called 'max_silence_hours'" in message


@pytest.mark.parametrize(
    ("detector", "old", "new"),
    [
        ("co_occurrence", "wired", "linked"),
        ("sequence", "wired", "linked"),
        ("sequence", "longest", "max_steps"),
        ("sequence", "most_links", "max_links"),
        ("sequence", "most_rows", "max_rows"),
        ("anomaly", "least_days", "min_days"),
        ("anomaly", "complete", "min_known_share"),
    ],
)
def test_a_detectors_setting_that_was_renamed_is_named_with_its_new_name(
    write: Write, detector: str, old: str, new: str
) -> None:
    with pytest.raises(SettingsError) as error:
        open_home(write(f"[detectors.{detector}]\n{old} = 3\n"))
    assert f"detectors.{detector}.{old}: was renamed; it is now called {new!r}\n" in f"{error.value}\n"


@pytest.mark.parametrize(("old", "new"), [("leave_out", "exclude"), ("mark", "flag")])
@pytest.mark.parametrize("detector", ["co_occurrence", "sequence"])
def test_a_value_that_was_renamed_is_named_with_its_new_word(write: Write, detector: str, old: str, new: str) -> None:
    for key, expected in (
        ("wired", f"was renamed; it is now called 'linked', and its value {old!r} is now {new!r}"),
        ("linked", f"its value {old!r} is now {new!r}"),
    ):
        with pytest.raises(SettingsError) as error:
            open_home(write(f'[detectors.{detector}]\n{key} = "{old}"\n'))
        lines = str(error.value).splitlines()
        assert lines[1:] == [f"  detectors.{detector}.{key}: {expected}"]


def test_an_old_word_in_the_environment_is_named_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DETECTORS__SEQUENCE__LONGEST", "3")
    with pytest.raises(
        SettingsError, match=r"now called 'max_steps' \(set by PATTERN_AGGREGATES__DETECTORS__SEQUENCE__"
    ):
        open_home()


def test_an_old_word_means_nothing_to_a_detector_that_never_had_it(write: Write) -> None:
    with pytest.raises(SettingsError, match=r"detectors\.duration\.wired: unknown key"):
        open_home(write("[detectors.duration]\nwired = 1\n"))


def test_a_home_whose_detectors_parameters_are_not_checked_still_knows_which_are_enabled(write: Write) -> None:
    config = write("[detectors.duration]\naround_seconds = -1\n[detectors.anomaly]\nenabled = false\n")
    home = open_home(config, check_parameters=False)
    assert home.enabled_detectors == sorted({one.detector.name for one in load()} - {"anomaly"})
    with pytest.raises(SettingsError, match="around_seconds"):
        open_home(config)
    for table in ("[detectors.duraton]\n", "[detectors.duration]\nenabled = 'perhaps'\n"):
        with pytest.raises(SettingsError, match=r"detectors\.dur"):
            open_home(write(table), check_parameters=False)


def test_a_reader_of_aggregates_minds_its_own_section_only(write: Write) -> None:
    config = write("[home]\ntime_zone = 'nowhere'\n[store]\nurl = 'sqlite:////x.db'\nretention_days = 5\n")
    document = load_document(config, environ={})
    assert store_settings(document) == SqlStoreSettings(url="sqlite:////x.db", retention_days=5)
    with pytest.raises(SettingsError, match=r"store\.retenton: unknown key; did you mean 'retention_days'"):
        store_settings(Document({"store": {"retenton": 1}}, Path(), "a test"))


def test_a_home_reads_its_detectors_tables(write: Write) -> None:
    home = open_home(write("[detectors.duration]\naround_seconds = 60\n[detectors.time_based]\nenabled = false\n"))
    found = {one.detector.name: (one.enabled, one.parameters) for one in home.registered}
    assert found["duration"] == (True, {"around_seconds": 60})
    assert found["time_based"] == (False, {"peak_false_discovery_rate": 0.05})


def test_the_environment_reaches_the_detectors_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DETECTORS__DURATION__AROUND_SECONDS", "60")
    monkeypatch.setenv(f"{PREFIX}DETECTORS__TIME_BASED__ENABLED", "false")
    by_name = {one.detector.name: one for one in open_home().registered}
    assert by_name["duration"].parameters == {"around_seconds": 60}
    assert not by_name["time_based"].enabled


def test_a_home_knows_the_folders_in_which_it_keeps_files(write: Write, tmp_path: Path) -> None:
    both = open_home(write("[store]\nurl = 'sqlite:///a/b.db?timeout=1'\n[ledger]\npath = '/c/d.db'\n"))
    assert both.store_settings.file == tmp_path / "a" / "b.db"
    assert both.folders == {"ledger": Path("/c"), "store": tmp_path / "a"}
    for server in ("kind = 'sql'\nurl = 'postgresql+psycopg://host/name'", "kind = 'influxdb'"):
        assert list(open_home(write(f"[store]\n{server}\n")).folders) == ["ledger"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[detectors.duraton]\nenabled = true\n", "detectors.duraton: no such detector; did you mean 'duration'?"),
        ("[detectors.duration]\naround_second = 60\n", "did you mean 'around_seconds'?"),
        ("[detectors.duration]\naround_seconds = -1\n", "detectors.duration.around_seconds: "),
        ("[detectors.duration]\nenabled = 'perhaps'\n", "detectors.duration.enabled: "),
        ("[detectors]\nduration = 5\n", "detectors.duration: "),
    ],
)
def test_wrong_detectors_are_reported_together_with_all_other_problems(write: Write, table: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        open_home(write(f"{table}[schedule]\nat = 'noon'\n"))
    assert expected in str(error.value)
    assert "schedule.at: " in str(error.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        checked({}).home.time_zone = "UTC"  # type: ignore[misc]  # that is the point
