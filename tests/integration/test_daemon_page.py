"""The page for people, of a real daemon: what it shows, and what can be changed on it behind a proxy with a login."""

from __future__ import annotations

import datetime as dt
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request
from werkzeug import Response as ProxyResponse

from jobs.household import Away, Household, Mute
from jobs.household_file import MAX_DAYS_AWAY, MAX_TEXT, HouseholdFile
from storage.dates import ONE_DAY
from tests.support.browser import find_violations
from tests.support.daemon import CONFIG, get, serve, wait_for
from tests.support.influxdb import free_port

DAY = dt.date(2026, 8, 1)


class Site:
    """A daemon's page, as a browser sees it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.file = HouseholdFile(folder / "ledger.household.json")

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', get(self.port, "/")[1])
        return found[1] if found else ""

    def send(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form and follow the way back, as a browser does."""
        data = urllib.parse.urlencode({"token": self.token(), **fields}).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("home"), free_port()
    process = serve(folder, port, 3, CONFIG + 'ingress = "127.0.0.1"\n')
    try:
        wait_for(port, "/healthz", lambda status, _body: status == HTTPStatus.OK)
        wait_for(port, "/", lambda _status, body: '<a href="report">' in body)  # is made last after a run
        yield Site(port, folder)
    finally:
        process.kill()
        process.communicate()


def test_the_page_shows_health_nights_with_reasons_and_the_next_run(site: Site) -> None:
    status, page = get(site.port, "/")
    assert status == HTTPStatus.OK
    health = json.loads(get(site.port, "/healthz")[1])
    assert health["reason"] in page
    assert page.count('<th scope="row">') == 3
    assert "nothing to compare with" in page or "not judged" in page
    assert re.search(r"Next run: .* at 03:30 \(Europe/Berlin\)", page)
    assert "The first run has not ended yet" not in page


@pytest.mark.slow
@pytest.mark.parametrize(("width", "is_dark"), [(1200, False), (400, True)])
def test_axe_finds_nothing_that_keeps_people_from_reading_the_page(
    site: Site, tmp_path: Path, width: int, *, is_dark: bool
) -> None:
    before = site.file.read()
    site.file.change(lambda _household: Household((Away(DAY, DAY, "by the sea"),), (Mute("light.*", None, DAY),)))
    try:
        page = get(site.port, "/")[1]
    finally:
        site.file.change(lambda _household: before)
    assert find_violations(page, tmp_path, width=width, is_dark=is_dark) == []


def test_behind_a_proxy_with_a_random_path_every_link_and_form_leads_back_to_it(
    site: Site, httpserver: HTTPServer
) -> None:
    prefix = "/api/hassio_ingress/Vp4EXoOd7WVg"

    def forward(request: Request) -> ProxyResponse:
        """As supervisor/api/ingress.py does: the path without the prefix, and the answer as it is."""
        connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
        kept = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        connection.request(request.method, request.path.removeprefix(prefix), request.get_data() or None, kept)
        answer = connection.getresponse()
        location = {"Location": answer.headers["Location"]} if "Location" in answer.headers else {}
        body = answer.read()
        connection.close()
        return ProxyResponse(body, answer.status, {"Content-Type": answer.headers["Content-Type"], **location})

    httpserver.expect_request(re.compile(f"{prefix}/.*")).respond_with_handler(forward)
    home = httpserver.url_for(f"{prefix}/")

    def load(target: str, data: bytes | None = None) -> tuple[str, str]:
        url = urllib.parse.urljoin(home, target)
        with urllib.request.urlopen(url, data, timeout=10) as answer:  # noqa: S310 - of the proxy above
            return answer.url, answer.read().decode()

    page = load("")[1]
    for target in re.findall(r'href="([^"]+)"', page):
        assert load(target)[0].startswith(home)
    shown = load("away", urllib.parse.urlencode({"token": site.token(), "switch": "on"}).encode())
    assert shown[0] == home
    assert "Somebody is home again" in shown[1]
    site.send("/away", switch="off")


def test_the_report_is_behind_a_link_on_the_page(site: Site) -> None:
    status, page = get(site.port, "/report")
    assert status == HTTPStatus.OK
    assert page.startswith("<!doctype html>")
    assert "<script" not in page


