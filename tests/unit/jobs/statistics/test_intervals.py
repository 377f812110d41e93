import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobs.statistics.intervals import wilson_lower


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_bound_lies_below_the_share_and_is_scipys(successes: int, failures: int) -> None:
    trials = successes + failures
    bound = wilson_lower(successes, trials)
    assert 0 <= bound <= successes / max(trials, 1) + 1e-12
    if trials:
        interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert bound == pytest.approx(interval.low, abs=1e-4)
