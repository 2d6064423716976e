"""What networks know of corpora that they were not trained on.

From a terminal, ``python -m helpers.comparison A B --on C`` trains on all of A and B and tests on
all of C. `transfer_tables` makes tables of what is found here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from helpers import splits
from helpers.comparison.contenders import ComparisonError, Contender
from helpers.comparison.fits import FoldPredictions, fit_all
from helpers.corpora import Corpus
from helpers.splits import Split

#: What is compared on other voices: the network made for them, the SVR of the same clips at 8 kHz,
#: and the constant that both have to beat.
COMPARED = ("three_views", "egemaps_8k_svr", "median")


class Transfer(NamedTuple):
    """Which corpora are trained on, and which one is tested on.

    Attributes:
        trained_on: names of corpora; that of `tested_on` alone for folds within it
        tested_on: name of a corpus
    """

    trained_on: tuple[str, ...]
    tested_on: str


def onto(corpus: Corpus, target: str) -> Split:
    """Train on all corpora but one, and test on that one.

    Args:
        corpus: several as one, see `corpora.together`
        target: name of the corpus that is tested on

    Raises:
        ComparisonError: if there is no such corpus, or no other one

    See: notebooks/08_other_voices.ipynb
    """
    names = _names(corpus)
    if target not in names or len(names) < 2:
        raise ComparisonError(
            f"{corpus.name} cannot be tested on {target!r}: name at least one other corpus."
        )
    return _split(corpus, Transfer(tuple(name for name in names if name != target), target))


def transfers(corpus: Corpus) -> list[Transfer]:
    """Each corpus as a target of itself, of each other one, and of all others together.

    Args:
        corpus: several as one, see `corpora.together`

    See: notebooks/08_other_voices.ipynb
    """
    names, found = _names(corpus), []
    for target in names:
        others = [name for name in names if name != target]
        found += [Transfer((name,), target) for name in names]
        found += [Transfer(tuple(others), target)] if len(others) > 1 else []
    return found


def fit_transfers(
    corpus: Corpus,
    compared: Mapping[str, Contender],
    wanted: Sequence[Transfer],
    *,
    folds: int = 6,
    seeds: int = 1,
    jobs: int = -1,
) -> dict[Transfer, dict[str, FoldPredictions]]:
    """What contenders predict for corpora that they were not trained on.

    Args:
        corpus: several as one, see `corpora.together`
        compared: contenders by the name that tables show
        wanted: such as `transfers`
        folds: by speaker where a corpus is both trained and tested on, at most
        seeds: see `fit_all`
        jobs: see `fit_all`

    Returns:
        by `Transfer`, what each contender predicted for all clips of the target

    Raises:
        splits.SplitError: if a corpus cannot be split into folds by speaker

    See: notebooks/08_other_voices.ipynb
    """
    parts = {each: _parts(corpus, each, folds) for each in wanted}
    every = list(itertools.chain(*parts.values()))
    fits = fit_all(corpus, compared, parts=every, seeds=seeds, jobs=jobs)
    ends = np.cumsum([0, *(sum(len(split.test) for split in each) for each in parts.values())])
    return {
        each: {name: _between(found, start, end) for name, found in fits.items()}
        for each, (start, end) in zip(parts, itertools.pairwise(ends), strict=True)
    }


def _between(found: FoldPredictions, start: int, end: int) -> FoldPredictions:
    """Some of the clips, by their place in the predictions; the costs are those of all fits."""
    quantiles = None if found.quantiles is None else found.quantiles[:, start:end]
    clips = slice(start, end)
    return found._replace(
        rows=found.rows[clips], predictions=found.predictions[:, clips], quantiles=quantiles
    )


def shifted(corpus: Corpus, fits: Mapping[str, FoldPredictions]) -> dict[str, FoldPredictions]:
    """Predictions moved so that their mean is that of the ratings.

    People use a scale in different ways. This shows how well a model orders clips and how far apart
    it puts them, whatever its mean.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds

    See: notebooks/08_other_voices.ipynb
    """
    moved = {}
    for name, found in fits.items():
        truth = corpus.clips["valence"].to_numpy()[found.rows]
        offset = truth.mean() - found.predictions.mean(axis=1, keepdims=True)
        moved[name] = found._replace(predictions=found.predictions + offset)
    return moved


def _names(corpus: Corpus) -> list[str]:
    return list(corpus.clips["corpus"].unique()) if "corpus" in corpus.clips else [corpus.name]


def _split(corpus: Corpus, transfer: Transfer) -> Split:
    of = corpus.clips["corpus"]
    train, test = of.isin(transfer.trained_on), of == transfer.tested_on
    return Split(np.flatnonzero(train), np.array([], dtype=int), np.flatnonzero(test))


def _parts(corpus: Corpus, transfer: Transfer, folds: int) -> list[Split]:
    """One split, or folds by speaker within a corpus, in row numbers of all corpora."""
    if transfer.tested_on not in transfer.trained_on:
        return [_split(corpus, transfer)]
    rows = np.flatnonzero(corpus.clips["corpus"] == transfer.tested_on)
    return splits.folds_within(corpus.clips, rows, folds, by="speaker", seed=0)
