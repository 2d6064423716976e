"""What is known of a trained network: its model card (Mitchell et al. 2019).

A card travels inside the model's file, see `inference`. It holds what a prediction needs besides
the weights, and what a reader should know before trusting one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers import evaluation, training
from helpers.corpora import LABELS, Corpus
from helpers.features import MelSettings
from helpers.results import commit, versions
from helpers.training import Run

#: Share of new clips whose rating the interval of a prediction holds.
LEVEL = 0.9

#: Share of the training clips that count as like the training data.
FAMILIAR = 0.99


@dataclass(frozen=True)
class Card:
    """What a model file says besides the network.

    Attributes:
        corpus: ``name``, ``layout``, ``labels``, ``citation``, ``licence`` and ``fingerprint`` of
            the corpus it was trained on, see `corpora.Corpus`; empty where that was not told
        scale: lowest and highest possible rating, None where the corpus was not told
        mel: how a waveform becomes a spectrogram
        duration: seconds of a window, to which clips were cut or padded in training
        longest: seconds up to which a recording is cut as in training: the duration of the longest
            clip there, or two windows where the corpus was not told
        mean: of the training features, in decibels; a list [n_mels, 1] where each band has its own
        deviation: of the training features, likewise
        settings: see `training.Run`
        clips: how many there were in each part: ``train``, ``validation``, ``test``
        ratings: how the training part's are spread: ``edges`` of bins and ``counts`` in them
        scores: ``train`` and ``validation`` MAE; ``test``, which has each of
            `evaluation.METRICS` for the network and the median predictor, if there was a test part
        margin: half the width of an interval that holds the rating with probability `LEVEL`; None
            where there were too few validation clips to say
        coverage: of the test part's intervals: ``clips``, how many ``held`` the rating
        familiar: ``mean`` and ``deviation`` of each value of `profile` over the training clips,
            and the distance from them, see `distance`, that marks a recording as unlike them
        made_by: versions of the packages and the code's commit
    """

    corpus: dict[str, Any]
    scale: tuple[float, float] | None
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
    coverage: dict[str, int]
    familiar: dict[str, Any]
    made_by: dict[str, Any]

    def interval(self, valence: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest rating to expect with these predictions, within the scale.

        Args:
            valence: predictions, any shape

        Returns:
            two arrays of the same shape
        """
        margin = np.inf if self.margin is None else self.margin
        ends = self.scale or (-np.inf, np.inf)
        return np.clip(valence - margin, *ends), np.clip(valence + margin, *ends)


def of(run: Run, corpus: Corpus | None, *, mel: MelSettings, duration: float) -> Card:
    """What is to be said of a trained network; the test part of its split is predicted for it.

    Args:
        run: see `training.train`
        corpus: that the run was trained on, if that is to be told
        mel: settings of the features that the run was trained on
        duration: that they were extracted with, in seconds

    Raises:
        ValueError: if the run has no validation part, or the corpus is not the run's
    """
    if run.validation is None:
        raise ValueError("The run has no validation part, whose errors the intervals come from.")
    if corpus is not None and not np.array_equal(
        run.ratings, corpus.clips["valence"].to_numpy(np.float32)
    ):
        raise ValueError(f"The ratings of {corpus.name} are not those that the run was trained on.")
    split, ratings = run.split, run.ratings
    margin = conformal_margin(run.validation[-1] - ratings[split.validation])
    scores: dict[str, Any] = dict(run.scores)
    coverage = {}
    if len(split.test):
        truth, predicted = ratings[split.test], training.predict(run, run.features, split.test)
        median = np.full(len(truth), np.median(ratings[split.train]))
        table = evaluation.compare(truth, {"network": predicted, "median": median})
        scores["test"] = evaluation.as_dict(table)
        held = np.abs(truth - predicted) <= (np.inf if margin is None else margin)
        coverage = {"clips": len(truth), "held": int(held.sum())}
    counts, edges = np.histogram(
        ratings[split.train], bins=16, range=corpus.scale if corpus else None
    )
    about = ("name", "layout", "labels", "citation", "licence", "fingerprint")
    return Card(
        corpus={name: getattr(corpus, name) for name in about} if corpus else {},
        scale=corpus.scale if corpus else None,
        mel=mel,
        duration=duration,
        longest=float(corpus.clips["duration"].max()) if corpus else 2 * duration,
        mean=run.settings["mean"],
        deviation=run.settings["deviation"],
        settings=run.settings,
        clips={part: len(rows) for part, rows in split._asdict().items()},
        ratings={"edges": edges.tolist(), "counts": counts.tolist()},
        scores=scores,
        margin=margin,
        coverage=coverage,
        familiar=_familiar(run.features, split.train),
        made_by={"commit": commit(), "versions": versions()},
    )


def conformal_margin(errors: np.ndarray) -> float | None:
    """Half the width of the intervals of split conformal prediction.

    Args:
        errors: of the validation part, of any sign [clips]

    Returns:
        the ceil((n + 1) `LEVEL`)-th smallest absolute error; None if n is too small to have it

    Examples:
        >>> conformal_margin([0.1, -0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        0.9
        >>> conformal_margin([0.1, 0.2]) is None
        True

    See: notebooks/07_your_speech.ipynb
    """
    ordered = np.sort(np.abs(errors))
    rank = math.ceil((len(ordered) + 1) * LEVEL)
    return float(ordered[rank - 1]) if rank <= len(ordered) else None


