"""Tell a mistyped entity, area or domain from one that has no rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from jobs.sentences.wording import listed
from storage.dates import DateRange, Day
from storage.errors import UsageError
from storage.models import AnomalyDaily, RoomBasedDaily, TimeBasedDaily

if TYPE_CHECKING:
    from jobs.names import Names
    from storage.models import DailyAggregate
    from storage.store import AggregateReader

KNOWN_DAYS: Final = 366  # how far back a value may have been seen last

_MODELS: Final[Mapping[str, tuple[type[DailyAggregate], ...]]] = {  # whose rows hold each value of a tag
    "area_id": (RoomBasedDaily,),
    "domain": (TimeBasedDaily,),
    "entity_id": (TimeBasedDaily, AnomalyDaily),
}
_NOUNS: Final = {"area_id": "area", "entity_id": "entity"}


def known_values(store: AggregateReader, tag: str, yesterday: Day) -> list[str]:
    """Return every entity, area or domain that the store has rows of, sorted."""
    days = DateRange.ending(yesterday, KNOWN_DAYS)
    found = (group.by[tag] for model in _MODELS[tag] for group in store.summarize(model, days, {}, [tag]))
    return sorted({str(value) for value in found})


def refuse_unknown_values(
    store: AggregateReader, conditions: Mapping[str, Sequence[str]], *, yesterday: Day, names: Names
) -> None:
    """Refuse a filter by an entity, area or domain that does not exist, for a question that found nothing.

    Args:
        store: Where the rows are.
        conditions: The values that were asked for, by tag.
        yesterday: The newest day that may have rows.
        names: What is known beside the stored rows; a value may have been typed as a name instead of its id.

    Raises:
        UsageError: A value is not known; with the nearest one that is.
    """
    named = {"area_id": names.areas, "entity_id": names.entities}
    for tag, value in _checked(conditions):
        known = known_values(store, tag, yesterday)
        if known and value not in known and value not in named.get(tag, ()):
            hint = names.closest(value, known) or f"Known are {listed(known)}."
            raise UsageError(f"no {_NOUNS.get(tag, tag)} {value!r} is known", hint=hint)


def _checked(conditions: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the tags and values that can be checked; a pair is two entities."""
    for tag, values in conditions.items():
        for value in values:
            if tag == "device_pair":
                yield from (("entity_id", one) for one in value.split("|"))
            elif tag in _MODELS:
                yield tag, value
