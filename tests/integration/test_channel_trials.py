"""`doctor` tries every channel without telling anybody anything, and says what it did not try."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from jobs.publish.trials import Trial, try_channels
from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import free_port
from tests.support.published_home import PublishedHome

pytestmark = pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")  # apprise imports it

TOPIC = "my-secret-topic"


@pytest.fixture
def requests(httpserver: HTTPServer) -> list[Request]:
    """What a web service was sent; it knows one token."""
    found: list[Request] = []

    def answer(request: Request) -> Response:
        found.append(request)
        known = request.headers.get("Authorization", "Bearer tk_right") == "Bearer tk_right"
        return Response("{}", status=200 if known else 401)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    return found


def trials(folder: Path, **sections: object) -> dict[str, Trial]:
    return {one.channel: one for one in try_channels(PublishedHome(folder, **sections).home)}


def test_channels_that_work_are_tried_without_a_message_or_a_ping(
    tmp_path: Path, httpserver: HTTPServer, requests: list[Request]
) -> None:
    ntfy, service = httpserver.url_for(f"/{TOPIC}"), httpserver.url_for("/").replace("http", "json", 1)
    found = trials(
        tmp_path,
        messages={"ntfy_url": ntfy, "ntfy_token": "tk_right", "apprise": [service]},
        ping={"url": httpserver.url_for("/ping/uuid")},
    )
    assert [(one.method, one.path) for one in requests] == [("GET", "/v1/health")]
    assert all(one.is_well for one in found.values())
    assert found["ntfy"].found == (
        "the server answers and accepts the login; whether it takes messages for the topic is not tried"
    )
    assert found["apprise"].found == "1 address is valid; no service is tried"
    assert "is not tried, as each request counts as a ping" in found["ping"].found


def test_a_token_that_the_server_does_not_know_is_found(
    tmp_path: Path, httpserver: HTTPServer, requests: list[Request]
) -> None:
    messages = {"ntfy_url": httpserver.url_for(f"/{TOPIC}"), "ntfy_token": "tk_wrong"}
    (found,) = trials(tmp_path, messages=messages).values()
    assert not found.is_well
    assert found.found == "ntfy (localhost) answers 401 UNAUTHORIZED"
    assert len(requests) == 1


def test_a_server_without_a_login_is_not_said_to_accept_one(
    tmp_path: Path, httpserver: HTTPServer, requests: list[Request]
) -> None:
    (found,) = trials(tmp_path, messages={"ntfy_url": httpserver.url_for(f"/{TOPIC}")}).values()
    assert found.found == "the server answers; whether it takes messages for the topic is not tried"
    assert len(requests) == 1


def test_channels_that_do_not_work_are_reported_without_an_address(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    found = trials(
        tmp_path,
        messages={"ntfy_url": f"{nowhere}/{TOPIC}", "apprise": ["nothing://known"]},
        ping={"url": f"{nowhere}/3f2a-uuid"},
        mqtt={"host": "127.0.0.1", "port": free_port()},
    )
    assert not any(one.is_well for one in found.values())
    assert set(found) == {"mqtt", "ntfy", "apprise", "ping"}
    assert found["ping"].found == "the monitor of [ping] (127.0.0.1) cannot be reached: [Errno 111] Connection refused"
    assert found["apprise"].found == "address 1 of messages.apprise is not valid"
    assert not re.search(f"{TOPIC}|3f2a", repr(found))


def test_a_proxy_is_what_is_tried_where_one_is_between(
    tmp_path: Path, httpserver: HTTPServer, requests: list[Request]
) -> None:
    ping = {"url": "https://monitor.invalid/3f2a-uuid", "proxy": httpserver.url_for("/")}
    (found,) = trials(tmp_path, ping=ping).values()
    assert found.is_well
    ping["proxy"] = f"http://127.0.0.1:{free_port()}"
    (found,) = trials(tmp_path / "other", ping=ping).values()
    assert found.found.startswith("the proxy of the monitor of [ping] (127.0.0.1) cannot be reached: ")
    assert requests == []


def test_doctor_prints_each_channel_and_none_of_them_changes_how_it_ends(tmp_path: Path) -> None:
    more = f'[messages]\nntfy_url = "http://127.0.0.1:{free_port()}/{TOPIC}"\napprise = ["json://127.0.0.1/"]\n'
    home = Home(tmp_path, CSV_CONFIG + more)
    home.call("backfill", "2026-03-01", "2026-03-03")
    result = home.call("doctor")
    assert result.exit_code == 0
    assert "note    ntfy: ntfy (127.0.0.1) cannot be reached" in result.stdout
    assert "ok      apprise: 1 address is valid; no service is tried" in result.stdout
    assert TOPIC not in result.output
