"""A device in Home Assistant over a real broker: nothing is lost and nothing comes twice, whatever happens to it."""

from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.publish.away_switch import NOTE
from jobs.publish.mqtt.device import Device
from jobs.publish.news import News, read_news
from jobs.publish.publisher import PublishError
from jobs.publish.publishing import Publishing
from jobs.publish.settings import MqttSettings
from storage.dates import ONE_DAY
from storage.ledger.announcements import ChannelState
from tests.support.home import Home
from tests.support.mosquitto import Listener, Mosquitto, listening, mosquitto, write_password
from tests.support.mqtt_exchange import unsteady_publisher
from tests.support.published_home import TODAY, YESTERDAY, PublishedHome, anomaly, done


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with mosquitto(folder) as running:
        yield running


def home_at(broker: Mosquitto, folder: Path, **mqtt: Any) -> PublishedHome:
    """A home at a broker, to which something was published before: the wait for a new device is over."""
    made = PublishedHome(folder, mqtt={"host": "127.0.0.1", "port": broker.port, "timeout_seconds": 5, **mqtt})
    with made.home.open_ledger() as ledger:
        ledger.announcements("mqtt").note_delivery()
    return made


def deliver(made: PublishedHome) -> list[str]:
    """Publish once, as ``run`` does; returns what went wrong."""
    with closing(Publishing(made.home)) as publishing:
        return [problem.text for problem in publishing.deliver()]


def test_a_written_day_becomes_a_device_with_states_that_stay_and_an_event_that_comes_once(
    broker: Mosquitto, tmp_path: Path
) -> None:
    made = home_at(broker, tmp_path / "home")
    made.write(anomaly(), anomaly("light.porch", muted="on order"))
    with listening(broker.port) as listener:
        assert deliver(made) == []
        assert deliver(made) == []
        (event,) = listener.on("/finding")
        assert (event.document["event_type"], event.document["entities"]) == ("count_high", ["light.hall"])
        assert event.document["sentence"].startswith("light.hall was active 40 times")
        assert not event.retained
    with listening(broker.port) as later:
        later.wait_until(lambda: len(later.heard) == 5)
        assert all(one.retained for one in later.heard)
        (day,) = later.on("/day")
        assert day.document == {"begins_at": "2026-03-09T00:00:00+00:00", "word": "unusual", "findings": 1}
        (findings,) = later.on("/findings")
        assert [one["entities"] for one in findings.document["findings"]] == [["light.hall"]]
        assert [one.payload for one in (*later.on("/away"), *later.on("/status"))] == [b"OFF", b"online"]
        (config,) = later.on("/config")
        assert config.topic == f"homeassistant/device/pattern_aggregates_{made.id}/config"


def test_findings_wait_while_the_broker_is_down_and_come_once_when_it_is_back(
    broker: Mosquitto, tmp_path: Path
) -> None:
    made = home_at(broker, tmp_path / "home")
    broker.kill()
    made.write(anomaly())
    (problem,) = deliver(made)
    assert problem.startswith(f"MQTT broker 127.0.0.1:{broker.port} cannot be reached: ")
    with made.home.open_ledger(read_only=True) as ledger:
        assert ledger.channels()["mqtt"]._replace(delivered_at="") == ChannelState(error=problem, waiting=1)
    made.now += dt.timedelta(days=12)
    broker.start()
    with listening(broker.port) as listener:
        assert deliver(made) == []
        assert deliver(made) == []
        assert [one.document["day"] for one in listener.on("/finding")] == [str(YESTERDAY)]
    assert made.waiting() == []


@pytest.mark.parametrize("messages", range(6))
def test_a_broker_that_is_killed_between_two_messages_loses_nothing_and_repeats_nothing(
    broker: Mosquitto, tmp_path: Path, messages: int
) -> None:
    made = home_at(broker, tmp_path / "home")
    made.write(anomaly())
    with made.home.open_ledger() as ledger, closing(made.home.open_reader()) as store:
        news = read_news(YESTERDAY, store, made.home.household_file.read(), made.home.zone)
        told: list[str] = []
        with listening(broker.port) as before, pytest.raises(PublishError, match="has ended the connection"):
            unsteady_publisher(made, broker, messages).deliver(
                News(news, (news,)), lambda stories: told.extend(story.sentence for story in stories)
            )
        assert not before.on("/finding")
        assert not told
        assert ledger.announcements("mqtt").judged() == {}
    broker.start()
    with listening(broker.port) as listener:
        assert deliver(made) == []
        assert deliver(made) == []
        assert len(listener.on("/finding")) == 1
        assert {one.topic.rpartition("/")[2] for one in listener.heard} == {
            "config",
            "status",
            "findings",
            "day",
            "away",
            "finding",
        }


