"""Measure what the network of human voices is worth to whoever has rated only a few clips.

``python -m helpers.comparison.small_corpora CORPUS [--seeds N] [--jobs N]`` trains on 50, 100, 200
and 400 clips of each training part, tests on the whole test parts, and writes
``report/voices/results/small_corpora.json``, which notebook 8 shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers import cli, corpora, evaluation, splits
from helpers.comparison import fine_tuning
from helpers.comparison.contenders import Contender, named
from helpers.comparison.fits import fit_all
from helpers.comparison.tables import score_table
from helpers.comparison.transfer_tables import records
from helpers.corpora import Corpus
from helpers.results import made_by, save_results
from helpers.settings import Settings
from helpers.splits import Split

#: Training clips.
SIZES = (50, 100, 200, 400)

#: What is compared. Gains are over the same network from random weights.
COMPARED = ("fine_tuned", "three_views", "recommended", "egemaps_8k_svr", "median")


def score_by_size(
    corpus: Corpus,
    compared: Mapping[str, Contender],
    sizes: Sequence[int] = SIZES,
    *,
    folds: int = 6,
    seeds: int = 1,
    seed: int = 0,
    jobs: int = -1,
) -> pd.DataFrame:
    """Scores of contenders that are trained on some clips only, in folds by speaker.

    Args:
        corpus: see `corpora.load`
        compared: contenders by the name that the table shows
        sizes: numbers of training clips, drawn from each training part. Where it has fewer, all
        folds: number of folds
        seeds: see `fit_all`
        seed: of the folds and of the clips that are drawn
        jobs: see `fit_all`

    Returns:
        `score_table`, indexed by ``clips`` (those of the smallest training part) and ``model``;
        gains are over ``three_views``

    Raises:
        splits.SplitError: if the corpus has no folds by speaker

    See: notebooks/08_other_voices.ipynb
    """
    parts = splits.folds(corpus.clips, folds, by="speaker", seed=seed)
    tables = {}
    for size in sizes:
        some = [_fewer(split, size, [seed, fold]) for fold, split in enumerate(parts)]
        fits = fit_all(corpus, compared, parts=some, seeds=seeds, seed=seed, jobs=jobs)
        table = score_table(corpus, fits, reference="three_views", seed=seed)
        tables[min(len(split.train) for split in some)] = table.drop(columns="cost", level=0)
    return pd.concat(tables, names=["clips", "model"])


def _fewer(split: Split, size: int, seed: Sequence[int]) -> Split:
    """A split with so many training clips, and no validation part."""
    rows = np.union1d(split.train, split.validation)
    if size < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    return Split(rows, np.array([], dtype=int), split.test)


def main(arguments: list[str] | None = None) -> int:
    """Train on a few clips of a corpus, with and without the network of human voices."""
    name = "python -m helpers.comparison.small_corpora"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    corpora.add_arguments(parser)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a network (3)")
    parser.add_argument("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    options = cli.parsed(parser, arguments)
    corpus = corpora.from_arguments(options)
    for remark in corpora.remarks(corpus):
        print(remark)
    fine_tuning.check(corpus)
    folds, _, notes = splits.possible_folds(corpus.clips, 6, by="speaker")
    print(*notes, sep="\n", end="\n" if notes else "")
    compared = {model: named(model) for model in COMPARED}
    how = {"folds": folds, "seeds": options.seeds, "jobs": options.jobs}
    table = score_by_size(corpus, compared, SIZES, **how)
    content = {
        "corpus": corpus.name,
        "citation": corpus.citation,
        "clips": len(corpus.clips),
        "speakers": corpus.clips["speaker"].nunique(),
        "folds": folds,
        "seeds": options.seeds,
        "scores": records(table),
    }
    path = Settings.from_env().results("voices") / "small_corpora.json"
    save_results(path, content, made_by=made_by(corpus, Settings.from_env()))
    print(f"{evaluation.readable(table[['mae', 'ccc', 'ccc gain']]).to_string()}\n")
    print(f"{evaluation.drawn(evaluation.known_speakers(corpus.clips))}\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
