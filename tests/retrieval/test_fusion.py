import numpy as np
import pytest

from ctxeng.retrieval.fusion import ReciprocalRank, RelativeSum

WORDS = np.array([4, 2, 0, 2], dtype=np.float32)
MEANING = np.array([-0.1, 0.5, 0.25, 0.1], dtype=np.float32)


def test_the_sum_takes_each_side_relative_to_its_best():
    assert RelativeSum(weight=2).fuse(WORDS, MEANING) == pytest.approx([1, 0.5 + 2, 1, 0.5 + 0.4])


def test_ranks_count_equal_scores_alike_and_nothing_for_what_scores_nothing():
    found = ReciprocalRank(k=60, weight=0.5).fuse(WORDS, MEANING)
    assert found == pytest.approx([1 / 61, 1 / 62 + 0.5 / 61, 0.5 / 62, 1 / 62 + 0.5 / 63])


@pytest.mark.parametrize("fusion", [RelativeSum(), ReciprocalRank()])
def test_nothing_and_no_candidates_are_fused_too(fusion):
    none = np.zeros(3, dtype=np.float32)
    assert fusion.fuse(none, none).tolist() == [0, 0, 0]
    assert fusion.fuse(none[:0], none[:0]).shape == (0,)
