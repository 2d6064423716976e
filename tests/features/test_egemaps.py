import numpy as np
import pytest
import soundfile
from scipy.stats import pearsonr

from helpers import corpora, features
from helpers.features import egemaps
from tests.conftest import voice


@pytest.fixture
def corpus(corpus_folder):
    return corpora.load(corpus_folder)


def test_functionals_follow_the_pitch_and_are_cached(corpus, monkeypatch):
    found = features.functionals(corpus, jobs=1)
    assert found.shape == (12, 88) and found.dtype == np.float32
    pitch = found[:, 0]  # mean of F0, in semitones from 27.5 Hz
    assert pearsonr(pitch, np.log(90 + 40 * corpus.clips["valence"])).statistic > 0.99
    monkeypatch.setattr(egemaps, "_extract", None)
    assert np.array_equal(features.functionals(corpus), found)


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_spoilt_file_in_the_cache_is_made_anew(corpus, output, spoilt):
    found = features.functionals(corpus, jobs=1)
    (path,) = output.glob(".cache/functionals/*.npy")
    path.write_bytes(spoilt)
    assert np.array_equal(features.functionals(corpus, jobs=1), found)


def test_a_clip_that_is_gone_is_named(corpus):
    path = corpus.clips["path"].iloc[3]
    corpus.clips.loc[3, "path"] = path + ".gone"
    with pytest.raises(corpora.CorpusError, match=r"clip03\.wav\.gone can no longer be used"):
        features.functionals(corpus, jobs=1)


def test_a_clip_that_changed_is_named_and_never_taken_for_the_old_one(corpus_folder, output):
    corpus = corpora.load(corpus_folder)
    soundfile.write(corpus.clips["path"][4], voice(1, seed=99), 16000)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\): run"):
        features.functionals(corpus, jobs=1)
    assert not list(output.rglob("*.npy"))
    assert len(features.functionals(corpora.load(corpus_folder), jobs=1)) == 12
