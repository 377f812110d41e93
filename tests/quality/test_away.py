"""The part of ``python -m tests.quality away`` that is quick enough for every run, with seeds not used for tuning."""

import pytest

from tests.quality.away import Known, Meanwhile, fortnight_away, trackers_that_report_nothing

SEEDS = range(4242, 4245)


@pytest.mark.slow
@pytest.mark.parametrize("known", ["persons", "entered", "entered, full days only"])
def test_after_a_fortnight_away_nothing_is_reported_of_the_return_and_a_burglar_is_found(known: Known) -> None:
    score = fortnight_away(SEEDS, 40, known)
    assert (score.burglars, score.false_news, score.unseen) == (3, 0, 0)
    assert not score.of_return
    assert score.after.total() <= 3  # a week of three homes, as in any week


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", ["a cat", "a robot vacuum", "lamps against burglars"])
def test_what_moves_on_every_day_away_is_no_news(meanwhile: Meanwhile) -> None:
    score = fortnight_away(SEEDS, 40, "persons", meanwhile)
    assert (score.false_news, score.unseen) == (0, 0)
    assert score.burglars >= 2


@pytest.mark.slow
def test_a_home_that_people_live_in_is_not_away_whatever_the_trackers_say() -> None:
    assert trackers_that_report_nothing(SEEDS, 40)[0] == 0
