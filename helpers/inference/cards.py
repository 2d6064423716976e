"""What is known of a trained network: its model card (Mitchell et al. 2019).

A card is stored in the model's file, see `model_file`. It holds what a prediction needs besides the
weights, and what a reader should know before trusting one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from helpers import comparison, evaluation, models, training
from helpers.corpora import LABELS, Corpus
from helpers.features import MelSettings, is_padding
from helpers.inference.intervals import LEVEL, calibrate, count_held, extended, reach
from helpers.results import commit, versions
from helpers.training import Run

#: Share of the training clips that count as similar to the training data.
FAMILIAR = 0.99

#: What a card says of its corpus, see `corpora.Corpus`.
ABOUT = ("name", "layout", "labels", "citation", "licence", "fingerprint")

#: What the scores of the recommended network have to say.
CHOSEN_ON = (
    "The design of `recommended` was chosen on test folds of RAVDESS, nEMO, half of EmoTale and "
    "the demo corpus, so on these its scores are too good."
)

#: The card for people to read; the fields are filled in by `card_markdown`.
TEMPLATE = Path(__file__).with_name("card.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Card:
    """What a model file says besides the network.

    Attributes:
        corpus: each of `ABOUT` of the corpus that it was trained on
        scale: lowest and highest possible rating
        mel: how a waveform becomes a spectrogram
        duration: seconds of a window, to which clips were cut or padded in training
        longest: seconds up to which a recording is cut as in training: the duration of the longest
            clip there
        mean: of the training features, in decibels; a list [rows, 1] if each band has its own
        deviation: standard deviation of the training features, in the same form
        settings: see `training.Run`
        clips: number of clips in each part: ``train``, ``validation``, ``test``
        ratings: histogram of the training part's ratings: ``edges`` of the bins and ``counts``
        scores: ``train`` and ``validation`` MAE; ``test``, if there was a test part: each of
            `evaluation.METRICS` for the network and the median predictor
        margin: how far an interval extends that holds the rating with probability `LEVEL`, see
            `intervals.Calibration`
        coverage: of the test part, see `intervals.count_held`; empty if there is none
        familiar: ``mean`` and ``deviation`` of each value of `profile` over the training clips, and
            the ``limit`` of `distance` beyond which a recording is unlike them
        made_by: versions of the packages and the code's commit
        from_quantiles: see `intervals.Calibration`
        errors: see there
        out_of_fold: see there
        spread: see there; empty in files of format 1 and 2
    """

    corpus: dict[str, Any]
    scale: tuple[float, float]
    mel: MelSettings
    duration: float
    longest: float
    mean: float | list[list[float]]
    deviation: float | list[list[float]]
    settings: dict[str, Any]
    clips: dict[str, int]
    ratings: dict[str, list[float]]
    scores: dict[str, Any]
    margin: float | None
    coverage: dict[str, Any]
    familiar: dict[str, Any]
    made_by: dict[str, Any]
    # Files of format 1 do not have these.
    from_quantiles: bool = False
    errors: dict[str, Any] = field(default_factory=dict)
    out_of_fold: dict[str, Any] = field(default_factory=dict)
    # Nor do files of format 2 have this one.
    spread: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        corpus: Corpus,
        mel: MelSettings,
        duration: float,
        out_of_fold: pd.DataFrame | None = None,
    ) -> Card:
        """The card of a trained network; the test part of its split is predicted for it.

        Args:
            run: see `training.train`
            corpus: the corpus that the run was trained on
            mel: settings of the features that the run was trained on
            duration: seconds that its clips were cut or padded to
            out_of_fold: see `model_file.save`

        Raises:
            ValueError: if there is neither a validation part nor a prediction out of fold, the
                corpus is not the run's, or the out-of-fold predictions are of test clips or of
                another network
        """
        if run.validation is None and out_of_fold is None:
            raise ValueError("The run has no validation part, whose errors give the intervals.")
        if not np.array_equal(run.ratings, corpus.clips["valence"].to_numpy(np.float32)):
            raise ValueError(f"The run was not trained on the ratings of {corpus.name}.")
        split, ratings = run.split, run.ratings
        calibration = calibrate(run, corpus, out_of_fold)
        test_scores, coverage = _tested(run, corpus, calibration.margin)
        counts, edges = np.histogram(ratings[split.train], bins=16, range=corpus.scale)
        return cls(
            corpus={name: getattr(corpus, name) for name in ABOUT},
            scale=corpus.scale,
            mel=mel,
            duration=float(duration),
            longest=float(corpus.clips["duration"].max()),
            mean=run.settings["mean"],
            deviation=run.settings["deviation"],
            settings=run.settings,
            clips={part: len(rows) for part, rows in split._asdict().items()},
            ratings={"edges": edges.tolist(), "counts": counts.tolist()},
            scores={**run.scores, **test_scores},
            **calibration._asdict(),
            coverage=coverage,
            familiar=_familiar(run.features, split.train),
            made_by={"commit": commit(), "versions": versions()},
        )

    def interval(self, valence: np.ndarray, quantiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest rating to expect with these predictions.

        They are within the scale, unless the prediction itself is not: then it is an end.

        Args:
            valence: predictions [clips]
            quantiles: see `models.quantiles` [clips, 2]

        Returns:
            two arrays [clips]
        """
        if not self.from_quantiles:
            quantiles = np.stack([valence, valence], axis=-1)
        low, high = extended(valence, quantiles, reach(self.margin))
        low, high = np.clip(low, *self.scale), np.clip(high, *self.scale)
        return np.minimum(low, valence), np.maximum(high, valence)


