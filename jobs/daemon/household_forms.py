"""Change days away and mutes by the forms of the daemon's page, with the same limits as the commands."""

from __future__ import annotations

import datetime as dt
import hmac
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from jobs.household import Away, Household, Mute
from jobs.household_file import MAX_DAYS_AWAY, MAX_TEXT, EnteredHousehold, with_away, with_mute, without_away
from jobs.publish.away_switch import switched
from storage.clean_text import clean
from storage.dates import DateRange, parse_day
from storage.errors import UsageError

_log = logging.getLogger(__name__)

Fields = Mapping[str, str]


class HouseholdForms:
    """The forms that change days away and mutes.

    Args:
        file: Where they are kept.
        token: What each form must hold: a page of another site cannot know it.
    """

    def __init__(self, file: EnteredHousehold, token: str) -> None:
        self._file = file
        self._token = token

    def change_away(self, fields: Fields, today: dt.date) -> None:
        """Enter days away, or remove some.

        Args:
            fields: ``switch`` as ``on`` or ``off``, as in Home Assistant; or ``first`` and ``last`` as YYYY-MM-DD,
                ``note``, and ``remove`` if they are to be removed.
            today: The present local day.

        Raises:
            UsageError: The form is not valid.
            HouseholdError: The file cannot be changed.
        """
        self._check(fields)
        if "switch" in fields:
            if fields["switch"] not in ("on", "off"):
                raise UsageError(f"{clean(fields['switch'])!r} is not a valid position of the switch")
            self._file.change(partial(switched, today=today, on=fields["switch"] == "on"))
            _log.info("away was switched on the page: %s", fields["switch"])
            return
        first = parse_day(_text(fields, "first"))
        last = parse_day(_text(fields, "last") or str(first))
        if last < first:
            raise UsageError(f"the last day, {last}, is before the first, {first}")
        days = DateRange(first, last)
        if len(days) > MAX_DAYS_AWAY:
            raise UsageError(f"{len(days):,} days are too many", hint=f"Enter at most {MAX_DAYS_AWAY} days at once.")
        if "remove" in fields:
            self._file.change(partial(without_away, days=days))
        else:
            self._file.change(partial(with_away, away=Away(first, last, _text(fields, "note"))))
        _log.info("days away were %s on the page: %s", "removed" if "remove" in fields else "entered", days)

    def change_mutes(self, fields: Fields, muteable: Collection[tuple[str, str]], today: dt.date) -> None:
        """Mute a type of anomaly of an entity, or remove a mute.

        Args:
            fields: ``what`` as ENTITY:TYPE, ``until`` as YYYY-MM-DD or empty, ``reason``; ``remove`` to remove it.
            muteable: The entities and types that the page offers.
            today: The present local day; a mute counts from the oldest day that the page offers.

        Raises:
            UsageError: The form is not valid.
            HouseholdError: The file cannot be changed.
        """
        self._check(fields)
        what, until, reason = _text(fields, "what"), _text(fields, "until"), _text(fields, "reason")
        if "remove" in fields:
            self._file.change(partial(_without_mute, what=what))
        else:
            entity_id, _, anomaly_type = what.rpartition(":")
            if (entity_id, anomaly_type) not in muteable:
                raise UsageError("nothing like that is on the page any more", hint="Go back and choose again.")
            last = parse_day(until) if until else None
            if last is not None and last < today:
                raise UsageError(f"the mute ends on {last}, which is past")
            first = today - dt.timedelta(days=1)  # as the command: the newest day that is over
            self._file.change(partial(with_mute, mute=Mute(entity_id, anomaly_type, first, last, reason)))
        _log.info("%s was %s on the page", clean(what), "unmuted" if "remove" in fields else "muted")

    def _check(self, fields: Fields) -> None:
        if not hmac.compare_digest(fields.get("token", "").encode(), self._token.encode()):
            raise UsageError("this form is from an earlier start of the program", hint="Go back and reload the page.")


def _text(fields: Fields, name: str) -> str:
    text = " ".join(fields.get(name, "").split())
    if len(text) > MAX_TEXT:
        raise UsageError(f"{name} has {len(text)} characters, at most {MAX_TEXT} are allowed")
    return text


def _without_mute(household: Household, what: str) -> Household:
    kept = tuple(one for one in household.mutes if str(one) != what)
    if len(kept) == len(household.mutes):
        raise UsageError("that is not muted any more", hint="Go back and reload the page.")
    return replace(household, mutes=kept)
