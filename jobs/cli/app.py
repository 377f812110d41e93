"""What all commands share: the application, its options, the consoles, and how an error becomes an exit code."""

from __future__ import annotations

import datetime as dt
import errno
import functools
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from jobs.wiring import Home, open_home
from storage.dates import DateRange, parse_day
from storage.errors import PatternAggregatesError, UsageError

P = ParamSpec("P")

app = typer.Typer(
    name="pattern-aggregates",
    help="Distil a smart home's raw events into small daily aggregates, every night, before the raw data is gone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

MOST_DAYS = 36_600
WIDE = 240  # columns for a table that no terminal shows: nothing is folded

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
First = Annotated[str, typer.Argument(metavar="FIRST", help="First day: YYYY-MM-DD, yesterday or -7d.")]
Last = Annotated[str, typer.Argument(metavar="LAST", help="Last day, included.")]


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file; else PATTERN_AGGREGATES_CONFIG, else config/default.toml."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say more on standard error.")] = False,
) -> None:
    context.obj = config
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )


def command(example: str, *, takes_days: bool = False) -> Callable[[Callable[P, int | None]], Callable[P, None]]:
    """Register a function as a command: its docstring is the help, its result the exit code.

    Args:
        example: A call to show in the help.
        takes_days: Whether an argument may be a day such as ``-7d``, which must not be taken for an option.
    """
    settings = {"ignore_unknown_options": True} if takes_days else {}

    def register(function: Callable[P, int | None]) -> Callable[P, None]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                code = function(*args, **kwargs)
            except PatternAggregatesError as error:
                fail(error)
                code = error.exit_code
                if kwargs.get("as_json"):
                    print_json({"error": str(error), "hint": error.hint or None})
            except KeyboardInterrupt:
                say("interrupted: whatever was found is kept; the same command goes on from here", style="yellow")
                code = 130
            raise typer.Exit(code or 0)

        app.command(epilog=f"Example: [bold]{example}[/bold]", context_settings=settings)(wrapped)
        return wrapped

    return register


def home_of(context: typer.Context) -> Home:
    """The home that the command is about."""
    return open_home(context.obj)


def days_of(home: Home, first: str, last: str) -> DateRange:
    """A range from two days as typed."""
    days = DateRange.parse(first, last, today=home.today())
    if len(days) > MOST_DAYS:
        raise UsageError(
            f"{days} is {len(days):,} days long", hint=f"At most {MOST_DAYS:,} days are looked at at once."
        )
    return days


def day_of(home: Home, text: str) -> dt.date:
    """A day as typed."""
    return parse_day(text, today=home.today())


def say(text: str, *, style: str = "") -> None:
    """A line for the person, on standard error; markup in it is text."""
    err.print(Text(text, style=style), soft_wrap=True)


def fail(error: PatternAggregatesError) -> None:
    """Say what went wrong, and what to do."""
    say(f"error: {error}", style="bold red")
    if error.hint:
        say(f"hint: {error.hint}")


def program() -> str:
    """How the program that runs was called, so that what is printed can be typed."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m jobs"
    here = os.path.relpath(called)
    return str(called) if here.startswith("..") or not called.is_absolute() else here


def shown(text: str) -> Text:
    """A text from outside for a terminal: what does not print is spelled out, markup in it is text."""
    return Text("".join(one if one.isprintable() else ascii(one)[1:-1] for one in text))


def print_json(document: Any) -> None:  # noqa: ANN401 - anything JSON can hold
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")
    sys.stdout.flush()


def output_failed(error: OSError) -> int:
    """Say that standard output or error takes nothing more, if there is anywhere to say it. Returns the exit code.

    Whoever closes a pipe early, as ``head`` does, knows it and is not told.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())  # what is left in buffers is thrown away
    if error.errno != errno.EPIPE:
        with suppress(OSError):
            say(f"error: the output cannot be written: {error.strerror}", style="bold red")
    return 1
