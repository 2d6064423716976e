"""The network of human voices that comes with the project."""

import json

import pytest

from helpers import cli, inference
from helpers.inference import cards
from helpers.storage import PROJECT

RESULTS = PROJECT / "report" / "voices" / "results" / "human_voices.json"


def test_the_card_has_the_numbers_of_the_results_file():
    card, found = (PROJECT / "models" / "README.md").read_text(), json.loads(RESULTS.read_text())
    assert inference.card_markdown(inference.load(inference.HUMAN_VOICES).card) in card
    for row in found["left out"]:
        scores = [
            cards.score_cell(row[score])
            for score in ("mae", "ccc", "pearson", "shifted mae")
            if row[score]["value"] is not None
        ]
        line = f"| {row['trained on']} | {row['tested on']} | {row['model']} | "
        (written,) = (each for each in card.splitlines() if each.startswith(line))
        assert all(f"| {score} |" in written for score in scores)
    for row in found["relative"]:
        line = f"| {row['tested on']} | {row['recordings']} | "
        (written,) = (each for each in card.splitlines() if each.startswith(line))
        assert cards.score_cell(row["ccc"]) in written
    speakers = ", ".join(f"{count} ({name})" for name, count in found["speakers"].items())
    assert f"Seeds: {found['seeds']}; 95 % intervals draw the speakers" in card and speakers in card


def test_no_weight_comes_from_a_corpus_that_was_only_checked():
    found, card = json.loads(RESULTS.read_text()), inference.load(inference.HUMAN_VOICES).card
    assert set(found["trained on"]) == {"ravdess", "nemo"}
    assert card.clips["train"] == sum(found["clips"][name] for name in found["trained on"])
    assert found["made_by"]["versions"] == card.made_by["versions"]
    assert not card.made_by["commit"].endswith("+changes")


def test_it_is_used_where_no_model_is_named(recording, capsys):
    assert inference.main([str(recording)]) == 0
    assert str(recording) in capsys.readouterr().out
    assert inference.main([]) == 0
    assert "trained on ravdess and nemo" in capsys.readouterr().out


def test_a_model_that_is_not_there_is_named(tmp_path, capsys):
    assert cli.run(inference.main, [str(tmp_path / "a.keras")]) == 2
    assert "There is no file" in capsys.readouterr().err


@pytest.mark.parametrize("size", [3e6])
def test_it_is_small(size):
    assert inference.HUMAN_VOICES.stat().st_size < size
