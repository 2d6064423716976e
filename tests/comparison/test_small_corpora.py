"""The results file of small corpora."""

import json

import numpy as np
import pytest

from helpers import cli, comparison, corpora, splits
from helpers.comparison import small_corpora


def test_each_size_is_trained_on_so_many_clips_and_tested_on_all(corpus, monkeypatch):
    compared = {"three_views": comparison.named("median")}
    table = small_corpora.score_by_size(corpus, compared, (4, 6, 100), folds=4)
    assert table.index.get_level_values("clips").tolist() == [4, 6, 9]
    ratings, errors = corpus.clips["valence"].to_numpy(), []
    for fold, split in enumerate(splits.folds(corpus.clips, 4, by="speaker", seed=0)):
        rows = np.union1d(split.train, split.validation)
        drawn = np.random.default_rng([0, fold]).choice(rows, 4, replace=False)
        errors += list(np.abs(ratings[split.test] - np.median(ratings[drawn])))
    assert table.loc[(4, "three_views"), ("mae", "value")] == pytest.approx(np.mean(errors))


def test_the_tables_are_written(corpus, corpus_folder, output, monkeypatch, capsys):
    monkeypatch.setattr(small_corpora, "COMPARED", ("three_views", "median"))
    monkeypatch.setattr(small_corpora, "SIZES", (6,))
    arguments = [str(corpus_folder), "--seeds", "1", "--jobs", "1"]
    assert cli.run(small_corpora.main, arguments) == 0
    found = json.loads((output / "report/voices/results/small_corpora.json").read_text())
    assert (found["clips"], found["speakers"], found["folds"], found["seeds"]) == (12, 4, 4, 1)
    assert found["made_by"]["fingerprint"] == corpora.load(corpus_folder).fingerprint
    table = comparison.from_records(found["scores"])
    assert table.index.names == ["clips", "model"] and table["mae", "value"].notna().all()
    assert "three_views" in capsys.readouterr().out
