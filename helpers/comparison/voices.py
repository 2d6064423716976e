"""Groups of voices in one corpus: its several corpora, or its lower and its higher voices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers import features, models
from helpers.comparison.contenders import ComparisonError
from helpers.corpora import Corpus

#: Speakers that two halves need, each of which is cut into folds by speaker.
LEAST = 4

#: What the two halves are called.
HALVES = ("low voices", "high voices")


def groups_of_voices(corpus: Corpus) -> Corpus:
    """A corpus whose voices are in several groups, for `transfer.fit_transfers`.

    Args:
        corpus: see `corpora.load`

    Returns:
        the corpus as it is if it consists of several, see `corpora.together`; else with a column
        ``corpus`` that says for each clip which of `HALVES` its speaker is in, by `median_pitch`.
        Of an odd number of speakers, the one in the middle is in the higher half

    Raises:
        ComparisonError: if the voices of a group are unknown or too few

    See: notebooks/08_other_voices.ipynb
    """
    clips = corpus.clips
    unknown = clips["speaker"].isna().sum()
    if unknown:
        raise ComparisonError(
            f"{unknown} of {len(clips)} clips of {corpus.name} have no speaker, so its voices make "
            "no groups: add a column of speakers to the labels."
        )
    if "corpus" in clips and clips["corpus"].notna().all() and clips["corpus"].nunique() > 1:
        counts = clips.groupby("corpus")["speaker"].nunique()
        if counts.min() < 2:
            raise ComparisonError(
                f"{counts.idxmin()} has a single speaker, so there are no folds within it: name a "
                "corpus of at least two."
            )
        return corpus
    pitch = median_pitch(corpus)
    if len(pitch) < LEAST:
        raise ComparisonError(
            f"Two halves of the voices of {corpus.name} need at least {LEAST} speakers, and there "
            f"are {len(pitch)}: name a corpus of more, or several with commas between them."
        )
    if pitch.isna().any():
        raise ComparisonError(
            f"No voice is found in the clips of speaker {pitch.index[-1]} of {corpus.name}, so the "
            "voices have no halves by pitch: leave this speaker out."
        )
    lower = pitch.index[: len(pitch) // 2]
    group = np.where(clips["speaker"].isin(lower), *HALVES)
    return replace(corpus, clips=clips.assign(corpus=group))


def median_pitch(corpus: Corpus) -> pd.Series:
    """The median pitch of each speaker, over all voiced frames of their clips.

    Args:
        corpus: see `corpora.load`

    Returns:
        Hz by speaker, the lowest first; missing, and last, where no frame is voiced

    See: notebooks/08_other_voices.ipynb
    """
    mel = models.RECOMMENDED_MEL
    duration = features.input_duration(corpus)
    matrix = features.extract(corpus, mel, duration=duration)
    speakers = corpus.clips["speaker"]
    found = {
        speaker: pd.Series(features.voiced_pitch(matrix[rows], mel).ravel()).median()
        for speaker, rows in speakers.groupby(speakers).indices.items()
    }
    return pd.Series(found, name="pitch").rename_axis("speaker").sort_values(kind="stable")


def voice_table(corpus: Corpus) -> pd.DataFrame:
    """The voices of several groups.

    Args:
        corpus: see `groups_of_voices`

    Returns:
        a row a speaker, the lowest voice first: ``corpus``, the group; ``pitch``, see
        `median_pitch`; number of ``clips`` and their mean ``valence``

    See: notebooks/08_other_voices.ipynb
    """
    pitch = median_pitch(corpus)
    of = corpus.clips.groupby("speaker")
    columns = of.agg(
        corpus=("corpus", "first"), clips=("file", "size"), valence=("valence", "mean")
    )
    return columns.join(pitch).loc[pitch.index, ["corpus", "pitch", "clips", "valence"]]
