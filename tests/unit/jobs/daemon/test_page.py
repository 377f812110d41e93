"""The page for people: every text is shown as text, every link is relative, and forms are there only behind a login."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from html.parser import HTMLParser
from http import HTTPStatus

import pytest

from jobs.daemon.findings import DayFindings, Findings
from jobs.daemon.health import Health, State
from jobs.daemon.overview import Night, Overview, RunState
from jobs.daemon.page import error_page, overview_page
from jobs.household import Away, Household, Mute
from jobs.names import NO_NAMES, Names
from jobs.sentences.days import DayWord
from jobs.sentences.groups import Story
from storage.clean_text import remember_secrets
from storage.errors import UsageError
from storage.models import AnomalyDaily, Severity

DAY = dt.date(2026, 11, 24)
HOSTILE = """<script>alert("1")</script>' onload='x' & {{ 7 * 7 }}"""
TOKEN = "sesame"  # noqa: S105 - of no real page
NIGHT = Night(DAY, "done", "3 rows", "", (("duration", "3 rows. nothing was cut"),))
ROW = AnomalyDaily(
    date=DAY,
    entity_id="light.hall",
    anomaly_type="count_high",
    anomaly_score=0.5,
    baseline_deviation=5.0,
    occurrences=40,
    severity=Severity.HIGH,
)


def overview(**changes: object) -> Overview:
    at = dt.datetime(2026, 11, 25, 3, 30, tzinfo=dt.UTC)
    values = Overview(
        Health(State.FRESH, DAY, f"{DAY} is written"),
        RunState(None, at, "", None, ""),
        (NIGHT,),
        Findings((DayFindings(DAY, DayWord.USUAL, "12 entities", ()),)),
        Household(),
        False,  # whether today is away
        DAY + dt.timedelta(days=1),
        "Europe/Berlin",
    )
    return values._replace(**changes)  # type: ignore[arg-type] # a test names the fields


def html_of(found: Overview, token: str = "") -> str:
    response = overview_page(found, token=token, has_report=True)
    assert response.status == HTTPStatus.OK
    return response.body


class Tags(HTMLParser):
    """Each tag with its attributes, and the text between tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> Overview:
    story = Story((ROW.model_copy(update={"entity_id": HOSTILE}),), HOSTILE, Severity.HIGH, is_muted=False)
    found = DayFindings(DAY, DayWord.UNUSUAL, HOSTILE, (story,))
    household = Household((Away(DAY, DAY, HOSTILE),), (Mute(HOSTILE, None, DAY, None, HOSTILE),))
    return overview(
        health=Health(State.FAILING, DAY, HOSTILE),
        nights=(Night(DAY, "failed", HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),)),),
        findings=Findings((found, found), NO_NAMES, (), HOSTILE),
        household=household,
    )


def test_whatever_a_device_or_a_person_wrote_is_shown_as_text_and_never_as_markup() -> None:
    plain, attacked = Tags(html_of(overview(), token=TOKEN)), Tags(html_of(hostile(), token=TOKEN))
    assert "script" not in {tag for tag, _ in attacked.tags}
    assert attacked.text.count(HOSTILE) == 12
    handlers = {name for _, attributes in attacked.tags for name in attributes if name.startswith("on")}
    assert handlers == set()
    assert {tag for tag, _ in attacked.tags} - {tag for tag, _ in plain.tags} <= {
        "h3",
        "ul",
        "li",
        "select",
        "option",
        "button",
    }


def test_links_and_forms_are_relative_and_nothing_is_fetched() -> None:
    tags = Tags(html_of(hostile(), token=TOKEN)).tags
    targets = [attributes[name] for _, attributes in tags for name in ("href", "src", "action") if name in attributes]
    assert {"report", "away", "mute"} == set(targets)
    assert "url(" not in html_of(overview())
    assert Tags(error_page(UsageError("no", hint="again")).body).tags[-1] == ("a", {"href": "./"})


def test_without_a_token_days_away_and_mutes_can_be_read_and_nothing_can_be_changed() -> None:
    household = Household((Away(DAY, DAY, "to the sea"),), (Mute("light.*", "count_high", DAY),))
    tags = Tags(html_of(overview(household=household)))
    assert "to the sea" in tags.text
    assert "light.*, more active than usual" in tags.text
    assert not {"form", "input", "button", "select"} & {tag for tag, _ in tags.tags}


def test_every_form_holds_the_token() -> None:
    household = Household((Away(DAY, DAY), Away(DAY, DAY, origin="calendar")), (Mute("light.*", None, DAY),))
    story = Story((ROW,), "it was busy", Severity.HIGH, is_muted=False)
    found = Findings((DayFindings(DAY, DayWord.UNUSUAL, "", (story,)),))
    page = html_of(overview(household=household, findings=found), token=TOKEN)
    forms = re.findall(r"<form.*?</form>", page, flags=re.DOTALL)
    assert len(forms) == 5  # one removes the entered days, none those of the calendar
    assert all(f'name="token" value="{TOKEN}"' in form for form in forms)


@pytest.mark.parametrize(
    ("word", "reason", "shown"),
    [
        (DayWord.USUAL, "12 entities", "Nothing was unusual."),
        (DayWord.QUIET, "12 entities", "Nothing was unusual."),
        (DayWord.NOT_JUDGED, "not judged: 3 of 14 days", "not judged: 3 of 14 days"),
        (DayWord.NOT_JUDGED, "", "Unusual things have not been looked for on this day."),
    ],
)
def test_a_day_without_findings_says_whether_it_was_judged(word: DayWord, reason: str, shown: str) -> None:
    assert shown in Tags(html_of(overview(findings=Findings((DayFindings(DAY, word, reason, ()),))))).text


def test_a_secret_in_a_reason_is_masked() -> None:
    remember_secrets({"token": "very-secret-word"})
    found = overview(health=Health(State.FAILING, DAY, "refused very-secret-word and password=hunter22"))
    assert "very-secret-word" not in html_of(found)
    assert "hunter22" not in html_of(found)


def test_muted_anomalies_are_not_offered_for_muting() -> None:
    story = Story(
        (ROW, ROW.model_copy(update={"entity_id": "light.attic", "muted": "known"})), "s", Severity.HIGH, False
    )
    found = Findings((DayFindings(DAY, DayWord.UNUSUAL, "", (story,)),))
    assert found.muteable == [("light.hall", "count_high")]


def test_people_read_names_and_forms_send_ids() -> None:
    story = Story((ROW,), "it was busy", Severity.HIGH, is_muted=False)
    names = Names({"light.hall": "Lamp in the hall", "light.attic": "Attic"})
    found = Findings((DayFindings(DAY, DayWord.UNUSUAL, "", (story,)),), names)
    page = html_of(overview(findings=found, household=Household((), (Mute("light.attic", None, DAY),))), token=TOKEN)
    assert '<option value="light.hall:count_high" title="light.hall">Lamp in the hall: ' in page
    assert '<span title="light.attic">Attic</span>' in page
    assert 'name="what" value="light.attic"' in page


def test_a_home_without_any_day_has_a_page() -> None:
    text = Tags(html_of(overview(nights=(), findings=Findings()))).text
    assert "No day is computed yet." in text
    assert "The first run has not ended yet." in text


def test_a_household_that_is_not_known_says_so() -> None:
    assert "it is damaged" in html_of(overview(household=replace(Household(), problem="it is damaged")))