def _tested(
    run: Run, corpus: Corpus, margin: float | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores and coverage of the test part; both are empty without one."""
    train, _, test = run.split
    if not len(test):
        return {}, {}
    truth, speakers = run.ratings[test], evaluation.known_speakers(corpus.clips.iloc[test])
    predicted, quantiles = training.predict_with_quantiles(run, run.features, test)
    median = comparison.median(run.ratings, train, test)
    both = {"network": predicted, "median": median}
    table = evaluation.compare(truth, both, groups=speakers)
    low, high = extended(predicted, quantiles, reach(margin))
    held = count_held(truth, low, high, scale=corpus.scale, speakers=speakers)
    return {"test": evaluation.as_dict(table)}, held


def profile(levels: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each row of the features, over frames that are not padding.

    Args:
        levels: decibels [rows, frames]

    Returns:
        decibels [2 * rows]
    """
    sounding = levels[:, ~is_padding(levels[None])[0, 0]]
    return np.concatenate([sounding.mean(axis=1), sounding.std(axis=1)])


def distance(profile: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> float:
    """How unlike the training clips a profile is.

    Args:
        profile: see `profile` [2 * rows]
        mean: of the training clips' profiles [2 * rows]
        deviation: of the training clips' profiles [2 * rows]

    Returns:
        standard deviations from the mean, as the root mean square over all values
    """
    return float(np.sqrt(np.mean(((profile - mean) / deviation) ** 2)))


def _familiar(features: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """See `Card.familiar`."""
    profiles = np.stack([profile(features[row]) for row in rows]).astype(np.float64)
    mean, deviation = profiles.mean(axis=0), np.maximum(profiles.std(axis=0), 1e-3)
    distances = [distance(each, mean, deviation) for each in profiles]
    return {
        "mean": mean.round(4).tolist(),
        "deviation": deviation.round(4).tolist(),
        "limit": float(np.quantile(distances, FAMILIAR)),
    }


def coverage(card: Card) -> pd.Series:
    """Share of the test part whose rating lies in the interval of its prediction.

    Args:
        card: of a model that had a test part

    Returns:
        ``value``, and the ``low`` and ``high`` end of its 95 % interval: speakers are drawn. If
        they are not known, or all ratings or none are held, so that every draw gives the same,
        clips are taken to be independent (Clopper & Pearson 1934)

    See: notebooks/07_your_speech.ipynb
    """
    held, clips = int(card.coverage["held"]), int(card.coverage["clips"])
    low, high = scipy.stats.binomtest(held, clips).proportion_ci()
    if 0 < held < clips:
        low, high = card.coverage.get("low", low), card.coverage.get("high", high)
    return pd.Series({"value": held / clips, "low": low, "high": high})


def coverage_table(card: Card) -> pd.DataFrame:
    """Where the intervals hold the ratings, and where they do not.

    Args:
        card: see `Card.from_run`

    Returns:
        text, a column for the ``test part`` and one for the predictions ``out of fold``, if they
        are there, see `intervals.count_held`. Rows are the share of all ratings and of those in
        each part of the scale, with numbers of clips; the share of the speakers where it is lowest
        and highest; and the mean width of an interval

    See: notebooks/07_your_speech.ipynb
    """
    return pd.DataFrame(
        {
            name: _column(held, _word(card))
            for name, held in (("test part", card.coverage), ("out of fold", card.out_of_fold))
            if "parts" in held
        }
    )


def _word(card: Card) -> str:
    """What a clip has: values made from categories are no ratings."""
    return "rating" if card.corpus["labels"] == "rated" else "label"


def _few(speakers: int | None) -> str:
    """A warning where intervals over speakers are too narrow."""
    return (
        f", too narrow with {_counted(speakers, 'speaker')}"
        if speakers and speakers < evaluation.ENOUGH_SPEAKERS
        else ""
    )


def _column(held: dict[str, Any], word: str) -> dict[str, str]:
    rows = {"all": _share(held)}
    rows |= {f"{word}s {p['from']:.3g} to {p['to']:.3g}": _share(p) for p in held["parts"]}
    for name in ("worst", "best"):
        share = held.get(f"{name}_speaker")
        if share is None:
            rows[f"{name} speaker"] = "unknown"
        else:
            of = _counted(held["speakers"], "speaker")
            rows[f"{name} speaker"] = f"{100 * share:.0f} % (of {of})"
    return {**rows, "mean width": f"{held['width']:.2f}"}


def _share(held: dict[str, Any]) -> str:
    if not held["clips"]:
        return "no clips"
    return f"{100 * held['held'] / held['clips']:.0f} % of {_counted(held['clips'], 'clip')}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def card_markdown(card: Card) -> str:
    """The card for people to read (after Mitchell et al. 2019): data, use, limits, scores, making.

    Args:
        card: see `Card.from_run`

    Returns:
        Markdown, with a heading of the first level

    See: notebooks/07_your_speech.ipynb
    """
    if isinstance(card.mean, list) or isinstance(card.deviation, list):
        standardised = "minus the mean of each band, divided by its standard deviation"
    else:
        standardised = f"minus {card.mean:.2f}, divided by {card.deviation:.2f}"
    return TEMPLATE.format(
        card=card,
        target=LABELS.get(card.corpus["labels"], "labels of an unknown kind"),
        clips=sum(card.clips.values()),
        parts=", ".join(f"{count} for {part}" for part, count in card.clips.items()),
        about=_about(card.corpus),
        test=_test_table(card) if "test" in card.scores else "",
        errors=_mean_errors(card),
        chosen=f" {CHOSEN_ON}" if card.settings["model"] == "recommended" else "",
        intervals=_intervals(card),
        pitch=", pitch" * card.mel.pitch,
        standardised=standardised,
        versions=", ".join(f"{name} {found}" for name, found in card.made_by["versions"].items()),
    )


def _about(corpus: dict[str, Any]) -> str:
    """What the labels are, and whom to cite where that is known."""
    lines = [f"Labels: {LABELS.get(corpus['labels'], 'unknown')} (layout: {corpus['layout']})."]
    if corpus["name"] == "demo":
        lines.append("Synthetic voices with simulated ratings: no evidence about people.")
    known = [name for name in ("citation", "licence") if corpus[name]]
    return "\n".join(lines + [f"{name.capitalize()}: {corpus[name]}." for name in known])


def _test_table(card: Card) -> str:
    scores, speakers = card.scores["test"], card.coverage.get("speakers")
    of = f" ({_counted(speakers, 'speaker')})" if speakers else ""
    text = f"Test part{of}, with 95 % intervals{_few(speakers)}:\n\n"
    text += "| | network | median predictor |\n"
    text += "|---|---|---|\n"
    for metric in evaluation.METRICS:
        network, median = (score_cell(scores[name][metric]) for name in ("network", "median"))
        text += f"| {metric} | {network} | {median} |\n"
    return text + "\n"


def _mean_errors(card: Card) -> str:
    known = [part for part in ("train", "validation") if part in card.scores]
    return ", ".join(f"{card.scores[part]:.2f} on the {part} part" for part in known)


def score_cell(score: Mapping[str, Any], missing: str = "not defined") -> str:
    """A score with its interval, as the tables of cards have it.

    Args:
        score: its ``value``, ``low`` and ``high``
        missing: what stands for a score that is not defined

    Examples:
        >>> score_cell({"value": 0.5, "low": 0.25, "high": 0.75})
        '0.50 (0.25 to 0.75)'
    """
    if pd.isna(score["value"]):
        return missing
    return "{} ({} to {})".format(
        *evaluation.rounded(*(score[e] for e in ("value", "low", "high")))
    )


def _intervals(card: Card) -> str:
    level = f"{100 * LEVEL:.0f} %"
    if card.margin is None:
        few = f"{_errors(card)} are too few for intervals at {level}"
        text = f"Intervals span the whole scale: {few}."
    else:
        text = f"Prediction interval at {level}: {_width(card)}."
        text += f"\nIt is calibrated on the errors of {_errors(card)}."
    if card.coverage:
        value, low, high = coverage(card) * 100
        few = _few(card.coverage.get("speakers"))
        text += (
            f"\nIt held {value:.0f} % of the test {_word(card)}s ({low:.0f} to {high:.0f} %{few})."
        )
    return text + _coverage_text(card) + _spread_text(card.spread)


def _width(card: Card) -> str:
    assert card.margin is not None
    if not card.from_quantiles:
        return f"{card.margin:.2f} to each side"
    low, high = (f"{100 * each:g} %" for each in models.QUANTILES)
    way = "wider" if card.margin >= 0 else "narrower"
    return (
        f"from the {low} to the {high} quantile of the predicted distribution, made "
        f"{abs(card.margin):.2f} {way} at each side"
    )


def _errors(card: Card) -> str:
    """Whose errors calibrated the intervals."""
    about = card.errors or {"clips": card.clips["validation"]}  # a file of format 1
    part = "out-of-fold" if "folds" in about else "validation"
    text = _counted(about["clips"], f"{part} clip")
    if "speakers" in about:
        text += f" of {_counted(about['speakers'], 'speaker')}"
    if "folds" in about:
        text += f" ({_counted(about['folds'], 'fold')} by {about['by']})"
    return text


def _coverage_text(card: Card) -> str:
    """`coverage_table` as Markdown; empty for a file of format 1, which does not say so."""
    table = coverage_table(card)
    if table.empty:
        return ""
    lines = [[f"{_word(card)}s held", *table.columns], ["---"] * (1 + table.shape[1])]
    lines += [[name, *cells] for name, cells in zip(table.index, table.to_numpy(), strict=True)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if card.out_of_fold:
        text += "\n\nOut of fold, the interval of each fold comes from the errors in the others."
    return f"\n\n{text}"


def _spread_text(spread: dict[str, Any]) -> str:
    """How predictions differ between speakers; empty if it is not known."""
    if not spread:
        return ""
    between, within = (np.sqrt(spread[name]) for name in ("between", "within"))
    of = _counted(spread["speakers"], "speaker")
    return (
        f"\n\nOver {of}, mean predictions vary by {between:.2f} (standard deviation) around "
        f"{spread['centre']:.2f}, and a speaker's clips by {within:.2f} around the speaker's mean. "
        "`--relative` uses this."
    )
