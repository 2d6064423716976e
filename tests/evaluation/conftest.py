import numpy as np
import pytest


def resamples(count, seed):
    """What each bootstrap resample should draw, as positions [draws, count]."""
    return np.random.default_rng(seed).integers(count, size=(1000, count))


def ends(resampled):
    """Of the 95 % interval, as every function should have them."""
    return pytest.approx(list(np.percentile(resampled, [2.5, 97.5])))
