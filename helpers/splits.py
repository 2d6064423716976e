"""Which clips are trained on, which choose the settings, and which are tested on.

A split by clip (the original study's) puts the same speakers into training and test, so that the
test says nothing about new voices. A split by speaker does. Folds by sentence say how well a model
does on words that it was not trained on, of voices that it knows. Folds by corpus test on
recordings that have nothing in common with the training. The split that a corpus's authors made
makes results comparable with those that others published.
"""

from __future__ import annotations

import contextlib
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from helpers.cli import UserError

#: What is kept together in one part.
Unit = Literal["speaker", "clip", "sentence", "corpus"]
UNITS: tuple[Unit, ...] = get_args(Unit)

#: Share of the clips, or of the speakers, in the test part; and of the rest in the validation part.
HELD_OUT = 0.2


class SplitError(UserError):
    """A corpus that cannot be split as asked; the message says how it can be."""


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


def random_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """Split by clip, as the original study did: hold out a fifth, then split the rest 80-20.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle

    Raises:
        SplitError: if there are too few clips for three parts

    See: notebooks/04_tuning.ipynb
    """
    return _three_parts(clips, "clip", seed=seed)


def speaker_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """Split by speaker: no speaker has clips in two parts, which get the same shares of speakers.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle

    Raises:
        SplitError: if speakers are unknown, or too few for three parts

    See: notebooks/03_model.ipynb
    """
    return _three_parts(clips, "speaker", seed=seed)


