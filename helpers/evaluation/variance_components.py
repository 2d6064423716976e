"""How much of what varies from clip to clip varies between speakers, and how much within them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class VarianceComponents(NamedTuple):
    """Variances of numbers about clips, within speakers and between them.

    Attributes:
        centre: mean over speakers of their means [...]
        within: variance within speakers [...]
        between: variance between speakers, at least 0 [...]
    """

    centre: np.ndarray
    within: np.ndarray
    between: np.ndarray


def variance_components(values: np.ndarray, speakers: np.ndarray) -> VarianceComponents:
    """Variances of the one-way analysis of variance with random speakers.

    Speakers may have different numbers of clips (Searle, Casella & McCulloch 1992, chapter 3).

    Args:
        values: numbers about each clip [clips] or [clips, numbers]
        speakers: of each clip [clips], see `known_speakers`; at least two speakers, and
            at least one with two clips

    Returns:
        each as a number, or [numbers]

    Examples:
        >>> found = variance_components(np.array([1.0, 3, 6, 8]), np.array(["a", "a", "b", "b"]))
        >>> [float(number) for number in found]
        [4.5, 2.0, 11.5]
    """
    values = np.asarray(values, dtype=np.float64)
    names, place, sizes = np.unique(speakers, return_inverse=True, return_counts=True)
    by_speaker = pd.DataFrame(values.reshape(len(values), -1)).groupby(place)
    means = by_speaker.mean().to_numpy().reshape(-1, *values.shape[1:])
    clips, count = len(values), len(names)
    within = ((values - means[place]) ** 2).sum(axis=0) / (clips - count)
    overall = sizes @ means / clips
    among = sizes @ (means - overall) ** 2 / (count - 1)
    per_speaker = (clips - (sizes**2).sum() / clips) / (count - 1)
    between = np.maximum(0, (among - within) / per_speaker)
    return VarianceComponents(means.mean(axis=0), within, between)
