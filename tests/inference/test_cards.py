from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from helpers import inference


def test_an_interval_stays_on_the_scale_unless_its_prediction_does_not(model):
    card = replace(model.card, scale=(1.0, 5.0), margin=0.5)
    valence = np.array([1.2, 3.0, 4.9, 5.2])
    low, high = card.interval(valence, np.full((4, 2), np.nan))  # which do not count
    assert low.tolist() == pytest.approx([1.0, 2.5, 4.4, 4.7])
    assert high.tolist() == pytest.approx([1.7, 3.5, 5.0, 5.2])  # which holds its prediction
    ends = replace(card, margin=None).interval(valence, np.full((4, 2), np.nan))
    assert [end.tolist() for end in ends] == [[1.0] * 4, [5.0, 5.0, 5.0, 5.2]]
    beyond = np.array([0.2, 5.8])
    low, high = card.interval(beyond, np.full((2, 2), np.nan))
    assert (low.tolist(), high.tolist()) == ([0.2, 5.0], [1.0, 5.8])
    low, high = replace(card, from_quantiles=True).interval(valence[:1], np.array([[1.1, 4.0]]))
    assert (low, high) == (1.0, 4.5)


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
    assert about["width"] == pytest.approx((table["high"] - table["low"]).mean(), abs=1e-6)
    coverage = inference.coverage(replace(model.card, coverage={"clips": 10, "held": 9}))
    assert coverage["value"] == 0.9  # the ends are quantiles of the beta distribution
    assert coverage["low"] == pytest.approx(scipy.stats.beta.ppf(0.025, 9, 2))
    assert coverage["high"] == pytest.approx(scipy.stats.beta.ppf(0.975, 10, 1))


@pytest.mark.parametrize(
    ("held", "low", "high"), [(8, 0.025 ** (1 / 8), 1), (0, 0, 1 - 0.025 ** (1 / 8))]
)
def test_a_coverage_of_all_or_none_has_an_interval_that_is_no_point(model, held, low, high):
    about = {**model.card.coverage, "held": held, "low": held / 8, "high": held / 8, "speakers": 1}
    card = replace(model.card, coverage=about)
    found = inference.coverage(card)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    said = (
        f"It held {100 * held / 8:.0f} % of the test ratings ({100 * low:.0f} to {100 * high:.0f} %"
    )
    assert f"{said}, too narrow with 1 speaker)." in inference.card_markdown(card)


def test_the_text_says_what_is_known(model):
    text = inference.card_markdown(model.card)
    assert text.startswith("# Valence of speech, trained on speech\n")
    assert "on a scale of 1 to 5." in text and "Labels: ratings of valence" in text
    assert f"Prediction interval at 90 %: {model.card.margin:.2f} to each side.\n" in text
    assert "calibrated on the errors of 12 validation clips of 6 speakers.\n" in text
    about = model.card.coverage
    assert f"| all | {100 * about['held'] / 8:.0f} % of 8 clips |\n" in text
    low, middle, _ = about["parts"]
    assert (
        f"| ratings 1 to 2.33 | {shown(low)} |\n| ratings 2.33 to 3.67 | {shown(middle)} |" in text
    )
    worst = f"{100 * about['worst_speaker']:.0f} % (of {about['speakers']} speakers)"
    assert f"| worst speaker | {worst} |\n" in text
    assert f"| mean width | {about['width']:.2f} |\n" in text and "ut of fold" not in text
    assert "| pearson | " in text and " | not defined |" in text
    assert "Citation" not in text and "Synthetic" not in text


def shown(part):
    return f"{100 * part['held'] / part['clips']:.0f} % of {part['clips']} clips"


def test_the_text_tells_out_of_fold_coverage_from_that_of_the_test_part(model):
    other = {**model.card.coverage, "width": 1.234, "worst_speaker": 0.25, "speakers": 7}
    errors = {"clips": 32, "speakers": 7, "folds": 6, "by": "speaker"}
    known = {"errors": errors, "out_of_fold": other, "from_quantiles": True}
    text = inference.card_markdown(replace(model.card, **known, margin=-0.125))
    assert "from the 5 % to the 95 % quantile of the predicted distribution, made 0.12 narr" in text
    assert "on the errors of 32 out-of-fold clips of 7 speakers (6 folds by speaker).\n" in text
    assert "| ratings held | test part | out of fold |\n| --- | --- | --- |\n" in text
    assert " | 25 % (of 7 speakers) |\n" in text and " | 1.23 |\n" in text
    assert "Out of fold, the interval of each fold comes from the errors in the others.\n" in text


def test_the_text_warns_of_few_speakers_and_calls_categories_labels(model):
    labels = {**model.card.corpus, "labels": "categorical"}
    text = inference.card_markdown(replace(model.card, corpus=labels))
    assert "| labels held |" in text and "| labels 1 to 2.33 |" in text
    assert "ratings held" not in text and "% of the test labels (" in text
    few = f"too narrow with {model.card.coverage['speakers']} speakers"
    assert f"95 % intervals, {few}:\n" in text and f" %, {few})." in text
    enough = {**model.card.coverage, "speakers": 8}
    assert "too narrow" not in inference.card_markdown(replace(model.card, coverage=enough))


def test_the_text_says_what_is_not_known(model):
    about = {**model.card.corpus, "name": "demo", "licence": "CC0", "citation": "Nobody (2020)"}
    parts = {name: model.card.scores[name] for name in ("train", "validation")}
    card = replace(model.card, corpus=about, scores=parts, margin=None, coverage={})
    text = inference.card_markdown(card)
    assert "Synthetic voices with simulated ratings: no evidence about people.\n" in text
    assert "Citation: Nobody (2020).\nLicence: CC0.\n" in text
    assert "Intervals span the whole scale: 12 validation clips of 6 speakers are too few" in text
    assert "| mae |" not in text and "It held" not in text and "| all |" not in text