def test_days_away_are_entered_and_removed_on_the_page(site: Site) -> None:
    status, _ = site.send("/away", first="2026-08-01", last="2026-08-14", note="to <b>Rome</b>")
    assert status == HTTPStatus.OK  # of the page that the form leads back to
    assert site.file.read().away == (Away(DAY, DAY + 13 * ONE_DAY, "to <b>Rome</b>"),)
    site.send("/away", first="2026-08-01", last="2026-08-14", remove="1")
    assert site.file.read().away == ()


def test_away_is_switched_on_and_off_on_the_page_as_in_home_assistant(site: Site) -> None:
    site.send("/away", switch="on")
    (away,) = site.file.read().away
    assert "Somebody is home again" in get(site.port, "/")[1]
    site.send("/away", switch="off")
    assert site.file.read().away == ()  # it had begun on the same day
    assert "Nobody is home from today on" in get(site.port, "/")[1]
    assert away.first == dt.datetime.now(ZoneInfo("Europe/Berlin")).date()


def test_a_mute_that_the_page_does_not_offer_is_refused_and_one_that_is_there_is_removed(site: Site) -> None:
    status, page = site.send("/mute", what="light.nowhere:count_high")
    assert status == HTTPStatus.BAD_REQUEST
    assert "nothing like that is on the page" in page
    known = Mute("light.hall", None, DAY)
    site.file.change(lambda household: household.__class__(household.away, (known,)))
    assert "light.hall</span>: from" in get(site.port, "/")[1]
    assert site.send("/mute", what="light.hall", remove="1")[0] == HTTPStatus.OK
    assert site.file.read().mutes == ()
    assert site.send("/mute", what="light.hall", remove="1")[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"token": ""}, "from an earlier start"),
        ({"token": "guessed"}, "from an earlier start"),
        ({"first": "tomorrow"}, "not a valid day"),
        ({"switch": "tomorrow"}, "not a valid position of the switch"),
        ({"first": ""}, "not a valid day"),
        ({"last": "2026-07-31"}, "is before the first"),
        ({"last": str(DAY + MAX_DAYS_AWAY * ONE_DAY)}, "367 days are too many"),
        ({"note": "x" * (MAX_TEXT + 1)}, f"at most {MAX_TEXT}"),
    ],
)
def test_a_form_that_is_not_valid_is_refused_with_the_reason_and_changes_nothing(
    site: Site, fields: dict[str, str], reason: str
) -> None:
    before = site.file.read()
    status, page = site.send("/away", **{"first": str(DAY), "last": str(DAY), "note": "", **fields})
    assert status == HTTPStatus.BAD_REQUEST
    assert reason in page
    assert site.file.read() == before


def test_the_longest_time_away_and_the_longest_note_are_taken(site: Site) -> None:
    last = DAY + (MAX_DAYS_AWAY - 1) * ONE_DAY
    site.send("/away", first=str(DAY), last=str(last), note="x" * MAX_TEXT)
    assert site.file.read().away == (Away(DAY, last, "x" * MAX_TEXT),)
    site.send("/away", first=str(DAY), last=str(last), remove="1")


def test_without_a_proxy_nothing_can_be_changed(tmp_path: Path) -> None:
    port = free_port()
    process = serve(tmp_path, port, 1)
    try:
        wait_for(port, "/readyz", lambda status, _body: status == HTTPStatus.OK)
        assert "<form" not in get(port, "/")[1]
        assert Site(port, tmp_path).send("/away", first=str(DAY))[0] == HTTPStatus.NOT_IMPLEMENTED
        assert not (tmp_path / "ledger.household.json").exists()
    finally:
        process.kill()
        process.communicate()


def test_behind_a_proxy_nobody_else_is_answered(tmp_path: Path) -> None:
    port = free_port()
    process = serve(tmp_path, port, 1, CONFIG + 'ingress = "127.0.0.2"\n')
    try:
        wait_for(port, "/", lambda status, _body: status != 0)
        for path in ("/", "/healthz", "/readyz", "/metrics", "/report"):
            assert get(port, path)[0] == HTTPStatus.FORBIDDEN
    finally:
        process.kill()
        process.communicate()