def test_findings_wait_until_somebody_listens(broker: Mosquitto, tmp_path: Path) -> None:
    made = home_at(broker, tmp_path / "home")
    made.write(anomaly(), anomaly("binary_sensor.door", "still_active", duration_seconds=9000.0))
    (problem,) = deliver(made)
    assert "2 findings wait: nobody listens to pattern_aggregates/" in problem
    with listening(broker.port) as listener:
        assert deliver(made) == []
        assert len(listener.on("/finding")) == 2


def test_two_programs_that_publish_at_the_same_time_announce_a_finding_once(broker: Mosquitto, tmp_path: Path) -> None:
    made = home_at(broker, tmp_path / "home")
    made.write(*(anomaly(f"light.{number}") for number in range(5)))
    with listening(broker.port) as listener:
        threads = [threading.Thread(target=deliver, args=(made,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(listener.on("/config")) == 3
        assert len(listener.on("/finding")) == 5


class Staying:
    """A publisher whose connection stays open, as in the daemon."""

    def __init__(self, made: PublishedHome) -> None:
        self.requests = 0
        self.publishing = Publishing(made.home, on_request=self._count)

    def _count(self) -> None:
        self.requests += 1

    def deliver(self) -> list[str]:
        return [problem.text for problem in self.publishing.deliver()]


@pytest.fixture
def made(broker: Mosquitto, tmp_path: Path) -> PublishedHome:
    return home_at(broker, tmp_path / "home")


@pytest.fixture
def staying(made: PublishedHome) -> Iterator[Staying]:
    one = Staying(made)
    yield one
    one.publishing.close()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with listening(broker.port) as one:
        yield one


def test_the_switch_enters_days_away_from_today_on_and_its_state_follows(
    made: PublishedHome, staying: Staying, listener: Listener
) -> None:
    made.write()
    assert staying.deliver() == []
    command = f"pattern_aggregates/{made.id}/away/set"
    listener.publish(command, "ON", retain=True)
    listener.wait_until(lambda: [one.payload for one in listener.on("/away")] == [b"OFF", b"ON"])
    (away,) = made.home.household_file.read().away
    assert (away.first, away.note) == (TODAY, NOTE)
    made.now += dt.timedelta(days=9)
    listener.publish(command, "OFF", retain=True)
    listener.wait_until(lambda: listener.on("/away")[-1].payload == b"OFF")
    (away,) = made.home.household_file.read().away
    assert (away.first, away.last) == (TODAY, TODAY + 8 * ONE_DAY)
    listener.wait_until(lambda: listener.on("/away/set")[-1].payload == b"")  # no command is left behind
    listener.publish(command, "sideways")
    listener.wait_until(lambda: len(listener.on("/away")) == 4)
    assert made.home.household_file.read().away == (away,)


def test_a_switch_that_was_turned_while_nothing_ran_counts_at_the_next_run(
    made: PublishedHome, listener: Listener
) -> None:
    made.write()
    assert deliver(made) == []
    listener.publish(f"pattern_aggregates/{made.id}/away/set", "ON", retain=True)
    assert deliver(made) == []
    listener.wait_until(lambda: listener.on("/away")[-1].payload == b"ON")
    assert [one.first for one in made.home.household_file.read().away] == [TODAY]


def test_a_damaged_file_of_days_away_keeps_no_finding_back(
    made: PublishedHome, listener: Listener, tmp_path: Path
) -> None:
    made.write(anomaly())
    made.home.household_file.change(lambda household: household)
    (file,) = tmp_path.rglob("*.household.json")
    text = file.read_text(encoding="utf-8")
    file.write_text("{", encoding="utf-8")
    (problem,) = deliver(made)
    assert "household.json cannot be used" in problem
    assert (len(listener.on("/day")), len(listener.on("/finding")), len(listener.on("/away"))) == (1, 1, 0)
    file.write_text(text, encoding="utf-8")
    assert deliver(made) == []
    assert (len(listener.on("/finding")), listener.on("/away")[-1].payload) == (1, b"OFF")


def test_everything_is_published_again_when_home_assistant_starts(
    made: PublishedHome, staying: Staying, listener: Listener
) -> None:
    made.write(anomaly())
    assert staying.deliver() == []
    listener.publish("homeassistant/status", "offline")
    listener.publish("homeassistant/status", "online")
    listener.wait_until(lambda: staying.requests)
    assert staying.requests == 1
    assert staying.deliver() == []
    assert (len(listener.on("/config")), len(listener.on("/day")), len(listener.on("/finding"))) == (2, 2, 1)


def test_the_entities_are_unavailable_once_the_daemon_is_stopped_and_available_after_a_single_run(
    made: PublishedHome, staying: Staying, listener: Listener
) -> None:
    made.write()
    status = f"{made.id}/status"
    assert staying.deliver() == []
    staying.publishing.close()
    listener.wait_until(lambda: [one.payload for one in listener.on(status)] == [b"online", b"offline"])
    assert deliver(made) == []
    listener.wait_until(lambda: listener.on(status)[-1].payload == b"online")
    assert len(listener.on(status)) == 3


def test_the_broker_makes_the_entities_unavailable_when_the_daemon_dies(
    made: PublishedHome, listener: Listener
) -> None:
    device = Device(made.id, "homeassistant", made.home.zone, "1")
    program = f"""
import os
from jobs.publish.mqtt.connection import Connection
from jobs.publish.mqtt.device import Message
from jobs.publish.settings import MqttSettings
settings = MqttSettings(host="127.0.0.1", port={made.home.settings.mqtt.port})
connection = Connection(settings, "dies", will=Message({device.availability_topic!r}, b"offline"))
connection.publish(Message({device.availability_topic!r}, b"online"))
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    listener.wait_until(lambda: [one.payload for one in listener.on("/status")] == [b"online", b"offline"])


def test_a_lost_connection_is_noticed_and_opened_again_by_the_next_delivery(
    made: PublishedHome, staying: Staying, broker: Mosquitto
) -> None:
    made.write(anomaly())
    with listening(broker.port) as listener:
        assert staying.deliver() == []
        broker.kill()
        listener.wait_until(lambda: staying.requests)
    assert len(staying.deliver()) == 1
    broker.start()
    with listening(broker.port) as listener:
        assert staying.deliver() == []
        assert listener.on("/config")
        assert not listener.on("/finding")


def test_a_removed_device_leaves_nothing_at_the_broker_and_is_new_when_it_comes_back(
    made: PublishedHome, broker: Mosquitto
) -> None:
    made.write(anomaly())
    with listening(broker.port):
        assert deliver(made) == []
    assert Publishing(made.home).remove() == ["removed the device from Home Assistant (MQTT broker 127.0.0.1)"]
    with listening(broker.port) as later, listening(broker.port, "other") as other:
        other.publish("other", "a message to wait for")
        later.wait_until(lambda: later.on("other"))
        assert [one.topic for one in later.heard] == ["other"]
        assert made.home.open_ledger(read_only=True).channels() == {}
        assert deliver(made) == []
        assert len(later.on("/finding")) == 1


def retained(broker: Mosquitto) -> list[str]:
    """The topics on which the broker keeps a message."""
    with listening(broker.port) as later, listening(broker.port, "other") as other:
        other.publish("other", "a message to wait for")
        later.wait_until(lambda: later.on("other"))
        return [one.topic for one in later.heard if one.retained]


def test_a_device_that_is_removed_while_the_daemon_runs_leaves_nothing_when_the_daemon_stops(
    made: PublishedHome, staying: Staying, listener: Listener, broker: Mosquitto
) -> None:
    made.write(anomaly())
    assert staying.deliver() == []
    assert f"pattern_aggregates/{made.id}/status" in retained(broker)
    Publishing(made.home).remove()
    listener.wait_until(lambda: [one.payload for one in listener.on("/status")[1:]] == [b"", b""])  # of both programs
    staying.publishing.close()
    assert retained(broker) == []
    assert staying.requests == 0
    assert staying.deliver() == []  # the next run makes it again
    assert f"pattern_aggregates/{made.id}/status" in retained(broker)


def test_a_device_that_somebody_deletes_in_home_assistant_leaves_nothing_either(
    made: PublishedHome, staying: Staying, listener: Listener, broker: Mosquitto
) -> None:
    made.write(anomaly())
    assert staying.deliver() == []
    listener.publish(listener.on("/config")[0].topic, "", retain=True)
    listener.wait_until(lambda: listener.on("/status")[-1].payload == b"")
    staying.publishing.close()
    assert retained(broker) == []


def test_a_broker_that_hides_the_description_of_the_device_is_used_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    rules = (
        "topic write homeassistant/device/#\ntopic read homeassistant/status\ntopic readwrite pattern_aggregates/#\n"
    )
    (folder / "rules").write_text(rules, encoding="utf-8")
    with mosquitto(folder, "allow_anonymous true", f"acl_file {folder / 'rules'}") as strict:
        made = home_at(strict, tmp_path / "home")
        made.write()
        staying = Staying(made)
        assert staying.deliver() == []
        staying.publishing.close()


def test_two_homes_on_one_broker_are_two_devices(broker: Mosquitto, tmp_path: Path) -> None:
    homes = [home_at(broker, tmp_path / name) for name in ("here", "there")]
    with listening(broker.port) as listener:
        for one in homes:
            one.write()
            assert deliver(one) == []
        configs = [one.document for one in listener.on("/config")]
    assert len({config["dev"]["ids"][0] for config in configs}) == 2
    ids = [component["uniq_id"] for config in configs for component in config["cmps"].values()]
    assert len(ids) == len(set(ids)) == 10
    assert len({one.topic for one in listener.heard}) == len(listener.heard)


def test_a_wrong_password_and_a_forbidden_topic_are_named_and_no_password_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    write_password(folder / "passwords", "ada", "right-one")
    (folder / "rights").write_text("user ada\ntopic readwrite homeassistant/#\n", encoding="utf-8")
    lines = ("allow_anonymous false", f"password_file {folder}/passwords", f"acl_file {folder}/rights")
    with mosquitto(folder, *lines) as broker:
        wrong = home_at(broker, tmp_path / "wrong", username="ada", password="not-that-one")  # noqa: S106 - invented
        (problem,) = deliver(wrong)
        assert "refuses the connection: Not authorized" in problem
        assert "not-that-one" not in problem
        limited = home_at(broker, tmp_path / "limited", username="ada", password="right-one")  # noqa: S106 - invented
        limited.write()
        (problem,) = deliver(limited)
        assert "refuses publishing on pattern_aggregates/" in problem
        assert "Not authorized" in problem


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")  # paho's socket
def test_a_connection_with_tls_trusts_the_named_authority_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("not here: openssl, to make a certificate with")
    lines = ("allow_anonymous true", f"certfile {folder}/cert.pem", f"keyfile {folder}/key.pem")
    with mosquitto(folder, *lines) as broker:
        trusted = home_at(broker, tmp_path / "trusted", tls=True, ca_file=str(folder / "cert.pem"))
        assert deliver(trusted) == []
        unverified = home_at(broker, tmp_path / "unverified", tls=True, verify=False)
        assert deliver(unverified) == []
        (problem,) = deliver(home_at(broker, tmp_path / "untrusted", tls=True))
        assert "certificate verify failed" in problem
        (problem,) = deliver(home_at(broker, tmp_path / "plain"))
        assert "cannot be reached" in problem or "does not answer" in problem or "refuses" in problem


def test_a_broker_that_never_answers_costs_no_more_than_its_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        made = PublishedHome(tmp_path, mqtt={"host": "127.0.0.1", "port": port, "timeout_seconds": 0.5})
        (problem,) = deliver(made)
        assert problem.startswith(f"MQTT broker 127.0.0.1:{port} does not answer. Correct [mqtt]")


def test_what_could_not_be_published_is_a_notice_and_the_run_stays_a_success(tmp_path: Path) -> None:
    made = PublishedHome(tmp_path, mqtt={"host": "127.0.0.1", "port": 1, "timeout_seconds": 1})
    report = done()
    before = report.outcome
    with closing(Publishing(made.home)) as publishing:
        (problem,) = publishing.end_run(report)
    assert report.outcome is before
    assert report.notices == [f"not published: mqtt: {problem.text}"]


def test_settings_of_a_broker_show_no_password() -> None:
    assert "secret-word" not in repr(MqttSettings(host="broker", password="secret-word"))  # noqa: S106 - invented


CLI_CONFIG = """
[source]
kind = "csv_files"
path = "events.csv"
[store]
url = "sqlite:///aggregates.db"
[ledger]
path = "ledger.db"
[mqtt]
host = "127.0.0.1"
port = {port}
timeout_seconds = 5
"""


def test_commands_publish_report_what_waits_and_remove_the_device(broker: Mosquitto, tmp_path: Path) -> None:
    made = home_at(broker, tmp_path)
    made.write(anomaly())
    home = Home(tmp_path, CLI_CONFIG.format(port=broker.port))
    with listening(broker.port) as listener:
        published = home.call("run")
        assert published.exit_code in (0, 1), published.output
        assert listener.on("/config")
        assert f"the broker 127.0.0.1:{broker.port} accepts the connection" in home.call("doctor").output
        broker.kill()
    assert f"MQTT broker 127.0.0.1:{broker.port} cannot be reached" in home.call("doctor").output
    waiting = home.call("run")
    assert waiting.exit_code == published.exit_code
    assert "not published: mqtt: MQTT broker 127.0.0.1" in waiting.output
    assert "not published: mqtt" in home.call("status", "-2d").output
    failed = home.call("init", "--remove")
    assert failed.exit_code == 75, failed.output
    broker.start()
    removed = home.call("init", "--remove")
    assert removed.exit_code == 0, removed.output
    assert "removed the device from Home Assistant" in removed.output
    assert "not published" not in home.call("status", "-2d").output


def test_a_removal_without_a_broker_in_the_settings_is_not_a_valid_call(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.call("init", "--remove").exit_code == 2
