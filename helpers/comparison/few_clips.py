"""Normalisation by speaker where only a few clips of each test speaker are known.

`features.normalise_by_speaker` takes the mean and deviation of all clips of a speaker. Of a few
clips, both are mostly chance, and of clips of one mood, they are those of the mood. Here they are
shrunk, too: pulled towards those of the training speakers, the more the fewer clips there are
(Efron & Morris 1975). The mean is the best linear unbiased prediction of a model with one random
intercept a speaker (Robinson 1991), and the variance that of Smyth (2004), which is used for genes
with few samples. All that decides how much is pulled is estimated from the training speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import polygamma

from helpers import evaluation, features
from helpers.comparison.baselines import svr
from helpers.comparison.contenders import FUNCTIONALS, ComparisonError, named
from helpers.corpora import Corpus
from helpers.splits import Split

#: Clips that are known of a speaker; all of them come after these.
COUNTS = (1, 2, 5, 10, 20)

#: Random draws of the known clips of each test clip.
DRAWS = 3

#: Which clips are known: of any kind, or only those whose rating is above the speaker's median.
KINDS = ("any clips", "pleasant clips")

#: How functionals are normalised, as tables and figures call it.
WAYS = ("not normalised", "normalised", "shrunk")

#: The least share of the typical variance that a speaker's variance is taken for.
LEAST_VARIANCE = 1e-5


def few_clips(corpus: Corpus, parts: Sequence[Split], *, seed: int = 0) -> pd.DataFrame:
    """Scores of the field's baseline, `egemaps_svr`, by how many clips of a speaker are known.

    The known clips of a test clip are the clip itself and some others of its speaker, drawn at
    random. Training clips are normalised in the same way, with the same number of clips of any
    kind: then the machine learns from functionals as reliable as those that it is tested on. Where
    one clip is known, ``"shrunk"`` is a linear map, which standardisation takes back, so it gives
    what ``"not normalised"`` gives.

    Args:
        corpus: see `corpora.load`
        parts: see `splits.folds`, by speaker; the validation parts are trained on, too
        seed: of the draws and of the bootstrap, over speakers

    Returns:
        `evaluation.compare` with gains over ``"not normalised"``, means over `DRAWS` draws: a row
        for each of `KINDS`, number of known ``clips`` and ``way`` of `WAYS`, which name the index.
        The last number is that of the speaker with most clips, and means all. Where a speaker has
        fewer clips of the kind, all of them are known

    Raises:
        ComparisonError: if a speaker is unknown, or a training part has fewer than two speakers
            with at least two clips each

    See: notebooks/06_improvements.ipynb
    """
    speakers = evaluation.known_speakers(corpus.clips)
    if speakers is None:
        raise ComparisonError(
            "A speaker is unknown, or there is only one, so clips cannot be normalised by speaker: "
            "add a column of speakers to the labels."
        )
    (kind,) = named("egemaps_svr").inputs
    values = np.nan_to_num(features.functionals(corpus, **FUNCTIONALS[kind])).astype(np.float64)
    truth = corpus.clips["valence"].to_numpy(dtype=np.float32)
    predicted = _predicted(values, truth, speakers, parts, seed)
    rows = np.concatenate([part.test for part in parts])
    tables = {}
    for key, ways in predicted.items():
        tested = {way: each[:, rows] for way, each in ways.items()}
        tables[key] = evaluation.compare(truth[rows], tested, groups=speakers[rows], seed=seed)
    return pd.concat(tables, names=["known", "clips", "way"])


def _predicted(
    values: np.ndarray,
    ratings: np.ndarray,
    speakers: np.ndarray,
    parts: Sequence[Split],
    seed: int,
) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """Valence by kind and number of known clips, then by way [draws, clips]."""
    by_speaker = pd.Series(ratings).groupby(speakers)
    above = ratings > by_speaker.transform("median").to_numpy()
    allowed = dict(zip(KINDS, (np.full(len(ratings), True), above), strict=True))
    most = int(by_speaker.size().max())
    counts = [*(count for count in COUNTS if count < most), most]
    found = {
        (kind, count): {way: np.full((DRAWS, len(ratings)), np.nan) for way in WAYS}
        for kind in KINDS
        for count in counts
    }
    for train, validation, test in parts:
        rows = np.union1d(train, validation)
        own, others, rated = speakers[rows], speakers[test], ratings[rows]
        as_it_is = svr(values, ratings, rows, test, speakers=own)
        spreads = dict(zip(WAYS, (None, None, Spread.of(values[rows], own)), strict=True))
        for count in counts:
            for kind in KINDS:
                found[kind, count][WAYS[0]][:, test] = as_it_is
            for way in WAYS[1:]:
                spread = spreads[way]
                drawn = [normalise_by_few(values[rows], own, count, spread, seed=(seed, 0))]
                for kind in KINDS:
                    for draw in range(1, DRAWS + 1):
                        how = {"allowed": allowed[kind][test], "seed": (seed, draw)}
                        drawn.append(normalise_by_few(values[test], others, count, spread, **how))
                place = np.split(np.arange(len(rows) + (len(drawn) - 1) * len(test)), [len(rows)])
                valence = svr(np.concatenate(drawn), rated, *place, speakers=own)
                for kind, each in zip(KINDS, valence.reshape(-1, DRAWS, len(test)), strict=True):
                    found[kind, count][way][:, test] = each
    return found


class Spread(NamedTuple):
    """How functionals of the training speakers vary, which those of few clips are pulled towards.

    Attributes:
        centre: mean of a speaker who is not known [functionals]
        variance: typical variance of a speaker's clips [functionals]
        centre_counts: clips that `centre` counts as; infinite where speakers do not differ
        variance_counts: clips that `variance` counts as; infinite where speakers do not differ
    """

    centre: np.ndarray
    variance: np.ndarray
    centre_counts: np.ndarray
    variance_counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, speakers: np.ndarray) -> Spread:
        """The spread of training speakers.

        `variance_counts` are the degrees of freedom :math:`d` of the prior of Smyth (2004, section
        6.2): trigamma of :math:`d / 2` is what the logarithms of the speakers' variances vary
        beyond chance, and about :math:`2 / d + 2 / d^2`.

        Args:
            values: functionals [clips, functionals]
            speakers: of each clip [clips]

        Raises:
            ComparisonError: if fewer than two speakers have two clips
        """
        by_speaker = pd.DataFrame(values).groupby(speakers)
        sizes = by_speaker.size()
        several = sizes > 1
        if several.sum() < 2:
            raise ComparisonError(
                f"Only {several.sum()} of {len(sizes)} training speakers have two clips or more, "
                "so how speakers differ is unknown: rate more clips of each."
            )
        centre, within, between = evaluation.variance_components(values, speakers)
        own = by_speaker.var()[several] / np.where(within > 0, within, 1)
        chance = polygamma(1, (sizes[several] - 1) / 2).mean()
        beyond = np.log(np.maximum(own, LEAST_VARIANCE)).var().to_numpy() - chance
        return cls(
            centre,
            within,
            _ratio(within, between),
            _ratio(1 + np.sqrt(1 + 2 * beyond.clip(0)), beyond),
        )

    def shrunk(
        self, mean: np.ndarray, variance: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of few clips, pulled towards those of the training speakers.

        Args:
            mean: of the known clips [clips, functionals]
            variance: of the known clips, 0 where there is one [clips, functionals]
            counts: numbers of known clips [clips, 1]

        Returns:
            both, in the same shapes; the variance is the one of the population, as in
            `features.normalise_by_speaker`
        """
        share = counts / (counts + self.centre_counts)
        free = (counts - 1) / (counts - 1 + self.variance_counts)
        return self.centre + share * (mean - self.centre), self.variance + free * (
            variance - self.variance
        )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Infinite where speakers do not differ."""
    return np.divide(above, below, out=np.full_like(below, np.inf), where=below > 0)


def normalise_by_few(
    values: np.ndarray,
    speakers: np.ndarray,
    count: int,
    spread: Spread | None = None,
    *,
    allowed: np.ndarray | None = None,
    seed: int | tuple[int, ...] = 0,
) -> np.ndarray:
    """Normalise each clip by itself and others of its speaker, which are drawn at random.

    Args:
        values: functionals [clips, functionals]
        speakers: of each clip [clips]
        count: number of known clips, the clip itself included
        spread: of the training speakers, towards which mean and deviation are shrunk; None leaves
            them as they are
        allowed: which clips may be drawn as others, bool [clips]; None is all
        seed: of the draws; those of a smaller `count` are among those of a larger one

    Returns:
        float32, same shape; a functional without any deviation becomes 0
    """
    random = np.random.default_rng(seed)
    allowed = np.full(len(values), True) if allowed is None else allowed
    normalised = np.empty(values.shape, dtype=np.float32)
    for rows in pd.Series(speakers).groupby(speakers).indices.values():
        order = np.where(allowed[rows], random.random((len(rows), len(rows))), np.inf)
        np.fill_diagonal(order, -1)
        known = (order.argsort(axis=1).argsort(axis=1) < count) & (order < np.inf)
        middle = values[rows].mean(axis=0)  # moments about a point near the means lose no digits
        own, counts = values[rows] - middle, known.sum(axis=1, keepdims=True)
        mean = known @ own / counts
        variance = np.maximum(known @ own**2 / counts - mean**2, 0)
        mean += middle
        if spread is not None:
            mean, variance = spread.shrunk(mean, variance, counts)
        deviation = np.sqrt(variance)
        varies = deviation > 1e-6 * np.maximum(1, np.abs(mean))
        normalised[rows] = np.where(varies, values[rows] - mean, 0) / np.where(varies, deviation, 1)
    return normalised