def official_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """Split as the corpus's authors did; clips that they put into no part are left out.

    Args:
        clips: `corpora.Corpus.clips`, whose column ``split`` says train, validation or test
        seed: of the shuffle, where the authors made no validation part: a fifth of their training
            part then becomes one, by speaker if all its speakers are known, else by clip

    Raises:
        SplitError: if the corpus has no official split, or one without training or test part
    """
    if "split" not in clips:
        raise SplitError("The corpus has no official split: split it by speaker or by clip.")
    train, valid, test = (np.flatnonzero(clips["split"] == part) for part in Split._fields)
    if not (len(train) and len(test)):
        raise SplitError(
            f"The official split has {len(train)} clips for training and {len(test)} for testing "
            "and needs both: split by speaker or by clip."
        )
    if not len(valid):
        speakers = clips["speaker"].iloc[train]
        several = speakers.notna().all() and speakers.nunique() > 1
        train, valid = _two_parts(clips, train, "speaker" if several else "clip", seed=seed)
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
        SplitError: if there are too few clips for three parts

    Examples:
        >>> from helpers import corpora
        >>> list(available(corpora.load().clips, seed=0))
        ['speaker', 'clip']

    See: notebooks/03_model.ipynb
    """
    splits = {}
    for name, split in (("official", official_split), ("speaker", speaker_split)):
        with contextlib.suppress(SplitError):
            splits[name] = split(clips, seed=seed)
    return {**splits, "clip": random_split(clips, seed=seed)}


def main_split(clips: pd.DataFrame, *, seed: int) -> Split:
    """The first of `available`, on which conclusions rest.

    Args:
        clips: `corpora.Corpus.clips`
        seed: of the shuffle

    Raises:
        SplitError: if there are too few clips for three parts

    See: notebooks/07_your_speech.ipynb
    """
    return next(iter(available(clips, seed=seed).values()))


def summary(clips: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Clips and speakers in each part of a split.

    Args:
        clips: `corpora.Corpus.clips`
        split: see `random_split` and `speaker_split`

    Returns:
        a row a part: number of ``clips`` and ``speakers``, and how many of those speakers were
        ``also in training``; ``"unknown"`` where a clip's speaker is

    See: notebooks/03_model.ipynb
    """
    trained_on = clips["speaker"].iloc[split.train]
    lines = {}
    for part, rows in split._asdict().items():
        speakers = clips["speaker"].iloc[rows]
        known = speakers.notna().all()
        comparable = known and trained_on.notna().all()
        lines[part] = {
            "clips": len(speakers),
            "speakers": speakers.nunique() if known else "unknown",
            "also in training": len(set(speakers) & set(trained_on)) if comparable else "unknown",
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def folds(clips: pd.DataFrame, k: int, *, by: Unit = "speaker", seed: int) -> list[Split]:
    """Cross-validation: each clip is in the test part of exactly one split.

    Args:
        clips: `corpora.Corpus.clips`
        k: number of folds
        by: what is kept together
        seed: of the shuffle

    Returns:
        k splits; of what is not tested on, a fifth (of the speakers, or of the clips where only one
        speaker is left), drawn for each split anew, is for validation

    Raises:
        SplitError: if speakers (or sentences) are unknown, or there are fewer than two folds, or
            more than speakers (sentences, clips)

    See: notebooks/06_improvements.ipynb
    """
    groups = _groups(clips, by)
    most = len(set(groups))
    if most < 2:
        raise SplitError(f"Folds by {by} cannot be made of a single {by}: split by clip.")
    if not 2 <= k <= most:
        raise SplitError(f"{k} folds by {by} cannot be made of {most}: choose 2 to {most}.")
    chance = np.random.RandomState(seed)  # else the same few would validate nearly every fold
    splits = []
    for rest, test in GroupKFold(k, shuffle=True, random_state=seed).split(clips, groups=groups):
        left: Unit = by if len(set(groups[rest])) > 1 else "clip"
        train, validation = _two_parts(clips, rest, left, seed=chance)
        splits.append(Split(train, validation, test))
    return splits


def folds_within(
    clips: pd.DataFrame, rows: np.ndarray, k: int, *, by: Unit | None = None, seed: int
) -> list[Split]:
    """The `folds` of some of the clips.

    Args:
        clips: `corpora.Corpus.clips`
        rows: row numbers of the clips that are cut into folds
        k: number of folds, at most, see `possible_folds`
        by: see `possible_folds`
        seed: of the shuffle

    Returns:
        splits, in row numbers of all clips

    Raises:
        SplitError: see `possible_folds` and `folds`
    """
    some = clips.iloc[rows]
    k, by, _ = possible_folds(some, k, by=by)
    return [Split(*(rows[part] for part in each)) for each in folds(some, k, by=by, seed=seed)]


def possible_folds(
    clips: pd.DataFrame, k: int, *, by: Unit | None = None
) -> tuple[int, Unit, list[str]]:
    """The folds nearest to those that were asked for which a corpus allows.

    An official split is not used, since `folds` give every clip a turn.

    Args:
        clips: `corpora.Corpus.clips`
        k: number of folds that is wanted; fewer if there are fewer speakers (or clips)
        by: what is kept together; None is by speaker, or by clip where a speaker is unknown or
            there is only one

    Returns:
        the number of folds and what they keep together, for `folds`, and a sentence for each thing
        that is not as one might expect

    Raises:
        SplitError: if `by` is ``"speaker"`` or ``"sentence"`` and these are unknown

    Examples:
        >>> possible_folds(pd.DataFrame({"speaker": ["a", "a", "b", "b", "c"]}), 6)
        (3, 'speaker', ['There are 3 folds and not 6: the corpus has 3 speakers.'])

    See: notebooks/06_improvements.ipynb
    """
    notes = []
    unknown, several = clips["speaker"].isna().sum(), clips["speaker"].nunique() > 1
    if by is None:
        by = "clip" if unknown or not several else "speaker"
        if by == "clip":
            why = (
                f"{unknown} of {len(clips)} clips have no" if unknown else "all clips have the same"
            )
            notes.append(f"Folds are by clip, so scores are of known voices: {why} speaker.")
    most = len(set(_groups(clips, by)))
    if k > most > 1:
        notes.append(f"There are {most} folds and not {k}: the corpus has {most} {_plural(by)}.")
        k = most
    if "split" in clips and clips["split"].notna().any():
        notes.append("The corpus's official split is not used: folds test every clip once.")
    return k, by, notes


def _three_parts(clips: pd.DataFrame, by: Unit, *, seed: int) -> Split:
    rest, test = _two_parts(clips, np.arange(len(clips)), by, seed=seed)
    train, validation = _two_parts(clips, rest, by, seed=seed)
    return Split(train, validation, test)


def _two_parts(
    clips: pd.DataFrame, rows: np.ndarray, by: Unit, *, seed: int | np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Some rows without the share that is held out, and that share, both sorted."""
    groups = _groups(clips.iloc[rows], by)
    if len(set(groups)) < 2:
        raise SplitError(f"There are too few {_plural(by)} for three parts: three are the least.")
    splitter = GroupShuffleSplit(n_splits=1, test_size=HELD_OUT, random_state=seed)
    first, second = next(splitter.split(rows, groups=groups))
    return rows[first], rows[second]


def _plural(by: Unit) -> str:
    return "corpora" if by == "corpus" else f"{by}s"


def _groups(clips: pd.DataFrame, by: Unit) -> np.ndarray:
    """What each clip must stay together with; a split by clip is one where each is alone."""
    if by == "clip":
        return np.arange(len(clips))
    unknown = clips[by].isna().sum() if by in clips else len(clips)
    if unknown:
        mend = f"add a column of {_plural(by)} to the labels"
        if by == "corpus":  # whose column the project adds
            mend = "name several corpora"
        raise SplitError(
            f"{unknown} of {len(clips)} clips have no {by}, so they cannot be split by {by}: {mend}"
            ", or split by clip."
        )
    return clips[by].to_numpy()
