"""Tables of what models know of voices and corpora that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from helpers import evaluation
from helpers.comparison.fits import FoldPredictions
from helpers.comparison.transfer import Transfer, shifted
from helpers.corpora import Corpus

#: What was predicted, see `transfer.fit_transfers`.
Fits = Mapping[Transfer, Mapping[str, FoldPredictions]]

#: Between the names of corpora that are trained on together.
SEVERAL = " + "

#: Parts of the rating scale for which a mean error is given.
PARTS = 3


class TransferTables(NamedTuple):
    """What a comparison across corpora found.

    Attributes:
        scores: see `transfer_table`
        gains: see `gain_table`
        bias: see `bias_table`
    """

    scores: pd.DataFrame
    gains: pd.DataFrame
    bias: pd.DataFrame

    @classmethod
    def of(cls, corpus: Corpus, fits: Fits, *, seed: int = 0) -> TransferTables:
        """All three tables.

        Args:
            corpus: several as one, see `corpora.together`
            fits: see `transfer.fit_transfers`
            seed: of the bootstrap

        See: notebooks/08_other_voices.ipynb
        """
        tables = transfer_table, gain_table, bias_table
        return cls(*(table(corpus, fits, seed=seed) for table in tables))

    @classmethod
    def from_records(cls, content: Mapping[str, Any]) -> TransferTables:
        """The tables of a results file.

        Args:
            content: with `records` of each table, see `as_records`

        See: notebooks/08_other_voices.ipynb
        """
        return cls(*(from_records(content[name]) for name in cls._fields))

    def as_records(self) -> dict[str, list[dict[str, Any]]]:
        """The `records` of each table, for a results file."""
        return {name: records(table) for name, table in self._asdict().items()}


def transfer_table(corpus: Corpus, fits: Fits, *, seed: int = 0) -> pd.DataFrame:
    """Scores of every transfer, with 95 % intervals.

    Args:
        corpus: several as one, see `corpora.together`
        fits: see `transfer.fit_transfers`
        seed: of the bootstrap, over the target's speakers if all are known, else over its clips; a
            target of one speaker has no intervals

    Returns:
        a row a transfer and model, indexed by ``trained on``, ``tested on`` and ``model``; columns
        are pairs of a score (``mae``, ``ccc``, ``pearson``; ``shifted mae`` and ``shifted ccc``,
        see `transfer.shifted`; ``mae gain`` over the median predictor, or the first model if that
        is not among them, paired) and ``value``, ``low`` or ``high``

    See: notebooks/08_other_voices.ipynb
    """
    tables = {}
    for each, found in fits.items():
        reference = "median" if "median" in found else None
        table, moved = (
            _compared(corpus, kind, reference=reference, seed=seed)
            for kind in (found, shifted(corpus, found))
        )
        table = table[["mae", "ccc", "pearson", "mae gain"]]
        moved = moved[["mae", "ccc"]].rename(columns=lambda name: f"shifted {name}", level=0)
        tables[SEVERAL.join(each.trained_on), each.tested_on] = table.join(moved)
    return pd.concat(tables, names=["trained on", "tested on", "model"])


def _compared(
    corpus: Corpus,
    found: Mapping[str, FoldPredictions],
    *,
    reference: str | None = None,
    seed: int,
) -> pd.DataFrame:
    """`evaluation.compare` of predictions for the same clips, in the same order."""
    rows = next(iter(found.values())).rows
    assert all(np.array_equal(each.rows, rows) for each in found.values())
    return evaluation.compare(
        corpus.clips["valence"].to_numpy()[rows],
        {name: each.predictions for name, each in found.items()},
        groups=_drawn(corpus.clips.iloc[rows]),
        reference=reference,
        seed=seed,
    )


def gain_table(corpus: Corpus, fits: Fits, *, seed: int = 0) -> pd.DataFrame:
    """What training on further corpora brings on a corpus that is not trained on.

    Args:
        corpus: several as one, see `corpora.together`
        fits: see `transfer.fit_transfers`
        seed: of the bootstrap, which is paired, see `evaluation.compare`

    Returns:
        a row a model, target and corpus that training on several was compared with, indexed by
        ``model``, ``tested on``, ``trained on`` and ``added``; columns are pairs of ``mae``,
        ``ccc`` (with what was added), ``mae gain`` or ``ccc gain`` (above 0: it helped) and
        ``value``, ``low`` or ``high``. No rows where nothing was trained on several
    """
    rows = {}
    for each, found in fits.items():
        if each.tested_on in each.trained_on:
            continue
        for name in each.trained_on if len(each.trained_on) > 1 else ():
            added = SEVERAL.join(other for other in each.trained_on if other != name)
            alone = fits[Transfer((name,), each.tested_on)]
            for model in found:
                both = {"alone": alone[model], "with": found[model]}
                table = _compared(corpus, both, reference="alone", seed=seed)
                rows[model, each.tested_on, name, added] = table.loc["with"]
    names = ["model", "tested on", "trained on", "added"]
    if not rows:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[]] * 4, names=names))
    table = pd.DataFrame(rows).T.rename_axis(index=names)
    return table[["mae", "ccc", "mae gain", "ccc gain"]].sort_index(
        level=[0, 1], sort_remaining=False
    )


def bias_table(corpus: Corpus, fits: Fits, *, seed: int = 0) -> pd.DataFrame:
    """Who is over- and underrated: mean errors of groups of clips, with 95 % intervals.

    Groups are all clips of the target, those of each third of the rating scale (a rating on the
    border counts to the lower third), and those of each gender where the labels have it.

    Args:
        corpus: several as one, see `corpora.together`
        fits: see `transfer.fit_transfers`. Of each target, the folds within it and the training on
            most corpora are looked at
        seed: of the bootstrap, over the speakers of the group if all are known, else over its clips

    Returns:
        a row a group, indexed by ``trained on``, ``tested on``, ``model`` and ``group``; columns
        are pairs: ``mean error`` (of prediction minus rating, over all trainings) with ``value``,
        ``low`` and ``high``; ``size`` with ``clips`` and ``speakers``. A group of one speaker has
        no interval

    See: notebooks/08_other_voices.ipynb
    """
    most: dict[tuple[str, bool], Transfer] = {}
    for each in fits:
        kind = each.tested_on, each.tested_on in each.trained_on
        most[kind] = max(most.get(kind, each), each, key=lambda transfer: len(transfer.trained_on))
    rows = {}
    for each in most.values():
        for model, found in fits[each].items():
            clips = corpus.clips.iloc[found.rows]
            error = found.predictions.mean(axis=0) - clips["valence"].to_numpy()
            for group, belongs in _groups(clips, corpus.scale).items():
                key = SEVERAL.join(each.trained_on), each.tested_on, model, group
                rows[key] = _mean_error(clips[belongs], error[belongs], seed)
    return pd.DataFrame(rows).T.rename_axis(index=["trained on", "tested on", "model", "group"])


def _groups(clips: pd.DataFrame, scale: tuple[float, float]) -> dict[str, np.ndarray]:
    """Which clips belong to each group, bool [clips]; none is empty."""
    edges = np.linspace(*scale, PARTS + 1)
    part = evaluation.part_of(clips["valence"], edges)
    groups = {"all": np.full(len(clips), True)}
    for i in np.unique(part):
        groups[f"valence {edges[i]:.3g} to {edges[i + 1]:.3g}"] = part == i
    gender = clips.get("gender", pd.Series(dtype=object))
    for name in sorted(gender.dropna().unique()):
        groups[str(name)] = (gender == name).to_numpy()
    return groups


def _drawn(clips: pd.DataFrame) -> np.ndarray | None:
    """What intervals draw: speakers, or clips if one is unknown; one speaker has no interval."""
    speakers = clips["speaker"]
    return speakers.to_numpy(dtype=object) if speakers.notna().all() else None


def _mean_error(clips: pd.DataFrame, error: np.ndarray, seed: int) -> dict[tuple[str, str], float]:
    resampled = evaluation.resamples(len(clips), _drawn(clips), seed=seed)
    found = resampled.estimate(resampled.mean(error))
    return {
        **{("mean error", end): x for end, x in found.items()},
        ("size", "clips"): len(clips),
        ("size", "speakers"): clips["speaker"].nunique(),
    }


def own_and_others(table: pd.DataFrame) -> pd.DataFrame:
    """Trainings on a corpus itself beside those on most other corpora, for people to read.

    Args:
        table: `transfer_table` or `bias_table`

    Returns:
        text, each first score of the table with its interval: a row a target (and group), a pair of
        columns (``own folds`` or ``other voices``, and the model)

    See: notebooks/08_other_voices.ipynb
    """
    cells = evaluation.readable(table).iloc[:, 0].rename_axis(index={"trained on": "training"})
    keys = cells.index.to_frame(index=False)
    own = keys["training"] == keys["tested on"]
    several = keys["training"].str.split(SEVERAL, regex=False).str.len()
    most = several.groupby([keys["tested on"], own]).transform("max")
    keys["training"] = np.where(own, "own folds", "other voices")
    cells.index = pd.MultiIndex.from_frame(keys)
    cells = cells[(several == most).to_numpy()]
    columns = pd.MultiIndex.from_product([["own folds", "other voices"], keys["model"].unique()])
    return cells.unstack(["training", "model"], sort=False)[columns]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table with pairs as columns for a results file, a record a row.

    Args:
        table: such as `transfer_table`; its index has names

    Returns:
        what the row is of, by the names of the index, and each first part of a column with its
        numbers, None where there is none

    See: notebooks/06_improvements.ipynb
    """
    tables = evaluation.as_dict(table, metrics=table.columns.get_level_values(0).unique())
    return [
        {**dict(zip(table.index.names, index, strict=True)), **numbers}
        for index, numbers in tables.items()
    ]


def from_records(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table that `records` were made of.

    Args:
        rows: see `records`

    Examples:
        >>> rows = [{"model": "median", "tested on": "a", "ccc": {"value": 0.0, "low": None}}]
        >>> from_records(rows).loc[("median", "a"), "ccc"].tolist()
        [0.0, nan]

    See: notebooks/08_other_voices.ipynb
    """
    if not rows:
        return pd.DataFrame()
    names = [name for name, content in rows[0].items() if not isinstance(content, Mapping)]
    scores = [name for name in rows[0] if name not in names]
    columns = [(score, part) for score in scores for part in rows[0][score]]
    return pd.DataFrame(
        [[row[score][part] for score, part in columns] for row in rows],
        index=pd.MultiIndex.from_tuples(
            [[row[name] for name in names] for row in rows], names=names
        ),
        columns=pd.MultiIndex.from_tuples(columns),
        dtype=float,
    )
