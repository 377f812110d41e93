"""A count with its noun, singular or plural, for sentences that people read."""

from __future__ import annotations


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count and its noun.

    Args:
        count: How many.
        singular: The noun, or a phrase, for one.
        plural: The same for any other count; by default the singular with an s.

    >>> counted(1, "pair"), counted(1200, "pair"), counted(0, "entity", "entities")
    ('1 pair', '1,200 pairs', '0 entities')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
