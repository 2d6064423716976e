from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from helpers import inference


def test_the_margin_is_the_conformal_quantile():
    errors = np.random.default_rng(0).normal(size=99)
    assert inference.conformal_margin(errors) == np.sort(np.abs(errors))[89]  # the 90th of 99
    assert inference.conformal_margin(errors[:8]) is None


def test_intervals_of_exchangeable_clips_hold_nine_in_ten_ratings():
    random = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        errors = random.standard_t(3, size=40)
        held.append(abs(errors[-1]) <= inference.conformal_margin(errors[:-1]))
    assert 0.9 - 0.02 < np.mean(held) < 0.925 + 0.02  # between 1 - alpha and that + 1 / (n + 1)


def test_an_interval_stays_on_the_scale(model):
    card = replace(model.card, scale=(1.0, 5.0), margin=0.5)
    low, high = card.interval(np.array([1.2, 3.0, 4.9, 5.2]))
    assert low.tolist() == pytest.approx([1.0, 2.5, 4.4, 4.7])
    assert high.tolist() == pytest.approx([1.7, 3.5, 5.0, 5.0])
    assert replace(card, margin=None).interval(3.0) == (1.0, 5.0)


def test_a_card_knows_its_corpus_and_its_parts(study, model):
    corpus, run, _ = study
    card = model.card
    assert card.corpus["fingerprint"] == corpus.fingerprint and card.scale == corpus.scale
    assert card.longest == corpus.clips["duration"].max()
    assert card.clips == {part: len(rows) for part, rows in run.split._asdict().items()}
    assert sum(card.ratings["counts"]) == len(run.split.train)
    median = np.median(run.ratings[run.split.train])
    error = np.abs(run.ratings[run.split.test] - median).mean()
    assert card.scores["test"]["median"]["mae"]["value"] == pytest.approx(error)
    assert card.scores["test"]["median"]["pearson"]["value"] is None


def test_the_coverage_counts_the_test_ratings_in_their_intervals(study, model):
    corpus, run, _ = study
    test = corpus.clips.iloc[run.split.test]
    table = inference.predict(model, test["path"])  # intervals end with the scale, as ratings do
    held = test["valence"].between(table["low"].to_numpy(), table["high"].to_numpy()).sum()
    about = model.card.coverage
    assert (about["clips"], about["held"]) == (len(test), held)
    assert about["low"] <= held / len(test) <= about["high"]
    coverage = inference.coverage(replace(model.card, coverage={"clips": 10, "held": 9}))
    assert coverage["value"] == 0.9  # the ends are quantiles of the beta distribution
    assert coverage["low"] == pytest.approx(scipy.stats.beta.ppf(0.025, 9, 2))
    assert coverage["high"] == pytest.approx(scipy.stats.beta.ppf(0.975, 10, 1))


def test_the_text_says_what_is_known(model):
    text = inference.card_markdown(model.card)
    assert text.startswith("# Valence of speech, trained on voices\n")
    assert "on a scale of 1 to 5." in text and "Labels: ratings of valence" in text
    assert f"Prediction interval at 90 %: {model.card.margin:.2f} to each side.\n" in text
    assert "| pearson | " in text and " | not defined |" in text
    assert "Citation" not in text and "Synthetic" not in text


def test_the_text_says_what_is_not_known(model):
    about = {**model.card.corpus, "name": "demo", "licence": "CC0", "citation": "Nobody (2020)"}
    parts = {name: model.card.scores[name] for name in ("train", "validation")}
    card = replace(model.card, corpus=about, scores=parts, margin=None, coverage={})
    text = inference.card_markdown(card)
    assert "Synthetic voices with simulated ratings: no evidence about people.\n" in text
    assert "Citation: Nobody (2020).\nLicence: CC0.\n" in text
    assert "Intervals span the whole scale: 12 validation clips are too few" in text
    assert "| mae |" not in text and "It held" not in text
