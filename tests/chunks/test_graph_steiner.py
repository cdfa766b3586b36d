import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.graph.joints import Joints
from ctxeng.chunks.graph.steiner import Tree, steiner_tree
from ctxeng.errors import BadInput

MEAN, WORST = 0.99, 0.8  # of the optimum; measured: .998 and .844 here, .9996 and .897 on 500 others


def connected(ends, chosen):
    left = set(chosen)
    seen = set(ends[left.pop()]) if left else set()
    while near := [edge for edge in left if seen & set(ends[edge])]:
        seen.update(node for edge in near for node in ends[edge])
        left.difference_update(near)
    return not left


def value_of(ends, chosen, prizes, gains):
    nodes = {node for edge in chosen for node in ends[edge]}
    return sum(gains[edge] for edge in chosen) + sum(prizes[node] for node in nodes)


def best_by_edges(ends, prizes, gains):
    """Every set of edges; for few edges, which may join any number of nodes."""
    sets = (chosen for size in range(1, len(ends) + 1) for chosen in combinations(range(len(ends)), size))
    return max(value_of(ends, chosen, prizes, gains) for chosen in sets if connected(ends, chosen))


def best_by_nodes(count, ends, prizes, gains):
    """Every set of nodes with the edges inside that join them best; for any number of plain edges."""
    order = sorted(range(len(ends)), key=lambda edge: -gains[edge])
    best = -np.inf
    for mask in range(1, 1 << count):
        nodes = {node for node in range(count) if mask >> node & 1}
        parent, chosen = {node: node for node in nodes}, []
        for edge in order:
            one, other = (root(parent, node) if node in nodes else -1 for node in ends[edge])
            if one >= 0 and other >= 0 and (gains[edge] > 0 or one != other):
                parent[one] = other
                chosen.append(edge)
        if chosen and len({root(parent, node) for node in nodes}) == 1:
            best = max(best, value_of(ends, chosen, prizes, gains))
    return best


def root(parent, node):
    while parent[node] != node:
        node = parent[node]
    return node


def drawn(seed, most_edges, plain):
    draw = np.random.default_rng(seed)
    nodes = int(draw.integers(3, 13))
    edges = int(draw.integers(nodes - 1, most_edges + 1)) if most_edges >= nodes else most_edges
    sizes = [2 if plain else int(draw.integers(1, 4)) for _ in range(edges)]
    ends = [tuple(draw.choice(nodes, size, replace=False).tolist()) for size in sizes]
    prizes = 3 * draw.random(nodes) * (draw.random(nodes) < 0.4)
    edge_prizes = 2 * draw.random(edges) * (draw.random(edges) < 0.3)
    return nodes, ends, prizes, edge_prizes, float(draw.uniform(0.3, 2))


def share(found, best):
    """Of the optimum; where that is not above 0, whether it was met."""
    assert found <= best + 1e-9
    return found / best if best > 0 else float(found > best - 1e-9)


def test_on_small_graphs_it_is_near_brute_force_on_average_and_at_worst():
    shares = []
    for seed in range(120):
        nodes, ends, prizes, edge_prizes, cost = drawn(seed, 11, plain=False)
        tree = steiner_tree(Joints(nodes, ends), prizes, edge_prizes, cost)
        shares.append(share(tree.value, best_by_edges(ends, prizes, edge_prizes - cost)))
    for seed in range(40):
        nodes, ends, prizes, edge_prizes, cost = drawn(1_000 + seed, 30, plain=True)
        nodes_used = min(nodes, 10)
        ends = [pair for pair in ends if max(pair) < nodes_used]
        edge_prizes = edge_prizes[: len(ends)]
        tree = steiner_tree(Joints(nodes_used, ends), prizes[:nodes_used], edge_prizes, cost)
        shares.append(share(tree.value, best_by_nodes(nodes_used, ends, prizes, edge_prizes - cost)))
    print(f"share of the optimum: mean {np.mean(shares):.4f}, worst {min(shares):.3f}, n {len(shares)}")
    assert np.mean(shares) >= MEAN
    assert min(shares) >= WORST


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_tree_is_connected_and_its_value_is_what_it_says(seed, plain):
    nodes, ends, prizes, edge_prizes, cost = drawn(seed, 60, plain)
    tree = steiner_tree(Joints(nodes, ends), prizes, edge_prizes, cost)
    assert tree.edges
    assert connected(ends, tree.edges)
    assert set(tree.nodes) == {node for edge in tree.edges for node in ends[edge]}
    assert tree.value == pytest.approx(value_of(ends, tree.edges, prizes, edge_prizes - cost))
    assert tree == steiner_tree(Joints(nodes, ends), prizes, edge_prizes, cost)


