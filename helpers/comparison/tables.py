"""Scores of compared models, and the command that compares them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import corpora, evaluation
from helpers.comparison.contenders import NAMES, named
from helpers.comparison.fits import Fits, fit_all
from helpers.corpora import Corpus
from helpers.storage import write_file


def averaged(fits: Fits) -> Fits:
    """The mean of what several seeds predicted, as one model that costs as much as all of them.

    Args:
        fits: see `fit_all`

    See: notebooks/06_improvements.ipynb
    """
    mean = fits.predictions.mean(axis=0, keepdims=True)
    return Fits(fits.rows, mean, fits.costs * len(fits.predictions))


def table(
    corpus: Corpus, fits: Mapping[str, Fits], *, reference: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Scores of compared models with intervals, and their costs.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds
        reference: name of the model that gains are over; the first if None
        seed: of the bootstrap, over speakers if all are known, else over clips

    Returns:
        `evaluation.table`, and the mean costs of a fit (see `Fits`) in columns ``cost``

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    speakers = corpus.clips["speaker"].iloc[rows]
    scores = evaluation.table(
        corpus.clips["valence"].to_numpy()[rows],
        {name: found.predictions for name, found in fits.items()},
        groups=speakers.to_numpy() if speakers.notna().all() and speakers.nunique() > 1 else None,
        reference=reference,
        seed=seed,
    )
    costs = pd.DataFrame({name: found.costs.mean() for name, found in fits.items()}).T
    costs.columns = pd.MultiIndex.from_product([["cost"], costs.columns])
    return scores.join(costs)


def as_dict(scores: pd.DataFrame) -> dict[str, Any]:
    """A table of `table` for a results file: model, then score, then value, low and high.

    Args:
        scores: see `table`

    Returns:
        numbers, with None where a score is not defined
    """
    found: dict[str, Any] = {}
    for model, row in scores.iterrows():
        for (score, part), value in row.items():
            place = found.setdefault(model, {}).setdefault(score, {})
            place[part] = None if pd.isna(value) else float(value)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Compare models on the same folds; 0, or 2 with one sentence if it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m helpers.comparison", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    parser.add_argument(
        "--models",
        default="recommended,egemaps_svr,median",
        help=f"of {', '.join(NAMES)}, separated by commas (%(default)s)",
    )
    parser.add_argument(
        "--by", choices=("speaker", "clip"), default="speaker", help="what folds keep together"
    )
    parser.add_argument("--folds", type=int, default=6, help="number of folds (%(default)s)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="trainings of each network in each fold (%(default)s)"
    )
    parser.add_argument(
        "--normalise", action="store_true", help="normalise the features by speaker, without labels"
    )
    parser.add_argument("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the table with all digits")
    options = parser.parse_args(arguments)
    names = options.models.split(",")
    models = {n: named(n, by_speaker=options.normalise) for n in names}
    corpus = corpora.load(options.path)
    sizes = {"folds": options.folds, "seeds": options.seeds, "jobs": options.jobs}
    fits = fit_all(corpus, models, by=options.by, **sizes)
    reference = "egemaps_svr" if "egemaps_svr" in models else names[0]
    scores = table(corpus, fits, reference=reference)
    if options.csv:
        flat = scores.set_axis([" ".join(pair) for pair in scores.columns], axis=1)
        write_file(options.csv, flat.to_csv())
    print(
        f"{corpus.name}: {options.folds} folds by {options.by}, networks trained {options.seeds} "
        f"times in each; gains are over {reference}, intervals 95 %\n"
    )
    print(evaluation.readable(scores).to_string())
    print()
    print(scores["cost"].round(2).to_string())
    return 0
