"""What people entered about their home: days away and mutes, in a file beside the ledger, or in the ledger's database.

The file is not a part of the ledger: a ledger can be rebuilt from the store, this file cannot. Commands and the daemon
may change it at any time, also while a run goes on: each change is made under a lock, and the text is replaced as a
whole.
"""

from __future__ import annotations

import errno
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.household import NO_HOUSEHOLD, Away, Household, Mute
from storage.dates import ONE_DAY, DateRange, Day
from storage.errors import HouseholdError, HouseholdUnavailable, LedgerError, LedgerUnavailable, SettingsError
from storage.ledger.ledger import Ledger
from storage.regular_file import read_regular_text, replace_file

FORMAT: Final = "pattern-aggregates household"
VERSION: Final = 1
_DOCUMENT: Final = "household"  # its name in the ledger's database
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


class EnteredHousehold(ABC):
    """What keeps days away and mutes, as one text that is replaced as a whole.

    Attributes:
        where: What to call it in messages.
    """

    where: str

    @abstractmethod
    def read_text(self) -> str | None:
        """Return the text; None if there is none yet."""

    @abstractmethod
    def replace_text(self, edit: Callable[[str | None], str]) -> None:
        """Replace the text by what a function makes of it, alone among all processes; if it raises, nothing changes."""

    def exists(self) -> bool:
        """Return whether anything was entered so far."""
        return self.read_text() is not None

    def read(self) -> Household:
        """Return what was entered; nothing if there is no text yet.

        Raises:
            HouseholdError: It is damaged, of a newer version, or another program's.
            HouseholdUnavailable: It cannot be read now.
        """
        text = self.read_text()
        return NO_HOUSEHOLD if text is None else self._parsed(text)

    def change(self, edit: Callable[[Household], Household]) -> Household:
        """Replace what was entered by what a function makes of it; nothing is written if it raises.

        Raises:
            HouseholdError: As ``read``.
            HouseholdUnavailable: It cannot be read or written now.
            SettingsError: A file's folder cannot be written to.
        """
        changed = NO_HOUSEHOLD

        def edit_text(text: str | None) -> str:
            nonlocal changed
            changed = edit(NO_HOUSEHOLD if text is None else self._parsed(text))
            return _as_text(changed)

        self.replace_text(edit_text)
        return changed

    def _parsed(self, text: str) -> Household:
        try:
            document = json.loads(text)
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise self.invalid("it is not a file of days away and mutes")
            if document.get("version") != VERSION:
                raise self.invalid(f"it has version {document.get('version')!r}, this program reads version {VERSION}")
            contents = _Contents.model_validate(document)
            away = tuple(Away(one.first, one.last, one.note) for one in contents.away)
            if wrong := next((one for one in away if one.last < one.first), None):
                raise self.invalid(f"the days away from {wrong.first} end on {wrong.last}")
        except ValidationError as error:
            fault = error.errors()[0]
            raise self.invalid(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise self.invalid("it is not valid JSON") from error
        return Household(away, tuple(Mute(**dict(one)) for one in contents.mutes))

    def invalid(self, why: str) -> HouseholdError:
        """Return the error of a text that cannot be used."""
        return HouseholdError(
            f"{self.where} cannot be used: {why}",
            hint="Restore it from a backup or correct it; else move it away and enter days away and mutes again.",
        )


class HouseholdFile(EnteredHousehold):
    """A file with days away and mutes.

    Args:
        path: The file; it need not exist. The file of its lock is beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    @classmethod
    def beside(cls, ledger: Path) -> HouseholdFile:
        """Return the file that belongs to the home of a ledger."""
        return cls(ledger.with_suffix(".household.json"))

    def exists(self) -> bool:
        """See ``EnteredHousehold.exists``."""
        return self.path.exists()

    def read_text(self) -> str | None:
        """See ``EnteredHousehold.read_text``."""
        try:
            return read_regular_text(self.path)
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise self.invalid("it is not text in UTF-8") from error
        except OSError as error:
            raise self._translated(error) from error

    def replace_text(self, edit: Callable[[str | None], str]) -> None:
        """See ``EnteredHousehold.replace_text``."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", mode=0o600).acquire(timeout=MAX_WAIT_SECONDS):
                replace_file(self.path, edit(self.read_text()))
        except Timeout as error:
            raise HouseholdUnavailable(
                f"another command has been changing {self.path} for {MAX_WAIT_SECONDS:.0f} s",
                hint="Let it finish, or stop it.",
            ) from error
        except OSError as error:
            raise self._translated(error) from error

    def _translated(self, error: OSError) -> HouseholdUnavailable | HouseholdError | SettingsError:
        message = f"{self.path}: {error.strerror}"
        if error.errno in _TEMPORARY:
            return HouseholdUnavailable(
                message, hint="Nothing is lost; free some space or close some files, run again."
            )
        return HouseholdError(message, hint="Check the owner and the rights of the file and its folder.")


class HouseholdInLedger(EnteredHousehold):
    """Days away and mutes in the database of the ledger.

    Args:
        open_ledger: Opens the ledger of the home, in a database.
    """

    where = "what was entered about the household, in the ledger's database,"

    def __init__(self, open_ledger: Callable[[], AbstractContextManager[Ledger]]) -> None:
        self._open_ledger = open_ledger

    def read_text(self) -> str | None:
        """See ``EnteredHousehold.read_text``."""
        with _translated(), self._open_ledger() as ledger:
            return ledger.read_document(_DOCUMENT)

    def replace_text(self, edit: Callable[[str | None], str]) -> None:
        """See ``EnteredHousehold.replace_text``."""
        with _translated(), self._open_ledger() as ledger:
            ledger.change_document(_DOCUMENT, edit)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except LedgerUnavailable as error:
        raise HouseholdUnavailable(str(error), hint=error.hint) from error
    except LedgerError as error:
        raise HouseholdError(str(error), hint=error.hint) from error


def _as_text(household: Household) -> str:
    entered = sorted(away for away in household.away if away.origin == "entered")
    document = {
        "format": FORMAT,
        "version": VERSION,
        "away": [{"first": str(one.first), "last": str(one.last), "note": one.note} for one in entered],
        "mutes": [_as_json(mute) for mute in sorted(household.mutes, key=str)],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


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
