"""Tables of a comparison, and the command that prints them.

From a terminal, ``python -m helpers.comparison [PATH] [--scale LOW HIGH] [--models NAME,NAME]
[--by speaker|clip|sentence|corpus] [--folds K] [--seeds N] [--normalise] [--jobs N] [--csv OUT]``
compares models and baselines. ``python -m helpers.comparison PATH... --on PATH`` trains on whole
corpora and tests on another.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import corpora, evaluation, splits
from helpers.comparison import fine_tuning, pretrained
from helpers.comparison.contenders import NAMES, Contender, named
from helpers.comparison.fits import FoldPredictions, fit_all
from helpers.comparison.transfer import onto, shifted
from helpers.corpora import Corpus
from helpers.settings import Settings
from helpers.splits import Split
from helpers.storage import make_folder, write_file

#: What the columns of the printed table mean.
LEGEND = {
    "mae": "mean absolute error, in points of the scale",
    "ccc": "concordance correlation coefficient: 1 is perfect, 0 no better than a constant",
    "pearson": "correlation coefficient",
    "bias": "slope of the error over the rating: 0 is none, -1 always the same answer",
    "mae gain": "how much lower the MAE is",
    "ccc gain": "how much higher the CCC is",
    "covered share": "of the way in MAE from the median (0) to one listener (1)",
    "seconds": "of a training",
    "milliseconds": "to predict a clip",
}


def averaged(fits: FoldPredictions) -> FoldPredictions:
    """The mean prediction of several seeds, as one contender that costs as much as all of them.

    Args:
        fits: see `fit_all`

    See: notebooks/06_improvements.ipynb
    """
    mean = fits.predictions.mean(axis=0, keepdims=True)
    return FoldPredictions(fits.rows, mean, fits.costs * len(fits.predictions))


#: What is compared if nothing is named.
USUAL = ("recommended", "fine_tuned", "egemaps_svr", "median")


def score_table(
    corpus: Corpus,
    fits: Mapping[str, FoldPredictions],
    *,
    reference: str | None = None,
    listener: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of contenders with 95 % intervals, and their costs.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds
        reference: name of the contender that gains are over; the first if None
        listener: add the row ``"one_listener"`` (see `evaluation.one_listener`) where a clip has
            several raters; it has no gains and no costs. If ``"median"`` is a contender, the column
            ``covered share`` is added, too (see `evaluation.covered_share`)
        seed: of the bootstrap, over speakers if all are known, else over clips

    Returns:
        `evaluation.compare` without RMSE, and the mean costs of a fit (``seconds``,
        ``parameters``, ``milliseconds`` to predict a clip) in columns ``cost``

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    groups = evaluation.known_speakers(corpus.clips.iloc[rows])
    truth = corpus.clips["valence"].to_numpy()[rows]
    predictions = {name: found.predictions for name, found in fits.items()}
    scores = evaluation.compare(truth, predictions, groups=groups, reference=reference, seed=seed)
    raters = None if corpus.raters is None else corpus.raters.iloc[rows]
    if listener and raters is not None and raters.notna().sum(axis=1).gt(1).any():
        drawn: dict[str, Any] = {"groups": groups, "seed": seed}
        scores.loc["one_listener"] = evaluation.one_listener(raters, **drawn)
        if "median" in fits:
            share = evaluation.covered_share(truth, predictions, raters, **drawn)
            scores = scores.join(pd.concat({"covered share": share}, axis=1))
    costs = pd.DataFrame({name: found.costs.mean() for name, found in fits.items()}).T
    return scores.drop(columns="rmse", level=0).join(pd.concat({"cost": costs}, axis=1))


def ablation_table(
    corpus: Corpus, fits: Mapping[str, FoldPredictions], *, seed: int = 0
) -> pd.DataFrame:
    """Scores of ideas, each with its gain over what it changes.

    An idea called “x, y” adds y to x, and its gain is over x if that is among them. All other gains
    are over the first.

    Args:
        corpus: see `corpora.load`
        fits: of `ideas`, see `fit_all`; of the same folds
        seed: see `score_table`

    Returns:
        as from `score_table`

    See: notebooks/06_improvements.ipynb
    """
    first, *_ = fits
    table = score_table(corpus, fits, reference=first, seed=seed)
    for name in fits:
        changed = name.rpartition(", ")[0]
        if changed in fits:
            both = {changed: fits[changed], name: fits[name]}
            gains = score_table(corpus, both, seed=seed).filter(like=" gain")
            table.loc[name, gains.columns] = gains.loc[name]
    return table


def out_of_fold(corpus: Corpus, fits: Mapping[str, FoldPredictions]) -> pd.DataFrame:
    """What each contender predicted for each clip, by a training that did not have it.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds

    Returns:
        a row a tested clip, in the order of the corpus: ``file``, ``speaker``, ``valence`` and a
        column for each contender, with a number for each of several trainings

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    columns = {}
    for name, found in fits.items():
        several = len(found.predictions) > 1
        for number, prediction in enumerate(found.predictions, start=1):
            columns[f"{name} {number}" if several else name] = prediction
    known = corpus.clips.iloc[rows][["file", "speaker", "valence"]]
    return known.assign(**columns).sort_index()


