"""Fill the templates of the report: one HTML file, with everything in it and every text from outside escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jobs.report.contents import Contents
from jobs.report.gaps import span_in_words
from jobs.report.one_day import OneDay
from jobs.report.rhythm import WEEK_DAYS
from jobs.sentences.wording import length, times
from storage.clean_text import clean
from storage.models import HOURS
from storage.plurals import counted


def render_contents(contents: Contents) -> str:
    """Return the report of a range of days as HTML; equal contents give equal bytes."""
    return _environment().get_template("period.html.j2").render(contents._asdict(), week_days=WEEK_DAYS, hours=HOURS)


def render_one_day(day: OneDay) -> str:
    """Return the report of one day as HTML; equal contents give equal bytes."""
    return _environment().get_template("one_day.html.j2").render(day._asdict())


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jobs.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "length": length,
        "times": times,
        "number": _number,
        "cells": _cells,
        "capitalized": _capitalized,
    }
    environment.globals |= {"counted": counted, "span_in_words": span_in_words}
    return environment


def _finalize(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints
    return clean(value) if type(value) is str else value  # not Markup, which is our own


def _number(value: float) -> str:
    """Return a number as short as it can be read; nothing for 0.

    >>> _number(0), _number(0.04), _number(0.25), _number(3.0), _number(14.6)
    ('', '0', '.2', '3', '15')
    """
    if not value:
        return ""
    text = f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004 - as people round
    return text.removeprefix("0") or "0"


def _cells(values: Sequence[float] | None, highest: float) -> Markup:
    """Return the cells of a row of numbers; without decimals where the largest number of the table needs none.

    >>> _cells([0.0, 2.75], 5), _cells([0.0, 2.75], 50)
    (Markup('<td><td>2.8'), Markup('<td><td>3'))
    """
    if values is None:
        return Markup('<td colspan="24">not known')
    are_whole = highest >= 10  # noqa: PLR2004 - as people round
    cells = (_number(round(value) or 1e-9 if are_whole and value else value) for value in values)
    return Markup("").join(map(Markup("<td>{}").format, cells))


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
