import itertools

import numpy as np
import pytest

from ctxeng.chunks.iterate.allocation import Gain, Prices, Setting, fit
from ctxeng.errors import BadInput

DOCS, SHOTS, ITERATIONS = (0, 1, 2, 5, 10, 20, 50, 100), (0, 1, 2, 4, 8, 16), (1, 2, 3, 4, 5)
GRID = [Setting(*each) for each in itertools.product(DOCS, SHOTS, ITERATIONS)]
PRICE = Prices()


def world(setting):
    """What answers are really worth: gains fade faster than the fitted model knows."""
    docs, shots, iterations = np.log(np.add(setting, (1, 1, 0)))
    line = -2.0 + 0.45 * docs - 0.03 * docs**2 + 0.15 * shots + 0.5 * iterations
    return float(1 / (1 + np.exp(-line)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [16_000, 32_000, 64_000])
def test_the_choice_for_a_held_out_budget_is_within_two_points_of_the_best_cell(seed, budget):
    draw = np.random.default_rng(seed)
    tried = [each for each in GRID if PRICE(each) <= budget // 2]
    scores = [float(np.clip(world(each) + draw.normal(0, 0.01), 0, 1)) for each in tried]
    chosen = fit(tried, scores).allocate(budget, DOCS, SHOTS, ITERATIONS)
    best = max(world(each) for each in GRID if PRICE(each) <= budget)
    assert PRICE(chosen) <= budget
    assert world(chosen) >= best - 0.02


def test_a_fit_finds_the_coefficients_that_made_the_scores_and_what_a_task_gains():
    gains = [Gain(g, 1 - g) for g in (0.1, 0.5, 0.8) for _ in GRID]
    settings = GRID * 3

    def score(setting, gain):
        logs = np.log(np.array(setting) + 0.1)
        line = 0.2 * logs[0] + 0.05 * logs[1] + 0.3 * logs[2] + 0.1 * gain.docs * logs[0] - 0.5
        return float(1 / (1 + np.exp(-line)))

    model = fit(settings, [score(*pair) for pair in zip(settings, gains, strict=True)], gains)
    assert model.a == pytest.approx((0.2, 0.05, 0.3), abs=1e-6)
    assert model.b == pytest.approx((0.1, 0.0), abs=1e-6)
    assert model.predict(GRID[5:9], Gain(0.4, 0.0)) == pytest.approx(
        [score(each, Gain(0.4, 0.0)) for each in GRID[5:9]]
    )


def test_equal_expectations_cost_as_little_as_they_can_and_no_budget_is_an_error():
    flat = fit(GRID, [0.5] * len(GRID))
    assert PRICE(flat.allocate(100_000)) == PRICE(Setting(0, 0, 1))
    with pytest.raises(BadInput, match="the cheapest needs 200"):
        flat.allocate(10)


def test_observations_that_make_no_sense_are_refused():
    with pytest.raises(BadInput, match="pair up"):
        fit(GRID[:2], [0.5])
    with pytest.raises(BadInput, match="pair up"):
        fit([], [])
    with pytest.raises(BadInput, match="percentages"):
        fit(GRID[:2], [50.0, 60.0])
