"""``forget``: delete everything of a home from store and ledger, and count what is left."""

from __future__ import annotations

import glob
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from jobs.cli.app import Json, command, home_of, print_json, print_message
from jobs.cli.named_home import not_stored, with_name
from jobs.outcome import Outcome
from jobs.wiring import Home
from storage.errors import SettingsError, UsageError
from storage.ledger.ledger import Ledger
from storage.plurals import counted
from storage.store import AggregateStore

_OF_LOCKS: Final = (".lock", ".turn")


@command("pattern-aggregates forget north --yes")
def forget(
    context: typer.Context,
    home_name: Annotated[str, typer.Argument(metavar="HOME", help="The name of the home.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--parquet", metavar="DIR", help="Also from a folder that `export` wrote; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> Outcome:
    """Delete everything of a home from store and ledger, count what is left, and print both counts.

    Its raw events stay where they are, and so do exported rows in folders that are not named. Other homes keep
    everything.
    """
    if not home_name:
        raise UsageError(
            "a home without a name cannot be forgotten", hint="Delete the files of its store and its ledger instead."
        )
    home = with_name(home_of(context, check_parameters=False), home_name)
    exports = _Exports(home_name, folders or [])
    with closing(home.open_store()) as store, home.open_ledger() as ledger:
        found = _count(home, store, ledger, exports)
        if not any(found.values()):
            raise not_stored(home, store.homes())
        if not yes:
            _ask(home_name, found)
        with ledger.day(home.yesterday()):  # alone among all processes: a run would write what is being deleted
            store.forget()
            ledger.forget()
            for file in _files_of(home):
                file.unlink(missing_ok=True)
            exports.forget()
        left = _count(home, store, ledger, exports)
    if as_json:
        print_json({"home": home_name, "deleted": {name: found[name] - left[name] for name in found}, "left": left})
    else:
        print_message(f"{home_name}: {_in_words(found)} before, {_in_words(left)} after")
    return Outcome.INCOMPLETE if any(left.values()) else Outcome.DONE


class _Exports:
    """The folders of exported rows that were named.

    Raises:
        SettingsError: What reads them is not installed.
    """

    def __init__(self, home: str, folders: list[Path]) -> None:
        self._home = home
        self.folders = folders
        if not folders:
            return
        try:
            from storage import parquet_export  # noqa: PLC0415 - loads pyarrow
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"forget --parquet needs {error.name}, which is not installed",
                hint="Install pattern-aggregates[parquet].",
            ) from error
        self._module = parquet_export

    def count(self) -> int:
        return sum(self._module.count_exported(folder, self._home) for folder in self.folders)

    def forget(self) -> None:
        for folder in self.folders:
            self._module.forget_exported(folder, self._home)


def _count(home: Home, store: AggregateStore, ledger: Ledger, exports: _Exports) -> dict[str, int]:
    counts = {"store": store.count_rows(), "ledger": ledger.count_rows(), "files": len(_files_of(home))}
    return counts | {"exported": exports.count()} if exports.folders else counts


def _files_of(home: Home) -> list[Path]:
    """Return the files beside a ledger file that are of this home alone: days away and mutes, a calendar's last copy.

    Locks are left out: somebody who waits for one would otherwise hold another than the next one.
    """
    beside = home.files_beside
    if beside is None or beside == home.ledger_path:
        return []
    return [file for file in beside.parent.glob(f"{glob.escape(beside.stem)}.*") if file.suffix not in _OF_LOCKS]


def _in_words(counts: dict[str, int]) -> str:
    rows = " and ".join(f"{counted(counts[name], 'row')} in the {name}" for name in ("store", "ledger"))
    exported = f", {counted(counts['exported'], 'exported row')}" if "exported" in counts else ""
    return f"{rows}, {counted(counts['files'], 'file')} beside it{exported}"


def _ask(name: str, found: dict[str, int]) -> None:
    """Ask whether to delete a home.

    Raises:
        UsageError: Nobody can be asked, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{name} has {_in_words(found)}; nothing is deleted", hint="Pass --yes to delete it all.")
    if not typer.confirm(f"Delete {name}, which has {_in_words(found)}?", err=True):
        raise UsageError("nothing is deleted")
