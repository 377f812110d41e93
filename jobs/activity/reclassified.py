"""Entities whose class changes: a sensor in watts that is added anew as one with a list of options.

Each sample means what its entity was when it was recorded. Where an entity was a reading for a while and activity for
another, it is activity as its newest such description says, and the samples of the other time are not known: the
numbers of the morning are not states of the washing machine that the sensor shows in the evening.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.activity.entities import Description, EntityRules, Kind


def prevailing(descriptions: Sequence[Description], rules: EntityRules) -> tuple[Description, list[bool]]:
    """Return what an entity is that was described in several ways, and whose samples count.

    Args:
        descriptions: In order of time; at least one.
        rules: How entities are classified.

    Returns:
        The newest description that makes it activity, else the newest; and for each whether its samples count.

    >>> watts, program = Description("sensor.washer", unit="W"), Description("sensor.washer", device_class="enum")
    >>> about, counted = prevailing([watts, program, watts], EntityRules())
    >>> about.device_class, counted
    ('enum', [False, True, False])
    """
    is_activity = [rules.classify(about).kind is Kind.ACTIVITY for about in descriptions]
    if not any(is_activity):
        return descriptions[-1], [True] * len(descriptions)
    newest = max(place for place, counts in enumerate(is_activity) if counts)
    return descriptions[newest], is_activity
