"""Classify entities: are its changes activity, which of its states are active, does it show presence?

Decided from domain, device class, unit and entity category, then from the states themselves, then from the settings'
overrides, which always win. ``pattern-aggregates doctor`` prints each decision with its reason.

=====================  ====================================================================================
class                  which
=====================  ====================================================================================
activity               lights, switches, binary sensors, covers, locks, media players, climate modes, persons ...;
                       sensors with a list of options, or with few texts as states
reading                anything with a unit or a state class; numbers, times and free text
ignored                what is not about people (automations, updates, backups, the sun, diagnostics), excluded ids
=====================  ====================================================================================

Where only the states decide, one odd value changes nothing: numbers and times make a reading if at least half of the
different states of a day are such. Otherwise the entity is activity, and its few numbers count as not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from jobs.activity.states import CHOSEN, DEVICES, Words, is_measured, words_of
from storage.models import tag_fault

MAX_STATES: Final = 30  # more different texts in a day than this are free text

_IGNORED: Final = frozenset(
    {
        "ai_task",
        "air_quality",
        "alert",
        "assist_satellite",
        "automation",
        "button",
        "calendar",
        "camera",
        "conversation",
        "counter",
        "date",
        "datetime",
        "event",
        "geo_location",
        "image",
        "image_processing",
        "input_button",
        "input_datetime",
        "input_number",
        "input_text",
        "infrared",
        "mailbox",
        "notify",
        "number",
        "persistent_notification",
        "plant",
        "proximity",
        "radio_frequency",
        "schedule",
        "scene",
        "script",
        "stt",
        "sun",
        "tag",
        "text",
        "time",
        "timer",
        "todo",
        "tts",
        "update",
        "wake_word",
        "weather",
        "zone",
    }
)
_DIAGNOSTIC: Final = frozenset({"battery", "battery_charging", "connectivity", "problem", "update"})
_PRESENCE: Final = frozenset({"motion", "occupancy", "presence", "door"})
_SYSTEM_PLATFORMS: Final = frozenset(
    {
        "backup",
        "hassio",
        "jewish_calendar",
        "moon",
        "season",
        "sun",
        "systemmonitor",
        "time_date",
        "tod",
        "uptime",
        "version",
        "workday",
    }
)
_BACKUP_PREFIXES: Final = ("sensor.backup_backup_manager", "event.backup_")  # where no registry names the platform


class Kind(StrEnum):
    """What an entity's changes of state are to the detectors."""

    ACTIVITY = "activity"
    READING = "reading"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Description:
    """What a source knows about an entity; None where it does not know.

    Attributes:
        entity_id: ``domain.object_id`` in Home Assistant's way; any text elsewhere.
        device_class: ``motion``, ``door``, ``temperature`` ...
        unit: The unit of measurement.
        state_class: ``measurement``, ``total`` ...
        category: ``diagnostic`` or ``config``.
        device_id: The device it belongs to.
        area_id: The area it lies in: its own, else its device's.
        platform: The integration that made it, such as ``hue`` or ``backup``.
    """

    entity_id: str
    device_class: str | None = None
    unit: str | None = None
    state_class: str | None = None
    category: str | None = None
    device_id: str | None = None
    area_id: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as detectors see it.

    Attributes:
        entity_id: Its id.
        domain: The part before the first dot; ``other`` where there is none.
        device_class: As described.
        device_id: As described.
        area_id: As described, or from the settings.
        kind: Whether its changes are activity.
        active_states: The states in which it is on, open, home, playing ...
        presence: Whether it shows that somebody is around (motion, occupancy, presence, door).
        reason: Why it is classified so.
        by_states: Whether that depends on the states it takes.
    """

    entity_id: str
    domain: str
    device_class: str | None
    device_id: str | None
    area_id: str | None
    kind: Kind
    active_states: frozenset[str]
    presence: bool
    reason: str
    by_states: bool = False

    @property
    def words(self) -> Words:
        """The words of its domain; a word that the settings call active is a state, whatever it means elsewhere."""
        return _words_with(self.domain, self.active_states, named=self.device_class == "enum")

    def is_active(self, state: str) -> bool:
        """Return whether a state is active, in upper or lower case."""
        return state in self.active_states or state.lower() in self.active_states


@cache
def _words_with(domain: str, active: frozenset[str], *, named: bool) -> Words:
    words = words_of(domain)
    if active != words.active:
        lowered = {word.lower() for word in active}
        words = replace(
            words,
            active=active,
            inactive=words.inactive | words.active - active,
            pause=words.pause - lowered,
            transitional=words.transitional - lowered,
            not_known=words.not_known - lowered,
        )
    return replace(words, named=True) if named else words


@dataclass(frozen=True, slots=True)
class Override:
    """What the settings say about the entities that match a glob; None leaves it to the rules."""

    kind: Kind | None = None
    device_class: str | None = None
    area: str | None = None
    active_states: tuple[str, ...] | None = None
    presence: bool | None = None


@dataclass(frozen=True, slots=True)
class EntityRules:
    """The settings by which entities are classified.

    Attributes:
        include: Globs; where there are any, entities that match none are ignored.
        exclude: Globs; entities that match one are ignored.
        override: Globs, each with the corrections for the entities that match; of several matches the last counts.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    override: Mapping[str, Override] = field(default_factory=dict)

    def classify(self, about: Description, states: Collection[str] | None = None) -> Entity:
        """Classify one entity.

        Args:
            about: What the source knows about it.
            states: The different texts that were seen as its state, needed where nothing else decides; without them,
                such an entity may be activity.
        """
        override = Override()
        for glob, candidate in self.override.items():
            if fnmatchcase(about.entity_id, glob):
                override = candidate
        domain, dot, _ = about.entity_id.partition(".")
        domain = domain if dot and not tag_fault(domain) else "other"
        device_class = override.device_class or about.device_class
        decided = self._kind(about, domain, device_class)
        if override.kind is not None and not tag_fault(about.entity_id):
            decided = override.kind, "set in the settings"
        kind, reason = decided or _kind_by_states(states, words_of(domain))
        area = override.area or about.area_id
        if area is not None and tag_fault(area):
            area = None
        active = words_of(domain).active if override.active_states is None else frozenset(override.active_states)
        presence = domain == "binary_sensor" and device_class in _PRESENCE
        return Entity(
            entity_id=about.entity_id,
            domain=domain,
            device_class=device_class,
            device_id=about.device_id,
            area_id=area,
            kind=kind,
            active_states=active,
            presence=presence if override.presence is None else override.presence,
            reason=reason,
            by_states=decided is None,
        )

    def _kind(  # noqa: C901, PLR0911 - a list of rules in order, the first that fits decides
        self, about: Description, domain: str, device_class: str | None
    ) -> tuple[Kind, str] | None:
        if fault := tag_fault(about.entity_id):
            return Kind.IGNORED, f"its id cannot be stored: it {fault}"
        if any(fnmatchcase(about.entity_id, glob) for glob in self.exclude):
            return Kind.IGNORED, "excluded by the settings"
        if self.include and not any(fnmatchcase(about.entity_id, glob) for glob in self.include):
            return Kind.IGNORED, "not included by the settings"
        if domain in _IGNORED:
            return Kind.IGNORED, f"{domain} is not a device that people use"
        if about.platform in _SYSTEM_PLATFORMS or about.entity_id.startswith(_BACKUP_PREFIXES):
            return Kind.IGNORED, f"{about.platform or 'backup'} is about the system or the calendar, not about people"
        if about.category:
            return Kind.IGNORED, f"a {about.category} entity"
        if domain == "binary_sensor" and device_class in _DIAGNOSTIC:
            return Kind.IGNORED, f"{device_class} is about the device, not about people"
        if about.unit or about.state_class:
            return Kind.READING, f"it has the unit {about.unit}" if about.unit else f"a {about.state_class}"
        if domain in DEVICES:
            return Kind.ACTIVITY, f"a {domain}"
        if device_class == "enum" or domain in CHOSEN:
            return Kind.ACTIVITY, "it has a list of options"
        if domain == "sensor" and device_class:
            return Kind.READING, f"a {device_class}"
        return None


def _kind_by_states(states: Collection[str] | None, words: Words) -> tuple[Kind, str]:
    if states is None:
        return Kind.ACTIVITY, "its states are not known yet"
    known = [state for state in states if words.read(state) is not None]
    if not known:
        return Kind.IGNORED, "no known state was seen"
    measured = sum(map(is_measured, known))
    if 2 * measured >= len(known):
        return Kind.READING, "its states are numbers or times"
    if len(known) - measured > MAX_STATES:
        return Kind.READING, f"more than {MAX_STATES} different texts: free text"
    odd = f", {measured} numbers or times left out" if measured else ""
    return Kind.ACTIVITY, f"its states are a few words{odd}"
