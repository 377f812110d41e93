"""Messages and pings over local HTTP servers: one message a day, no secret in any text, no failed night."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from jobs.outcome import Outcome
from jobs.publish.messages import MAX_BYTES, MAX_LINES
from jobs.publish.publishing import Publishing, published
from jobs.run_report import RunReport
from storage.clean_text import clean
from storage.dates import ONE_DAY
from storage.errors import SourceUnavailable
from storage.models import Severity
from tests.support.published_home import YESTERDAY, PublishedHome, anomaly, done
from tests.support.raw_server import Answer, raw_server, reply

TOPIC = "my-secret-topic"


class Service:
    """A web service that notes what it is sent."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.url = server.url_for("")
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        return Response("answer", status=self.status, headers=self.headers)

    @property
    def documents(self) -> list[dict[str, object]]:
        return [json.loads(one.get_data()) for one in self.requests]


@pytest.fixture
def service(httpserver: HTTPServer) -> Iterator[Service]:
    one = Service(httpserver)
    yield one
    httpserver.clear()


def home_with_ntfy(folder: Path, service: Service, **messages: object) -> PublishedHome:
    return PublishedHome(folder, messages={"ntfy_url": f"{service.url.rstrip('/')}/{TOPIC}", **messages})


def deliver(made: PublishedHome) -> list[str]:
    with closing(Publishing(made.home)) as publishing:
        return [problem.text for problem in publishing.deliver()]


def test_new_findings_of_enough_severity_are_one_message_with_a_sentence_each(tmp_path: Path, service: Service) -> None:
    made = home_with_ntfy(tmp_path, service, min_severity="high", ntfy_token="tk_secret")  # noqa: S106 - invented
    made.write(
        anomaly(),
        anomaly("light.porch", severity=Severity.CRITICAL),
        anomaly("light.attic", severity=Severity.MEDIUM),
        anomaly("light.shed", muted="broken"),
    )
    assert deliver(made) == []
    (document,) = service.documents
    assert document["topic"] == TOPIC
    assert document["title"] == "2 unusual findings: Monday 2026-03-09"
    assert document["message"] == "• light.porch was active 40 times\n• light.hall was active 40 times"
    assert document["priority"] == 5
    (request,) = service.requests
    assert request.path == "/"
    assert request.headers["Authorization"] == "Bearer tk_secret"
    assert deliver(made) == []
    assert len(service.requests) == 1


def test_a_second_message_waits_until_the_next_day_and_then_says_of_which_day_each_finding_is(
    tmp_path: Path, service: Service
) -> None:
    made = home_with_ntfy(tmp_path, service)
    made.write(anomaly())
    deliver(made)
    made.write(anomaly(), anomaly("light.late"))
    assert deliver(made) == []
    assert len(service.requests) == 1
    assert made.waiting("ntfy") == ["light.late"]
    made.now += dt.timedelta(days=1)
    today = YESTERDAY + ONE_DAY
    made.write(anomaly("light.new", day=today), day=today)
    assert deliver(made) == []
    assert service.documents[1]["title"] == "2 unusual findings: 2 days up to 2026-03-10"
    assert service.documents[1]["message"] == (
        "Tuesday 2026-03-10:\n• light.new was active 40 times\nMonday 2026-03-09:\n• light.late was active 40 times"
    )


def test_a_day_without_findings_sends_nothing(tmp_path: Path, service: Service) -> None:
    made = home_with_ntfy(tmp_path, service)
    made.write()
    assert deliver(made) == []
    assert not service.requests


def test_many_findings_are_cut_and_counted_and_fit_what_ntfy_takes(tmp_path: Path, service: Service) -> None:
    made = home_with_ntfy(tmp_path, service)
    made.write(*(anomaly(f"light.{'küche' * 40}_{number}") for number in range(MAX_LINES + 7)))
    assert deliver(made) == []
    (document,) = service.documents
    message = str(document["message"])
    assert message.endswith("and 7 more findings")
    assert len(message.encode()) <= MAX_BYTES


@pytest.mark.parametrize(("status", "text"), [(404, "404"), (500, "500"), (429, "429")])
def test_a_message_that_is_refused_waits_and_is_sent_once_when_the_service_is_well(
    tmp_path: Path, service: Service, status: int, text: str
) -> None:
    made = home_with_ntfy(tmp_path, service)
    made.write(anomaly())
    service.status = status
    (problem,) = deliver(made)
    assert text in problem
    assert TOPIC not in clean(problem)
    service.status = 200
    assert deliver(made) == []
    assert deliver(made) == []
    assert len(service.requests) == 2


