"""What it brings to know several recordings of a person."""

import numpy as np
import pytest

from helpers.inference import relative_scores, speakers


def made_up(*, voices: float, speakers_: int = 40, clips: int = 30):
    """Ratings, and predictions that are right but for the voice, which is as deviant as asked."""
    random = np.random.default_rng(0)
    names = np.repeat([f"s{number}" for number in range(speakers_)], clips)
    truth = random.normal(3, 1, len(names))
    off = np.repeat(random.normal(0, voices, speakers_), clips)
    return truth, (truth + off)[None], names


def test_the_more_recordings_the_better_and_the_shrunk_mean_never_does_harm(monkeypatch):
    monkeypatch.setattr("helpers.evaluation.bootstrap.RESAMPLES", 100)  # for intervals alone
    truth, predicted, names = made_up(voices=1.0)
    spread = speakers.spread(predicted[0], names)
    table = relative_scores.scores_of_relative(truth, predicted, names, [spread])
    counts = table.index.get_level_values("recordings").unique().tolist()
    assert counts == [1, 2, 5, 10, 20, 30]
    shrunk, plain, centre = (
        table["mae", "value"].xs(way, level="way") for way in ("shrunk", "plain", "centre")
    )
    assert shrunk.is_monotonic_decreasing and centre.nunique() == 1
    assert (shrunk <= np.minimum(plain, centre) + 0.03).all() and (shrunk < plain).loc[:10].all()
    assert plain[1] == pytest.approx(
        np.abs(truth - truth.reshape(-1, 30).mean(1).repeat(30)).mean()
    )
    assert table["ccc", "value"][30, "plain"] == pytest.approx(1)
    assert table["ccc", "value"][1, "plain"] == pytest.approx(0)


def test_where_voices_do_not_differ_the_mean_counts_little():
    truth, predicted, names = made_up(voices=0.0, speakers_=10)
    spread = {"centre": 3.0, "within": 1.0, "between": 0.0, "speakers": 10}
    table = relative_scores.scores_of_relative(truth, predicted, names, [spread])
    scores = table["mae", "value"].unstack("way")
    np.testing.assert_allclose(scores["shrunk"], scores["centre"])
    assert (scores["plain"] > scores["centre"])[2]


def test_a_mean_of_few_has_the_clip_itself_and_others_of_its_speaker():
    predicted = np.array([[1.0, 10, 2, 20, 4]])
    names = np.array(["a", "b", "a", "b", "a"])
    (one,) = relative_scores._means_of_few(predicted, names, 1)
    np.testing.assert_array_equal(one, np.tile(predicted, (relative_scores.DRAWS, 1)))
    (two,) = relative_scores._means_of_few(predicted, names, 2)
    assert set(two[:, 0]) <= {1.5, 2.5} and (two[:, 1] == 15).all()
    (whole,) = relative_scores._means_of_few(predicted, names, 3)
    np.testing.assert_allclose(whole, [[7 / 3, 15, 7 / 3, 15, 7 / 3]] * relative_scores.DRAWS)
