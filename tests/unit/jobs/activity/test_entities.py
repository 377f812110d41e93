"""How entities are classed: by what is known of them, by their states, and by the settings."""

from __future__ import annotations

import pytest

from jobs.activity.entities import MAX_STATES, Description, Entity, EntityRules, Kind, Override

ACTIVITY, READING, IGNORED = Kind.ACTIVITY, Kind.READING, Kind.IGNORED


def classed(about: Description | str, *states: str, rules: EntityRules | None = None) -> Entity:
    described = Description(about) if isinstance(about, str) else about
    return (rules or EntityRules()).classify(described, states)


@pytest.mark.parametrize(
    ("entity_id", "active", "idle"),
    [
        ("light.kitchen", "on", "off"),
        ("switch.pump", "on", "off"),
        ("fan.bath", "on", "off"),
        ("binary_sensor.hall", "on", "off"),
        ("input_boolean.guests", "on", "off"),
        ("cover.blind", "open", "closed"),
        ("valve.garden", "open", "closed"),
        ("lock.front", "unlocked", "locked"),
        ("media_player.tv", "playing", "idle"),
        ("climate.living", "heat", "off"),
        ("person.ann", "home", "not_home"),
        ("device_tracker.phone", "home", "not_home"),
        ("vacuum.robot", "cleaning", "docked"),
        ("lawn_mower.robot", "mowing", "docked"),
        ("alarm_control_panel.home", "triggered", "disarmed"),
        ("humidifier.cellar", "on", "off"),
        ("siren.roof", "on", "off"),
    ],
)
def test_devices_that_people_use_are_activity_whatever_states_were_seen(entity_id: str, active: str, idle: str) -> None:
    entity = classed(entity_id)
    assert entity.kind is ACTIVITY
    assert entity.domain == entity_id.partition(".")[0]
    assert active in entity.active_states
    assert idle not in entity.active_states
    assert entity.reason


@pytest.mark.parametrize(
    "about",
    [
        Description("sensor.temperature", unit="°C"),
        Description("sensor.power", device_class="power", unit="W", state_class="measurement"),
        Description("sensor.meter", state_class="total_increasing"),
        Description("sensor.battery", device_class="battery", unit="%"),
        Description("sensor.last_seen", device_class="timestamp"),
        Description("binary_sensor.odd", unit="%"),
    ],
)
def test_continuous_readings_are_no_activity(about: Description) -> None:
    assert classed(about, "on", "off").kind is READING


@pytest.mark.parametrize(
    "states", [("1",), ("21.5", "eco"), ("1e3",), ("-0",), ("2026-03-02T10:00:00+00:00",), ("2026-03-02",)]
)
def test_a_sensor_whose_states_hold_a_number_or_a_time_is_a_reading(states: tuple[str, ...]) -> None:
    assert classed("sensor.anything", *states).kind is READING


def test_a_sensor_of_a_few_words_is_activity_and_one_of_many_is_free_text() -> None:
    words = [f"word {number} x" for number in range(MAX_STATES + 1)]
    assert classed("sensor.washer", *words[:-1]).kind is ACTIVITY
    assert classed("sensor.washer", *words).kind is READING


def test_a_sensor_with_a_list_of_options_is_activity_even_if_they_look_like_numbers() -> None:
    assert classed(Description("sensor.level", device_class="enum"), "1", "2").kind is ACTIVITY


@pytest.mark.parametrize("gaps", [(), ("unavailable",), ("unknown", "", "unavailable"), ("nan", "None")])
def test_a_sensor_that_was_never_known_is_ignored(gaps: tuple[str, ...]) -> None:
    assert classed("sensor.dead", *gaps).kind is IGNORED
    assert classed("sensor.alive", *gaps, "eco").kind is ACTIVITY


@pytest.mark.parametrize(
    "entity_id",
    [
        *("automation.night", "script.good_night", "sun.sun", "update.core", "weather.home", "zone.home", "scene.x"),
        *("input_number.limit", "number.speed", "timer.egg", "event.bell", "button.restart", "calendar.bins"),
    ],
)
def test_what_no_person_uses_is_ignored(entity_id: str) -> None:
    assert classed(entity_id, "on", "off").kind is IGNORED


@pytest.mark.parametrize("category", ["diagnostic", "config"])
def test_diagnostics_and_configuration_are_ignored(category: str) -> None:
    entity = classed(Description("switch.led", category=category), "on")
    assert entity.kind is IGNORED
    assert category in entity.reason


@pytest.mark.parametrize("device_class", ["battery", "connectivity", "problem", "update", "battery_charging"])
def test_a_binary_sensor_about_its_own_device_is_ignored(device_class: str) -> None:
    assert classed(Description("binary_sensor.x", device_class=device_class)).kind is IGNORED