def test_a_redirect_is_not_followed_and_the_message_names_the_other_server_without_its_path(
    tmp_path: Path, service: Service
) -> None:
    made = home_with_ntfy(tmp_path, service)
    made.write(anomaly())
    service.status, service.headers = 307, {"Location": "http://127.0.0.2/elsewhere-secret"}
    (problem,) = deliver(made)
    assert problem.endswith("It redirects to http://127.0.0.2: give that address in the settings.")
    assert len(service.requests) == 1


def test_user_and_password_of_an_address_are_sent_as_a_login(tmp_path: Path, service: Service) -> None:
    place = urlsplit(service.url).netloc
    made = PublishedHome(tmp_path, messages={"ntfy_url": f"http://ada:p%40ss@{place}/{TOPIC}"})
    made.write(anomaly())
    assert deliver(made) == []
    (request,) = service.requests
    assert request.authorization is not None
    assert (request.authorization.username, request.authorization.password) == ("ada", "p@ss")


def test_an_address_that_is_not_valid_is_not_repeated(tmp_path: Path, service: Service) -> None:
    made = PublishedHome(tmp_path / "space", ping={"url": f"{service.url.rstrip('/')}/a b/secret-uuid"})
    with published(made.home) as publishing:
        (problem,) = publishing.end_run(done())
    expected = "the monitor of [ping] (localhost): not a valid address, or not a valid token. Correct the settings."
    assert problem.text == expected
    with pytest.raises(ValidationError) as refused:
        PublishedHome(tmp_path / "port", messages={"ntfy_url": "http://ntfy.example:8x/secret-topic"})
    assert "secret-topic" not in refused.value.errors()[0]["msg"]


def test_a_proxy_of_the_settings_gets_the_message(tmp_path: Path, service: Service) -> None:
    made = PublishedHome(
        tmp_path, messages={"ntfy_url": f"http://ntfy.invalid/{TOPIC}", "proxy": service.url.rstrip("/")}
    )
    made.write(anomaly())
    assert deliver(made) == []
    (request,) = service.requests
    assert request.headers["Host"] == "ntfy.invalid"


@pytest.mark.parametrize("answer", [Answer([b""], pause_seconds=60), Answer([b"HTTP/1.1 "] * 9, pause_seconds=30)])
def test_a_service_that_does_not_answer_costs_no_more_than_its_time(tmp_path: Path, answer: Answer) -> None:
    with raw_server(answer) as silent:
        made = PublishedHome(tmp_path, messages={"ntfy_url": f"{silent.url}/{TOPIC}", "timeout_seconds": 0.5})
        made.write(anomaly())
        (problem,) = deliver(made)
    assert "cannot be reached: timed out" in problem
    assert TOPIC not in problem
    assert made.waiting("ntfy") == ["light.hall"]


