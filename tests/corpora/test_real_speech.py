"""Corpora as published, where they lie beside the project."""

import numpy as np
import pandas as pd
import pytest

from helpers import corpora, splits
from helpers.storage import PROJECT
from tests.corpora.conftest import reasons

REAL = PROJECT.parent / "shared" / "data"


@pytest.mark.skipif(not REAL.exists(), reason="no recordings beside the project")
class TestRealSpeech:
    def test_all_its_clips_and_actors_are_there(self, output):
        corpus = corpora.load(REAL / "ravdess")
        assert (corpus.layout, len(corpus.clips), len(corpus.rejected)) == ("RAVDESS", 1439, 1)
        first, copy = (f"Actor_07/03-01-03-01-02-0{i}-07.flac" for i in (1, 2))
        assert reasons(corpus) == {copy: f"is the same clip as {first}, which is used"}
        by_emotion = corpus.clips["emotion"].value_counts()
        assert by_emotion.pop("neutral") == 96 and by_emotion.pop("happy") == 191
        assert set(by_emotion) == {192}
        split = splits.speaker_split(corpus.clips, seed=0)
        assert splits.summary(corpus.clips, split)["speakers"].tolist() == [15, 4, 5]
        assert splits.summary(corpus.clips, split)["also in training"].tolist() == [15, 0, 0]

    def test_the_untouched_files_are_read_as_they_are(self, output):
        corpus = corpora.load(REAL / "ravdess_original")
        assert len(corpus.clips) == 8 and set(corpus.clips["sample_rate"]) == {48000}
        assert corpus.rejected.empty

    def test_three_listeners_rated_half_of_emotale(self, output):
        corpus = corpora.load(REAL / "emotale_half")
        assert (corpus.layout, corpus.scale, len(corpus.clips)) == ("EmoTale", (1, 5), 425)
        assert corpus.rejected.empty and corpus.clips["speaker"].nunique() == 9
        columns = ["a1_V", "a2_V", "a3_V"]
        single = pd.read_csv(REAL / "emotale_half" / "annotations.csv")[columns]
        assert corpus.raters.equals(single)
        assert np.allclose(corpus.clips["valence"], single.mean(axis=1))
        icc = corpora.reliability(corpus.raters)
        assert 0.8 < icc["ICC(2,k)"] < 0.95  # 0.89 for the whole corpus

    def test_nemo_keeps_what_its_table_says(self, output):
        corpus = corpora.load(REAL / "nemo")
        assert (corpus.layout, len(corpus.clips), len(corpus.rejected)) == ("nEMO", 4481, 0)
        assert corpus.clips["speaker"].nunique() == 9 and corpus.clips["gender"].notna().all()
