import numpy as np
import pytest
from scipy.stats import binom

from jobs.activity.window import SECOND
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.close_pairs import Limits, find_close_pairs
from jobs.statistics.corrections import benjamini_hochberg, can_be_rejected
from jobs.statistics.matching import Points, Scale
from tests.support.points import points

DAY_SECONDS = 86_400
SCALES = [Scale(10, 600), Scale(30, 600), Scale(60, 600)]


def links_of(both: Points, *, ordered: bool, rate: float = 0.05) -> list[tuple[int, int]]:
    found = find_close_pairs(both, SCALES, np.arange(both.groups), ordered=ordered, rate=rate)
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
def test_close_pairs_do_not_depend_on_how_groups_are_numbered(seed: int, *, ordered: bool) -> None:
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


def test_without_points_there_are_no_pairs() -> None:
    assert links_of(points([], [], []), ordered=True) == []


def whole_table(both: Points, *, ordered: bool) -> tuple[int, list[tuple[int, int]]]:
    """How many pairs can be tested and which are found, by tables of all pairs at once, as the rule is written."""
    at, sizes = both.at, both.sizes
    slot = at // (30 * SECOND) - at[0] // (30 * SECOND)
    count = np.zeros((int(slot[-1]) + 1, both.groups))
    np.add.at(count, (slot, both.group), 1)
    gap = at[None, :] - at[:, None]
    member = np.eye(both.groups)[both.group]
    least, p = np.ones((both.groups, both.groups)), np.ones((both.groups, both.groups))
    for scale in SCALES:
        width = scale.around // 30
        around = np.array([count[max(row - width, 0) : row + width + 1].sum(axis=0) for row in range(len(count))])
        chance = 1 - (1 - scale.near / (2 * width + 1) / 30 * (1 if ordered else 2)) ** around
        trials, chance = count.T @ (around > 0), (count.T @ chance) / np.maximum(count.T @ (around > 0), 1)
        near = (gap > 0) & (gap <= scale.near * SECOND) if ordered else np.abs(gap) <= scale.near * SECOND
        trials, chance = from_the_rarer(sizes, trials, chance, ordered=ordered)
        hits = member.T @ near @ member
        least = np.minimum(least, np.where(trials >= 3, chance**trials, 1))
        enough = (hits >= 3) & (hits > trials * chance)
        p = np.where(enough, np.minimum(p, binom.sf(hits - 1, trials, chance)), p)
    pairs = np.nonzero(~np.eye(both.groups, dtype=np.bool_) if ordered else np.triu(np.ones_like(p), 1))
    possible = can_be_rejected(least[pairs] * 3, 0.05)
    adjusted = np.where(possible, p[pairs] * 3, 1)
    tested = int(possible.sum())
    found = benjamini_hochberg(adjusted, 0.05, tested) & (adjusted <= max(3e-4, 0.25 / max(tested, 1)))
    return tested, [(int(pairs[0][index]), int(pairs[1][index])) for index in np.flatnonzero(found)]


def from_the_rarer(sizes: Integers, trials: Floats, chance: Floats, *, ordered: bool) -> tuple[Floats, Floats]:
    """Trials and chances of each pair: the rarer's or, of equals without an order, those of the larger chance."""
    other = sizes[None, :] < sizes[:, None]
    if not ordered:
        other |= (sizes[None, :] == sizes[:, None]) & (chance < chance.T)
    return np.where(other, trials.T, trials), np.where(other, chance.T, chance)


@pytest.mark.parametrize("ordered", [True, False])
def test_blocks_of_pairs_give_what_one_table_of_all_pairs_gives(*, ordered: bool) -> None:
    rng = np.random.default_rng(8)
    columns = [np.sort(rng.choice(DAY_SECONDS // 130, rng.integers(1, 14), replace=False) * 130) for _ in range(240)]
    for follower in range(0, 40, 2):
        columns[follower + 1] = columns[follower] + rng.integers(1, 9 + 2 * follower)
    both = points(*[column.tolist() for column in columns])
    found = find_close_pairs(both, SCALES, np.arange(240), ordered=ordered, rate=0.05)
    tested, pairs = whole_table(both, ordered=ordered)
    assert found.tested == tested
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == sorted(pairs)
    assert len(pairs) >= 8


def leading_and_following(count: int) -> Points:
    """Pairs of groups that are far apart from each other; in each, the second follows the first six times."""
    columns = []
    for number in range(count):
        leader = [number * 60_000 + start for start in range(0, 48_000, 8_000)]
        columns += [leader, [at + 4 for at in leader]]
    return points(*columns)


def test_of_more_pairs_than_are_returned_the_most_improbable_are_kept_and_the_others_counted() -> None:
    both = leading_and_following(9)
    found = find_close_pairs(both, SCALES, np.arange(18), ordered=False, rate=0.05, limits=Limits(found=4))
    assert (len(found.p), found.found) == (4, 9)
    assert (5, "pair beyond the 4 with the smallest p", "pairs beyond the 4 with the smallest p") in found.left_out(
        ("group", "groups"), ("pair", "pairs")
    )


@pytest.mark.parametrize(("limit", "left_out"), [(17, 1), (18, 0)])
def test_groups_beyond_the_limit_are_counted_and_the_rarest_left_out(limit: int, left_out: int) -> None:
    both = leading_and_following(9)
    found = find_close_pairs(both, SCALES, np.arange(18), ordered=True, rate=0.05, limits=Limits(groups=limit))
    assert found.groups_left_out == left_out
    assert len(found.p) == 9 - left_out


@pytest.mark.parametrize(("limit", "left_out"), [(8, 3), (9, 0)])
def test_the_search_ends_at_the_limit_and_counts_the_pairs_that_it_has_not_seen(limit: int, left_out: int) -> None:
    both = leading_and_following(9)  # with the eighth pair found, three groups are left, which make three pairs
    found = find_close_pairs(both, SCALES, np.arange(18), ordered=False, rate=0.05, limits=Limits(pairs=limit))
    assert found.pairs_left_out == left_out
    assert len(found.p) == found.tested == limit


@pytest.mark.parametrize("ordered", [True, False])
def test_groups_of_one_owner_are_not_among_the_pairs_that_were_not_seen(*, ordered: bool) -> None:
    both = leading_and_following(9)
    owner = np.array([*range(16), 16, 16])
    found = find_close_pairs(both, SCALES, owner, ordered=ordered, rate=0.05, limits=Limits(pairs=7))
    groups_left = 5  # once the first thirteen have given seven pairs
    pairs = groups_left * (groups_left - 1) // 2 - 1  # two of them have one owner
    assert found.pairs_left_out == pairs * (2 if ordered else 1)


def test_pairs_that_were_not_seen_make_it_no_easier_to_be_found() -> None:
    """All groups act at the same instants, a hundred times as many as are looked at."""
    both = points(*[list(range(0, 48_000, 8_000))] * 100)
    found = find_close_pairs(both, SCALES, np.arange(100), ordered=False, rate=0.05, limits=Limits(pairs=50))
    assert (found.tested, found.pairs_left_out) == (99, 100 * 99 // 2 - 50)  # only the first group was compared
    without = find_close_pairs(both, SCALES, np.arange(100), ordered=False, rate=0.05)
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) <= set(
        zip(without.first.tolist(), without.second.tolist(), strict=True)
    )
