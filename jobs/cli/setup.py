"""``setup``: find the recorder database, ask three questions, write a short settings file, and check everything."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

import typer

from jobs.cli.app import Json, command, print_json, print_line, print_message, program
from jobs.cli.checks import check_home
from jobs.cli.doctor import check_as_json, outcome_of, print_checks
from jobs.cli.recorder_search import FoundRecorder, find_recorders, recorder_at
from jobs.outcome import Outcome
from jobs.wiring import open_home
from storage.clean_text import clean, without_secrets
from storage.columns import closest
from storage.errors import UsageError
from storage.plurals import counted
from storage.regular_file import replace_file
from storage.settings_file import LOCAL_FILE

DEFAULT_RETENTION_DAYS: Final = 90
MAX_RETENTION_DAYS: Final = 36_500
MAX_DIGITS: Final = 9  # of an answer that is read: Python refuses a number of thousands of digits
LOCAL_TIME: Final = Path("/etc/localtime")


@command("pattern-aggregates setup /path/to/home-assistant")
def setup(
    recorder: Annotated[
        str | None,
        typer.Argument(
            metavar="RECORDER",
            help="Home Assistant's configuration folder, its database file, or a database URL. Left out: usual places.",
        ),
    ] = None,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The settings file to write.")] = LOCAL_FILE,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="ZONE", help="The home's time zone, such as Europe/Berlin.")
    ] = None,
    retention_days: Annotated[
        int | None,
        typer.Option(
            "--retention-days",
            help="For how many days results are kept; 0 keeps all.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing; take what was found, and the defaults.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a settings file that exists.")] = False,
    as_json: Json = False,
) -> Outcome:
    """Find Home Assistant's recorder database, ask three questions, write settings, and check everything."""
    _refuse_existing(file, yes=yes, replace=replace)
    found = _recorder(recorder, yes=yes)
    zone = _zone(found, time_zone, yes=yes)
    days = _retention(retention_days, yes=yes)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, settings_text(found, zone, days))
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="Name another file: --file.") from error
    checks, entities = check_home(open_home(file))
    if as_json:
        print_json({"file": str(file), "checks": [check_as_json(one) for one in checks]})
        return outcome_of(checks)
    print_line(f"{file} is written. It names {without_secrets(found.url)}.")
    print_checks(checks)
    if outcome_of(checks) is Outcome.DONE:
        print_line(f"{counted(len(entities), 'entity', 'entities')} can be used; `doctor` shows how.")
        print_line("To go on:")
        for words in ("run", "report", "status"):
            named = "" if file == LOCAL_FILE else f" --config {shlex.quote(str(file))}"
            print_line(f"  {program()}{named} {words}")
    return outcome_of(checks)


def settings_text(found: FoundRecorder, time_zone: str, retention_days: int) -> str:
    """Return the settings of a home with a recorder database, as TOML with comments."""
    registry = (
        f"registry_dir = {_quoted(str(found.registry_dir))}  # areas, devices and the names people gave them"
        if found.registry_dir is not None
        else '# registry_dir = "/path/to/home-assistant/.storage"  # areas, devices and the names people gave them'
    )
    return f"""# Made by `pattern-aggregates setup`. docs/settings.md and config/default.toml show all settings.

[home]
time_zone = {_quoted(time_zone)}  # days and hours are counted in it

[source]
kind = "home_assistant_db"
url = {_quoted(found.url)}  # opened read-only; Home Assistant can keep writing to it
{registry}

[store]
url = "sqlite:///data/aggregates.db"  # relative to this file
retention_days = {retention_days}  # 0 keeps every day

[ledger]
path = "data/ledger.db"

[schedule]
at = "03:30"  # when `serve` runs every night: before Home Assistant deletes its oldest day at 04:12
"""


def _quoted(text: str) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _refuse_existing(file: Path, *, yes: bool, replace: bool) -> None:
    if replace or not os.path.lexists(file):
        return
    if not yes and sys.stdin.isatty() and _answer(f"{file} exists. Replace it? (yes or no)", "no") == "yes":
        return
    raise UsageError(f"{file} exists already, and is left as it is", hint="Pass --replace, or another --file.")


def _recorder(named: str | None, *, yes: bool) -> FoundRecorder:
    if named is not None:
        return recorder_at(named)
    found = find_recorders()
    for number, one in enumerate(found, 1):
        print_message(f"{number}. {one.origin}")
    if yes:
        if len(found) == 1:
            return found[0]
        problem = "several recorder databases were found" if found else "no recorder database was found"
        raise UsageError(problem, hint="Name Home Assistant's folder, its database file, or a database URL.")
    places = "Number, folder, file or URL" if found else "Folder, file or URL"
    answer = _answer(f"{places} of the recorder database", "1" if found else None)
    if answer.isdecimal() and 1 <= int(answer) <= len(found):
        return found[int(answer) - 1]
    return recorder_at(answer)


def _zone(found: FoundRecorder, named: str | None, *, yes: bool) -> str:
    default = named or found.time_zone or _machine_zone()
    zone = default if yes or named else _answer("Time zone of the home", default)
    if zone is None:
        raise UsageError("the time zone of the home is not known", hint="Pass --time-zone, such as Europe/Berlin.")
    if zone not in available_timezones():
        near = closest(zone, available_timezones())
        raise UsageError(f"{zone!r} is not a valid time zone", hint=near or "Write it like Europe/Berlin.")
    return zone


def _machine_zone() -> str | None:
    """Return the time zone of this machine, if it has a name."""
    name = os.environ.get("TZ") or str(LOCAL_TIME.resolve()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key if name else None
    except (KeyError, ValueError, OSError):
        return None


def _retention(named: int | None, *, yes: bool) -> int:
    if named is None and yes:
        return DEFAULT_RETENTION_DAYS
    question = "For how many days are results kept (0 keeps all)"
    answer = _answer(question, str(DEFAULT_RETENTION_DAYS)) if named is None else str(named)
    is_number = answer.isascii() and answer.isdecimal() and len(answer) <= MAX_DIGITS
    if not is_number or int(answer) > MAX_RETENTION_DAYS:
        raise UsageError(
            f"{answer!r} is not a valid number of days",
            hint=f"Give a number such as {DEFAULT_RETENTION_DAYS}, at most {MAX_RETENTION_DAYS}; 0 keeps all.",
        )
    return int(answer)


def _answer(question: str, default: str | None) -> str:
    """Return what somebody answers; the default for an empty line.

    Raises:
        UsageError: There is nobody to answer.
    """
    try:
        answer: Any = typer.prompt(clean(question), default=default, err=True)
    except (typer.Abort, EOFError) as error:
        raise UsageError(
            "nobody answered", hint="Pass --yes to take what was found and the defaults, and options for the rest."
        ) from error
    return str(answer).strip()
