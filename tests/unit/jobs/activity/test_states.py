"""What words mean: as states, as words on the way between states, as numbers and times, or as nothing known."""

from __future__ import annotations

import pytest

from jobs.activity.building import example_day
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


@pytest.mark.parametrize("text", ["-", "--", "---", "?", "???", "-.-"])
def test_a_text_of_dashes_or_question_marks_stands_for_nothing(text: str) -> None:
    assert words_of("sensor").read(text) is None
    assert words_of("switch").read(text) is None
    assert words_of("input_select").read(text) == text  # somebody may have given this name


@pytest.mark.parametrize("domain", ["select", "input_select"])
def test_options_of_a_select_are_states_even_if_they_look_like_numbers(domain: str) -> None:
    assert EntityRules().classify(Description(f"{domain}.speed"), ("1", "2")).kind is Kind.ACTIVITY


@pytest.mark.parametrize("platform", ["workday", "tod", "season", "jewish_calendar", "time_date"])
def test_what_the_calendar_says_is_no_activity(platform: str) -> None:
    assert EntityRules().classify(Description("binary_sensor.x", platform=platform)).kind is Kind.IGNORED


# What Home Assistant 2026.11 lists as states of each domain of devices, and what each means.
HOME_ASSISTANT_STATES: dict[str, dict[str, str]] = {
    "alarm_control_panel": {
        "active": "triggered",
        "inactive": "armed armed_away armed_custom_bypass armed_home armed_night armed_vacation disarmed",
        "transitional": "arming disarming pending",
    },
    "binary_sensor": {"active": "on", "inactive": "off"},
    "climate": {"active": "auto cool dry fan_only heat heat_cool", "inactive": "off"},
    "cover": {"active": "open", "inactive": "closed", "transitional": "opening closing", "same_as": "stopped"},
    "device_tracker": {"active": "home", "inactive": "not_home"},
    "fan": {"active": "on", "inactive": "off"},
    "humidifier": {"active": "on", "inactive": "off"},
    "input_boolean": {"active": "on", "inactive": "off"},
    "lawn_mower": {"active": "mowing", "inactive": "docked error idle returning", "pause": "paused"},
    "light": {"active": "on", "inactive": "off"},
    "lock": {"active": "open unlocked", "inactive": "locked", "transitional": "jammed locking opening unlocking"},
    "media_player": {
        "active": "on playing",
        "inactive": "idle off standby",
        "pause": "paused",
        "not_known": "buffering",
    },
    "person": {"active": "home", "inactive": "not_home"},
    "remote": {"active": "on", "inactive": "off"},
    "siren": {"active": "on", "inactive": "off"},
    "switch": {"active": "on", "inactive": "off"},
    "vacuum": {"active": "cleaning on", "inactive": "docked error idle off returning", "pause": "paused"},
    "valve": {"active": "open", "inactive": "closed", "transitional": "opening closing", "same_as": "stopped"},
    "water_heater": {"active": "eco electric gas heat_pump high_demand on performance", "inactive": "off"},
}
NO_DEVICES = (
    "ai_task air_quality alert assist_satellite automation button calendar camera conversation counter date datetime"
    " event geo_location image image_processing infrared input_button input_datetime input_number input_text notify"
    " number persistent_notification plant radio_frequency scene schedule script stt sun tag text time timer todo tts"
    " update wake_word weather zone"
)


@pytest.mark.parametrize("domain", HOME_ASSISTANT_STATES)
def test_each_state_that_home_assistant_lists_for_a_device_has_a_meaning(domain: str) -> None:
    words = words_of(domain)
    for meaning, texts in HOME_ASSISTANT_STATES[domain].items():
        assert set(texts.split()) <= set(getattr(words, meaning))


@pytest.mark.parametrize("domain", NO_DEVICES.split())
def test_each_other_domain_of_home_assistant_is_ignored_with_a_reason(domain: str) -> None:
    found = EntityRules().classify(Description(f"{domain}.x"), ("on", "off"))
    assert found.kind is Kind.IGNORED
    assert domain in found.reason


USES = {  # each a use of 30 minutes
    "cover": "closed opening open opening stopped closing closed",
    "valve": "closed opening stopped open closing closed",
    "vacuum": "docked cleaning cleaning on cleaning returning docked",
    "lawn_mower": "docked mowing mowing returning docked",
    "water_heater": "off eco heat auto electric on off",
    "climate": "off heat heat_cool auto fan_only off",
    "lock": "locked unlocking unlocked jammed open unlocked locking locked",
    "alarm_control_panel": "disarmed pending triggered disarmed",
}


@pytest.mark.parametrize("domain", USES)
def test_one_use_of_a_device_is_one_episode_whatever_it_says_in_between(domain: str) -> None:
    texts = USES[domain].split()
    log = example_day([(60 + 10 * place, f"{domain}.x", text) for place, text in enumerate(texts)])
    assert len(log.episodes) == 1
    assert bool(log.episodes.start_known[0])
    assert bool(log.episodes.end_known[0])
