import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.stats import pearsonr

from helpers import corpora, features
from helpers.cli import UserError
from helpers.features import egemaps
from tests.conftest import voice, write_corpus


@pytest.fixture
def corpus(corpus_folder):
    return corpora.load(corpus_folder)


def test_functionals_follow_the_pitch_and_are_cached(corpus, monkeypatch):
    found = features.functionals(corpus, jobs=1)
    assert found.shape == (12, 88) and found.dtype == np.float32
    pitch = found[:, 0]  # mean of F0, in semitones from 27.5 Hz
    assert pearsonr(pitch, np.log(90 + 40 * corpus.clips["valence"])).statistic > 0.99
    monkeypatch.setattr(egemaps, "extract_to", None)
    assert np.array_equal(features.functionals(corpus), found)


def test_compare_has_functionals_of_its_own(tmp_path, output):
    write_corpus(tmp_path / "two", clips=2)
    found = features.functionals(corpora.load(tmp_path / "two"), feature_set="ComParE_2016", jobs=1)
    assert found.shape == (2, 6373) and np.isfinite(found).all()


def test_preprocessed_functionals_ignore_how_a_voice_was_recorded(tmp_path, output):
    y = voice(2)
    whistle = 0.02 * np.sin(2 * np.pi * 6000 * np.arange(len(y)) / 16000)  # above 4 kHz
    plop = y.copy()
    plop[16000:16010] = 1.9
    recordings = [y, y / 4, y + 0.02, y + whistle, plop, plop.clip(-1, 32767 / 32768)]
    for number, each in enumerate(recordings):
        soundfile.write(tmp_path / f"{number}.wav", each, 16000, subtype="FLOAT")
    labels = pd.DataFrame({"file": [f"{number}.wav" for number in range(6)], "valence": range(6)})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    corpus = corpora.load(tmp_path, scale=(0, 5))

    own, *others, beyond, cut = features.functionals(corpus, jobs=1)
    assert all((np.abs(other - own) > 0.1 * np.abs(own)).sum() > 10 for other in others)
    assert np.array_equal(beyond, cut)  # samples of 16 bits would wrap

    own, *others, _, _ = features.functionals(corpus, preprocessed=True, jobs=1)
    for other in others:
        assert other == pytest.approx(own, rel=0.05, abs=1e-3)


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_spoilt_file_in_the_cache_is_made_anew(corpus, output, spoilt):
    found = features.functionals(corpus, jobs=1)
    (path,) = output.glob(".cache/functionals/*.npy")
    path.write_bytes(spoilt)
    assert np.array_equal(features.functionals(corpus, jobs=1), found)


def test_a_clip_that_is_gone_is_named_and_the_others_are_not_done_again(
    corpus, output, monkeypatch
):
    monkeypatch.setattr(egemaps, "CLIPS_PER_TASK", 6)
    path = corpus.clips["path"].iloc[7]
    corpus.clips.loc[7, "path"] = path + ".gone"
    with pytest.raises(corpora.CorpusError, match=r"clip07\.wav\.gone can no longer be used"):
        features.functionals(corpus, jobs=1)
    (partial,) = output.glob(".cache/functionals/*.partial")
    assert np.isfinite(np.load(partial)[:6]).all()
    np.load(partial, mmap_mode="r+")[2] = 42
    corpus.clips.loc[7, "path"] = path
    found = features.functionals(corpus, jobs=1)
    assert (found[2] == 42).all() and (found[6:] != 0).any(axis=1).all()


def test_no_job_is_refused(corpus):
    with pytest.raises(UserError, match="jobs is 0: name a number of processes"):
        features.functionals(corpus, jobs=0)


def test_a_clip_that_changed_is_named_and_never_taken_for_the_old_one(corpus_folder, output):
    corpus = corpora.load(corpus_folder)
    soundfile.write(corpus.clips["path"][4], voice(1, seed=99), 16000)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\): run"):
        features.functionals(corpus, jobs=1)
    assert not list(output.rglob("*.npy"))
    assert len(features.functionals(corpora.load(corpus_folder), jobs=1)) == 12
