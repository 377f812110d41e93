"""The part of ``python -m tests.quality`` that is quick enough for every run, with seeds not used for tuning."""

import numpy as np
import pytest

from tests.quality.lived import TYPES, lived
from tests.quality.real import real_home
from tests.quality.scores import noise, noise_anomalies, planted, routine, shuffled_days
from tests.support.noise_homes import KINDS
from tests.support.real_homes import DATA, RECORDED, homes

SEED = 4242


@pytest.mark.parametrize("entities", [10, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_almost_no_pairs_chains_and_peaks(kind: str, entities: int) -> None:
    score = noise(kind, entities, 6, SEED)
    assert score.pairs < score.days
    assert score.chains < score.days
    if kind not in {"morning", "quarters"}:  # in these, some hours really are peaks
        assert score.peaks < 0.06 * score.entities + 4


def test_noise_has_no_anomalies() -> None:
    assert noise_anomalies("on_off", 20, 10, SEED) <= 1


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real homes' data is not in {DATA}")
def test_shuffled_real_days_have_almost_no_pairs_and_chains() -> None:
    scores = [shuffled_days(name, 13, SEED) for name in homes() if name != "aras_a"]
    assert all(score.pairs < score.days and score.chains < score.days for score in scores)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real homes' data is not in {DATA}")
@pytest.mark.parametrize("name", ["ordonez_a", "kasteren_a", "mit_1", RECORDED])
def test_real_homes_have_no_absurd_number_of_rows(name: str) -> None:
    found = real_home(name)
    assert found.days >= 13
    assert max(found.rows["time_based"]) <= len(found.entities)
    assert max(found.rows["co_occurrence"]) <= len(found.entities)
    assert max(found.rows["sequence"]) <= len(found.entities)
    assert len(found.anomalies) <= max(found.compared, 1) * len(found.entities) / 50


def test_planted_pairs_and_chains_are_found_and_little_else() -> None:
    score = planted(40, 7, SEED)
    assert score.pairs.recall("6 x 10 s", "8 x 10 s", "10 x 60 s", "12 x 60 s") >= 0.9
    assert score.pair_precision >= 0.9
    assert score.chains.recall("4 x 20 s", "5 x 20 s", "6 x 20 s") >= 0.9
    assert score.chain_precision >= 0.9


def test_planted_anomalies_are_found_and_little_else() -> None:
    score = routine(30, 2, SEED)
    assert score.jumps.recall("8 and more") >= 0.9
    assert score.jumps.recall() >= score.provable.recall() - 0.15
    assert score.dead.recall("4 and more") >= 0.9
    assert score.false_a_week < 1


def test_scores_do_not_depend_on_anything_but_the_seed() -> None:
    assert np.array_equal(
        [noise("uniform", 10, 2, SEED).entities, noise("uniform", 10, 2, SEED).peaks],
        [noise("uniform", 10, 2, SEED).entities, noise("uniform", 10, 2, SEED).peaks],
    )


def test_long_and_open_episodes_and_a_door_at_night_are_found_where_people_live_and_little_else() -> None:
    scores = [lived(life, 40, 1, SEED) for life in ("regular", "retired")]
    found = {kind: sum(score.found.hits[kind] for score in scores) for kind in TYPES}
    planted_ = {kind: sum(score.found.planted[kind] for score in scores) for kind in TYPES}
    assert found["long"] >= 0.9 * planted_["long"]
    assert found["still_on"] >= 0.8 * planted_["still_on"]
    assert found["night_door"] >= 0.6 * planted_["night_door"]
    new = "long_duration", "still_active", "unusual_hour"
    assert all(sum(score.a_week(one) for score in scores) / len(scores) < 0.3 for one in new)
