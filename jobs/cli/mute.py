"""``mute``: mute anomalies of an entity, list mutes, or remove one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated

import typer

from jobs.cli import completion
from jobs.cli.app import Json, command, day_of, home_of, print_json, print_message
from jobs.cli.known_values import known_values
from jobs.cli.tables import print_table
from jobs.household import ANOMALY_TYPES, Household, Mute
from jobs.household_file import MAX_TEXT, with_mute
from jobs.wiring import Home
from storage.columns import closest
from storage.errors import UsageError


@command('pattern-aggregates mute binary_sensor.shed:count_low --until 2026-12-31 --reason "battery is on order"')
def mute(
    context: typer.Context,
    entity: Annotated[
        str | None,
        typer.Argument(
            metavar="ENTITY[:TYPE]",
            help="An entity or a glob; perhaps one type of anomaly.",
            autocompletion=completion.entities,
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DAY", help="The last day. Left out: no end.")] = None,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="The first day.")] = "yesterday",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; `explain` repeats it.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List all mutes.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the mute of ENTITY[:TYPE].")] = False,
    as_json: Json = False,
) -> None:
    """Mute anomalies of an entity: they are stored and marked as muted, but nobody is notified.

    Muting changes no other row. The types are count_high, count_low, long_duration, still_active, unusual_hour and
    activity_while_away.
    """
    home = home_of(context, check_parameters=False)
    if list_all or entity is None:
        if entity is not None or until or reason or remove or not list_all:
            raise UsageError("not a valid call", hint="Give ENTITY or ENTITY:TYPE, or --list alone.")
    elif remove:
        _remove(home, entity)
    else:
        _add(home, _mute_of(home, entity, first, until, reason))
    if list_all or as_json:
        _list(home, as_json=as_json)


def _mute_of(home: Home, entity: str, first: str, until: str | None, reason: str) -> Mute:
    """Return the mute that somebody typed.

    Raises:
        UsageError: A part of it is not valid.
    """
    entity_id, colon, anomaly_type = entity.rpartition(":")
    if not colon:
        entity_id, anomaly_type = entity, ""
    elif anomaly_type not in ANOMALY_TYPES:
        near = closest(anomaly_type, ANOMALY_TYPES) or f"There are {', '.join(ANOMALY_TYPES)}."
        raise UsageError(f"{anomaly_type!r} is not a type of anomaly", hint=near)
    if len(reason) > MAX_TEXT:
        raise UsageError(f"the reason has {len(reason)} characters, at most {MAX_TEXT} are allowed")
    made = Mute(entity_id, anomaly_type or None, day_of(home, first), day_of(home, until) if until else None, reason)
    if made.until is not None and made.until < made.first:
        raise UsageError(
            f"the mute ends on {made.until}, before it begins on {made.first}", hint="Give another --until or --from."
        )
    return made


def _add(home: Home, made: Mute) -> None:
    with closing(home.open_store(read_only=True)) as store:
        known = known_values(store, "entity_id", home.today())
    matching = [one for one in known if one == made.entity or fnmatchcase(one, made.entity)]
    if not matching:
        raise UsageError(
            f"no entity {made.entity!r} is known",
            hint=home.names.closest(made.entity, known)
            or "`pattern-aggregates query time_based_daily -7d` lists those in use.",
        )
    home.household_file.change(partial(with_mute, mute=made))
    end = f" until {made.until}" if made.until else ""
    also = f" ({len(matching)} entities match)" if len(matching) > 1 else ""
    print_message(
        f"muted from {made.first}{end}: {made}{also}. Days that are judged already are marked by the next run."
    )


def _remove(home: Home, entity: str) -> None:
    def without(household: Household) -> Household:
        kept = tuple(one for one in household.mutes if str(one) != entity)
        if len(kept) == len(household.mutes):
            known = [str(one) for one in household.mutes]
            hint = closest(entity, known) or (f"Muted are {', '.join(known)}." if known else "Nothing is muted.")
            raise UsageError(f"{entity!r} is not muted", hint=hint)
        return replace(household, mutes=kept)

    home.household_file.change(without)
    print_message(f"no longer muted: {entity}")


def _list(home: Home, *, as_json: bool) -> None:
    found = sorted(home.household_file.read().mutes, key=str)
    if as_json:
        print_json(
            [
                {
                    "entity": one.entity,
                    "anomaly_type": one.anomaly_type,
                    "first": one.first,
                    "until": one.until,
                    "reason": one.reason,
                    "holds_today": one.holds_on(home.today()),
                }
                for one in found
            ]
        )
        return
    if not found:
        print_message("nothing is muted")
        return
    rows = [
        (one.entity, one.anomaly_type or "all", str(one.first), str(one.until or "no end"), one.reason) for one in found
    ]
    print_table(("entity", "type", "from", "until", "reason"), rows, texts=("reason",))
