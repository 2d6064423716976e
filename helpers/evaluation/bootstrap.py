"""How much a score varies with the speakers, or the clips, that a corpus happens to have.

The bootstrap (Efron & Tibshirani 1993, chapter 13) scores resamples of the clips. Its plain
percentile interval is too narrow for few speakers: it takes their spread as if it were known, and
as that of n speakers instead of n - 1. The expanded percentile interval makes up for both
(Hesterberg 2015): its ends are the percentiles at which Student's t interval would lie
if the resamples were normal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.stats

#: Draws of each bootstrap: with nine speakers, the ends of an interval are between the 72 lowest
#: and the 72 highest of them.
RESAMPLES = 10_000

#: Numbers that a bootstrap holds at most; of many thousand clips there are fewer draws, but 1000.
MOST = 2e7

#: With fewer speakers, the intervals are too narrow: in the simulation of
#: tests/evaluation/test_coverage.py, those that draw 8 speakers hold the true error in 91 of 100
#: cases instead of 95, those that draw 4 in 84, and those that draw 20 in 94.
ENOUGH_SPEAKERS = 8


class Resamples(NamedTuple):
    """A sample and its bootstrap resamples, see `resamples`.

    Every array that a method returns starts with what the sample itself has, then has a number for
    each resample: [1 + draws].

    Attributes:
        times: how often each group is drawn [1 + draws, groups]; once each in the first row
        group: number of each clip's group [clips]
    """

    times: np.ndarray
    group: np.ndarray

    def of(self, rows: np.ndarray) -> Resamples:
        """The same draws of groups, of which some clips only are looked at."""
        return self._replace(group=self.group[rows])

    def sum(self, x: np.ndarray) -> np.ndarray:
        """Of a number a clip [clips]."""
        return self.times @ np.bincount(self.group, x, minlength=self.times.shape[1])

    def clips(self) -> np.ndarray:
        """How many each resample has."""
        return self.sum(np.ones(len(self.group)))

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Of a number a clip [clips]; missing in a resample without clips."""
        clips = self.clips()
        means = np.divide(self.sum(x), clips, out=np.full_like(clips, np.nan), where=clips > 0)
        means[0] = x.mean()  # whose last digits do not depend on the groups
        return means

    def constant(self, x: np.ndarray) -> np.ndarray:
        """Whether a resample holds one value only; its variance may be a rounding error of 0."""
        ends = np.full((2, self.times.shape[1]), [[np.inf], [-np.inf]])
        np.minimum.at(ends[0], self.group, x)
        np.maximum.at(ends[1], self.group, x)
        drawn = self.times > 0
        low = np.where(drawn, ends[0], np.inf).min(axis=1)
        return low == np.where(drawn, ends[1], -np.inf).max(axis=1)

    def estimate(self, statistic: np.ndarray) -> dict[str, float]:
        """A statistic with its 95 % expanded percentile interval (Hesterberg 2015).

        Args:
            statistic: of the sample and of each resample [1 + draws]; not a number where it is not
                defined

        Returns:
            ``value``, and ``low`` and ``high``, which are not a number where no resample has one
        """
        known = statistic[1:][~np.isnan(statistic[1:])]
        low, high = np.nan, np.nan
        if len(known):
            groups = self.times.shape[1]
            student = scipy.stats.t.ppf(0.975, groups - 1)
            outside = scipy.stats.norm.cdf(-np.sqrt(groups / (groups - 1)) * student)
            low, high = np.quantile(known, [outside, 1 - outside])
        return {"value": float(statistic[0]), "low": float(low), "high": float(high)}


def resamples(count: int, groups: np.ndarray | None = None, *, seed: int) -> Resamples:
    """Bootstrap resamples of clips.

    A resample draws as many groups as there are, with replacement, and takes all their clips.

    Args:
        count: number of clips
        groups: speaker of each clip [clips]; None draws clips
        seed: of the draws

    Returns:
        `RESAMPLES` of them, fewer where there are many thousand groups, and none of one group
        alone: it does not say how groups differ

    Examples:
        >>> drawn = resamples(3, np.array(["a", "a", "b"]), seed=3)
        >>> drawn.times[2:5].astype(int)
        array([[0, 2],
               [2, 0],
               [1, 1]])
        >>> drawn.mean(np.array([1.0, 2.0, 6.0]))[2:5]
        array([6. , 1.5, 3. ])

    See: notebooks/03_model.ipynb
    """
    names, group = np.unique(np.arange(count) if groups is None else groups, return_inverse=True)
    drawn = drawn_times(len(names), seed) if len(names) > 1 else np.empty((0, len(names)))
    return Resamples(np.vstack([np.ones(len(names)), drawn]), group)


def drawn_times(count: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """How often each resample draws each of some things, float64 [draws, count]."""
    number = int(np.clip(MOST // count, 1000, RESAMPLES))
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), number).astype(np.float64)
