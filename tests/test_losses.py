import audmetric
import numpy as np
import pytest

from helpers import losses, models

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, (40, 1)).astype("float32")
PREDICTION = (0.5 * TRUTH + RANDOM.normal(1, 0.5, (40, 1))).astype("float32")


def test_ccc_is_audmetrics():
    expected = 1 - audmetric.concordance_cc(TRUTH[:, 0], PREDICTION[:, 0])
    assert float(losses.ccc(TRUTH, PREDICTION)) == pytest.approx(expected, abs=1e-5)
    assert float(losses.ccc(TRUTH, np.full_like(TRUTH, 3))) == pytest.approx(1)


def test_mae_and_ccc_add_up():
    found = np.asarray(losses.mae_ccc(TRUTH, PREDICTION))
    ccc = float(losses.ccc(TRUTH, PREDICTION))
    assert found == pytest.approx(np.abs(TRUTH - PREDICTION)[:, 0] + ccc, abs=1e-5)


def test_a_distribution_around_the_rating_costs_least():
    loss = losses.distribution((1, 5))
    centres = np.linspace(1, 5, 21)

    def cost(middle):
        shape = np.exp(-0.5 * ((centres - middle) / (losses.WIDTH * 4)) ** 2)
        output = np.r_[middle, shape / shape.sum()].astype("float32")[None]
        return float(loss(np.array([[3.2]], "float32"), output)[0])

    assert cost(3.2) < cost(3.4) < cost(4.4)
    target = np.exp(-0.5 * ((centres - 3.2) / (losses.WIDTH * 4)) ** 2)
    target /= target.sum()
    assert cost(3.2) == pytest.approx(-(target * np.log(target + 1e-7)).sum(), abs=1e-3)


def test_a_loss_that_does_not_exist_or_fit_is_refused():
    number, spread = (models.clip_statistics((8, 9), distribution=d) for d in (False, True))
    with pytest.raises(ValueError, match="one of mae, mse"):
        losses.named("mape", number)
    for name, model in (("distribution", number), ("mae", spread)):
        with pytest.raises(ValueError, match="does not fit"):
            losses.named(name, model)