def profile(levels: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each mel band, over frames that are not padding.

    Args:
        levels: decibels [n_mels, frames]

    Returns:
        decibels [2 * n_mels]
    """
    sounding = levels[:, (levels > levels.min()).any(axis=0)]
    return np.concatenate([sounding.mean(axis=1), sounding.std(axis=1)])


def distance(profile: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> float:
    """How many standard deviations a profile lies from the training clips', over all its values."""
    return float(np.sqrt(np.mean(((profile - mean) / deviation) ** 2)))


def _familiar(matrix: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    profiles = np.stack([profile(matrix[row]) for row in rows]).astype(np.float64)
    mean, deviation = profiles.mean(axis=0), np.maximum(profiles.std(axis=0), 1e-3)
    distances = [distance(each, mean, deviation) for each in profiles]
    return {
        "mean": mean.round(4).tolist(),
        "deviation": deviation.round(4).tolist(),
        "limit": float(np.quantile(distances, FAMILIAR)),
    }


# The model card


def markdown(card: Card) -> str:
    """The card for people to read (after Mitchell et al. 2019): data, use, limits, scores, making.

    Args:
        card: see `of`

    See: notebooks/07_your_speech.ipynb
    """
    about, mel, settings = card.corpus, card.mel, card.settings
    scale = f"{card.scale[0]:g} to {card.scale[1]:g}" if card.scale else "unknown"
    parts = ", ".join(f"{count} for {part}" for part, count in card.clips.items())
    lines = [
        f"# Valence of speech, trained on {about.get('name', 'an unnamed corpus')}",
        "",
        f"The network `{settings['model']}` with {settings['parameters']:,} parameters predicts, "
        "from a recording of speech, the valence that listeners would give it: how pleasant it "
        f"sounds, on a scale of {scale}.",
        "",
        "## Data",
        "",
        f"{sum(card.clips.values())} clips: {parts}.",
    ]
    if about:
        lines.append(f"Labels: {LABELS[about['labels']]} (layout: {about['layout']}).")
    if about.get("name") == "demo":
        lines.append("Synthetic voices with simulated ratings: no evidence about people.")
    for name in ("citation", "licence"):
        if about.get(name):
            lines.append(f"{name.capitalize()}: {about[name]}.")
    lines += [
        "",
        "## Use and limits",
        "",
        "For research and teaching on speech like that of the corpus. It says how speech sounds to "
        "listeners, not what a speaker feels, and is not made for decisions about people. Other "
        "languages, microphones and ways of speaking are outside what it has learnt; `predict` "
        "marks recordings that are unlike the training clips, but not every such recording.",
        "",
        *_scores(card),
        "",
        "## Making",
        "",
        f"- audio: mono, {mel.sample_rate} Hz, mean 0 and standard deviation 1, cut or padded to "
        f"{card.duration:g} s",
        f"- spectrogram: {mel.n_mels} mel bands{', pitch' * mel.pitch}, windows of {mel.n_fft} "
        f"samples every {mel.hop_length}; decibels, {_standardised(card)}",
        "- training: " + ", ".join(f"{name} {settings[name]:g}" for name in _TRAINING),
        f"- corpus fingerprint {about.get('fingerprint', 'unknown')}, code at commit "
        f"{card.made_by['commit']}",
        "- " + ", ".join(f"{name} {found}" for name, found in card.made_by["versions"].items()),
    ]
    return "\n".join(lines) + "\n"


def _standardised(card: Card) -> str:
    if isinstance(card.mean, list) or isinstance(card.deviation, list):
        return "minus the mean of each band, divided by its deviation"
    return f"minus {card.mean:.2f}, divided by {card.deviation:.2f}"


_TRAINING = ("epochs", "batch_size", "learning_rate", "weight_decay", "seed")


def _scores(card: Card) -> list[str]:
    lines = ["## Scores", ""]
    test = card.scores.get("test")
    if test:
        lines += ["Test part, with 95 % intervals:", "", "| | network | median predictor |"]
        lines.append("|---|---|---|")
        for metric in evaluation.METRICS:
            cells = [_with_interval(test[who][metric]) for who in ("network", "median")]
            lines.append(f"| {metric} | {cells[0]} | {cells[1]} |")
        lines.append("")
    maes = [f"{card.scores[part]:.2f} on the {part} part" for part in ("train", "validation")]
    lines += [f"Mean absolute error {', '.join(maes)}.", ""]
    if card.margin is None:
        lines.append(
            f"Intervals span the whole scale: {card.clips['validation']} validation clips are too "
            f"few for intervals at {100 * LEVEL:.0f} %."
        )
    else:
        lines.append(f"Interval at {100 * LEVEL:.0f} %: {card.margin:.2f} to each side.")
    if card.coverage:
        share = coverage(card)
        lines.append(
            f"It held {100 * share['value']:.0f} % of the test ratings "
            f"({100 * share['low']:.0f} to {100 * share['high']:.0f} %)."
        )
    return lines


def coverage(card: Card) -> pd.Series:
    """Share of the test part whose rating lay in the interval of its prediction.

    Args:
        card: of a model that had a test part

    Returns:
        ``value``, and the ``low`` and ``high`` end of its 95 % interval (Clopper & Pearson 1934),
        which takes clips to be independent; those of one speaker are not quite

    See: notebooks/07_your_speech.ipynb
    """
    import scipy.stats

    held, clips = card.coverage["held"], card.coverage["clips"]
    low, high = scipy.stats.binomtest(held, clips).proportion_ci()
    return pd.Series({"value": held / clips, "low": low, "high": high})


def _with_interval(score: dict[str, float | None]) -> str:
    if score["value"] is None:
        return "not defined"
    return f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
