"""Measure what networks know of other corpora: the tables of real voices in notebook 8.

``python -m helpers.comparison.compare_corpora CORPUS CORPUS... [--seeds N] [--jobs N]`` trains on
each corpus and on all others together, tests on each, and writes
``report/voices/results/transfer.json``.
"""

from __future__ import annotations

import argparse
import sys

from helpers import cli, corpora, evaluation
from helpers.comparison.contenders import ComparisonError, named
from helpers.comparison.transfer import COMPARED, fit_transfers, transfers
from helpers.comparison.transfer_tables import TransferTables
from helpers.comparison.voices import groups_of_voices
from helpers.results import made_by, save_results
from helpers.settings import Settings

#: Folds within a corpus, at most.
FOLDS = 6


def main(arguments: list[str] | None = None) -> int:
    """Train on each corpus and on all others together, test on each, and write the tables."""
    name = "python -m helpers.comparison.compare_corpora"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    parser.add_argument("corpus", nargs="+", help="folders, zips or names; two or more")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a network (3)")
    parser.add_argument("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    options = cli.parsed(parser, arguments)
    if len(options.corpus) < 2:
        raise ComparisonError("One corpus says nothing about other voices: name a second one.")
    corpus = groups_of_voices(corpora.together([corpora.load(path) for path in options.corpus]))
    for remark in corpora.remarks(corpus):
        print(remark)
    compared = {model: named(model) for model in COMPARED}
    how = {"folds": FOLDS, "seeds": options.seeds, "jobs": options.jobs}
    fits = fit_transfers(corpus, compared, transfers(corpus), **how)
    tables = TransferTables.of(corpus, fits)
    content = {
        "citation": corpus.citation,
        "clips": corpus.clips["corpus"].value_counts(sort=False).to_dict(),
        "speakers": corpus.clips.groupby("corpus", sort=False)["speaker"].nunique().to_dict(),
        "folds": FOLDS,
        "seeds": options.seeds,
        **tables.as_records(),
    }
    path = Settings.from_env().results("voices") / "transfer.json"
    save_results(path, content, made_by=made_by(corpus, Settings.from_env()))
    print(f"{evaluation.readable(tables.scores[['mae', 'ccc']]).to_string()}\n")
    print(f"95 % intervals draw the speakers of each corpus: {content['speakers']}\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
