import json

import pytest

from helpers import settings
from helpers.settings import Settings, SettingsError


def test_without_any_choice_the_study_is_quick_and_on_the_demo_corpus():
    chosen = Settings.from_env()
    assert (chosen.corpus, chosen.profile) == (None, "quick")
    assert chosen.filters < settings.PROFILES["full"]["filters"] == 200


def test_an_unknown_profile_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setenv("VALENCE_PROFILE", "fast")
    with pytest.raises(SettingsError, match="'fast': set it to one of quick, full"):
        Settings.from_env()


def test_figures_and_results_go_below_the_output_folder(output):
    chosen = Settings.from_env()
    assert chosen.figures("x") == output.resolve() / "figures" / "x"
    assert chosen.results("x").is_dir()


def test_an_output_folder_of_nobody_is_named(monkeypatch):
    monkeypatch.setenv("VALENCE_OUTPUT", "~nobody-of-this-name/study")
    with pytest.raises(settings.OutputError, match="VALENCE_OUTPUT names nobody's folder"):
        Settings.from_env()


def test_a_results_file_keeps_its_content_when_the_new_one_cannot_be_written(tmp_path):
    path = tmp_path / "result.json"
    settings.save_results(path, {"mae": 0.5}, made_by={"seed": 0})
    with pytest.raises(TypeError):
        settings.save_results(path, {"mae": object()}, made_by={})
    assert json.loads(path.read_text()) == {"mae": 0.5, "made_by": {"seed": 0}}
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_says_what_made_it(corpus_folder):
    from helpers import corpora

    corpus = corpora.load(corpus_folder)
    made = settings.made_by(corpus, Settings.from_env(), batch_size=16)
    assert made["fingerprint"] == corpus.fingerprint
    assert {"profile", "seed", "batch_size", "commit", "python", "versions"} <= set(made)
    json.dumps(made)
