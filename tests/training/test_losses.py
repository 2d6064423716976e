import audmetric
import numpy as np
import pytest

from helpers import models, training
from helpers.models import keras
from helpers.training import losses

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, (40, 1)).astype("float32")
PREDICTION = (0.5 * TRUTH + RANDOM.normal(1, 0.5, (40, 1))).astype("float32")


def of(loss, *values):
    """A loss of arrays, which Keras would hand it as tensors."""
    tensors = [keras.ops.convert_to_tensor(each, "float32") for each in values]
    return keras.ops.convert_to_numpy(loss(*tensors))


def test_mae_and_audmetrics_ccc_add_up():
    ccc = audmetric.concordance_cc(TRUTH[:, 0], PREDICTION[:, 0])
    expected = np.abs(TRUTH - PREDICTION)[:, 0] + 1 - ccc
    assert of(losses.mae_ccc, TRUTH, PREDICTION) == pytest.approx(expected, abs=1e-5)


def test_equal_predictions_have_a_ccc_of_0():
    found = of(losses.mae_ccc, TRUTH, np.full_like(TRUTH, 3))
    assert found == pytest.approx(np.abs(TRUTH[:, 0] - 3) + 1, abs=1e-5)


def test_a_distribution_around_the_rating_costs_least():
    loss = losses.distribution((1, 5))
    centres = np.linspace(1, 5, 21)

    def cost(middle):
        shape = np.exp(-0.5 * ((centres - middle) / (losses.WIDTH * 4)) ** 2)
        return of(loss, [[3.2]], np.r_[middle, shape / shape.sum()][None])[0]

    assert cost(3.2) < cost(3.4) < cost(4.4)
    target = np.exp(-0.5 * ((centres - 3.2) / (losses.WIDTH * 4)) ** 2)
    target /= target.sum()
    assert cost(3.2) == pytest.approx(-(target * np.log(target + 1e-7)).sum(), abs=1e-3)


def test_the_loss_of_two_distributions_is_the_mean_of_theirs():
    first, second = RANDOM.dirichlet(np.ones(21), size=(2, 40)).astype("float32")
    middle = np.zeros((40, 1), "float32")  # the predicted number, which this loss ignores
    alone = [of(losses.distribution((1, 5)), TRUTH, np.c_[middle, p]) for p in (first, second)]
    both = of(losses.distribution((1, 5), 2), TRUTH, np.c_[middle, first, second])
    assert both == pytest.approx(np.mean(alone, axis=0), rel=1e-5)


def test_a_loss_that_does_not_exist_or_fit_is_refused():
    number, spread = (
        models.clip_statistics((20, 9), output=each) for each in ("rating", "distribution")
    )
    for name in ("mape", "distribution"):
        with pytest.raises(ValueError, match=rf"is '{name}': for clip_st.* is mae or mae\+ccc\."):
            losses.named(name, number)
    with pytest.raises(ValueError, match="loss is 'mae': for clip_statistics it is distribution"):
        losses.named("mae", spread)


def test_rare_ratings_weigh_more():
    ratings = np.array([1.0] * 9 + [5.0], dtype=np.float32)
    weights = training.rarity(ratings, np.arange(10))
    assert weights.mean() == pytest.approx(1) and weights[9] / weights[0] == pytest.approx(3)