@pytest.mark.parametrize(
    ("about", "presence"),
    [
        (Description("binary_sensor.m", device_class="motion"), True),
        (Description("binary_sensor.o", device_class="occupancy"), True),
        (Description("binary_sensor.p", device_class="presence"), True),
        (Description("binary_sensor.d", device_class="door"), True),
        (Description("binary_sensor.w", device_class="window"), False),
        (Description("binary_sensor.n"), False),
        (Description("cover.garage", device_class="door"), False),
        (Description("light.lamp"), False),
    ],
)
def test_motion_occupancy_presence_and_door_sensors_show_presence(about: Description, presence: bool) -> None:
    assert classed(about).presence is presence


@pytest.mark.parametrize(
    ("entity_id", "domain"),
    [("light.a.b", "light"), ("M001", "other"), (".x", "other"), ("seats", "other"), ("a.", "a")],
)
def test_the_domain_is_what_stands_before_the_first_dot_or_other(entity_id: str, domain: str) -> None:
    assert classed(entity_id, "on").domain == domain


def test_entities_of_unknown_domains_are_active_in_the_usual_words() -> None:
    entity = classed("M001", "on", "off")
    assert entity.kind is ACTIVITY
    assert {"on", "open", "unlocked", "home", "playing", "heating", "cleaning"} <= entity.active_states


def test_what_is_excluded_or_not_included_is_ignored() -> None:
    rules = EntityRules(include=("light.*", "switch.a"), exclude=("*_test",))
    kinds = {
        entity_id: classed(entity_id, rules=rules).kind
        for entity_id in ("light.hall", "light.hall_test", "switch.a", "switch.b", "LIGHT.hall")
    }
    assert kinds == {
        "light.hall": ACTIVITY,
        "light.hall_test": IGNORED,
        "switch.a": ACTIVITY,
        "switch.b": IGNORED,
        "LIGHT.hall": IGNORED,
    }


def test_without_include_everything_is_included() -> None:
    assert classed("light.hall", rules=EntityRules(exclude=("switch.*",))).kind is ACTIVITY


def test_the_settings_overrule_what_the_rules_say() -> None:
    rules = EntityRules(
        override={
            "light.*": Override(kind=IGNORED),
            "automation.door": Override(kind=ACTIVITY, active_states=("ajar",), presence=True, area="hall"),
            "binary_sensor.x": Override(device_class="motion"),
        }
    )
    assert classed("light.hall", rules=rules).kind is IGNORED
    door = classed(Description("automation.door", area_id="attic"), rules=rules)
    assert (door.kind, door.active_states, door.presence, door.area_id) == (
        ACTIVITY,
        frozenset({"ajar"}),
        True,
        "hall",
    )
    assert "settings" in door.reason
    sensor = classed(Description("binary_sensor.x", device_class="battery"), rules=rules)
    assert (sensor.kind, sensor.device_class, sensor.presence) == (ACTIVITY, "motion", True)


def test_of_several_overrides_the_last_that_matches_counts() -> None:
    rules = EntityRules(override={"light.hall": Override(area="hall"), "light.*": Override(area="house")})
    assert classed("light.hall", rules=rules).area_id == "house"


def test_an_override_may_set_an_empty_list_of_active_states() -> None:
    rules = EntityRules(override={"light.*": Override(active_states=())})
    assert classed("light.hall", rules=rules).active_states == frozenset()


@pytest.mark.parametrize("entity_id", ["", "light.a\nb", "light.a\\", "x" * 256, "light.\ud800"])
def test_an_id_that_no_store_can_keep_is_ignored_whatever_the_settings_say(entity_id: str) -> None:
    rules = EntityRules(override={"*": Override(kind=ACTIVITY)})
    entity = classed(entity_id, "on", rules=rules)
    assert entity.kind is IGNORED
    assert "cannot be stored" in entity.reason


@pytest.mark.parametrize("area", ["", "a\nb", "a\\", "x" * 256])
def test_an_area_that_no_store_can_keep_is_left_out(area: str) -> None:
    assert classed(Description("light.a", area_id=area)).area_id is None
    assert (
        classed(Description("light.a", area_id="hall"), rules=EntityRules(override={"*": Override()})).area_id == "hall"
    )


def test_a_description_is_carried_over() -> None:
    entity = classed(Description("light.a", device_class="lamp", device_id="d1", area_id="hall"))
    assert (entity.entity_id, entity.device_class, entity.device_id, entity.area_id) == (
        "light.a",
        "lamp",
        "d1",
        "hall",
    )
