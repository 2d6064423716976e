import dataclasses
import shutil

import numpy as np
import pytest

from helpers import comparison, corpora, models
from helpers.comparison import command, fits
from helpers.splits import Split
from tests.comparison.conftest import fast

FINE_TUNED = comparison.named("fine_tuned")
SPLIT = Split(np.arange(8), np.array([], dtype=int), np.arange(8, 12))
SHIPPED = models.read(models.HUMAN_VOICES)


def test_it_begins_with_the_network_of_human_voices(corpus):
    contender = dataclasses.replace(
        FINE_TUNED, training={**FINE_TUNED.training, "epochs": 1, "learning_rate": 1e-9}
    )
    fit = fits.Fit.plan(corpus, contender, SPLIT, 0)
    ratings = corpus.clips["valence"].to_numpy(np.float32)
    run = fits._train(fit, fits.inputs(corpus, contender), ratings, corpus.scale)
    for name in ("dense_1_melody", "distribution_timbre"):
        weights = SHIPPED.network.get_layer(name).get_weights()
        for mine, theirs in zip(run.model.get_layer(name).get_weights(), weights, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6)
    assert run.settings["mean"] == SHIPPED.about["mean"]
    assert run.settings["deviation"] == SHIPPED.about["deviation"]


def test_it_predicts_on_the_scale_of_the_corpus(corpus_folder, corpus):
    wide = corpora.load(corpus_folder, scale=(1, 9))
    found = comparison.fit_all(wide, {"": fast(FINE_TUNED)}, folds=2)[""].predictions
    assert np.isfinite(found).all() and ((found >= 1) & (found <= 9)).all()


def test_another_network_of_human_voices_makes_another_fit(corpus, tmp_path, monkeypatch):
    before = fits.Fit.plan(corpus, FINE_TUNED, SPLIT, 0).key
    other = shutil.copy(models.HUMAN_VOICES, tmp_path)
    monkeypatch.setattr(models, "HUMAN_VOICES", tmp_path / models.HUMAN_VOICES.name)
    assert fits.Fit.plan(corpus, FINE_TUNED, SPLIT, 0).key == before  # the same file
    with open(other, "ab") as file:
        file.write(b"\0")
    assert fits.Fit.plan(corpus, FINE_TUNED, SPLIT, 0).key != before


def test_a_corpus_that_the_network_was_trained_on_is_refused(corpus):
    ravdess, nemo = SHIPPED.about["corpus"]["citation"].split("; ")[:2]
    assert comparison.has_seen(corpus) == []
    seen = dataclasses.replace(corpus, citation=f"Another (2001); {nemo}")
    assert comparison.has_seen(seen) == [nemo]
    with pytest.raises(comparison.ComparisonError, match="which was trained on this corpus"):
        comparison.fit_all(seen, {"fine_tuned": FINE_TUNED}, folds=2)
    comparison.fit_all(seen, {"median": comparison.named("median")}, folds=2)
    assert "Livingstone" in ravdess


def test_clips_normalised_by_speaker_are_refused(corpus):
    wrong = {"fine_tuned": comparison.named("fine_tuned", by_speaker=True)}
    with pytest.raises(comparison.ComparisonError, match="without normalisation by speaker: leave"):
        comparison.fit_all(corpus, wrong, folds=2)


def test_the_usual_models_say_why_they_are_without_it(corpus):
    assert command._not_fine_tuned(corpus, False) == ""
    assert "normalisation" in command._not_fine_tuned(corpus, True)
    (first, *_) = SHIPPED.about["corpus"]["citation"].split("; ")
    seen = dataclasses.replace(corpus, citation=first)
    assert command._not_fine_tuned(seen, False).endswith(first)
