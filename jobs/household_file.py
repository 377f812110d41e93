"""The file that keeps what people entered about their home: days away and mutes.

It lies beside the ledger, but is not a part of it: a ledger can be rebuilt from the store, this file cannot. Commands
and the daemon may change it at any time, also while a run goes on: each change is made under a lock, and the file is
replaced as a whole.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.household import NO_HOUSEHOLD, Away, Household, Mute
from storage.dates import ONE_DAY, DateRange, Day
from storage.errors import HouseholdError, HouseholdUnavailable, SettingsError
from storage.regular_file import read_regular_text, replace_file

FORMAT: Final = "pattern-aggregates household"
VERSION: Final = 1
MAX_WAIT_SECONDS: Final = 10.0  # for another command that changes the file, which takes milliseconds
MAX_TEXT: Final = 500  # characters of a note or a reason
MAX_DAYS_AWAY: Final = 366  # that can be entered at once

_TEMPORARY = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ETXTBSY)
_Text = Annotated[str, Field(max_length=MAX_TEXT)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _AwayEntry(_Entry):
    first: Day
    last: Day
    note: _Text = ""


class _MuteEntry(_Entry):
    entity: Annotated[str, Field(min_length=1, max_length=255)]
    anomaly_type: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    first: Day
    until: Day | None = None
    reason: _Text = ""


class _Contents(_Entry):
    format: Literal["pattern-aggregates household"]
    version: int
    away: list[_AwayEntry] = []
    mutes: list[_MuteEntry] = []


class HouseholdFile:
    """The file with days away and mutes.

    Args:
        path: The file; it need not exist. The file of its lock is beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, ledger: Path) -> HouseholdFile:
        """Return the file that belongs to the home of a ledger."""
        return cls(ledger.with_suffix(".household.json"))

    def exists(self) -> bool:
        """Return whether anything was entered so far."""
        return self.path.exists()

    def read(self) -> Household:
        """Return what was entered; nothing if there is no file yet.

        Raises:
            HouseholdError: It is damaged, of a newer version, or another program's.
            HouseholdUnavailable: It cannot be read now.
        """
        try:
            text = read_regular_text(self.path)
        except FileNotFoundError:
            return NO_HOUSEHOLD
        except UnicodeDecodeError as error:
            raise self._invalid("it is not text in UTF-8") from error
        except OSError as error:
            raise self._translated(error) from error
        try:
            document = json.loads(text)
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise self._invalid("it is not a file of days away and mutes")
            if document.get("version") != VERSION:
                raise self._invalid(f"it has version {document.get('version')!r}, this program reads version {VERSION}")
            contents = _Contents.model_validate(document)
            away = tuple(Away(one.first, one.last, one.note) for one in contents.away)
            if wrong := next((one for one in away if one.last < one.first), None):
                raise self._invalid(f"the days away from {wrong.first} end on {wrong.last}")
        except ValidationError as error:
            fault = error.errors()[0]
            raise self._invalid(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise self._invalid("it is not valid JSON") from error
        return Household(away, tuple(Mute(**dict(one)) for one in contents.mutes))

    def change(self, edit: Callable[[Household], Household]) -> Household:
        """Replace what was entered by what a function makes of it; nothing is written if it raises.

        Raises:
            HouseholdError: As ``read``.
            HouseholdUnavailable: It cannot be read or written now.
            SettingsError: Its folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", mode=0o600).acquire(timeout=MAX_WAIT_SECONDS):
                changed = edit(self.read())
                self._write(changed)
        except Timeout as error:
            raise HouseholdUnavailable(
                f"another command has been changing {self.path} for {MAX_WAIT_SECONDS:.0f} s",
                hint="Let it finish, or stop it.",
            ) from error
        except OSError as error:
            raise self._translated(error) from error
        return changed

    def _write(self, household: Household) -> None:
        entered = sorted(away for away in household.away if away.origin == "entered")
        document = {
            "format": FORMAT,
            "version": VERSION,
            "away": [{"first": str(one.first), "last": str(one.last), "note": one.note} for one in entered],
            "mutes": [_as_json(mute) for mute in sorted(household.mutes, key=str)],
        }
        replace_file(self.path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")

    def _invalid(self, why: str) -> HouseholdError:
        return HouseholdError(
            f"{self.path} cannot be used: {why}",
            hint="Restore it from a backup or correct it; else move it away and enter days away and mutes again.",
        )

    def _translated(self, error: OSError) -> HouseholdUnavailable | HouseholdError | SettingsError:
        message = f"{self.path}: {error.strerror}"
        if error.errno in _TEMPORARY:
            return HouseholdUnavailable(
                message, hint="Nothing is lost; free some space or close some files, run again."
            )
        return HouseholdError(message, hint="Check the owner and the rights of the file and its folder.")


def _as_json(mute: Mute) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Day) else value for name, value in asdict(mute).items()}


def without_away(household: Household, days: DateRange) -> Household:
    """Return a household without some days away; of what lies only partly within them, the other days stay."""
    kept: list[Away] = []
    for away in household.away:
        if not away.days & days:
            kept.append(away)
            continue
        if away.first < days.first:
            kept.append(replace(away, last=days.first - ONE_DAY))
        if away.last > days.last:
            kept.append(replace(away, first=days.last + ONE_DAY))
    return replace(household, away=tuple(kept))


def with_away(household: Household, away: Away) -> Household:
    """Return a household with more days away; one with the same days is replaced, so that its note can be changed."""
    others = [one for one in household.away if (one.first, one.last) != (away.first, away.last)]
    return replace(household, away=tuple(sorted((*others, away))))


def with_mute(household: Household, mute: Mute) -> Household:
    """Return a household with one more mute, in place of one of the same entity and type."""
    others = [one for one in household.mutes if str(one) != str(mute)]
    return replace(household, mutes=tuple(sorted((*others, mute), key=str)))
