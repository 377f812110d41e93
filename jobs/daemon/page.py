"""The daemon's page at ``/``, for people. It is one file without scripts, and every link in it is relative."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.daemon.http import Response
from jobs.daemon.overview import Overview
from jobs.household import ANOMALY_TYPES
from jobs.household_file import MAX_TEXT
from storage.clean_text import without_secrets
from storage.errors import PatternAggregatesError

if TYPE_CHECKING:
    from jinja2 import Environment

CONTENT_TYPE = "text/html; charset=utf-8"

_TYPE_NAMES = {name: name.replace("_", " ") for name in ANOMALY_TYPES} | {
    "activity_while_away": "activity while away",
    "count_high": "more active than usual",
    "count_low": "less active than usual",
    "long_duration": "on or open for long",
    "still_active": "still on or open",
    "unusual_hour": "at an unusual hour",
}


def overview_page(overview: Overview, *, token: str, has_report: bool) -> Response:
    """Return the page.

    Args:
        overview: What it shows.
        token: What the forms must send back; empty for a page without forms.
        has_report: Whether there is a report to link to.
    """
    return _page(HTTPStatus.OK, "overview.html", overview=overview, token=token, has_report=has_report)


def message_page(status: HTTPStatus, message: str, hint: str = "") -> Response:
    """Return a page with one message and a way back."""
    return _page(status, "message.html", message=message, hint=hint)


def error_page(error: PatternAggregatesError, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Response:
    """Return a page that says why a form was refused."""
    return message_page(status, str(error), error.hint)


def _page(status: HTTPStatus, template: str, **values: object) -> Response:
    text = _templates().get_template(template).render(values)
    return Response(status, text, CONTENT_TYPE)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only where a page is shown
    from markupsafe import Markup  # noqa: PLC0415 - likewise

    def masked(value: object) -> object:
        return without_secrets(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=masked,
    )
    templates.globals["max_text"] = MAX_TEXT
    templates.filters["type_name"] = lambda name: _TYPE_NAMES.get(name, name)
    return templates
