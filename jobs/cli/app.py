"""What all commands share: the application, its options, the consoles, and how outcomes become exit codes."""

from __future__ import annotations

import errno
import functools
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, ParamSpec, TextIO

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.text import Text
from typer.core import TyperCommand
from typer.exceptions import TyperException

from jobs import logs
from jobs.cli.commands import LazyGroup
from jobs.exit_codes import EXIT_CODES, INTERRUPTED
from jobs.outcome import Outcome
from storage.clean_text import clean, clean_json, clean_lines
from storage.errors import PatternAggregatesError, SettingsError, UsageError

if TYPE_CHECKING:
    import datetime as dt

    from jobs.wiring import Home
    from storage.dates import DateRange

P = ParamSpec("P")

NAME: Final = "pattern-aggregates"


class Application(LazyGroup):
    """All commands; what is wrong with a command line is printed as every other error is."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> NoReturn:  # noqa: ANN401 - the library's own signature
        """Run the command that the words name, and exit with its code; without words, show the help and exit 2."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(words or ["--help"], *others, **{**settings, "standalone_mode": False})
        except TyperException as error:
            usage_error = _usage_error(error)
            print_error(usage_error)
            if "--json" in words:
                print_json({"error": str(usage_error), "hint": usage_error.hint})
            code = EXIT_CODES[Outcome.of_error(usage_error)]
        sys.exit(code if words else EXIT_CODES[Outcome.INVALID_CALL])


app = typer.Typer(
    name=NAME,
    cls=Application,
    help="Turn a smart home's raw events into small daily aggregates, every night, before the raw data is deleted.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

MAX_DAYS = 36_600
_DAYS_AGO: Final = re.compile(r"-\d")
_NOT_VALID: Final = re.compile(r"Input should be (a valid \w+).*")  # the parser's own words for a wrong value
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
UNLIMITED_WIDTH = 240  # columns of what goes to a file or pipe, unless COLUMNS is set: no line is folded


class CleanOutput(RenderHook):
    """Cleans whatever a console prints, last of all; callers clean what they lay out, as an escape needs more room."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what prints the same, cleaned."""
        return [_Clean(renderable) for renderable in renderables]


class _Clean:
    """Something to print, cleaned.

    Args:
        renderable: What to print.
    """

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._renderable, options):
            yield Segment(text if control else clean_lines(text), style, control)


def _width(stream: TextIO) -> int | None:
    """Return how wide a console is; None for the width of the terminal."""
    columns = os.environ.get("COLUMNS", "")
    return None if stream.isatty() or (columns.isascii() and columns.isdecimal()) else UNLIMITED_WIDTH


out = Console(highlight=False, width=_width(sys.stdout))
err = Console(stderr=True, highlight=False, width=_width(sys.stderr))
for console in (out, err):
    console.push_render_hook(CleanOutput())

_overrides: Final[dict[str, str]] = {}  # of the home that the command is about; see ``Home.overrides``

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
First = Annotated[
    str,
    typer.Argument(
        metavar="FIRST",
        help="First day, or all days: YYYY-MM-DD, yesterday, -7d, -1w, last-week, last-month, 2026-W47, 2026-11, A..B.",
    ),
]
Last = Annotated[
    str | None,
    typer.Argument(metavar="LAST", help="Last day, included. Left out: FIRST alone; -7d and -1w reach to yesterday."),
]


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version  # noqa: PLC0415 - takes time that other commands need not spend

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Settings file. Left out: PATTERN_AGGREGATES_CONFIG, pattern-aggregates.toml or config/default.toml.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more details to standard error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    context.obj = config
    logs.configure(sys.stderr, logging.INFO if verbose else logging.WARNING, as_text=True)


