"""A simulation: how often do 95 % intervals hold the true error where speakers differ?"""

import numpy as np
import pytest

from helpers.evaluation import resamples

pytestmark = pytest.mark.usefixtures("few_draws")

CLIPS, STUDIES = 10, 1000


def coverage(speakers, *, draw_speakers):
    """The share of simulated studies whose interval holds the true mean absolute error.

    The error of a clip is that of its speaker and one of its own, both with standard deviation
    0.5. So errors are normal with variance 0.5, and their mean absolute value is the square root
    of 1 / pi.
    """
    random, groups = np.random.default_rng(0), np.repeat(np.arange(speakers), CLIPS)
    drawn = resamples(len(groups), groups if draw_speakers else None, seed=0)
    of_speaker = random.normal(0, 0.5, (STUDIES, speakers)).repeat(CLIPS, axis=1)
    errors = np.abs(of_speaker + random.normal(0, 0.5, of_speaker.shape))
    ends = [drawn.estimate(drawn.mean(each)) for each in errors]
    return np.mean([each["low"] <= np.sqrt(1 / np.pi) <= each["high"] for each in ends])


def test_intervals_that_draw_speakers_hold_the_true_error_and_those_that_draw_clips_do_not():
    assert coverage(20, draw_speakers=True) >= 0.92
    assert coverage(20, draw_speakers=False) < 0.85


@pytest.mark.parametrize(("speakers", "low", "high"), [(4, 0.80, 0.88), (8, 0.88, 0.93)])
def test_with_few_speakers_intervals_are_too_narrow(speakers, low, high):
    assert low < coverage(speakers, draw_speakers=True) < high
