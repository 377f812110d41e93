"""What words mean: as states, as words on the way between states, as numbers and times, or as nothing known."""

from __future__ import annotations

import pytest

from jobs.activity.entities import Description, EntityRules, Kind, Override
from jobs.activity.states import DEVICES, TRANSITIONAL, is_instant, is_measured, number_of, words_of

ACTIVE_WORDS = {
    "alarm_control_panel": "triggered",
    "binary_sensor": "on",
    "climate": "heat",
    "cover": "open",
    "device_tracker": "home",
    "fan": "on",
    "humidifier": "on",
    "input_boolean": "on",
    "lawn_mower": "mowing",
    "light": "on",
    "lock": "unlocked",
    "media_player": "playing",
    "person": "home",
    "remote": "on",
    "siren": "on",
    "switch": "on",
    "vacuum": "cleaning",
    "valve": "open",
    "water_heater": "eco",
}


def test_every_domain_of_devices_has_an_active_word_whatever_its_case() -> None:
    assert set(ACTIVE_WORDS) == DEVICES
    for domain, word in ACTIVE_WORDS.items():
        assert word in words_of(domain).active
        for spelling in (word, word.upper(), word.title(), f" {word} "):
            assert words_of(domain).read(spelling) == word


@pytest.mark.parametrize("domain", [*ACTIVE_WORDS, "sensor", "select", "group", "other"])
def test_no_word_has_two_meanings_in_a_domain(domain: str) -> None:
    words = words_of(domain)
    groups = [words.active, words.inactive, words.pause, words.transitional, words.not_known, frozenset(words.same_as)]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    assert set(words.same_as.values()) <= words.active | words.inactive


@pytest.mark.parametrize("domain", ["light", "binary_sensor", "sensor", "lock", "media_player", "select", "other"])
@pytest.mark.parametrize(
    "text", [None, "", "  ", "unavailable", "UNKNOWN", "UNDEF", "NULL", "null", "nan", "NaN", "N/A", "Undefined"]
)
def test_a_word_for_nothing_is_not_a_state(domain: str, text: str | None) -> None:
    assert words_of(domain).read(text) is None


def test_none_is_not_known_unless_it_is_a_name_that_somebody_may_have_given() -> None:
    assert words_of("sensor").read("None") is None
    assert words_of("light").read("None") is None
    assert words_of("input_select").read("None") == "None"
    assert words_of("sensor").read("none") == "none"
    options = EntityRules().classify(Description("sensor.program", device_class="enum"))
    assert options.words.read("None") == "None"


@pytest.mark.parametrize(
    ("domain", "text", "state"),
    [
        *(("binary_sensor", text, "on") for text in ("OPEN", "true", "1", "Detected", "1.0", "motion")),
        *(("binary_sensor", text, "off") for text in ("CLOSED", "False", "0", "clear", "0.0")),
        *(("light", text, "on") for text in ("45 %", "7,5", "100", "0.4", "ON")),
        *(("light", text, "off") for text in ("0", "0 %", "0,0", "OFF", "no")),
        ("cover", "CLOSED", "closed"),
        ("cover", "Opened", "open"),
        ("person", "HOME", "home"),
        ("person", "Grandma's House", "Grandma's House"),
        ("sensor", "Eco Mode", "Eco Mode"),
        ("light", "colorloop", "colorloop"),
    ],
)
def test_other_systems_words_are_read_as_the_states_they_mean(domain: str, text: str, state: str) -> None:
    assert words_of(domain).read(text) == state


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("alarm_control_panel", "arming disarming pending"),
        ("cover", "opening closing"),
        ("lock", "locking unlocking opening jammed"),
        ("valve", "opening Closing"),
    ],
)
def test_a_device_under_way_keeps_its_state(domain: str, words: str) -> None:
    assert all(words_of(domain).read(word) is TRANSITIONAL for word in words.split())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("7,5", 7.5), ("45 %", 45), ("45%", 45), ("-3", -3), ("1.234,5", 1234.5), ("1,234.5", 1234.5), ("1e3", 1000)),
        *(("21.5 °C", 21.5), ("3.2 kWh", 3.2), ("230V", 230), ("12 min", 12), ("1 234", 1234), ("80 km/h", 80)),
        *(("on", None), ("", None), ("2nd floor", None), ("1080p", None), ("A1", None), ("-", None), ("eco", None)),
        *(("3 of 4 rooms", None), ("Mode 2", None), ("14:05", None)),
    ],
)
def test_a_number_may_have_a_comma_a_sign_and_a_unit(text: str, number: float | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        *(("14:05", True), ("7:05:30", True), ("2:30 PM", True), ("2026-11-26", True), ("2026-11-26T10:00:00Z", True)),
        *(("26.11.2026", True), ("26/11/2026 14:05", True), ("1 day, 3:04:05", True)),
        *(("on", False), ("eco", False), ("14", False), ("ratio 1:2 of", False), ("", False)),
    ],
)
def test_times_of_the_day_and_dates_are_times(text: str, yes: bool) -> None:
    assert is_instant(text) is yes
    if yes:
        assert is_measured(text)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("idle", "washing", "0"), Kind.ACTIVITY),
        (("idle", "washing", "14:05"), Kind.ACTIVITY),
        (("idle", "washing", "rinse", "1", "2"), Kind.ACTIVITY),
        (("idle", "0"), Kind.READING),  # as many numbers as words
        (("idle", "washing", "1", "2"), Kind.READING),
        (("7,5", "8,1"), Kind.READING),
        (("45 %", "50 %", "off"), Kind.READING),
        (("14:05", "15:10"), Kind.READING),
        (("None", "0", "idle", "washing"), Kind.ACTIVITY),
    ],
)
def test_one_odd_value_does_not_decide_the_class_of_an_entity(texts: tuple[str, ...], kind: Kind) -> None:
    assert EntityRules().classify(Description("sensor.x"), texts).kind is kind


def test_what_the_settings_call_active_is_a_state_whatever_it_means_elsewhere() -> None:
    rules = EntityRules(override={"*": Override(active_states=("open", "opening", "Buffering"))})
    cover, player = (rules.classify(Description(entity)) for entity in ("cover.gate", "media_player.tv"))
    assert cover.words.read("opening") == "opening"
    assert cover.words.read("closing") is TRANSITIONAL
    assert player.words.read("Buffering") == "Buffering"
    assert player.is_active("Buffering")
    assert cover.is_active("OPEN")
    assert not cover.is_active("closed")


@pytest.mark.parametrize(
    "about",
    [
        Description("sensor.backup_backup_manager_state", device_class="enum"),
        Description("sensor.sicherung_zustand", device_class="enum", platform="backup"),
        Description("binary_sensor.sun_solar_rising", platform="sun"),
    ],
)
def test_what_the_system_says_of_itself_is_no_activity(about: Description) -> None:
    assert EntityRules().classify(about).kind is Kind.IGNORED
    assert EntityRules().classify(Description("sensor.washer", device_class="enum")).kind is Kind.ACTIVITY


@pytest.mark.parametrize("domain", ["light", "binary_sensor", "lock", "cover", "media_player", "climate"])
@pytest.mark.parametrize("text", ["None", "none", "NONE", " none "])
def test_none_is_not_a_state_of_a_device_however_it_is_written(domain: str, text: str) -> None:
    assert words_of(domain).read(text) is None


@pytest.mark.parametrize(("text", "state"), [("None", None), ("none", "none"), ("NONE", "NONE")])
def test_none_of_a_sensor_is_unknown_only_as_templates_write_it(text: str, state: str | None) -> None:
    assert words_of("sensor").read(text) == state