class DaysCommand(TyperCommand):
    """A command with an argument that may be a day such as ``-7d``, which is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - a type that is not public
        """Parse a command line; a word that is neither an option nor a day is refused as an unknown option."""
        ctx.ignore_unknown_options = False
        self.make_parser(ctx).parse_args(args=[word.lstrip("-") if _DAYS_AGO.match(word) else word for word in args])
        ctx.ignore_unknown_options = True
        return super().parse_args(ctx, args)


def command(example: str, *, takes_days: bool = False) -> Callable[[Callable[P, Outcome | None]], TyperCommand]:
    """Make a function a command: its docstring is the help, its outcome becomes the exit code.

    Args:
        example: A command line to show in the help.
        takes_days: Whether an argument may be a day such as ``-7d``, which is not an option.
    """

    def make(function: Callable[P, Outcome | None]) -> TyperCommand:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                code = EXIT_CODES[function(*args, **kwargs) or Outcome.DONE]
            except PatternAggregatesError as error:
                error.hint = hint_of(error)
                print_error(error)
                code = EXIT_CODES[Outcome.of_error(error)]
                if kwargs.get("as_json") or kwargs.get("output") == "json":
                    print_json({"error": str(error), "hint": error.hint or None})
            except KeyboardInterrupt:
                print_message(
                    "interrupted: all results so far are kept; run the same command again to continue", style="yellow"
                )
                code = INTERRUPTED
            raise typer.Exit(code)

        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
        alone.command(epilog=f"Example: [bold]{example}[/bold]", cls=DaysCommand if takes_days else TyperCommand)(
            wrapped
        )
        made = typer.main.get_command(alone)
        assert isinstance(made, TyperCommand)  # noqa: S101 - a Typer with one command and no callback gives a command
        return made

    return make


def _usage_error(error: TyperException) -> UsageError:
    """Return what the parser of the command line has found, as an error of this program."""
    text = error.format_message().removesuffix(".").replace("Value error, ", "")
    text = _NOT_VALID.sub(r"not \1", text)
    context = getattr(error, "ctx", None)
    called = NAME if context is None else context.command_path
    return UsageError(text[:1].lower() + text[1:], hint=f"`{called} --help` shows how it is called.")


def hint_of(error: PatternAggregatesError) -> str:
    """Return the hint of an error; for one about settings, also at their first use, with what has set them."""
    from storage.settings_file import hint_with_origin  # noqa: PLC0415 - `--help` reads no settings

    return hint_with_origin(error, _overrides) if isinstance(error, SettingsError) else error.hint


def home_of(context: typer.Context, *, check_parameters: bool = True) -> Home:
    """Return the home that the command is about; see ``open_home``."""
    from jobs.wiring import open_home  # noqa: PLC0415 - `--help` and `--version` need no home

    home = open_home(context.obj, check_parameters=check_parameters)
    _overrides.clear()
    _overrides.update(home.overrides)
    return home


def days_of(home: Home, first: str, last: str | None) -> DateRange:
    """Return the range from one typed day to another, as it is for a home; see ``parse_days``."""
    return parse_days(first, last, home.today())


def parse_days(first: str, last: str | None, today: dt.date) -> DateRange:
    """Return the range from one typed day to another; see ``DateRange.parse`` for a single one."""
    from storage.dates import DateRange  # noqa: PLC0415 - `--help` needs no days

    days = DateRange.parse(first, last, today=today)
    if len(days) > MAX_DAYS:
        raise UsageError(f"{days} is {len(days):,} days long", hint=f"A range may have at most {MAX_DAYS:,} days.")
    return days


def day_of(home: Home, text: str) -> dt.date:
    """Return the day that somebody typed."""
    from storage.dates import parse_day  # noqa: PLC0415 - `--help` needs no days

    return parse_day(text, today=home.today())


def print_message(text: str, *, style: str = "") -> None:
    """Print a message to standard error, cleaned; markup in it is shown as text."""
    _print_wrapped(err, Text(clean_lines(text), style=style))


def print_line(text: str | Text, *, style: str = "") -> None:
    """Print a sentence to standard output, cleaned; a terminal gets it wrapped between words, a file as one line."""
    _print_wrapped(out, terminal_text(text, style) if isinstance(text, str) else text)


def _print_wrapped(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=console.width >= UNLIMITED_WIDTH)


def print_error(error: PatternAggregatesError) -> None:
    """Print what went wrong and what to do about it."""
    print_message(f"error: {error}", style="bold red")
    if error.hint:
        print_message(f"hint: {error.hint}")


def program() -> str:
    """Return how this program was called, for commands that are printed for copying."""
    called_as = Path(sys.argv[0])
    if called_as.name == "__main__.py":
        return f"{Path(sys.executable).name} -m jobs"
    relative = os.path.relpath(called_as)
    return str(called_as) if relative.startswith("..") or not called_as.is_absolute() else relative


def terminal_text(text: str, style: str = "") -> Text:
    """Return a text of unknown origin as one line for a terminal, cleaned; markup in it is shown as text."""
    return Text(clean(text), style=style)


def print_json(document: Any, *, are_rows: bool = False) -> None:  # noqa: ANN401 - anything JSON can hold
    """Print one JSON document to standard output, cleaned; see ``clean_json``."""
    text = clean_json(document, are_rows=are_rows, indent=2)
    if not is_unicode(sys.stdout.encoding):
        text = _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)  # only texts of the document have any
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def is_unicode(encoding: str | None) -> bool:
    """Return whether an encoding has every character."""
    return (encoding or "").lower().startswith("utf")


def replace_unknown_characters() -> None:
    r"""Print characters that the terminal does not have as their escapes, ``\xfc``, instead of ending with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not is_unicode(stream.encoding):
            stream.reconfigure(errors="backslashreplace")


def output_failed(error: OSError) -> int:
    """Report that standard output or error cannot be written, and return the exit code.

    A pipe closed by its reader, as ``head`` does, is not reported.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())  # discards what is left in buffers
    if error.errno != errno.EPIPE:
        with suppress(OSError):
            print_message(f"error: the output cannot be written: {error.strerror}", style="bold red")
    return EXIT_CODES[Outcome.INCOMPLETE]
