"""The device in Home Assistant: its topics, and what is published on them.

Every state is retained, so publishing it again changes nothing. A finding is an event: it is published once and not
retained, because Home Assistant ignores retained events.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from jobs.household import ANOMALY_TYPES
from jobs.publish.news import DayNews
from jobs.sentences.days import DayWord
from jobs.sentences.groups import Story
from storage.clean_text import printable

NAME: Final = "pattern-aggregates"
ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
ON: Final = b"ON"
OFF: Final = b"OFF"
OTHER: Final = "other"  # the type of an event for an anomaly of another package's detector
MAX_LISTED: Final = 20  # findings in the attributes
MAX_ATTRIBUTE_BYTES: Final = 16_000  # Home Assistant does not record attributes of more than 16,384 bytes
MAX_SENTENCE: Final = 500  # characters
MAX_ENTITIES: Final = 10  # of one finding

Document = dict[str, Any]


class Message(NamedTuple):
    """What is published on a topic."""

    topic: str
    payload: bytes
    retain: bool = True


class Device:
    """The device of one home.

    Args:
        home_id: The random id of the home; no two homes share it, or Home Assistant would merge their devices.
        discovery_prefix: Where Home Assistant looks for devices.
        zone: The zone of the home.
        version: The version of this program.
    """

    def __init__(self, home_id: str, discovery_prefix: str, zone: ZoneInfo, version: str) -> None:
        self.id = f"pattern_aggregates_{home_id}"
        self._zone = zone
        self._version = version
        base = f"pattern_aggregates/{home_id}"
        self.config_topic = f"{discovery_prefix}/device/{self.id}/config"
        self.home_assistant_topic = f"{discovery_prefix}/status"
        self.availability_topic = f"{base}/status"
        self.day_topic = f"{base}/day"
        self.findings_topic = f"{base}/findings"
        self.event_topic = f"{base}/finding"
        self.away_topic = f"{base}/away"
        self.away_command_topic = f"{base}/away/set"

    def config(self) -> Message:
        """Return the message that describes the device and all its entities to Home Assistant."""
        return Message(self.config_topic, _encoded(self._description()))

    def availability(self, *, is_online: bool) -> Message:
        """Return the message that says whether the entities are available."""
        return Message(self.availability_topic, ONLINE if is_online else OFFLINE)

    def away(self, *, is_on: bool) -> Message:
        """Return the state of the switch."""
        return Message(self.away_topic, ON if is_on else OFF)

    def states(self, news: DayNews) -> Iterator[Message]:
        """Yield the states of the sensors for the newest day; its findings come first, as attributes of their number.

        Args:
            news: The newest day.
        """
        yield Message(self.findings_topic, _encoded(_listed(news)))
        begins_at = dt.datetime.combine(news.day, dt.time(), self._zone)
        state = {"begins_at": begins_at.isoformat(), "word": news.word, "findings": len(news.stories)}
        yield Message(self.day_topic, _encoded(state))

    def event(self, story: Story) -> Message:
        """Return the event for a story; its ``id`` is the same whenever it is published."""
        row = story.rows[0]
        names = sorted(f"{one.date} {one.entity_id} {one.anomaly_type}" for one in story.rows)
        event = {
            "event_type": row.anomaly_type if row.anomaly_type in ANOMALY_TYPES else OTHER,
            "id": hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest(),
            "day": row.date.isoformat(),
            **_described(story),
        }
        return Message(self.event_topic, _encoded(event), retain=False)

    def removal(self) -> list[Message]:
        """Return the empty messages that remove the device and everything retained about it."""
        topics = (
            self.config_topic,
            self.day_topic,
            self.findings_topic,
            self.away_topic,
            self.away_command_topic,
            self.availability_topic,
        )
        return [Message(topic, b"") for topic in topics]

    def _description(self) -> Document:
        return {
            "dev": {"ids": [self.id], "name": "Pattern aggregates", "mf": NAME, "sw": self._version},
            "o": {"name": NAME, "sw": self._version},
            "avty_t": self.availability_topic,
            "qos": 1,
            "cmps": {name: self._component(name, **entity) for name, entity in self._entities().items()},
        }

    def _component(self, key: str, **entity: Any) -> Document:  # noqa: ANN401 - values of JSON
        return {"uniq_id": f"{self.id}_{key}", **entity}

    def _entities(self) -> dict[str, Document]:
        """Return the entities by the last part of their unique id, in Home Assistant's abbreviated keys."""
        return {
            "newest_day": {
                "p": "sensor",
                "name": "Newest day",
                "dev_cla": "timestamp",
                "ent_cat": "diagnostic",
                "stat_t": self.day_topic,
                "val_tpl": "{{ value_json.begins_at }}",
            },
            "findings": {
                "p": "sensor",
                "name": "Unusual findings",
                "ic": "mdi:magnify",
                "stat_cla": "measurement",
                "stat_t": self.day_topic,
                "val_tpl": "{{ value_json.findings }}",
                "json_attr_t": self.findings_topic,
            },
            "day": {
                "p": "sensor",
                "name": "Day",
                "ic": "mdi:calendar-check",
                "dev_cla": "enum",
                "ops": [str(word) for word in DayWord],
                "stat_t": self.day_topic,
                "val_tpl": "{{ value_json.word }}",
            },
            "finding": {
                "p": "event",
                "name": "Finding",
                "ic": "mdi:bell-outline",
                "evt_typ": [*ANOMALY_TYPES, OTHER],
                "stat_t": self.event_topic,
            },
            "away": {
                "p": "switch",
                "name": "Nobody home",
                "ic": "mdi:home-export-outline",
                "stat_t": self.away_topic,
                "cmd_t": self.away_command_topic,
                "ret": True,  # so that a switch turned while nothing runs here still counts
            },
        }


def _described(story: Story) -> Document:
    names = list(dict.fromkeys(row.entity_id for row in story.rows))
    return {
        "sentence": printable(story.sentence)[:MAX_SENTENCE],
        "severity": story.severity,
        "entities": names[:MAX_ENTITIES],
        "types": sorted({row.anomaly_type for row in story.rows}),
    }


def _listed(news: DayNews) -> Document:
    """Return the findings of a day, as many as Home Assistant records."""
    listed = [_described(story) for story in news.stories[:MAX_LISTED]]
    while True:
        document = {"day": news.day.isoformat(), "findings": listed, "not_listed": len(news.stories) - len(listed)}
        if len(_encoded(document)) <= MAX_ATTRIBUTE_BYTES or not listed:
            return document
        listed = listed[:-1]


def _encoded(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