def test_an_answer_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with raw_server(Answer([reply(b"x" * 10_000_000)])) as talkative:
        made = PublishedHome(tmp_path, messages={"ntfy_url": f"{talkative.url}/{TOPIC}"})
        made.write(anomaly())
        assert deliver(made) == []


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's, on Python before 3.13
def test_apprise_sends_the_message_too(tmp_path: Path, service: Service) -> None:
    address = f"json://{urlsplit(service.url).netloc}/hook-secret"
    made = PublishedHome(tmp_path, messages={"apprise": [address]})
    made.write(anomaly())
    assert deliver(made) == []
    (document,) = service.documents
    assert document["title"] == "1 unusual finding: Monday 2026-03-09"
    assert document["message"] == "• light.hall was active 40 times"
    service.status = 500
    made.now += dt.timedelta(days=1)
    made.write(anomaly("light.a", day=YESTERDAY + ONE_DAY), day=YESTERDAY + ONE_DAY)
    (problem,) = deliver(made)
    assert problem.startswith("Apprise could not send the message")
    assert "hook-secret" not in problem


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # as above
def test_an_address_that_apprise_does_not_know_is_named_by_its_number(tmp_path: Path) -> None:
    made = PublishedHome(tmp_path, messages={"apprise": ["nonsense-secret"]})
    made.write(anomaly())
    (problem,) = deliver(made)
    assert problem.startswith("address 1 of messages.apprise is not valid")
    assert "nonsense-secret" not in problem


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # as above
def test_apprise_logs_no_topic_that_only_its_owner_knows(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 500
    made = PublishedHome(tmp_path, messages={"apprise": [f"ntfy://{urlsplit(service.url).netloc}/{TOPIC}"]})
    made.write(anomaly())
    with caplog.at_level("INFO"):
        (problem,) = deliver(made)
    assert problem.startswith("Apprise could not send the message")
    assert len(service.requests) > 0
    assert TOPIC not in caplog.text


def home_with_ping(folder: Path, service: Service) -> PublishedHome:
    return PublishedHome(folder, ping={"url": f"{service.url.rstrip('/')}/ping/3f2a-uuid?create=1"})


def pings(service: Service) -> list[tuple[str, str]]:
    return [(one.path, one.get_data(as_text=True)) for one in service.requests]


def run_ids(service: Service) -> set[str]:
    return {parse_qs(urlsplit(one.url).query)["rid"][0] for one in service.requests}


def test_the_monitor_hears_of_the_start_and_the_success_of_a_run_under_one_id(tmp_path: Path, service: Service) -> None:
    made = home_with_ping(tmp_path, service)
    with published(made.home) as publishing:
        publishing.end_run(done())
    assert pings(service) == [("/ping/3f2a-uuid/start", ""), ("/ping/3f2a-uuid", "nothing was due")]
    assert len(run_ids(service)) == 1
    assert all("create=1" in one.url for one in service.requests)
    with published(made.home) as publishing:
        publishing.end_run(done())
    assert len(run_ids(service)) == 2


def test_the_monitor_hears_of_a_failure_with_its_reason(tmp_path: Path, service: Service) -> None:
    made = home_with_ping(tmp_path, service)
    report = RunReport()
    report.add_problem("stale source: its newest whole day is 2026-03-01")
    with published(made.home) as publishing:
        publishing.end_run(report)
    assert pings(service)[-1] == ("/ping/3f2a-uuid/fail", "stale source: its newest whole day is 2026-03-01")


def test_the_monitor_hears_of_an_error_that_ends_a_run_and_the_error_stays(tmp_path: Path, service: Service) -> None:
    made = home_with_ping(tmp_path, service)
    with pytest.raises(SourceUnavailable), published(made.home):
        raise SourceUnavailable("no such host: password=hunter2-word")
    assert pings(service)[-1] == ("/ping/3f2a-uuid/fail", "no such host: password=***")


def test_a_monitor_that_is_down_is_a_warning_without_its_address(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 503
    made = home_with_ping(tmp_path, service)
    report = done()
    with published(made.home) as publishing:
        publishing.end_run(report)
    assert report.outcome is Outcome.DONE
    assert len(report.notices) == 1
    assert len(service.requests) == 4  # each ping is tried twice
    assert report.notices[0].startswith("not published: ping: the monitor of [ping] (localhost) answers 503")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("jobs.")]
    assert len(logged) == 2
    assert "3f2a-uuid" not in "".join(logged)


def test_a_ping_that_takes_too_long_is_a_warning_that_promises_no_repetition(tmp_path: Path) -> None:
    with raw_server(Answer([b"HTTP/1.1 200 OK\r\n", *[b"x"] * 60], pause_seconds=0.2)) as slow:
        made = PublishedHome(tmp_path, ping={"url": f"{slow.url}/3f2a-uuid", "timeout_seconds": 30})
        (problem,) = Publishing(made.home, max_seconds=0.5).begin_run()
    assert problem.text == (
        "the ping of the monitor has not ended within 0.5 s and was interrupted. "
        "It is not sent again; the monitor may report this run as missing."
    )
    assert not problem.is_retried


def test_nothing_is_sent_where_nothing_is_set(tmp_path: Path, service: Service) -> None:
    made = PublishedHome(tmp_path)
    made.write(anomaly())
    report = done()
    with published(made.home) as publishing:
        publishing.end_run(report)
    assert not service.requests
    assert report.notices == []
    with made.home.open_ledger(read_only=True) as ledger:
        assert ledger.channels() == {}
