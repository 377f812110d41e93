"""The names that people gave to entities and areas, for everything that a person reads.

Ids stay where programs read: in stored rows, in JSON and in CSV.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final, Protocol, runtime_checkable

MAX_NAME_LENGTH: Final = 60  # characters; a longer name is cut

_SIMILAR: Final = 0.6  # as in ``storage.columns.closest``


@dataclass(frozen=True, slots=True)
class Names:
    """Names of entities and areas; what has no name goes by its id.

    Args:
        entities: The name of each entity, by entity id.
        areas: The name of each area, by area id.
    """

    entities: Mapping[str, str] = field(default_factory=dict)
    areas: Mapping[str, str] = field(default_factory=dict)

    def entity(self, entity_id: str) -> str:
        """Return the name of an entity."""
        return self.entities.get(entity_id, entity_id)

    def area(self, area_id: str) -> str:
        """Return the name of an area."""
        return self.areas.get(area_id, area_id)

    def step(self, step: str) -> str:
        """Return a step of a sequence, ``entity_id:state``, as the name and the state.

        >>> Names({"light.hall": "Hall lamp"}).step("light.hall:on")
        'Hall lamp on'
        """
        entity_id, _, state = step.partition(":")
        return f"{self.entity(entity_id)} {state}"

    def pair(self, device_pair: str) -> tuple[str, str]:
        """Return the names of both entities of a ``device_pair``."""
        first, _, second = device_pair.partition("|")
        return self.entity(first), self.entity(second)

    def value(self, tag: str, value: str) -> str:
        """Return what a person reads for the value of a tag; the value itself where it is neither entity nor area."""
        if tag == "entity_id":
            return self.entity(value)
        if tag == "area_id":
            return self.area(value)
        if tag == "subject":  # an entity, an area or the home
            return self.entities.get(value) or self.area(value)
        is_pair = tag == "device_pair" or (tag == "habit" and "|" in value)
        return " and ".join(self.pair(value)) if is_pair else value

    def completed(self, entity_ids: Iterable[str], area_ids: Iterable[str] = ()) -> Names:
        """Return these with a name for each id that has none, as Home Assistant would make one from the id.

        >>> Names().completed(["light.hall_lamp"], ["living_room"])
        Names(entities={'light.hall_lamp': 'Hall lamp'}, areas={'living_room': 'Living room'})
        """
        entities = {one: _readable(one.partition(".")[2] or one) for one in sorted(set(entity_ids) - {*self.entities})}
        areas = {one: _readable(one) for one in sorted(set(area_ids) - {*self.areas})}
        return replace(
            self,
            entities=_distinct({**self.entities, **entities}, {}),
            areas=_distinct({**self.areas, **areas}, {}),
        )

    def closest(self, text: str, known: Iterable[str]) -> str:
        """Return "did you mean ...?" with the id whose text or name is nearest to a text; empty if none is near."""
        names = {one.casefold(): one for one in known}
        names |= {name.casefold(): one for one, name in (*self.entities.items(), *self.areas.items()) if one in names}
        near = get_close_matches(text.casefold(), list(names), n=1, cutoff=_SIMILAR)
        return f"did you mean {names[near[0]]}?" if near else ""


NO_NAMES: Final = Names()


@runtime_checkable
class NamesEntities(Protocol):
    """A source that holds names."""

    def names(self) -> Names:
        """Return the names of entities and areas.

        Raises:
            SourceUnavailable: The source cannot be reached now.
            SourceCorrupt: It is damaged.
        """
        ...


def make_names(
    entities: Mapping[str, object], areas: Mapping[str, object], area_of: Mapping[str, str | None] | None = None
) -> Names:
    """Return names that tell entities and areas apart.

    Where several share a name, as sensors called "Motion" do, the area is added, or else the id.

    Args:
        entities: By entity id what is taken for its name; what is not a text, or empty, is left out.
        areas: The same for areas.
        area_of: The area of each entity, as far as it is known.
    """
    of_areas = _distinct(_texts(areas), {})
    places = {entity_id: of_areas.get(area, area) for entity_id, area in (area_of or {}).items() if area}
    return Names(_distinct(_texts(entities), places), of_areas)


def merged(first: Names, second: Names) -> Names:
    """Return all names of two; the first counts where both have one."""
    return Names(_distinct({**second.entities, **first.entities}, {}), _distinct({**second.areas, **first.areas}, {}))


def _texts(found: Mapping[str, object]) -> dict[str, str]:
    # JSON may hold half of a pair of surrogates, which no file and no network takes.
    encoded = {one: name.encode(errors="replace") for one, name in found.items() if isinstance(name, str)}
    texts = {one: " ".join(name.decode().split()) for one, name in encoded.items()}
    return {
        one: name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1].rstrip()}…"
        for one, name in texts.items()
        if name
    }


def _distinct(names: Mapping[str, str], places: Mapping[str, str]) -> dict[str, str]:
    """Return names of which no two are equal, whatever their case."""
    found = dict(names)
    for addition in (places, {one: one for one in names}):
        held = Counter(name.casefold() for name in found.values())
        found = {
            one: f"{name} ({addition[one]})" if held[name.casefold()] > 1 and one in addition else name
            for one, name in found.items()
        }
    return found


def _readable(text: str) -> str:
    words = " ".join(text.replace("_", " ").split()) or text
    return words[:1].upper() + words[1:]
