"""The results file of several corpora."""

import json

import pytest

from helpers import cli, comparison, corpora
from helpers.comparison import compare_corpora
from tests.comparison.test_transfer import other_corpus


@pytest.fixture
def folders(corpus_folder):
    return [corpus_folder, other_corpus(corpus_folder, "b"), other_corpus(corpus_folder, "cc")]


def test_each_corpus_is_tested_on_each_other_and_the_tables_are_written(
    corpus, folders, output, monkeypatch, capsys
):
    monkeypatch.setattr(compare_corpora, "COMPARED", ("egemaps_8k_svr", "median"))
    paths = [str(folder) for folder in folders]
    assert cli.run(compare_corpora.main, [*paths, "--seeds", "1", "--jobs", "1"]) == 0
    found = json.loads((output / "report/voices/results/transfer.json").read_text())
    assert found["clips"] == {"my_corpus": 12, "b": 12, "cc": 12}
    assert found["speakers"] == {"my_corpus": 4, "b": 4, "cc": 4}
    tables = comparison.TransferTables.from_records(found)
    assert len(tables.scores) == 24 and len(tables.gains) == 12
    whole = corpora.together([corpora.load(folder) for folder in folders])
    assert found["made_by"]["fingerprint"] == whole.fingerprint
    ratings = whole.clips.groupby("corpus")["valence"]
    error = (ratings.median()["b"] - ratings.get_group("cc")).mean()
    scores = tables.scores.loc[("b", "cc", "median"), ("mae", "value")]
    assert scores == pytest.approx((ratings.median()["b"] - ratings.get_group("cc")).abs().mean())
    both = whole.clips.loc[whole.clips["corpus"] != "cc", "valence"].median()
    bias = tables.bias.loc[("my_corpus + b", "cc", "median", "all"), ("mean error", "value")]
    assert bias == pytest.approx(error + both - ratings.median()["b"])
    assert "b + cc" in capsys.readouterr().out


def test_one_corpus_is_refused(corpus_folder, capsys):
    assert cli.run(compare_corpora.main, [str(corpus_folder)]) == 2
    assert "One corpus says nothing about other voices" in capsys.readouterr().err
