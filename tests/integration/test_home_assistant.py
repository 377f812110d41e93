"""The device in a real Home Assistant: its own code discovers the entities, and its switch enters days away.

Home Assistant needs a Python of its own. Where there is one, name it: PATTERN_AGGREGATES_HOME_ASSISTANT_PYTHON. The
keys are checked without it, too (tests/unit/jobs/publish/test_device.py).
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from jobs.publish.publishing import Publishing
from tests.support.home import ROOT
from tests.support.mosquitto import listening, mosquitto
from tests.support.published_home import TODAY, PublishedHome, anomaly

VARIABLE = "PATTERN_AGGREGATES_HOME_ASSISTANT_PYTHON"
PROGRAM = ROOT / "tests" / "support" / "home_assistant.py"


@pytest.mark.timeout(240)
def test_home_assistant_shows_the_day_its_findings_an_event_and_a_switch_that_enters_days_away(tmp_path: Path) -> None:
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"not here: Home Assistant, whose Python {VARIABLE} names")
    with mosquitto(tmp_path) as broker, listening(broker.port) as listener:
        made = PublishedHome(tmp_path / "home", mqtt={"host": "127.0.0.1", "port": broker.port})
        made.write(anomaly(), anomaly("binary_sensor.door", "still_active", duration_seconds=9000.0))
        program = subprocess.Popen(
            [python, PROGRAM, tmp_path / "home_assistant", str(broker.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stderr is not None
        assert any("ready" in line for line in program.stderr), "it has ended"
        with closing(Publishing(made.home, on_request=lambda: None)) as publishing:
            assert publishing.deliver() == []
            assert publishing.deliver() == []
            assert program.stdin is not None
            call = {
                "domain": "switch",
                "service": "turn_on",
                "data": {"entity_id": "switch.pattern_aggregates_nobody_home"},
            }
            program.stdin.write(json.dumps(call) + "\n")
            program.stdin.flush()
            listener.wait_until(lambda: listener.on("/away")[-1].payload == b"ON", seconds=30)
            out, _ = program.communicate(timeout=60)
    document = json.loads(out)
    changes = [one for one in document["changes"] if "pattern_aggregates" in one["entity_id"]]
    last = {one["entity_id"]: one for one in changes}
    assert last["sensor.pattern_aggregates_newest_day"]["state"] == "2026-03-09T00:00:00+00:00"
    assert last["sensor.pattern_aggregates_day"]["state"] == "unusual"
    findings = last["sensor.pattern_aggregates_unusual_findings"]
    assert findings["state"] == "2"
    assert len(findings["attributes"]["findings"]) == 2
    events = [one for one in changes if one["entity_id"] == "event.pattern_aggregates_finding"]
    kinds = [one["attributes"].get("event_type") for one in events if one["state"] not in ("unknown", "unavailable")]
    assert sorted(kinds) == ["count_high", "still_active"]
    assert last["switch.pattern_aggregates_nobody_home"]["state"] == "on"
    assert [one.first for one in made.home.household_file.read().away] == [TODAY]