def plain(nodes, ends, prizes=None, edge_prizes=None, cost=0.5):
    prizes = np.array([0.0] * nodes if prizes is None else prizes)
    edge_prizes = np.array([0.0] * len(ends) if edge_prizes is None else edge_prizes)
    return steiner_tree(Joints(nodes, ends), prizes, edge_prizes, cost)


def test_two_prizes_are_joined_where_the_way_costs_less_than_either():
    path = [(0, 1), (1, 2), (2, 3)]
    assert plain(4, path, [2, 0, 0, 2]).edges == (0, 1, 2)
    assert plain(4, path, [2, 0, 0, 2], cost=1.5).edges != (0, 1, 2)


def test_far_prizes_that_pay_only_together_are_joined():
    ends = [(0, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
    assert plain(6, ends, [5, 0, 0, 2, 2, 2], cost=0.9).edges == (0, 1, 2, 3, 4)


def test_an_edge_with_a_prize_above_its_cost_is_worth_going_to():
    tree = plain(4, [(0, 1), (1, 2), (2, 3)], [2, 0, 0, 0], [0, 0, 3])
    assert tree.edges == (0, 1, 2)
    assert tree.value == pytest.approx(2 + 3 - 1.5)


def test_an_edge_that_joins_three_nodes_costs_once():
    assert plain(3, [(0, 1, 2), (0, 1), (1, 2)], [1, 1, 1]).edges == (0,)


def test_parts_that_do_not_hang_together_are_not_joined():
    tree = plain(4, [(0, 1), (2, 3)], [1, 1, 2, 2])
    assert (tree.edges, tree.nodes) == ((1,), (2, 3))


def test_where_nothing_pays_one_edge_is_chosen():
    assert len(plain(3, [(0, 1), (1, 2)]).edges) == 1


def test_a_graph_without_edges_has_no_tree():
    assert plain(3, [], [1, 1, 1]) == Tree()


def test_a_long_chain_is_no_trouble():
    ends = [(place, place + 1) for place in range(3_000)]
    assert len(plain(3_001, ends, [9, *[0] * 11, 9, *[0] * 2_988]).edges) == 12


@pytest.mark.parametrize("ends", [[()], [(0, 3)], [(-1, 0)]])
def test_an_edge_to_nowhere_is_refused(ends):
    with pytest.raises(BadInput, match="edge 0 joins"):
        Joints(3, ends)


@pytest.mark.parametrize(("prizes", "cost"), [([-1, 0], 0.5), ([0, 0], 0.0)])
def test_negative_prizes_and_free_edges_are_refused(prizes, cost):
    with pytest.raises(BadInput, match="above 0"):
        plain(2, [(0, 1)], prizes, cost=cost)


def test_ten_thousand_edges_take_a_fraction_of_a_second():
    draw = np.random.default_rng(1)
    joints = Joints(5_000, [tuple(draw.choice(5_000, 2, replace=False).tolist()) for _ in range(10_000)])
    prizes, edge_prizes = np.zeros(5_000), np.zeros(10_000)
    prizes[:3] = edge_prizes[:3] = [3, 2, 1]
    start = time.perf_counter()
    assert steiner_tree(joints, prizes, edge_prizes, 0.5).value >= 2.5
    assert time.perf_counter() - start < 3  # .14 s on an idle machine
