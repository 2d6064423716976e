"""Who is trained on, who chooses the settings, who is tested on.

A split by clip (the report's) lets the same speaker sit on both sides, and a network that knows
the speaker is flattered by it; a split by speaker asks about voices never heard; the one that a
corpus's authors made can be compared with what others found on it.

scikit-learn is imported where it is used, since that takes longer than most of what is done here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd


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


def official_split(clips: pd.DataFrame, *, seed: int, validation: float = 0.2) -> Split:
    """Split as the corpus's authors did; clips that they put into no part are left out.

    Args:
        clips: `corpora.Corpus.clips`, whose column ``split`` says train, validation or test
        seed: of the shuffle, where the authors made no validation part
        validation: share of their training part that then becomes one, by speaker if all its
            speakers are known, else by clip

    Raises:
        ValueError: if the corpus has no official split, or one without training or test part
    """
    if "split" not in clips:
        raise ValueError("The corpus has no official split: split it by speaker or by clip.")
    train, valid, test = (np.flatnonzero(clips["split"] == part) for part in Split._fields)
    if not (len(train) and len(test)):
        raise ValueError(
            f"The official split has {len(train)} clips for training and {len(test)} for testing "
            "and needs both: split by speaker or by clip."
        )
    if not len(valid):
        groups = clips["speaker"].to_numpy()
        by_speaker = clips["speaker"].iloc[train].notna().all() and len(set(groups[train])) > 1
        train, valid = _two_parts(
            train, groups if by_speaker else None, share=validation, seed=seed
        )
    return Split(train, valid, test)


def available(clips: pd.DataFrame, *, seed: int) -> dict[str, Split]:
    """Every split that a corpus allows.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffles

    Returns:
        ``"official"`` if its authors made one, ``"speaker"`` if its speakers are known and enough
        for three parts, and ``"clip"``, in this order

    Raises:
        ValueError: if there are too few clips for three parts

    Examples:
        >>> from helpers import corpora
        >>> list(available(corpora.load().clips, seed=0))
        ['speaker', 'clip']
    """
    splits = {}
    for name, split in (("official", official_split), ("speaker", speaker_split)):
        with contextlib.suppress(ValueError):
            splits[name] = split(clips, seed=seed)
    return {**splits, "clip": random_split(clips, seed=seed)}


def main_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """The first of `available`, on which conclusions rest.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle

    Raises:
        ValueError: if there are too few clips for three parts
    """
    return next(iter(available(clips, seed=seed).values()))


def summary(clips: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Clips and speakers in each part of a split.

    Args:
        clips: `corpora.Corpus.clips`
        split: see `random_split` and `speaker_split`

    Returns:
        a row a part: number of ``clips`` and ``speakers``, and how many of those speakers were
        ``heard in training``; ``"unknown"`` where a clip's speaker is

    See: notebooks/03_model.ipynb
    """
    parts = {name: clips["speaker"].iloc[rows] for name, rows in _named(split)}
    known = {name: speakers.notna().all() for name, speakers in parts.items()}

    def heard(name: str) -> int | str:
        both = known[name] and known["train"]
        return len(set(parts[name]) & set(parts["train"])) if both else "unknown"

    return pd.DataFrame(
        {
            "clips": {name: len(speakers) for name, speakers in parts.items()},
            "speakers": {
                name: speakers.nunique() if known[name] else "unknown"
                for name, speakers in parts.items()
            },
            "heard in training": {name: heard(name) for name in parts},
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
        k splits; of what is not tested on, a fifth (of the speakers or clips), drawn for each split
        anew, is for validation

    Raises:
        ValueError: if speakers are unknown or fewer than k
    """
    from sklearn.model_selection import GroupKFold, KFold

    groups = _speakers(clips) if by == "speaker" else None
    kind = KFold if groups is None else GroupKFold
    chance = np.random.RandomState(seed)  # else the same few would validate nearly every fold
    splits = []
    for rest, test in kind(k, shuffle=True, random_state=seed).split(clips, groups=groups):
        train, validation = _two_parts(rest, groups, share=0.2, seed=chance)
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
    rows: np.ndarray, groups: np.ndarray | None, *, share: float, seed: int | np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    if len(set(rows if groups is None else groups[rows])) < 2:
        what = "clips" if groups is None else "speakers"
        raise ValueError(f"There are too few {what} for three parts: three are the least.")
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

    kind = ShuffleSplit if groups is None else GroupShuffleSplit
    splitter = kind(n_splits=1, test_size=share, random_state=seed)
    among = None if groups is None else groups[rows]
    first, second = next(splitter.split(rows, groups=among))
    return np.sort(rows[first]), np.sort(rows[second])
