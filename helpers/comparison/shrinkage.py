"""Normalisation by a few clips of each speaker, shrunk towards the speakers of the training part.

`features.normalise_by_speaker` takes the mean and deviation of all clips of a speaker. Those of a
few clips are mostly chance. So they are pulled towards those of the training speakers, the more the
fewer clips there are (Efron & Morris 1975). Where the training speakers have equally many clips,
the mean is the best linear unbiased prediction of a model of one random intercept a speaker
(Robinson 1991). The variance is pulled as Smyth (2004) does for genes with few samples. Nothing is
tuned: how much is pulled is estimated from the training speakers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import polygamma

from helpers import evaluation, features
from helpers.comparison.contenders import ComparisonError

#: Numbers of known clips of a speaker; after these, all.
COUNTS = (1, 2, 5, 10, 20)

#: The least share of the typical variance that a speaker's variance is taken for (Smyth's limma).
LEAST_VARIANCE = 1e-5


class Spread(NamedTuple):
    """How functionals of the training speakers vary, as shrinking needs it.

    Attributes:
        centre: mean over the speakers of their means [functionals]
        variance: within speakers [functionals]
        clips: that `centre` counts as: variance within speakers over the one between them
            [functionals]; infinite where speakers do not differ
        degrees: of freedom that `variance` counts as [functionals]; infinite where the variances
            of the speakers differ by chance only
    """

    centre: np.ndarray
    variance: np.ndarray
    clips: np.ndarray
    degrees: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, speakers: np.ndarray) -> Spread:
        """The spread of training speakers.

        If variances are from :math:`d` degrees of freedom, trigamma of :math:`d / 2` is the
        variance of their logarithms, about :math:`2 / d + 2 / d^2`. `degrees` are those that give
        what the variances of the speakers vary beyond chance (Smyth 2004, section 6.2).

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
                f"Of {len(sizes)} training speakers, {several.sum()} have two clips or more, and "
                "two are needed to know how speakers differ: rate more clips of each."
            )
        centre, within, between = evaluation.variance_components(values, speakers)
        shares = by_speaker.var()[several] / np.where(within > 0, within, 1)
        chance = polygamma(1, (sizes[several] - 1) / 2).mean()
        beyond = np.log(shares.clip(LEAST_VARIANCE)).var().to_numpy() - chance
        degrees = _ratio(1 + np.sqrt(1 + 2 * beyond.clip(0)), beyond)
        return cls(centre, within, _ratio(within, between), degrees)

    def shrunk(
        self, mean: np.ndarray, variance: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of known clips, pulled towards those of the training speakers.

        Args:
            mean: of the known clips of each clip [clips, functionals]
            variance: of the same, as `numpy.var` gives it [clips, functionals]
            counts: numbers of known clips [clips, 1]

        Returns:
            both, in the same shapes; the variance is an estimate of that of all of the speaker's
            clips, and so is divided by one less than their number
        """
        degrees = counts - 1
        reliable, free = counts / (counts + self.clips), degrees / (degrees + self.degrees)
        unbiased = variance * counts / np.maximum(degrees, 1)
        pulled = self.centre + reliable * (mean - self.centre)
        return pulled, self.variance + free * (unbiased - self.variance)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Infinite where nothing is below."""
    return np.divide(above, below, out=np.full_like(below, np.inf), where=below > 0)


def known_clips(
    speakers: np.ndarray,
    count: int,
    *,
    allowed: np.ndarray | None = None,
    seed: int | tuple[int, ...] = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is known of a speaker beside each clip: that clip, and others drawn at random.

    Args:
        speakers: of each clip [clips]
        count: number of known clips, the clip itself included; fewer if a speaker has fewer
        allowed: which clips may be drawn as others, bool [clips]; None is all
        seed: of the draws; the clips of a smaller `count` are among those of a larger one

    Yields:
        row numbers of a speaker's clips [own], and which of them are known beside each, bool
        [own, own]
    """
    random = np.random.default_rng(seed)
    allowed = np.full(len(speakers), True) if allowed is None else allowed
    for rows in pd.Series(speakers).groupby(speakers).indices.values():
        order = np.where(allowed[rows], random.random((len(rows), len(rows))), np.inf)
        np.fill_diagonal(order, -1)
        yield rows, (order.argsort(axis=1).argsort(axis=1) < count) & (order < np.inf)


def numbers_known(speakers: np.ndarray) -> list[int]:
    """How many known clips are tried: `COUNTS`, and all of the speaker with most clips.

    Args:
        speakers: of each clip [clips]

    Examples:
        >>> numbers_known(np.array(["a", "a", "a", "b"]))
        [1, 2, 3]
    """
    most = int(pd.Series(speakers).value_counts().max())
    return [*(count for count in COUNTS if count < most), most]


def normalise_by_few(
    values: np.ndarray,
    speakers: np.ndarray,
    count: int,
    *,
    spread: Spread | None = None,
    allowed: np.ndarray | None = None,
    seed: int | tuple[int, ...] = 0,
) -> np.ndarray:
    """Normalise each clip by itself and other clips of its speaker, which are drawn at random.

    Args:
        values: functionals [clips, functionals]
        speakers: of each clip [clips]
        count: number of known clips, the clip itself included; fewer if a speaker has fewer
        spread: of the training speakers, towards which mean and variance are shrunk; None leaves
            them as they are
        allowed: see `known_clips`
        seed: see `known_clips`

    Returns:
        float32, same shape; a functional that does not vary becomes 0
    """
    normalised = np.empty(values.shape, dtype=np.float32)
    for rows, known in known_clips(speakers, count, allowed=allowed, seed=seed):
        counts, middle = known.sum(axis=1, keepdims=True), values[rows].mean(axis=0)
        own = values[rows] - middle  # moments about a point near the mean lose no digits
        mean = known @ own / counts
        variance = np.maximum(known @ own**2 / counts - mean**2, 0)
        mean += middle
        if spread is not None:
            mean, variance = spread.shrunk(mean, variance, counts)
        normalised[rows] = features.standardised(values[rows], mean, np.sqrt(variance))
    return normalised
