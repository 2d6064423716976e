"""The command that compares models, and what its tables say.

``python -m helpers.comparison [PATH...] [--scale LOW HIGH] [--models NAME,NAME]
[--by speaker|clip|sentence|corpus] [--folds K] [--seeds N] [--normalise] [--jobs N] [--csv OUT]``
compares models and baselines. ``python -m helpers.comparison PATH... --on PATH`` trains on whole
corpora and tests on another.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from helpers import cli, corpora, evaluation, splits
from helpers.comparison import fine_tuning, pretrained
from helpers.comparison.contenders import NAMES, ComparisonError, named
from helpers.comparison.fits import fit_all
from helpers.comparison.tables import out_of_fold, score_table
from helpers.comparison.transfer import onto, shifted
from helpers.corpora import Corpus
from helpers.settings import Settings
from helpers.storage import destination, write_table

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


#: What is compared if nothing is named.
USUAL = ("recommended", "fine_tuned", "egemaps_svr", "median")

#: Folds, unless there are too few speakers or another number is asked for.
FOLDS = 6


def main(arguments: list[str] | None = None) -> int:
    """Compare models on the same folds, or on a corpus that they were not trained on.

    Folds are by speaker, or by clip where speakers are unknown. Where there are fewer speakers than
    folds, there are as many folds as speakers. An official split is not used. A line says so.
    """
    options = _arguments(arguments)
    csv, csv_clips = _destinations(options.csv)
    sizes = {"filters": Settings.from_env().filters, "by_speaker": options.normalise}
    models = options.models
    names = USUAL if models is None else [name.strip() for name in models.split(",")]
    contenders = {name: named(name, **sizes) for name in names}
    corpus = corpora.from_arguments(options, part=bool(options.on))
    how: dict[str, Any] = {"seeds": options.seeds, "jobs": options.jobs}
    tested = corpus.clips
    if options.on:
        scale = tuple(options.scale) if options.scale else None
        other = corpora.load_part(options.on, scale=scale)
        trained, target = corpus.name, other.name
        corpus = corpora.together([corpus, other], scale=scale)
        tested = corpus.clips[corpus.clips["corpus"] == target]
        if tested.empty:
            raise ComparisonError(
                f"All clips of {target} are in {trained}, too: name a corpus with other clips."
            )
        how["parts"] = [onto(corpus, target)]
        new = f"its clips that are in none of them ({len(tested)} of {len(other.clips)})"
        which = "all of it" if len(tested) == len(other.clips) else new
        parts = f"trained on all corpora but {target}, tested on {which}"
    else:
        folds, by, notes = splits.possible_folds(corpus.clips, options.folds, by=options.by)
        how |= {"by": by, "folds": folds}
        parts = f"{folds} folds by {by}"
        print(*notes, sep="\n", end="\n" if notes else "")
    for remark in (*corpora.remarks(corpus), *pretrained.notes(corpus, names)):
        print(remark)
    if models is None and (reason := _not_fine_tuned(corpus, options.normalise)):
        del contenders["fine_tuned"]
        print(f"fine_tuned is left out: {reason}.")
    fits = fit_all(corpus, contenders, **how)
    reference = "egemaps_svr" if "egemaps_svr" in names else names[0]
    table = score_table(corpus, fits, reference=reference, listener=True)
    if csv and csv_clips:
        flat = table.set_axis([" ".join(pair) for pair in table.columns], axis=1)
        write_table(csv, flat, index=True)
        write_table(csv_clips, out_of_fold(corpus, fits))
    print(
        f"{corpus.name}, valence from {corpus.scale[0]:g} to {corpus.scale[1]:g}: {parts}, "
        f"trainings of a network in each: {options.seeds}; gains are over {reference}. "
        f"{evaluation.drawn(evaluation.known_speakers(tested))}\n"
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


def _destinations(named: str | None) -> tuple[Path | None, Path | None]:
    """Where the table of ``--csv`` is written and, beside it, what was predicted for each clip."""
    if named is None:
        return None, None
    csv, path = destination(named, suffix=".csv", begins="model,mae value,"), Path(named)
    clips = f"file,speaker,valence,({'|'.join(NAMES)})( 1)?[,\n\r]"
    beside = path.with_name(f"{path.stem}_clips.csv")
    return csv, destination(beside, suffix=".csv", begins=clips)


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
    add("--folds", type=int, help=f"number of folds, at most ({FOLDS})")
    add("--seeds", type=int, default=1, help="trainings of a network in each fold (%(default)s)")
    add("--normalise", action="store_true", help="normalise by speaker: for balanced clips of each")
    add("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    add(
        "--csv",
        metavar="OUT",
        help="write the table with all digits, and "
        "beside it OUT_clips.csv, what each model predicted for each clip",
    )
    options = cli.parsed(parser, arguments)
    if options.on and (options.by or options.folds is not None):
        parser.error("--on tests on a whole corpus, without folds: leave --by and --folds out")
    options.folds = FOLDS if options.folds is None else options.folds
    return options
