"""The unit samples of the story's text, run against our class: only the import path differs.

They replace ``influxdb_client.InfluxDBClient`` by a mock. Left out is the one that asks for Flux (``query_api.query``):
rows are read by InfluxQL, which is tens of times faster.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

STORY = Path(__file__).parents[3] / "shared" / "story.md"
STORY_PATH = "services.ai_automation_service.src.clients.pattern_aggregate_client"


def samples() -> dict[str, str]:
    """The unit samples by name, as modules of their own."""
    if not STORY.is_file():
        return {}
    blocks = re.findall(r"```python\n(.*?)```", STORY.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [one for one in blocks if "def mock_influxdb" in one]
    tree = ast.parse(block)
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    shared = [node for node in tree.body if node not in tests]
    found = {}
    for test in tests:
        text = ast.unparse(ast.Module([*shared, test], []))
        found[test.name] = text.replace(STORY_PATH, "storage.pattern_aggregate_client")
    return found


def run(folder: Path, texts: dict[str, str]) -> str:
    """What pytest says of some test modules, in a process of its own."""
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_samples_of_the_story_pass_as_far_as_they_do_not_ask_for_flux(tmp_path: Path) -> None:
    found = samples()
    if not found:
        pytest.skip("not here: the text of the story")
    chosen = {name: text for name, text in found.items() if "query_api.query" not in text}
    assert len(chosen) == len(found) - 1 > 0
    assert f"{len(chosen)} passed" in run(tmp_path, chosen)


SAMPLE = """
from datetime import datetime
from unittest.mock import patch

import pytest

from storage.pattern_aggregate_client import PatternAggregateClient


@pytest.fixture
def mock_influxdb():
    with patch("influxdb_client.InfluxDBClient") as mock:
        yield mock


def test_write_duration_daily(mock_influxdb):
    client = PatternAggregateClient(url="http://localhost:8086", token="test-token", org="test-org")
    result = client.write_duration_daily(
        date=datetime(2025, 1, 15), entity_id="light.living_room", avg_duration_seconds=60.0, min_duration_seconds=30.0,
        max_duration_seconds=90.0, duration_variance=900.0, efficiency_score=0.5,
    )
    assert result is True
    assert client.write_api.write.call_args.kwargs["bucket"] == "pattern_aggregates_daily"
    assert client.write_api.write.call_args.kwargs["org"] == "test-org"
    assert client.write_api.write.call_args.kwargs["record"].startswith("duration_daily,")


def test_a_failing_library_is_a_false(mock_influxdb):
    client = PatternAggregateClient(url="http://localhost:8086", token="test-token", org="test-org")
    client.write_api.write.side_effect = OSError("no network")
    assert client.write_duration_daily(datetime(2025, 1, 15), "light.x", 60.0, 30.0, 90.0, 900.0, 0.5) is False
    assert client.query_duration_daily(datetime(2025, 1, 1)) == []


def test_the_library_objects_are_there(mock_influxdb):
    client = PatternAggregateClient(url="http://localhost:8086", token="test-token", org="test-org")
    assert client.client is mock_influxdb.return_value
    assert client.query_api is mock_influxdb.return_value.query_api.return_value
    client.query_api.query.return_value = []
    assert client.query_api.query("from(bucket: ...)") == []
"""


def test_tests_written_in_the_style_of_the_story_pass(tmp_path: Path) -> None:
    assert "3 passed" in run(tmp_path, {"test_sample": SAMPLE})
