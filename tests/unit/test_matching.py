import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.entities import Description, EntityRules
from jobs.matching import Points, Scale, close, device_codes, expected_matches, find_links, match_one_to_one, tie
from jobs.window import HOUR, SECOND

DAY_SECONDS = 86_400
INSTANTS = st.lists(st.integers(0, 4000), max_size=14, unique=True)


def points(*seconds: list[int]) -> Points:
    """Points of as many groups as there are lists."""
    at = np.concatenate([np.array(column, np.int64) for column in seconds]) * SECOND
    group = np.repeat(np.arange(len(seconds)), [len(column) for column in seconds])
    order = np.argsort(at, kind="stable")
    return Points(at[order], group[order], len(seconds))


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
def test_which_of_a_pair_comes_first_changes_no_match(one: list[int], other: list[int], reach: int) -> None:
    both = points(one, other)
    forward = match_one_to_one(both, np.array([0]), np.array([1]), reach)
    backward = match_one_to_one(both, np.array([1]), np.array([0]), reach)
    assert set(zip(forward.first, forward.second, strict=True)) == set(
        zip(backward.second, backward.first, strict=True)
    )


@given(st.lists(st.integers(0, 500), max_size=30), st.integers(0, 60))
def test_close_finds_every_pair_within_reach_once(seconds: list[int], reach: int) -> None:
    at = np.sort(np.array(seconds, np.int64))
    before, after = close(at, reach)
    expected = {(i, j) for i in range(len(at)) for j in range(i + 1, len(at)) if at[j] - at[i] <= reach}
    assert set(zip(before.tolist(), after.tolist(), strict=True)) == expected
    assert len(before) == len(expected)


def test_expected_matches_follow_from_what_is_around() -> None:
    both = points([10_000, 50_000], [10_500, 12_000, 70_000])
    (expected,) = expected_matches(both, np.array([0]), np.array([1]), Scale(300, 3600))
    assert expected == pytest.approx(1 - (1 - 300 / 3600) ** 2)


def links_of(both: Points, *, ordered: bool, rate: float = 0.05) -> list[tuple[int, int]]:
    found = find_links(
        both,
        [Scale(10, 600), Scale(30, 600), Scale(60, 600)],
        ~np.eye(both.groups, dtype=np.bool_),
        ordered=ordered,
        rate=rate,
    )
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True))


def test_what_follows_closely_is_linked_in_its_order() -> None:
    leader = [10_000, 30_000, 50_000, 70_000]
    both = points([at + 7 for at in leader], leader, list(range(0, DAY_SECONDS, 1300)))
    assert links_of(both, ordered=True) == [(1, 0)]
    assert links_of(both, ordered=False) == [(0, 1)]


def test_the_same_instant_has_no_order() -> None:
    leader = [10_000, 30_000, 50_000, 70_000]
    assert not links_of(points(leader, leader), ordered=True)


def test_two_that_are_busy_in_the_same_minutes_are_not_linked_by_that_alone() -> None:
    one = [start + offset for start in (20_000, 40_000, 60_000) for offset in (0, 310, 640)]
    other = [start + offset for start in (20_000, 40_000, 60_000) for offset in (150, 480, 790)]
    assert not links_of(points(one, other), ordered=False)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ordered", [True, False])
def test_links_do_not_depend_on_how_groups_are_numbered(seed: int, *, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    columns = [np.sort(rng.choice(DAY_SECONDS // 200, rng.integers(0, 40), replace=False) * 200) for _ in range(12)]
    columns[3], columns[8] = columns[5] + 3, columns[5][:-1] + 9
    order = rng.permutation(12)
    there = links_of(points(*[column.tolist() for column in columns]), ordered=ordered)
    back = links_of(points(*[columns[group].tolist() for group in order]), ordered=ordered)
    renamed = [(int(order[one]), int(order[other])) for one, other in back]
    assert there
    assert {frozenset(pair) if not ordered else pair for pair in there} == {
        frozenset(pair) if not ordered else pair for pair in renamed
    }


def test_the_chance_of_a_hit_is_right_where_points_lie_anywhere() -> None:
    rng = np.random.default_rng(3)
    tested, found = 0, 0
    for _ in range(40):
        columns = [(np.arange(60) * 1440 + rng.integers(0, 1300, 60)).tolist() for _ in range(12)]
        tested += 12 * 11 // 2
        found += len(links_of(points(*columns), ordered=False))
    assert found / tested < 0.002


def test_no_points_no_links() -> None:
    assert links_of(points([], [], []), ordered=True) == []
    assert len(match_one_to_one(points([], []), np.array([0]), np.array([1]), 300).pair) == 0


def test_entities_without_a_device_share_none() -> None:
    rules = EntityRules()
    devices = ("x", None, None, "x")
    about = [Description(f"light.{number}", device_id=device) for number, device in enumerate(devices)]
    codes = device_codes([rules.classify(one, []) for one in about])
    assert codes[0] == codes[3]
    assert len(set(codes.tolist())) == 3


def test_ties_are_named_by_what_makes_them() -> None:
    assert tie(same_device=True, automatic=1, in_step=1) == "device"
    assert tie(same_device=False, automatic=0.6, in_step=1) == "automation"
    assert tie(same_device=False, automatic=0.5, in_step=0.8) == "in_step"
    assert tie(same_device=False, automatic=0.5, in_step=0.79) is None


def test_a_whole_day_of_hours_is_within_the_keys_reach() -> None:
    late = points([0], [27 * HOUR // SECOND])
    assert len(match_one_to_one(late, np.array([0]), np.array([1]), 24 * 3600).pair) == 0
