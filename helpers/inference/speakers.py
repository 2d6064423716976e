"""Valence relative to a person's usual one, from several recordings of that person.

A network gives some voices lower values than others, whatever they say. What it gives a person on
average can be subtracted, but the average of a few recordings is mostly chance. So it is shrunk
towards the average of all speakers, the more the fewer recordings there are (Efron & Morris 1975;
in a model of one random intercept a speaker, this is its best linear unbiased prediction, Robinson
1991).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers import evaluation

#: Recordings of a person in `scores_of_relative`; after these, all.
COUNTS = (1, 2, 5, 10, 20)

#: Random draws of the recordings beside each one in `scores_of_relative`.
DRAWS = 5

#: What is subtracted from a prediction in `scores_of_relative`.
WAYS = ("centre", "plain", "shrunk")


def spread(predicted: np.ndarray, speakers: np.ndarray | None) -> dict[str, Any]:
    """How predictions vary within speakers and between them, as `usual` needs it.

    Args:
        predicted: valence of clips that were not trained on [clips]
        speakers: of each clip [clips], see `evaluation.known_speakers`

    Returns:
        number of ``speakers``; the ``centre``, the mean over speakers of their means; and the
        variances ``within`` speakers and ``between`` them, see `evaluation.variance_components`.
        Empty if the speakers are unknown, or no speaker has two clips
    """
    if speakers is None:
        return {}
    count = len(np.unique(speakers))
    if count == len(speakers):
        return {}
    found = evaluation.variance_components(predicted, speakers)._asdict()
    return {"speakers": count, **{name: float(number) for name, number in found.items()}}


def reliability(clips: int, spread: Mapping[str, Any]) -> float:
    """The reliability of a person's mean: n / (n + k), k the ratio of the variances in `spread`.

    Args:
        clips: number n of recordings
        spread: see `spread`; if it is empty, nothing is known against the mean

    Examples:
        >>> reliability(5, {"within": 0.6, "between": 0.12})
        0.5
    """
    if not spread:
        return 1.0
    noise = spread["within"] / clips
    return spread["between"] / (spread["between"] + noise) if noise else 1.0


def usual(valence: pd.Series, spread: Mapping[str, Any]) -> float:
    """The valence that is usual for a person: the mean, shrunk towards that of all speakers.

    Args:
        valence: of the person's recordings, missing where there is none
        spread: see `spread`; if it is empty, nothing is shrunk

    Returns:
        points on the scale; not a number if no recording has a valence

    Examples:
        >>> usual(pd.Series([2.0, 2.0]), {"centre": 3.0, "within": 0.2, "between": 0.1})
        2.5
    """
    known = valence.dropna()
    if known.empty:
        return float("nan")
    mean = float(known.mean())
    return float(_shrunk(mean, reliability(len(known), spread), spread.get("centre", mean)))


def _shrunk(mean: ArrayLike, share: ArrayLike, centre: float) -> np.ndarray:
    """Means of persons, which count a share of 1, and the centre of all speakers the rest."""
    return centre + np.asarray(share) * (np.asarray(mean) - centre)


def relative(table: pd.DataFrame, spread: Mapping[str, Any]) -> pd.DataFrame:
    """How much more or less pleasant each recording sounds than is usual for its person.

    All recordings are taken as one person's. Those without a valence do not count.

    `scores_of_relative` measures what this brings; models/README.md has its table for the network
    that comes with the project. A person whose recordings are all sad gets values around 0.

    Args:
        table: see `predict`
        spread: of the model's predictions over speakers, see `Card.spread`; if it is empty, the
            mean is not shrunk, and one recording alone gets 0

    Returns:
        the table with a column ``relative`` after ``high``: the valence minus `usual`. ``low`` and
        ``high`` stay those of the valence: no error of ``relative`` is known

    See: notebooks/07_your_speech.ipynb
    """
    found = table.copy()
    values = table["valence"] - usual(table["valence"], spread)
    found.insert(found.columns.get_loc("high") + 1, "relative", values)
    return found


def scores_of_relative(
    truth: np.ndarray,
    predicted: np.ndarray,
    speakers: np.ndarray,
    spreads: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """How well `relative` predicts ratings minus the speaker's mean rating.

    It is given a few recordings of a speaker: each clip with others of the same speaker, drawn at
    random. Three ways differ in how much the mean of these counts: nothing (``"centre"``: the mean
    of all speakers is subtracted, whoever speaks), all (``"plain"``) and its `reliability`
    (``"shrunk"``, what `relative` does).

    Args:
        truth: ratings [clips]
        predicted: by networks that were trained on none of these clips [trainings, clips]
        speakers: of each clip [clips]
        spreads: of each training, from clips of other speakers, see `spread` [trainings]
        seed: of the draws, and of the bootstrap over speakers

    Returns:
        `evaluation.compare` with gains over ``"centre"``, means over trainings and `DRAWS` draws: a
        row for each number of ``recordings`` and ``way``, which name the index. The last number is
        that of the speaker with most clips, and means all

    See: notebooks/08_other_voices.ipynb
    """
    names = pd.Series(speakers)
    own = truth - pd.Series(truth).groupby(names).transform("mean").to_numpy()
    sizes = names.map(names.value_counts()).to_numpy()
    most = int(sizes.max())
    tables = {}
    for count in [*(count for count in COUNTS if count < most), most]:
        means = _means_of_few(predicted, speakers, count, seed=seed)
        known = np.minimum(sizes, count)
        ways: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
        for values, mean, spread in zip(predicted, means, spreads, strict=True):
            shrunk = np.array([reliability(clips, spread) for clips in known])
            shares = np.zeros_like(shrunk), np.ones_like(shrunk), shrunk
            for way, share in zip(WAYS, shares, strict=True):
                ways[way].extend(values - _shrunk(mean, share, spread["centre"]))
        stacked = {way: np.array(each) for way, each in ways.items()}
        tables[count] = evaluation.compare(own, stacked, groups=speakers, seed=seed)
    return pd.concat(tables, names=["recordings", "way"])


def _means_of_few(
    predicted: np.ndarray, speakers: np.ndarray, count: int, *, seed: int
) -> np.ndarray:
    """The mean prediction of each clip and of others of its speaker, drawn at random.

    Args:
        predicted: [trainings, clips]
        speakers: of each clip [clips]
        count: clips in a mean, or all of the speaker's if they are fewer
        seed: of the draws, which are the same for each training

    Returns:
        [trainings, draws, clips]
    """
    means = np.empty((len(predicted), DRAWS, len(speakers)))
    rng = np.random.default_rng(seed)
    for rows in pd.Series(range(len(speakers))).groupby(speakers).indices.values():
        for draw in range(DRAWS):
            order = rng.random((len(rows), len(rows)))
            np.fill_diagonal(order, -1)  # the clip itself is always one
            drawn = rows[np.argsort(order, axis=1)[:, :count]]
            means[:, draw, rows] = predicted[:, drawn].mean(axis=-1)
    return means


def in_words(table: pd.DataFrame, spread: Mapping[str, Any]) -> str:
    """What the column ``relative`` is relative to.

    Args:
        table: see `predict`
        spread: see `relative`
    """
    known = table["valence"].dropna()
    if known.empty:
        return "relative: no recording has a valence, so nothing is known of the person."
    whose = f"the {len(known)} recordings with a valence are taken as one person's"
    text = f"relative: valence minus {usual(known, spread):.2f}, the person's usual one; {whose}. "
    if spread:
        share = 100 * reliability(len(known), spread)
        text += (
            f"Their mean, {known.mean():.2f}, counts {share:.0f} %, "
            f"and the mean of {spread['speakers']} other speakers, {spread['centre']:.2f}, the rest"
        )
    else:
        text += (
            "It is their plain mean, which chance decides if they are few: the model does not say "
            "how speakers differ"
        )
    return text + ". low and high are those of valence."
