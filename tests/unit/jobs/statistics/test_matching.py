import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.activity.entities import Description, EntityRules
from jobs.activity.window import HOUR, SECOND
from jobs.statistics.matching import Scale, device_codes, expected_matches, link_kind, match_one_to_one
from tests.support.points import points

INSTANTS = st.lists(st.integers(0, 4000), max_size=14, unique=True)


def best_matching(one: list[int], other: list[int], reach: int) -> int:
    """The size of the largest one-to-one matching, by trying augmenting paths."""
    taken: dict[int, int] = {}

    def augment(a: int, tried: set[int]) -> bool:
        for b in other:
            if abs(a - b) <= reach and b not in tried:
                tried.add(b)
                if b not in taken or augment(taken[b], tried):
                    taken[b] = a
                    return True
        return False

    return sum(augment(a, set()) for a in one)


@given(INSTANTS, INSTANTS, st.integers(0, 600))
def test_no_other_matching_has_more_matches(one: list[int], other: list[int], reach: int) -> None:
    both = points(one, other)
    found = match_one_to_one(both, np.array([0]), np.array([1]), reach)
    assert len(found.pair) == best_matching(one, other, reach)
    assert len(set(found.first.tolist())) == len(set(found.second.tolist())) == len(found.pair)
    assert (np.abs(both.at[found.first] - both.at[found.second]) <= reach * SECOND).all()


@given(INSTANTS, INSTANTS, st.integers(0, 600))
def test_the_order_of_a_pair_does_not_change_its_matches(one: list[int], other: list[int], reach: int) -> None:
    both = points(one, other)
    forward = match_one_to_one(both, np.array([0]), np.array([1]), reach)
    backward = match_one_to_one(both, np.array([1]), np.array([0]), reach)
    assert set(zip(forward.first, forward.second, strict=True)) == set(
        zip(backward.second, backward.first, strict=True)
    )


def test_expected_matches_follow_from_what_is_around() -> None:
    both = points([10_000, 50_000], [10_500, 12_000, 70_000])
    (expected,) = expected_matches(both, np.array([0]), np.array([1]), Scale(300, 3600))
    assert expected == pytest.approx(1 - (1 - 300 / 3600) ** 2)


def test_without_points_there_are_no_matches() -> None:
    assert len(match_one_to_one(points([], []), np.array([0]), np.array([1]), 300).pair) == 0


def test_entities_without_a_device_share_none() -> None:
    rules = EntityRules()
    devices = ("x", None, None, "x")
    about = [Description(f"light.{number}", device_id=device) for number, device in enumerate(devices)]
    codes = device_codes([rules.classify(one, []) for one in about])
    assert codes[0] == codes[3]
    assert len(set(codes.tolist())) == 3


def test_the_kind_of_link_is_what_in_the_home_links_two_entities() -> None:
    assert link_kind(same_device=True, automatic=1, simultaneous=1) == "same_device"
    assert link_kind(same_device=False, automatic=0.6, simultaneous=1) == "automation"
    assert link_kind(same_device=False, automatic=0.5, simultaneous=0.8) == "simultaneous"
    assert link_kind(same_device=False, automatic=0.5, simultaneous=0.79) is None


def test_a_whole_day_of_hours_is_within_the_keys_reach() -> None:
    late = points([0], [27 * HOUR // SECOND])
    assert len(match_one_to_one(late, np.array([0]), np.array([1]), 24 * 3600).pair) == 0
