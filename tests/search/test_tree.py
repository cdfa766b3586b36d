"""Tree search finds what is best at any depth, stops when told, and never loses what it was given."""

import itertools
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput, UnknownName
from ctxeng.search.space import Extension
from ctxeng.search.tree import TreeSearch


@dataclass
class Scored:
    """Ordered choices of `moves`, at most `most`, worth what the table says, or 0."""

    table: dict[tuple[int, ...], float]
    moves: tuple[int, ...] = (1, 2, 3, 4)
    most: int = 3
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def extend(self, state):
        self.asked.append(state)
        moves = [move for move in self.moves if move not in state] if len(state) < self.most else []
        rewards = np.array([self.table.get((*state, move), 0.0) for move in moves])
        return Extension(moves, rewards, np.full(len(moves), (len(state) + 1) / self.most))


class AsSets(Scored):
    """The same for a table that does not care about order."""

    def key(self, state):
        return frozenset(state)


CORAG = Scored({(1,): 0.3, (1, 3): 0.4, (3, 4): 0.8, (4, 3): 0.9, (1, 2, 4): 0.6})
# a: good at once, nothing behind it; b: bad at once, the best one behind it
HAND = {(1,): 0.6, (2,): 0.2, (1, 2): 0.3, (2, 1): 0.5}


def random_table(seed, moves, most):
    draw = np.random.default_rng(seed)
    states = [state for size in range(1, most + 1) for state in itertools.permutations(range(moves), size)]
    return dict(zip(states, draw.normal(size=len(states)).tolist(), strict=True))


@pytest.mark.parametrize("backup", ["all", "best"])
def test_the_example_of_the_paper_ends_with_the_best_pair_and_not_with_a_longer_list(backup):
    found = TreeSearch(backup=backup).run(CORAG)
    assert found.state == (4, 3)
    assert found.reward == 0.9


class Interacting:
    """3 to 7 things of random value and cost; each pair is worth something by which of them comes first."""

    def __init__(self, seed):
        draw = np.random.default_rng(seed)
        self.size = 3 + seed % 5
        self.budget = int(draw.integers(80, 151))
        self.values, self.costs = draw.normal(0.3, 0.4, self.size), draw.integers(10, 60, self.size)
        self.pairs = draw.normal(0, 0.25, (self.size, self.size))

    def reward(self, state):
        pairs = itertools.combinations(state, 2)
        return sum(self.values[move] for move in state) + sum(self.pairs[pair] for pair in pairs)

    def extend(self, state):
        spent = self.costs[list(state)].sum()
        moves = [
            move for move in range(self.size) if move not in state and spent + self.costs[move] <= self.budget
        ]
        rewards = np.array([self.reward((*state, move)) for move in moves])
        return Extension(moves, rewards, (spent + self.costs[moves]) / self.budget)


def brute_force(space, state=()):
    extension = space.extend(state)
    below = [brute_force(space, (*state, move)) for move in extension.moves]
    return max([0.0, *extension.rewards, *below])


@pytest.mark.parametrize("backup", ["all", "best"])
def test_the_optimum_of_random_instances_of_up_to_seven_is_found_in_95_of_100(backup):
    spaces = [Interacting(seed) for seed in range(100)]
    found = [TreeSearch(backup=backup).run(space) for space in spaces]
    assert not all(one.exhausted for one in found)
    hits = [one.reward >= brute_force(space) - 1e-12 for one, space in zip(found, spaces, strict=True)]
    assert sum(hits) >= 95


def test_a_search_that_may_see_everything_finds_the_optimum_and_ends_early():
    table = random_table(1, 5, 3)
    found = TreeSearch(iterations=10_000).run(Scored(table, tuple(range(5))))
    assert found.reward == max(table.values())
    assert found.exhausted
    assert found.iterations == 5 + 20 + 60  # every state but the empty one was extended, the last to nothing
    assert found.calls == 5 + 20 + 60
    assert found.batches == 1 + 5 + 20


def test_the_empty_state_is_the_result_where_everything_is_worth_less():
    found = TreeSearch().run(Scored(dict.fromkeys(itertools.permutations((1, 2, 3, 4), 1), -1.0), most=1))
    assert found.state == ()
    assert found.reward == 0.0


def test_every_child_counts_on_the_way_up_or_only_the_best_one():
    everything = TreeSearch(iterations=1, backup="all").run(Scored(HAND, (1, 2)))
    best = TreeSearch(iterations=1, backup="best").run(Scored(HAND, (1, 2)))
    # one iteration extends (1,), whose only child is worth 0.3
    assert everything.root.nodes.keys() == best.root.nodes.keys() == {0}
    assert everything.root.count == 1 + 2 + 1  # itself, its two children, the child of one of them
    assert everything.root.total == pytest.approx(0.6 + 0.2 + 0.3)
    assert best.root.count == 1 + 1 + 1
    assert best.root.total == pytest.approx(0.6 + 0.3)
    assert everything.root.visits == best.root.visits == [2, 1]
    assert everything.root.means[0] == pytest.approx((0.6 + 0.3) / 2)


def test_the_result_is_the_highest_reward_or_the_highest_mean():
    table = {(1,): 0.6, (2,): 0.5, (1, 2): 0.0, (2, 1): 0.55}
    highest = TreeSearch(final="reward").run(Scored(table, (1, 2), most=2))
    steady = TreeSearch(final="mean").run(Scored(table, (1, 2), most=2))
    assert (highest.state, highest.reward) == ((1,), 0.6)
    assert (steady.state, steady.reward) == ((2, 1), 0.55)  # (1,) has 0.3, (2,) 0.525, (2, 1) its own 0.55


