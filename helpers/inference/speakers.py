"""Valence relative to a person's usual one, from several recordings of that person.

A network gives some voices lower values than others, whatever they say. What it gives a person on
average can be subtracted, but the average of a few recordings is mostly chance. So it is shrunk
towards the average of all speakers, the more the fewer recordings there are (Efron & Morris 1975;
in a model of one random intercept a speaker, this is its best linear unbiased prediction if all
speakers have equally many clips, Robinson 1991).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from helpers import evaluation


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
    centre = spread.get("centre", mean)
    return centre + reliability(len(known), spread) * (mean - centre)


def relative(
    table: pd.DataFrame, spread: Mapping[str, Any], *, counted: pd.Series | None = None
) -> pd.DataFrame:
    """How much more or less pleasant each recording sounds than is usual for its person.

    All recordings are taken as one person's. Those without a valence do not count.

    `relative_scores` measures what this brings; models/README.md has the table for the network that
    comes with the project. These speakers acted all emotions; a person whose recordings are all sad
    gets values around 0.

    Args:
        table: see `predict`
        spread: of the model's predictions over speakers, see `Card.spread`; if it is empty, the
            mean is not shrunk, and one recording alone gets 0
        counted: whether each recording counts for what is usual; None if all do

    Returns:
        the table with a column ``relative`` after ``high``: the valence minus `usual`. ``low`` and
        ``high`` stay those of the valence: no error of ``relative`` is known

    See: notebooks/07_your_speech.ipynb
    """
    found = table.copy()
    of = table if counted is None else table[counted]
    values = table["valence"] - usual(of["valence"], spread)
    found.insert(found.columns.get_loc("high") + 1, "relative", values)
    return found


def in_words(table: pd.DataFrame, spread: Mapping[str, Any]) -> str:
    """What the column ``relative`` is relative to.

    Args:
        table: see `predict`
        spread: see `relative`
    """
    known = table["valence"].dropna()
    if known.empty:
        return "relative: no recording has a valence, so nothing is known of the person."
    several = f"{len(known)} recordings with a valence are"
    one = "one recording with a valence is"
    whose = f"the {several if len(known) > 1 else one} taken as one person's"
    text = f"relative: valence minus {usual(known, spread):.2f}, the person's usual one; {whose}. "
    if spread:
        share = 100 * reliability(len(known), spread)
        text += (
            f"The person's mean, {known.mean():.2f}, counts {share:.0f} %, "
            f"and the mean of {spread['speakers']} other speakers, {spread['centre']:.2f}, the rest"
        )
    else:
        text += (
            "It is the plain mean, which chance decides if recordings are few: the model does not "
            "say how speakers differ"
        )
    return text + ". low and high are those of valence."
