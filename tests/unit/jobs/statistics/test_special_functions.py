import numpy as np
import pytest
from scipy import special

from jobs.statistics.special_functions import incomplete_beta, incomplete_gamma, log_gamma

SEED = 20_260_301


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def test_log_gamma_is_scipys(rng: np.random.Generator) -> None:
    x = np.concatenate((rng.uniform(1e-3, 12, 2000), rng.uniform(12, 1e5, 500)))
    np.testing.assert_allclose(log_gamma(x), special.gammaln(x), rtol=1e-12, atol=1e-12)


def test_incomplete_gamma_is_scipys(rng: np.random.Generator) -> None:
    a, x = rng.uniform(0.01, 150, 3000), rng.uniform(0, 200, 3000)
    np.testing.assert_allclose(incomplete_gamma(a, x), special.gammainc(a, x), rtol=1e-8, atol=1e-14)


def test_incomplete_beta_is_scipys(rng: np.random.Generator) -> None:
    a, b, x = rng.uniform(0.01, 80, 3000), rng.uniform(0.5, 300, 3000), rng.uniform(0, 1, 3000)
    np.testing.assert_allclose(incomplete_beta(a, b, x), special.betainc(a, b, x), rtol=1e-9, atol=1e-300)


def test_special_functions_at_their_edges() -> None:
    a = np.array([0.5, 2.0, 30.0])
    np.testing.assert_array_equal(incomplete_gamma(a, np.zeros(3)), 0.0)
    np.testing.assert_array_equal(incomplete_beta(a, a, np.zeros(3)), 0.0)
    np.testing.assert_allclose(incomplete_beta(a, a, np.ones(3)), 1.0)
