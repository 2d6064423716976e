"""The network of human voices, from corpora to file."""

import itertools
import json

import numpy as np
import pytest

from helpers import cli, comparison, corpora, inference, models
from helpers.inference import cards
from helpers.inference import train_human_voices as human_voices
from tests.comparison.conftest import fast
from tests.comparison.test_transfer import other_corpus
from tests.conftest import write_corpus


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Two epochs, in this process, into a folder of the test."""
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setattr(
        models, "THREE_VIEWS_TRAINING", {**models.THREE_VIEWS_TRAINING, "epochs": 2}
    )
    monkeypatch.setattr(models, "limit_threads", lambda number: None)  # TensorFlow has started
    named = comparison.named
    monkeypatch.setattr(human_voices, "COMPARED", ("three_views", "median"))
    monkeypatch.setattr(
        comparison, "named", lambda name: fast(named(name)) if name != "median" else named(name)
    )
    return tmp_path / "out"


@pytest.fixture
def folders(tmp_path):
    first = tmp_path / "a"
    write_corpus(first, clips=12, speakers=3)
    return [first, other_corpus(first, "bb"), other_corpus(first, "ccc")]


def test_the_network_is_trained_checked_and_written_with_its_card(folders, quick, capsys):
    arguments = [str(folders[0]), str(folders[1]), "--check", str(folders[2]), "--seeds", "1"]
    assert cli.run(human_voices.main, [*arguments, "--jobs", "1"]) == 0
    path = quick / "models" / "human_voices.keras"
    card = inference.load(path).card
    assert card.clips["train"] == 24 and card.clips["validation"] == 12
    assert card.errors["folds"] == 3 and card.errors["clips"] == 36
    found = json.loads((quick / "report/voices/results/human_voices.json").read_text())
    assert found["trained on"] == ["a", "bb"] and found["checked on"] == ["ccc"]
    tested = {(row["trained on"], row["tested on"]) for row in found["left out"]}
    assert tested == {("bb", "a"), ("a", "bb"), ("a + bb", "ccc")}
    whole = corpora.together([corpora.load(folder) for folder in folders])
    truth = whole.clips.groupby("corpus")["valence"]
    (row,) = (r for r in found["left out"] if r["model"] == "median" and r["tested on"] == "ccc")
    both = whole.clips.loc[whole.clips["corpus"] != "ccc", "valence"].median()
    assert row["mae"]["value"] == pytest.approx(np.abs(truth.get_group("ccc") - both).mean())
    text = (path.parent / "README.md").read_text()
    assert f"| a + bb | ccc | median | {row['mae']['value']:.2f} (" in text
    known = [(row["tested on"], row["recordings"], row["way"]) for row in found["relative"]]
    counts, ways = (1, 2, 4), ("centre", "plain", "shrunk")
    assert known == list(itertools.product(("a", "bb", "ccc"), counts, ways))
    gain = next(r for r in found["relative"] if r["tested on"] == "ccc" and r["way"] == "shrunk")
    line = next(line for line in text.splitlines() if line.startswith("| ccc | 1 |"))
    assert line.split(" | ")[5] == cards.score_cell(gain["ccc gain"])
    before = path.read_bytes()
    assert cli.run(human_voices.main, [*arguments, "--jobs", "1"]) == 0
    assert path.read_bytes() == before
    assert f"{row['mae']['value']:.2f}" in capsys.readouterr().out


def test_two_corpora_are_enough_and_the_card_says_what_they_do_not_tell(folders, quick):
    arguments = [str(folders[0]), "--check", str(folders[2]), "--seeds", "1", "--jobs", "1"]
    assert cli.run(human_voices.main, arguments) == 0
    found = json.loads((quick / "report/voices/results/human_voices.json").read_text())
    assert {row["tested on"] for row in found["left out"]} == {"ccc"} and found["relative"] == []
    text = (quick / "models/README.md").read_text()
    assert "There is no row for ccc, where a speaker is not known or no other corpus says" in text


def test_one_corpus_is_refused(folders, quick, capsys):
    assert cli.run(human_voices.main, [str(folders[0])]) == 2
    assert "One corpus is no evidence about other voices" in capsys.readouterr().err
