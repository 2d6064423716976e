"""Variances within speakers and between them."""

import numpy as np
import pytest

from helpers import evaluation

RANDOM = np.random.default_rng(0)


def test_columns_are_taken_one_by_one_and_the_order_of_the_clips_does_not_matter():
    values, speakers = RANDOM.normal(size=(30, 3)), RANDOM.integers(0, 5, 30)
    together = evaluation.variance_components(values, speakers)
    order = RANDOM.permutation(30)
    for column in range(3):
        alone = evaluation.variance_components(values[order, column], speakers[order])
        assert [found[column] for found in together] == pytest.approx(list(alone))


def test_speakers_with_different_numbers_of_clips_are_those_of_the_textbook():
    values, speakers = np.array([1.0, 3, 5, 7, 9, 5]), np.array(["a", "a", "b", "b", "b", "c"])
    found = evaluation.variance_components(values, speakers)
    # Means 2, 7 and 5, squares within 2 + 8 over 3 degrees of freedom; squares among them
    # 2 * 9 + 3 * 4 + 0 around the mean 5 over 2, for (6 - 14 / 6) / 2 clips a speaker.
    assert found.centre == pytest.approx(14 / 3) and found.within == pytest.approx(10 / 3)
    assert found.between == pytest.approx((15 - 10 / 3) / (11 / 6))
    near = evaluation.variance_components(values / 4, speakers).between
    assert near == pytest.approx((15 - 10 / 3) / (11 / 6) / 16) and near < 1
    alike = evaluation.variance_components(np.array([1.0, 3, 1, 3]), np.array(list("aabb")))
    assert alike.between == 0