def cross_val_predict(
    corpus: Corpus,
    contender: Contender,
    split: Split,
    *,
    folds: int = 6,
    seed: int = 0,
    jobs: int = -1,
) -> pd.DataFrame:
    """What a contender predicts for the clips that are not tested on, by trainings without them.

    The training and validation part are cut into folds, by speaker if all are known. A training on
    the other folds predicts each, so no prediction is for a voice that it was trained on. The test
    part is not used. Its errors tell how wide prediction intervals must be, see `inference.save`.

    Args:
        corpus: see `corpora.load`
        contender: see `named`
        split: see `splits.main_split`
        folds: number of folds; fewer if there are fewer speakers (or clips)
        seed: of the folds and the trainings
        jobs: see `fit_all`

    Returns:
        a row a clip of the training and validation part, with its row number in the corpus as the
        index: number of its ``fold``, ``prediction``, and ``low`` and ``high``, see
        `models.quantiles`

    See: notebooks/07_your_speech.ipynb
    """
    rows = np.union1d(split.train, split.validation)
    parts = splits.folds_within(corpus.clips, rows, folds, seed=seed)
    found = fit_all(corpus, {"": contender}, parts=parts, seed=seed, jobs=jobs)[""]
    fold = np.repeat(np.arange(len(parts)), [len(each.test) for each in parts])
    return found.first(fold).sort_index()


def as_dict(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """A table of `score_table` for a results file.

    Args:
        table: see `score_table`

    Returns:
        by contender, then by score, ``value``, ``low`` and ``high``; also ``cost``
    """
    return evaluation.as_dict(table, metrics=table.columns.get_level_values(0).unique())


def main(arguments: list[str] | None = None) -> int:
    """Compare models on the same folds, or on a corpus that they were not trained on.

    Folds are by speaker, or by clip where speakers are unknown. Where there are fewer speakers than
    folds, there are as many folds as speakers. An official split is not used. A line says so.
    """
    options = _arguments(arguments)
    sizes = {"filters": Settings.from_env().filters, "by_speaker": options.normalise}
    names = options.models.split(",") if options.models else USUAL
    contenders = {name: named(name, **sizes) for name in names}
    corpus = corpora.from_arguments(options, part=bool(options.on))
    if options.csv:
        make_folder(options.csv.parent)
    how: dict[str, Any] = {"seeds": options.seeds, "jobs": options.jobs}
    if options.on:
        scale = tuple(options.scale) if options.scale else None
        tested = corpora.load_part(options.on, scale=scale)
        corpus, target = corpora.together([corpus, tested], scale=scale), tested.name
        how["parts"] = [onto(corpus, target)]
        parts = f"trained on all corpora but {target}, tested on all of it"
    else:
        folds, by, notes = splits.possible_folds(corpus.clips, options.folds, by=options.by)
        how |= {"by": by, "folds": folds}
        parts = f"{folds} folds by {by}"
        print(*notes, sep="\n", end="\n" if notes else "")
    for remark in (*corpora.remarks(corpus), *pretrained.notes(corpus, names)):
        print(remark)
    if not options.models and (reason := _not_fine_tuned(corpus, options.normalise)):
        del contenders["fine_tuned"]
        print(f"fine_tuned is left out: {reason}.")
    fits = fit_all(corpus, contenders, **how)
    reference = "egemaps_svr" if "egemaps_svr" in names else names[0]
    table = score_table(corpus, fits, reference=reference, listener=True)
    if options.csv:
        flat = table.set_axis([" ".join(pair) for pair in table.columns], axis=1)
        write_file(options.csv, flat.to_csv())
        beside = options.csv.with_name(f"{options.csv.stem}_clips.csv")
        write_file(beside, out_of_fold(corpus, fits).to_csv(index=False))
    print(
        f"{corpus.name}: {parts}, networks trained {options.seeds} times in each; "
        f"gains are over {reference}, intervals 95 %\n"
    )
    print(f"{evaluation.readable(table).to_string()}\n")
    if options.on:
        moved = score_table(corpus, shifted(corpus, fits), reference=reference)
        print(f"after shifting each model's predictions to the mean rating of {target}:\n")
        print(f"{evaluation.readable(moved[['mae', 'ccc']]).to_string()}\n")
    print(f"{table['cost'].round(2).to_string()}\n")
    columns = {name for pair in table.columns for name in pair}
    for name, what in LEGEND.items():
        if name in columns:
            print(f"{name:15}{what}")
    return 0


def _not_fine_tuned(corpus: Corpus, by_speaker: bool) -> str:
    """Why the usual models are without `fine_tuned`; empty if they are with it."""
    if seen := fine_tuning.has_seen(corpus):
        return f"the network that it begins with was trained on {'; '.join(seen)}"
    return "it begins with a network without normalisation by speaker" * by_speaker


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.comparison", description=main.__doc__)
    add, usual = parser.add_argument, ",".join(USUAL)
    corpora.add_arguments(parser, several=True)
    add("--models", help=f"some of {', '.join(NAMES)}, with commas ({usual})")
    add("--by", choices=splits.UNITS, help="what folds keep together (speaker, if known)")
    add("--on", metavar="PATH", help="test on this corpus, and train on all of the others")
    add("--folds", type=int, default=6, help="number of folds, at most (%(default)s)")
    add("--seeds", type=int, default=1, help="trainings of a network in each fold (%(default)s)")
    add("--normalise", action="store_true", help="normalise by speaker: for balanced clips of each")
    add("--jobs", type=int, default=-1, help="fits at once (-1: as many as memory allows)")
    add(
        "--csv",
        type=Path,
        metavar="OUT",
        help="write the table with all digits, and "
        "beside it OUT_clips.csv, what each model predicted for each clip",
    )
    options = parser.parse_args(arguments)
    if options.on and options.by:
        parser.error("--on tests on a whole corpus, so it has no folds: leave --by out")
    return options