def test_the_highest_mean_counts_children_that_the_space_calls_the_last():
    class Short(Scored):
        def extend(self, state):
            return super().extend(state)._replace(last=np.ones(2, dtype=bool))

    found = TreeSearch(final="mean").run(Short({(1,): 0.6, (2,): 0.9}, (1, 2), most=1))
    assert found.state == (2,)
    assert found.iterations == 0
    assert found.exhausted


def test_a_seed_is_never_undercut_however_short_the_search():
    table = random_table(3, 6, 3)
    best = max(table, key=table.get)
    for final in ("reward", "mean"):
        found = TreeSearch(iterations=0, final=final).run(Scored(table, tuple(range(6))), [best])
        assert found.state == best
        assert found.reward == table[best]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([None, 1, 2]),
    final=st.sampled_from(["reward", "mean"]),
)
def test_the_result_is_at_least_as_good_as_any_seed(seed, width, final):
    table = random_table(seed, 5, 3)
    states = [list(table)[place] for place in np.random.default_rng(seed).integers(0, len(table), 2)]
    found = TreeSearch(iterations=3, width=width, final=final).run(Scored(table, tuple(range(5))), states)
    assert found.reward >= max(table[state] for state in states)
    assert found.reward == table.get(found.state, 0.0)


def test_a_seed_that_is_not_feasible_is_refused_by_its_move():
    with pytest.raises(BadInput, match="its move 2, 9, is not"):
        TreeSearch().run(Scored(HAND, (1, 2)), [(1, 9)])


def test_a_deadline_cuts_the_search_and_keeps_what_was_found():
    class Slow(Scored):
        def extend(self, state):
            time.sleep(0.01)
            return super().extend(state)

    table = random_table(5, 6, 3)
    start = time.monotonic()
    found = TreeSearch(iterations=10_000, deadline=0.05).run(Slow(table, tuple(range(6))), [(0, 1)])
    assert time.monotonic() - start < 1
    assert found.cut
    assert 0 < found.iterations < 20
    assert found.reward >= table[0, 1]
    assert not TreeSearch(iterations=2, deadline=60).run(Scored(table, tuple(range(6)))).cut


def test_one_seed_gives_one_tree_and_another_breaks_ties_differently():
    table = dict.fromkeys(random_table(0, 6, 3), 1.0)
    runs = []
    for seed in (0, 0, 1, 2):
        space = Scored(table, tuple(range(6)))
        TreeSearch(iterations=5, seed=seed).run(space)
        runs.append(space.asked)
    assert runs[0] == runs[1]
    assert runs[2] != runs[0] or runs[3] != runs[0]


def test_states_with_one_key_are_extended_once():
    table = {
        state: sum(state) / 10 for size in (1, 2, 3) for state in itertools.permutations((1, 2, 3, 4), size)
    }
    ways, sets = Scored(table), AsSets(table)
    apart = TreeSearch(iterations=10_000).run(ways)
    shared = TreeSearch(iterations=10_000).run(sets)
    assert apart.exhausted
    assert shared.exhausted
    assert sorted(shared.state) == sorted(apart.state)
    assert len(ways.asked) == 1 + 4 + 12 + 24
    assert len(sets.asked) == 1 + 4 + 6 + 4
    assert shared.calls < apart.calls


def test_rewards_on_another_scale_are_searched_alike():
    table = random_table(8, 6, 3)
    small, large = Scored(table, tuple(range(6))), Scored({}, tuple(range(6)))
    large.table = {state: 1024 * reward for state, reward in table.items()}
    TreeSearch(iterations=30).run(small)
    TreeSearch(iterations=30).run(large)
    assert small.asked == large.asked


def test_a_width_keeps_the_best_children_and_a_seed_beside_them():
    space = Scored({(1,): 0.9, (2,): 0.8, (3,): 0.1, (4,): 0.2, (3, 1): 0.05})
    TreeSearch(width=1).run(space)
    assert {state[0] for state in space.asked if state} == {1}
    space.asked.clear()
    TreeSearch(width=1).run(space, [(3, 1)])
    assert {state[0] for state in space.asked if state} == {1, 3}


def test_costly_moves_are_put_off():
    class Costly(Scored):
        def extend(self, state):
            found = super().extend(state)
            return found._replace(costs=np.array([0.9 if move == 1 else 0.1 for move in found.moves]))

    same = dict.fromkeys(itertools.permutations((1, 2), 1), 0.5)
    firsts = []
    for weight in (0.0, 5.0):
        space = Costly({**same, (1,): 0.51}, (1, 2), most=2)
        TreeSearch(iterations=1, cost_weight=weight).run(space)
        firsts.append(space.asked[1])
    assert firsts == [(1,), (2,)]


def test_options_that_cannot_be_are_refused():
    with pytest.raises(UnknownName, match="known: all, best"):
        TreeSearch(backup="worst")
    with pytest.raises(UnknownName, match="known: mean, reward"):
        TreeSearch(final="median")
    with pytest.raises(BadInput, match="iterations is -1"):
        TreeSearch(iterations=-1)
    with pytest.raises(BadInput, match="width is 0"):
        TreeSearch(width=0)
