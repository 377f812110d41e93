from pathlib import Path

import pytest

from jobs.detector import EventDetector, HistoryDetector, Rollup
from jobs.registry import load
from tests.support.golden import assert_rows, cases, read_day, read_history

DETECTORS = {  # golden weeks and months are in tests/unit/jobs/rollups
    registered.detector.name: registered.detector
    for registered in load()
    if not isinstance(registered.detector, Rollup)
}


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_has_golden_days(name: str) -> None:
    assert cases(name)


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name in DETECTORS for path in cases(name)], ids=lambda value: Path(value).stem
)
def test_a_golden_day_gives_exactly_the_rows_worked_out_by_hand(name: str, path: Path) -> None:
    detector = DETECTORS[name]
    if isinstance(detector, HistoryDetector):
        day, history, expected = read_history(path)
        assert_rows(list(detector.judge(day, history).rows), day, expected)
    else:
        assert isinstance(detector, EventDetector)
        log, expected = read_day(path)
        assert_rows(list(detector.detect(log).rows), log.window.day, expected)
