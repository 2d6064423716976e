"""What it brings to know several recordings of a person: scores of `speakers.relative`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers import comparison, evaluation
from helpers.comparison import Fits
from helpers.corpora import Corpus
from helpers.inference.cards import score_cell
from helpers.inference.speakers import reliability, spread
from helpers.progress import bar

#: Random draws of the recordings beside each one.
DRAWS = 5


def scores_of_relative(
    truth: np.ndarray,
    predicted: np.ndarray,
    speakers: np.ndarray,
    spreads: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """How well `speakers.relative` predicts ratings minus the speaker's mean rating.

    It is given a few recordings of a speaker: each clip with others of the same speaker, drawn at
    random. Three ways differ in how much the mean of these counts: nothing (``"centre"``: the mean
    of all speakers is subtracted, whoever speaks), all (``"plain"``) and its `reliability`
    (``"shrunk"``, what `speakers.relative` does).

    Args:
        truth: ratings [clips]
        predicted: by networks that were trained on none of these clips [trainings, clips]
        speakers: of each clip [clips]
        spreads: of each training, from clips of other speakers, see `speakers.spread` [trainings]

    Returns:
        `evaluation.compare` with gains over ``"centre"``, means over trainings and `DRAWS` draws: a
        row for each number of ``recordings`` and ``way``, which name the index. The last number is
        that of the speaker with most clips, and means all

    See: notebooks/08_other_voices.ipynb
    """
    by_speaker = pd.Series(truth).groupby(speakers)
    own, sizes = truth - by_speaker.transform("mean"), by_speaker.transform("size")
    centres = np.array([each["centre"] for each in spreads])[:, None, None]
    tables = {}
    for count in comparison.numbers_known(speakers):
        means = _means_of_few(predicted, speakers, count)
        known = np.minimum(sizes, count)
        shares = np.array([[[reliability(n, each) for n in known]] for each in spreads])
        usual = {
            "centre": centres,
            "plain": means,
            "shrunk": centres + shares * (means - centres),
        }
        ways = {
            way: (predicted[:, None] - each).reshape(-1, len(truth)) for way, each in usual.items()
        }
        tables[count] = evaluation.compare(own.to_numpy(), ways, groups=speakers)
    return pd.concat(tables, names=["recordings", "way"])


def _means_of_few(predicted: np.ndarray, speakers: np.ndarray, count: int) -> np.ndarray:
    """The mean prediction of each clip and of others of its speaker, drawn at random.

    Args:
        predicted: [trainings, clips]
        speakers: of each clip [clips]
        count: clips in a mean, or all of the speaker's if they are fewer

    Returns:
        [trainings, draws, clips]
    """
    means = np.empty((len(predicted), DRAWS, len(speakers)))
    for draw in range(DRAWS):
        for rows, known in comparison.known_clips(speakers, count, seed=(0, draw)):
            means[:, draw, rows] = predicted[:, rows] @ known.T / known.sum(axis=1)
    return means


def relative_table(corpus: Corpus, fits: Fits) -> pd.DataFrame:
    """What it brings to know several recordings of a person, on each corpus.

    How speakers differ is taken from the other corpora, as it would be for a new one.

    Args:
        corpus: several as one, see `corpora.together`
        fits: see `train_human_voices.train`

    Returns:
        ``mae``, ``ccc`` and their gains, see `scores_of_relative`, of this network; the
        index begins with ``tested on``. A corpus is left out if a speaker of it is not known, or
        if no other corpus says how speakers differ

    See: notebooks/08_other_voices.ipynb
    """
    networks = {each.tested_on: found["three_views"] for each, found in fits.items()}
    tables = {}
    for target, found in bar(networks.items(), desc="relative", unit="corpus"):
        others = [each for name, each in networks.items() if name != target]
        if not others:
            continue
        rows = np.concatenate([each.rows for each in others])
        predicted = np.hstack([each.predictions for each in others])
        own, of_others = (
            evaluation.known_speakers(corpus.clips.iloc[r]) for r in (found.rows, rows)
        )
        spreads = [spread(each, of_others) for each in predicted]
        if own is not None and all(spreads):
            truth = corpus.clips["valence"].to_numpy()[found.rows]
            table = scores_of_relative(truth, found.predictions, own, spreads)
            tables[target] = table[["mae", "ccc", "mae gain", "ccc gain"]]
    return pd.concat(tables, names=["tested on"]) if tables else pd.DataFrame()


def relative_in_words(table: pd.DataFrame, tested: Sequence[str]) -> str:
    """What several recordings of a person bring, as Markdown.

    Args:
        table: see `relative_table`
        tested: corpora that were tested on; those without a row are named
    """
    known = table.index.unique("tested on") if len(table) else []
    unknown = [name for name in tested if name not in known]
    lines = ["## Several recordings of a person", ""]
    lines.append(
        "`--relative` subtracts what is usual for the person. Here it predicts ratings minus the "
        "speaker's mean rating, on corpora that the training did not have. From the valence is "
        "subtracted: the centre of all speakers; the plain mean of the person's recordings; that "
        "mean, shrunk towards the centre (what `--relative` does). The gains are of the shrunk "
        "mean over the centre. The recordings are drawn at random from all that an actor made, in "
        "all emotions; those of one mood say less. Intervals draw the speakers that are named "
        "above. With one recording, subtracting the plain mean always leaves 0."
    )
    if unknown:
        lines[-1] += (
            f" There is no row for {', '.join(unknown)}, where a speaker is not known or no other "
            "corpus says how speakers differ."
        )
    if not len(known):
        return "\n".join(lines) + "\n"
    lines += ["", "| tested on | recordings | CCC: centre | plain | shrunk | gain | MAE gain |"]
    lines.append("|---" * 7 + "|")
    for (target, count), rows in table.groupby(level=["tested on", "recordings"], sort=False):
        shrunk = rows.xs("shrunk", level="way").iloc[0]
        scores = [row["ccc"] for _, row in rows.iterrows()]
        cells = map(score_cell, [*scores, shrunk["ccc gain"], shrunk["mae gain"]])
        lines.append(f"| {' | '.join([target, str(count), *cells])} |")
    return "\n".join(lines) + "\n"
