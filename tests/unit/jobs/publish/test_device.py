"""What is published of a device keeps the rules of Home Assistant, as its documentation and its code of 2026.11 say.

A key that is not known refuses the whole message at its top level, in the device and in the origin. A real Home
Assistant is asked in tests/integration/test_home_assistant.py.
"""

from __future__ import annotations

import json
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.household import ANOMALY_TYPES
from jobs.names import Names
from jobs.publish.mqtt.device import MAX_ATTRIBUTE_BYTES, MAX_LISTED, OTHER, Device
from jobs.publish.news import DayNews
from jobs.sentences.days import DayWord
from jobs.sentences.groups import stories
from storage.models import AnomalyDaily
from tests.support.published_home import YESTERDAY, anomaly

ZONE = ZoneInfo("Europe/Berlin")
DEVICE = Device("0123456789abcdef0123456789abcdef", "homeassistant", ZONE, "0.2.0")
TOP_LEVEL = {"dev", "o", "cmps", "avty_t", "avty", "avty_mode", "avty_tpl", "stat_t", "cmd_t", "qos", "e"}
OF_DEVICE = {"ids", "cns", "name", "mf", "mdl", "mdl_id", "hw", "sw", "sa", "sn", "cu"}
OF_ORIGIN = {"name", "sw", "url"}
OF_ENTITY = {"p", "uniq_id", "name", "ic", "dev_cla", "ent_cat", "val_tpl", "stat_t", "json_attr_t"}
OF_PLATFORM = {"sensor": {"ops", "stat_cla"}, "event": {"evt_typ"}, "switch": {"cmd_t", "ret"}}
RECORDED_ATTRIBUTE_BYTES = 16_384
MAX_STATE = 255


def news(*rows: AnomalyDaily) -> DayNews:
    return DayNews(YESTERDAY, DayWord.UNUSUAL, tuple(stories(rows, ZONE)))


def published(*rows: AnomalyDaily) -> dict[str, Any]:
    """The documents of the states by the last part of their topic."""
    return {one.topic.rpartition("/")[2]: json.loads(one.payload) for one in DEVICE.states(news(*rows))}


def test_the_description_has_the_keys_that_home_assistant_demands_and_no_others() -> None:
    message = DEVICE.config()
    config = json.loads(message.payload)
    assert message.retain
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", message.topic)
    assert {"dev", "o", "cmps"} <= config.keys() <= TOP_LEVEL
    assert "ids" in config["dev"]
    assert config["dev"].keys() <= OF_DEVICE
    assert "name" in config["o"]
    assert config["o"].keys() <= OF_ORIGIN
    for component in config["cmps"].values():
        assert {"p", "uniq_id", "stat_t"} <= component.keys() <= OF_ENTITY | OF_PLATFORM[component["p"]]


def test_the_entities_are_those_that_a_day_has() -> None:
    components = json.loads(DEVICE.config().payload)["cmps"]
    assert {key: one["p"] for key, one in components.items()} == {
        "newest_day": "sensor",
        "findings": "sensor",
        "day": "sensor",
        "finding": "event",
        "away": "switch",
    }
    assert (components["newest_day"]["dev_cla"], components["newest_day"]["ent_cat"]) == ("timestamp", "diagnostic")
    assert (components["day"]["dev_cla"], components["day"]["ops"]) == ("enum", [str(word) for word in DayWord])
    assert not {"unit_of_meas", "stat_cla"} & components["day"].keys()  # not allowed beside options
    assert components["finding"]["evt_typ"] == [*ANOMALY_TYPES, OTHER]


@pytest.mark.parametrize(("count", "listed"), [(0, 0), (MAX_LISTED, MAX_LISTED), (MAX_LISTED + 1, MAX_LISTED)])
def test_at_most_twenty_findings_are_listed_and_the_others_counted(count: int, listed: int) -> None:
    found = published(*(anomaly(f"light.number_{number}") for number in range(count)))
    assert found["day"]["findings"] == count
    assert len(found["findings"]["findings"]) == listed
    assert found["findings"]["not_listed"] == count - listed


def test_long_names_never_make_more_attributes_than_home_assistant_records() -> None:
    long = [
        anomaly(f"light.{'ü' * 100}_{group}_{number}", group=f"light.{group}")
        for group in range(20)
        for number in range(9)
    ]
    (message, state) = DEVICE.states(news(*long))
    assert len(message.payload) <= MAX_ATTRIBUTE_BYTES < RECORDED_ATTRIBUTE_BYTES
    document = json.loads(message.payload)
    assert 0 < len(document["findings"]) < 20
    assert len(document["findings"]) + document["not_listed"] == 20
    assert all(len(str(value)) <= MAX_STATE for value in json.loads(state.payload).values())


def test_sentences_hold_no_characters_that_do_not_print() -> None:
    names = Names({"light.hall": "Ha\x1b[2J\u202e\x00ll"})
    document = json.loads(DEVICE.event(stories([anomaly()], ZONE, names=names)[0]).payload)
    assert document["sentence"] == r"Ha\x1b[2J\u202e\x00ll was active 40 times"


def test_the_newest_day_begins_at_midnight_of_the_home() -> None:
    assert published()["day"]["begins_at"] == "2026-03-09T00:00:00+01:00"


def test_an_event_is_not_retained_and_has_one_of_the_types_and_an_id_that_stays() -> None:
    (story,) = news(anomaly("light.a", group="g"), anomaly("light.b", group="g")).stories
    message = DEVICE.event(story)
    event = json.loads(message.payload)
    assert not message.retain
    assert event["event_type"] in ANOMALY_TYPES
    assert event["entities"] == ["light.a", "light.b"]
    assert message == DEVICE.event(story)
    (other,) = news(anomaly("light.a", "of_another_package")).stories
    assert json.loads(DEVICE.event(other).payload)["event_type"] == OTHER


def test_a_removal_empties_every_topic_that_is_retained() -> None:
    retained = {DEVICE.config(), *DEVICE.states(news()), DEVICE.availability(is_online=True), DEVICE.away(is_on=True)}
    removed = {one.topic for one in DEVICE.removal()}
    assert {one.topic for one in retained} < removed
    assert all(one.payload == b"" and one.retain for one in DEVICE.removal())
