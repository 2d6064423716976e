"""The bundled corpus is what its data card says it is."""

import hashlib
import re

import numpy as np
import pandas as pd
import pytest

from helpers import corpora, features
from helpers.storage import PROJECT

CARD = (PROJECT / "data" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clips():
    corpus = corpora.load()
    assert corpus.rejected.empty
    return corpus.clips


def stated(label):
    """The number that the card gives in bold for a measure."""
    return float(re.search(rf"\*\*{label}[^|]*\| \*\*([\d.]+)\*\*", CARD)[1])


def test_the_archive_is_the_one_on_the_card_and_light():
    content = corpora.DEMO.read_bytes()
    assert hashlib.sha256(content).hexdigest() in CARD
    assert len(content) <= 30e6


def test_clips_speakers_and_sentences(clips):
    assert 320 <= len(clips) <= 400
    assert clips["speaker"].nunique() == 20
    assert clips["sentence"].nunique() == 60
    assert set(clips["sample_rate"]) == {16000} and set(clips["channels"]) == {1}


def test_durations_have_their_percentile_under_six_seconds_and_a_tail_beyond(clips):
    seconds = clips["duration"]
    assert 5.6 <= np.percentile(seconds, 75) <= 5.8
    assert features.target_duration(seconds) == 6
    assert (seconds > 6).mean() > 0.1


def test_a_label_is_the_mean_of_four_ratings(clips):
    raters = clips[[f"rater_{i}" for i in range(1, 5)]]
    assert raters.isin([1, 2, 3, 4, 5]).all(axis=None)
    assert np.array_equal(clips["valence"], raters.mean(axis=1))


def test_the_noise_floor_and_the_median_predictor_are_those_on_the_card(clips):
    floor = (clips["valence"] - clips["latent_valence"]).abs().mean()
    median = (clips["valence"] - clips["valence"].median()).abs().mean()
    assert stated("noise floor") == pytest.approx(floor, abs=5e-4)
    assert stated("median predictor") == pytest.approx(median, abs=5e-4)
    assert floor < 0.5 * median


def test_arousal_speaker_and_sentence_say_little_about_valence(clips):
    assert abs(np.corrcoef(clips["latent_valence"], clips["latent_arousal"])[0, 1]) < 0.1
    by_speaker = clips.groupby("speaker")["latent_valence"].mean()
    assert by_speaker.std() < 0.1
    shares = pd.Series({by: clips.groupby(by)["valence"].transform("mean").var() for by in
                        ("sentence", "accent")}) / clips["valence"].var()  # fmt: skip
    assert (shares < 0.25).all()
