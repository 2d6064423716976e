"""Who is trained on, who chooses the settings, who is tested on.

A split by clip (the report's) lets the same speaker sit on both sides, and a network that knows
the speaker is flattered by it; a split by speaker asks about voices never heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, ShuffleSplit


class Split(NamedTuple):
    """Row numbers of the clips of each part, sorted; no row is in two parts.

    Attributes:
        train: the network's weights are fitted to these
        validation: settings are chosen on these
        test: the result is reported on these, once
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def random_split(
    clips: pd.DataFrame, *, seed: int, test: float = 0.2, validation: float = 0.2
) -> Split:
    """Split by clip: hold out a test set, then split the rest, 80-20 by default (the report's).

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle
        test: share of the clips that is held out
        validation: share of the remaining clips

    Raises:
        ValueError: if there are too few clips for three parts

    See: notebooks/03_model.ipynb
    """
    return _three_parts(clips, None, seed=seed, test=test, validation=validation)


def speaker_split(
    clips: pd.DataFrame, *, seed: int, test: float = 0.2, validation: float = 0.2
) -> Split:
    """Split by speaker: no speaker has clips in two parts.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle
        test: share of the speakers that is held out
        validation: share of the remaining speakers

    Raises:
        ValueError: if speakers are unknown, or too few for three parts

    See: notebooks/03_model.ipynb
    """
    return _three_parts(clips, _speakers(clips), seed=seed, test=test, validation=validation)


def strictest_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """Split by speaker where all speakers are known, else by clip.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle

    Raises:
        ValueError: if there are too few speakers or clips for three parts
    """
    split = speaker_split if clips["speaker"].notna().all() else random_split
    return split(clips, seed=seed)


def summary(clips: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Clips and speakers in each part of a split.

    Args:
        clips: `corpora.Corpus.clips`
        split: see `random_split` and `speaker_split`

    Returns:
        a row a part: number of ``clips`` and ``speakers``, and how many of those speakers were
        ``heard in training``

    See: notebooks/03_model.ipynb
    """
    speakers = {name: set(clips["speaker"].iloc[rows].dropna()) for name, rows in _named(split)}
    return pd.DataFrame(
        {
            "clips": {name: len(rows) for name, rows in _named(split)},
            "speakers": {name: len(each) for name, each in speakers.items()},
            "heard in training": {
                name: len(each & speakers["train"]) for name, each in speakers.items()
            },
        }
    )


def _named(split: Split) -> Iterable[tuple[str, np.ndarray]]:
    return split._asdict().items()


def folds(
    clips: pd.DataFrame, k: int, *, by: Literal["speaker", "clip"] = "speaker", seed: int
) -> list[Split]:
    """Cross-validation: each clip is in the test part of exactly one split.

    Args:
        clips: `corpora.Corpus.clips`
        k: number of folds
        by: what is kept together
        seed: of the shuffle

    Returns:
        k splits; of what is not tested on, a fifth (of the speakers or clips) is for validation

    Raises:
        ValueError: if speakers are unknown or fewer than k
    """
    groups = _speakers(clips) if by == "speaker" else None
    kind = KFold if groups is None else GroupKFold
    splits = []
    for rest, test in kind(k, shuffle=True, random_state=seed).split(clips, groups=groups):
        train, validation = _two_parts(rest, groups, share=0.2, seed=seed)
        splits.append(Split(train, validation, test))
    return splits


def _speakers(clips: pd.DataFrame) -> np.ndarray:
    if clips["speaker"].isna().any():
        raise ValueError(
            f"{clips['speaker'].isna().sum()} of {len(clips)} clips have no speaker, so they "
            "cannot be split by speaker: add a column of speakers to the labels, or split by clip."
        )
    return clips["speaker"].to_numpy()


def _three_parts(
    clips: pd.DataFrame, groups: np.ndarray | None, *, seed: int, test: float, validation: float
) -> Split:
    rest, held_out = _two_parts(np.arange(len(clips)), groups, share=test, seed=seed)
    train, valid = _two_parts(rest, groups, share=validation, seed=seed)
    return Split(train, valid, held_out)


def _two_parts(
    rows: np.ndarray, groups: np.ndarray | None, *, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    kind = ShuffleSplit if groups is None else GroupShuffleSplit
    splitter = kind(n_splits=1, test_size=share, random_state=seed)
    among = None if groups is None else groups[rows]
    first, second = next(splitter.split(rows, groups=among))
    return np.sort(rows[first]), np.sort(rows[second])
