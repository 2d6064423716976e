import numpy as np
import pytest
import scipy.stats


@pytest.fixture
def few_draws(monkeypatch):
    """A tenth of the draws, so that a test can make each of them in a loop."""
    monkeypatch.setattr("helpers.evaluation.bootstrap.RESAMPLES", 1000)


def resamples(count, seed):
    """What each bootstrap resample should draw, as positions [draws, count]."""
    times = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=1000)
    return np.array([np.repeat(np.arange(count), row) for row in times])


def ends(resampled, groups):
    """Of the 95 % interval, as every function should have them: as far out as Student's t goes."""
    reach = scipy.stats.t(groups - 1).isf(0.025) * np.sqrt(groups / (groups - 1))
    outside = scipy.stats.norm.sf(reach)
    return pytest.approx([np.quantile(resampled, share) for share in (outside, 1 - outside)])
