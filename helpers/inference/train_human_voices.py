"""Train the network that ``python -m helpers.inference`` uses where no model is named.

``python -m helpers.inference.train_human_voices CORPUS... [--check CORPUS...]`` trains
`models.three_views` on all clips of the corpora. Its scores and its intervals come from corpora
that a training did not have: each corpus in turn is left out, and the corpora to check are never
trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import cli, comparison, corpora, features, models, training
from helpers.comparison import Fits, Transfer
from helpers.corpora import Corpus
from helpers.inference.cards import card_markdown, score_cell
from helpers.inference.model_file import load, save
from helpers.inference.relative_scores import relative_in_words, relative_table
from helpers.results import made_by, save_results
from helpers.settings import Settings
from helpers.splits import Split
from helpers.storage import output_folder, write_file

#: What is compared on corpora that a training did not have.
COMPARED = ("three_views", "recommended", "egemaps_8k_svr", "median")

#: What becomes of a corpus that is not trained on.
CHECKED = (
    "the validation part. No weight comes from it, but its errors are among those that calibrate "
    "the intervals, and its predictions among those that `--relative` is centred on"
)

#: What every score of this network has to say.
CHOSEN_ON = (
    "The statistics and views of `three_views`, and the factor by which it moves predictions away "
    "from the middle of the scale, were chosen by leaving out RAVDESS, nEMO and EmoTale half in "
    "turn, with one seed, so its scores on these three are too good."
)


def left_out(corpus: Corpus, trained: Sequence[str]) -> list[Transfer]:
    """Each corpus as the target of the others that may be trained on.

    Args:
        corpus: several as one, see `corpora.together`
        trained: names of those that may be trained on

    Examples:
        >>> clips = pd.DataFrame({"corpus": ["a", "b", "c"]})
        >>> for each in left_out(Corpus("", (1, 5), clips, clips), ["a", "b"]):
        ...     print(*each)
        ('b',) a
        ('a',) b
        ('a', 'b') c
    """
    found = []
    for name in corpus.clips["corpus"].unique():
        others = tuple(each for each in trained if each != name)
        found += [Transfer(others, name)] if others else []
    return found


def train(
    corpus: Corpus, trained: Sequence[Corpus], path: Path, *, seeds: int = 3, jobs: int = -1
) -> Fits:
    """Train the network on all clips of some corpora, and write it with its card.

    Args:
        corpus: several as one, see `corpora.together`
        trained: those that are trained on; the others are only predicted
        path: of the model file
        seeds: trainings of each network whose scores are reported; the first of them calibrate the
            intervals
        jobs: see `comparison.fit_all`

    Returns:
        what trainings without a corpus predict on it, see `comparison.fit_transfers`: this network,
        the recommended one, a support vector machine and the median predictor

    See: notebooks/08_other_voices.ipynb
    """
    names = [each.name for each in trained]
    compared = {name: comparison.named(name) for name in COMPARED}
    fits = comparison.fit_transfers(
        corpus, compared, left_out(corpus, names), seeds=seeds, jobs=jobs
    )
    mel, of = models.RECOMMENDED_MEL, corpus.clips["corpus"]
    duration = features.input_duration(corpus)
    matrix = features.extract(corpus, mel, duration=duration)
    rows = np.flatnonzero(of.isin(names)), np.flatnonzero(~of.isin(names))
    models.limit_threads(1)  # whose number decides the last digits
    models.keras.utils.clear_session()  # so that names in the file do not count up
    network = models.three_views(matrix.shape[1:], scale=corpus.scale)
    run = training.train(
        network,
        matrix,
        corpus.clips["valence"],
        Split(*rows, np.array([], dtype=int)),
        **models.THREE_VIEWS_TRAINING,
    )
    left = [each["three_views"].first(fold) for fold, each in enumerate(fits.values())]
    out_of_fold = pd.concat(left).sort_index()
    about = replace(
        corpora.together(trained), name=" and ".join(names), clips=corpus.clips, scale=corpus.scale
    )
    save(run, path, corpus=about, mel=mel, duration=duration, out_of_fold=out_of_fold)
    return fits


def main(arguments: list[str] | None = None) -> int:
    """Train the network that knows human voices, and write it, its card and its results."""
    name = "python -m helpers.inference.train_human_voices"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    parser.add_argument("corpus", nargs="+", help="folders, zips or names to train on")
    parser.add_argument("--check", nargs="+", default=[], help="corpora that are only predicted")
    parser.add_argument("--seeds", type=int, default=3, help="trainings that are scored (3)")
    parser.add_argument("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    options = cli.parsed(parser, arguments)
    several = [corpora.load(path) for path in (*options.corpus, *options.check)]
    if len(several) < 2:
        raise comparison.ComparisonError(
            "One corpus is no evidence about other voices: name a second one to train on or check."
        )
    trained = several[: len(options.corpus)]
    corpus = corpora.together(several)
    path = output_folder() / "models" / models.HUMAN_VOICES.name
    fits = train(corpus, trained, path, seeds=options.seeds, jobs=options.jobs)
    table, relative = comparison.transfer_table(corpus, fits), relative_table(corpus, fits)
    results = Settings.from_env().results("voices")
    content = {
        "trained on": [each.name for each in trained],
        "checked on": [each.name for each in several[len(trained) :]],
        "seeds": options.seeds,
        "speakers": corpus.clips.groupby("corpus")["speaker"].nunique().to_dict(),
        "clips": corpus.clips["corpus"].value_counts(sort=False).to_dict(),
        "left out": comparison.records(table),
        "relative": comparison.records(relative),
    }
    save_results(
        results / "human_voices.json", content, made_by=made_by(corpus, Settings.from_env())
    )
    tested = [each.tested_on for each in fits]
    about = "\n".join(
        [_terms(several, len(trained)), in_words(content), relative_in_words(relative, tested)]
    )
    write_file(path.with_name("README.md"), f"{card_markdown(load(path).card)}\n{about}")
    print(about)
    return 0


def _terms(several: Sequence[Corpus], trained: int) -> str:
    """Which corpora the weights come from, and under which terms, as Markdown."""
    lines = ["## Sources and terms", ""]
    for number, corpus in enumerate(several):
        use = "trained on" if number < trained else CHECKED
        clips, speakers = len(corpus.clips), corpus.clips["speaker"].nunique()
        known = [each for each in (corpus.citation, corpus.licence or "terms unknown") if each]
        labels = corpora.LABELS[corpus.labels]
        about = "; ".join([f"{clips} clips of {speakers} speakers", labels, *known])
        lines.append(f"- {corpus.name}: {use}. {about}.")
    terms = "; ".join(dict.fromkeys(c.licence or "unknown" for c in several[:trained]))
    lines += ["", f"The weights are under the terms of the corpora that they come from: {terms}."]
    return "\n".join(lines) + "\n"


def in_words(content: dict[str, Any]) -> str:
    """The scores on corpora that a training did not have, as Markdown.

    Args:
        content: of the results file, see `main`
    """
    table = comparison.from_records(content["left out"])
    speakers = ", ".join(f"{count} ({name})" for name, count in content["speakers"].items())
    columns = {"mae": "MAE", "ccc": "CCC", "pearson": "r", "shifted mae": "MAE shifted"}
    lines = ["## Corpora that a training did not have", ""]
    lines.append(
        f"Each corpus was left out in turn, or never trained on. Seeds: {content['seeds']}; 95 % "
        f"intervals draw the speakers of the corpus: {speakers}. "
        "Shifted: after moving the predictions to the mean rating of the corpus, since people use "
        f"a scale in different ways. {CHOSEN_ON}"
    )
    lines += ["", f"| trained on | tested on | model | {' | '.join(columns.values())} |"]
    lines.append("|---" * (3 + len(columns)) + "|")
    for index, row in table.iterrows():
        cells = [score_cell(row[score], missing="") for score in columns]
        lines.append(f"| {' | '.join([*index, *cells])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(cli.run(main))
