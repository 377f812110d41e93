"""A command about another home than the settings name: one of many that share a store and a ledger."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer

from jobs.cli.app import home_of
from jobs.home_identity import home_in_settings
from jobs.wiring import Home
from storage.daily_aggregate import home_name_fault
from storage.errors import StoreMissing, UsageError
from storage.identity import HomeIdentity
from storage.query_homes import no_such_home

HomeOption = Annotated[
    str | None,
    typer.Option("--home", metavar="NAME", help="The home, if several share a store. Left out: home.name."),
]


def named_home(context: typer.Context, name: str | None, *, check_parameters: bool = True) -> Home:
    """Return the home that a command is about.

    The settings may be a template for many homes. So the time zone of another home than theirs is that which the ledger
    knows; and unless they name its source too, nothing is read from one.

    Args:
        context: Of the command.
        name: The name that was given; without it, the home of the settings.
        check_parameters: As for ``open_home``.

    Raises:
        UsageError: There is no such home.
    """
    home = home_of(context, check_parameters=check_parameters)
    if name is None or name == home.settings.home.name:
        return home
    renamed = with_name(home, name)
    with renamed.open_ledger(read_only=True) as ledger:
        noted = ledger.read_home()
    identity = noted.identity if noted is not None else _stored(renamed)
    settings = renamed.settings
    here = settings.home.model_copy(update={"time_zone": identity.time_zone})
    settings = settings.model_copy(update={"home": here})
    is_same = identity.is_described_by(home_in_settings(settings, home.base))
    return replace(
        renamed,
        settings=settings,
        identity=None if is_same else identity,
        is_source_named=home.is_source_named and is_same,
    )


def with_name(home: Home, name: str) -> Home:
    """Return a home with another name, and nothing else changed.

    Raises:
        UsageError: The name is not valid.
    """
    if fault := home_name_fault(name):
        raise UsageError(fault)
    here = home.settings.home.model_copy(update={"name": name})
    return replace(home, settings=home.settings.model_copy(update={"home": here}))


def not_stored(home: Home, held: list[str]) -> UsageError:
    """Return the error for a home that is not among those of a store."""
    return no_such_home(home.settings.home.name, held, "name one of these")


def _stored(home: Home) -> HomeIdentity:
    """Return what the store knows of a home.

    Raises:
        UsageError: Nothing.
    """
    try:
        with closing(home.open_store(read_only=True)) as store:
            found = store.read_home()
            if found is None:
                raise not_stored(home, store.homes())
            return found
    except StoreMissing as error:
        raise not_stored(home, []) from error
