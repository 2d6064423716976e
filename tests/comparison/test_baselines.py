import numpy as np
import pytest
from scipy.stats import pearsonr

from helpers import baselines, corpora


@pytest.fixture
def corpus(corpus_folder):
    return corpora.load(corpus_folder)


def test_functionals_hear_the_pitch_and_are_cached(corpus, monkeypatch):
    found = baselines.functionals(corpus, jobs=1)
    assert found.shape == (12, 88) and found.dtype == np.float32
    pitch = found[:, 0]  # mean of F0, in semitones from 27.5 Hz
    assert pearsonr(pitch, np.log(90 + 40 * corpus.clips["valence"])).statistic > 0.99
    monkeypatch.setattr(baselines, "_extract", None)
    assert np.array_equal(baselines.functionals(corpus), found)


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_spoilt_file_in_the_cache_is_made_anew(corpus, output, spoilt):
    found = baselines.functionals(corpus, jobs=1)
    (path,) = output.glob(".cache/functionals/*.npy")
    path.write_bytes(spoilt)
    assert np.array_equal(baselines.functionals(corpus, jobs=1), found)


def test_a_clip_that_is_gone_is_named(corpus):
    corpora_path = corpus.clips["path"].iloc[3]
    corpus.clips.loc[3, "path"] = corpora_path + ".gone"
    with pytest.raises(corpora.CorpusError, match=r"clip03\.wav\.gone can no longer be used"):
        baselines.functionals(corpus, jobs=1)


def test_the_median_looks_at_the_training_part_alone():
    ratings = np.array([1.0, 2.0, 5.0, 100.0])
    assert baselines.median(ratings, np.arange(3), np.array([3, 0])).tolist() == [2, 2]


def test_the_svr_learns_and_forgives_a_missing_functional():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    ratings = 3 + features[:, 0]
    features[7, 2] = np.nan
    rows = np.arange(60)
    predicted = baselines.svr(features, ratings, rows[:40], rows[40:])
    assert np.abs(predicted - ratings[40:]).mean() < 0.6 * np.abs(ratings[40:] - 3).mean()
