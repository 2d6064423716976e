"""Scores by the number of clips that are known of a speaker."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import comparison, evaluation, features, splits
from helpers.comparison.baselines import svr
from helpers.corpora import Corpus

RANDOM = np.random.default_rng(0)
SPEAKERS = np.repeat([f"s{number}" for number in range(8)], 6)
VALENCE = np.tile([1.0, 2, 3, 3, 4, 5], 8)
VOICES = RANDOM.normal(0, 3, (8, 4)).repeat(6, axis=0)
VALUES = VOICES + VALENCE[:, None] + RANDOM.normal(0, 0.5, (48, 4))


@pytest.fixture
def corpus(monkeypatch):
    """Eight voices, as different as their clips, who say the same six ratings."""
    monkeypatch.setattr(features, "functionals", lambda corpus: VALUES.astype("float32"))
    files = [f"{row}.wav" for row in range(len(VALENCE))]
    clips = pd.DataFrame({"file": files, "speaker": SPEAKERS, "valence": VALENCE})
    clips["sha256"] = "0" * 64
    return Corpus("made", (1, 5), clips, clips.iloc[:0])


def table(corpus, **options):
    return comparison.few_clips(
        corpus, splits.folds(corpus.clips, 2, by="speaker", seed=0), **options
    )


def test_with_all_clips_it_is_normalisation_by_speaker_and_with_one_shrunk_is_as_it_was(corpus):
    found = table(corpus)
    assert found.index.names == ["known", "clips", "way"]
    assert found.loc["any clips"].index.unique("clips").tolist() == [1, 2, 5, 6]
    truth, values = (
        VALENCE.astype("float32"),
        features.normalise_by_speaker(VALUES, corpus.clips["speaker"]),
    )
    parts = splits.folds(corpus.clips, 2, by="speaker", seed=0)
    rows = [np.union1d(part.train, part.validation) for part in parts]
    alone = [
        svr(values, truth, train, part.test, speakers=SPEAKERS[train])
        for train, part in zip(rows, parts, strict=True)
    ]
    tested = np.concatenate([part.test for part in parts])
    expected = evaluation.scores(truth[tested], np.concatenate(alone), groups=SPEAKERS[tested])
    mae = found.loc[("any clips", 6, "normalised"), "mae"]
    assert mae.tolist() == pytest.approx(expected.loc["mae"].tolist(), abs=1e-3)
    one = found.loc["any clips", 1]["mae", "value"]
    assert one["shrunk"] == pytest.approx(one["not normalised"], abs=0.01)
    assert one["normalised"] > one["shrunk"]


def test_the_unit_of_the_rating_scale_does_not_matter(corpus):
    wide = dataclasses.replace(
        corpus, scale=(0, 100), clips=corpus.clips.assign(valence=25 * (VALENCE - 1))
    )
    one, other = (table(each)["mae", "value"] for each in (corpus, wide))
    np.testing.assert_allclose(other / 25, one, atol=1e-3)


def test_pleasant_clips_alone_are_no_norm_for_a_voice(corpus):
    found = table(corpus).xs("normalised", level="way")["mae", "value"]
    assert found["pleasant clips", 6] > found["any clips", 6] + 0.1


def test_the_same_seed_gives_the_same_table(corpus):
    pd.testing.assert_frame_equal(table(corpus, seed=3), table(corpus, seed=3))


def test_without_speakers_nothing_is_known_of_a_voice(corpus):
    parts = splits.folds(corpus.clips, 2, by="speaker", seed=0)
    unknown = dataclasses.replace(corpus, clips=corpus.clips.assign(speaker=None))
    with pytest.raises(comparison.ComparisonError, match="A speaker is unknown.*add a column"):
        comparison.few_clips(unknown, parts)
