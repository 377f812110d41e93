"""When the daemon tries again to publish: soon at first, then less often, and at once when it is asked to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from jobs.daemon.metrics import Metrics
from jobs.daemon.publishing import MAX_RETRY_PAUSE, MIN_RETRY_PAUSE, DaemonPublishing
from tests.support.mosquitto import listening, mosquitto
from tests.support.published_home import PublishedHome, anomaly, done


def test_failed_deliveries_are_tried_again_after_growing_pauses_until_one_succeeds(tmp_path: Path) -> None:
    pauses: list[dt.timedelta] = []

    def plan(_deliver: Callable[[], object], pause: dt.timedelta) -> None:
        pauses.append(pause)

    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        made = PublishedHome(tmp_path, mqtt={"host": "127.0.0.1", "port": broker.port, "timeout_seconds": 5})
        made.write(anomaly())
        publishing = DaemonPublishing(made.home, Metrics(["anomaly"], made.now), plan)
        broker.kill()
        publishing.begin_run()
        publishing.end_run(done())
        for _ in range(5):
            publishing.deliver()
        assert pauses == [MIN_RETRY_PAUSE * 2**power for power in range(4)] + [MAX_RETRY_PAUSE] * 2
        broker.start()
        with listening(broker.port) as listener:
            publishing.deliver()
            assert len(listener.on("/finding")) == 1
            assert len(pauses) == 6
            publishing.close()


def test_a_ping_that_fails_is_counted_and_not_tried_again_later(tmp_path: Path) -> None:
    made = PublishedHome(tmp_path, ping={"url": "http://127.0.0.1:1/ping", "timeout_seconds": 1})
    metrics = Metrics(["anomaly"], made.now)
    pauses: list[dt.timedelta] = []
    publishing = DaemonPublishing(made.home, metrics, lambda _deliver, pause: pauses.append(pause))
    publishing.begin_run()
    publishing.end_run(done())
    publishing.fail_run(OSError("no disk"))
    assert pauses == []
    assert 'publish_errors_total{channel="ping"} 3.0' in metrics.text()
