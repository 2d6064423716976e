import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from helpers import comparison, evaluation, features, splits
from helpers.comparison import fits
from helpers.comparison.pretrained import ALPHAS, notes
from helpers.storage import cache_folder
from tests.pretrained import of_clips, write_model


def example(clips=60, speakers=6):
    """Embeddings with a cue and a voice: a rating follows the cue, and its speaker's habit."""
    rng = np.random.default_rng(1)
    names = np.arange(clips) % speakers
    habit, cue = rng.normal(size=speakers)[names], rng.normal(size=clips)
    embeddings = rng.normal(size=(clips, features.STATES + 3))
    embeddings[:, :100] += cue[:, None]
    embeddings[:, 100:200] += 0.5 * rng.normal(size=(speakers, 100))[names]
    embeddings[:, -1] = 0.1 * cue + rng.normal(0, 0.05, clips)
    ratings = 3 + habit + 0.7 * cue
    return embeddings.astype(np.float32), ratings, pd.Series([f"s{each}" for each in names])


def ridge(states, ratings, train, test, alpha):
    """In closed form, on states that are standardised by the training part."""
    mean, deviation = states[train].mean(0), states[train].std(0)
    x, new = ((states[rows] - mean) / deviation for rows in (train, test))
    middle = ratings[train].mean()
    inner = np.linalg.solve(x @ x.T + alpha * np.eye(len(train)), ratings[train] - middle)
    return middle + new @ x.T @ inner


def test_its_valence_is_mapped_by_the_least_squares_line_of_the_training_part():
    embeddings, ratings, _ = example()
    ratings[50:] = 100  # of the test part, which decides nothing
    train, test = np.arange(40), np.arange(40, 60)
    line = np.polyfit(embeddings[train, -1], ratings[train], 1)
    found = comparison.pretrained_valence(embeddings, ratings, train, test)
    assert found == pytest.approx(np.polyval(line, embeddings[test, -1]), rel=1e-4)


def chosen(states, ratings, train, groups):
    """The penalty with the lowest mean absolute error over inner folds."""
    errors = []
    for alpha in ALPHAS:
        parts = GroupKFold(5).split(train, groups=groups)
        pairs = [(ridge(states, ratings, a, b, alpha), ratings[b]) for a, b in parts]
        errors.append(np.mean([np.abs(found - truth).mean() for found, truth in pairs]))
    return ALPHAS[int(np.argmin(errors))]


def test_the_head_is_a_ridge_whose_penalty_is_chosen_by_speaker_where_speakers_are_known():
    embeddings, ratings, speakers = example()
    train, test = np.arange(40), np.arange(40, 60)
    states = embeddings[:, : features.STATES].astype(float)
    by_speaker = chosen(states, ratings, train, speakers[train])
    by_clip = chosen(states, ratings, train, train)
    assert by_speaker > by_clip  # clips of known voices would have it learn the voices
    given, clips = (embeddings, ratings, train, test), pd.DataFrame({"speaker": speakers})
    known = evaluation.known_speakers(clips.iloc[train])
    found = comparison.pretrained_head(*given, speakers=known)
    assert found == pytest.approx(ridge(states, ratings, train, test, by_speaker), rel=1e-3)
    clips.loc[7, "speaker"] = None
    unknown = evaluation.known_speakers(clips.iloc[train])
    found = comparison.pretrained_head(*given, speakers=unknown)
    assert found == pytest.approx(ridge(states, ratings, train, test, by_clip), rel=1e-3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("audonnx", reason="requirements-pretrained.txt is not installed")
    folder = write_model(tmp_path / "tiny")
    monkeypatch.setenv("VALENCE_PRETRAINED", str(folder))
    return folder


def records():
    paths = cache_folder("comparisons").glob("*.json")
    return {path: json.loads(path.read_text())["made_by"] for path in sorted(paths)}


def test_both_rows_are_fitted_once_for_each_network(corpus, folder):
    compared = {name: comparison.named(name) for name in ("pretrained", "pretrained_head")}
    found = comparison.fit_all(corpus, compared, folds=2, seeds=3)
    valence, ratings = of_clips(corpus.clips["path"])[:, -1], corpus.clips["valence"].to_numpy()
    line = []
    for train, validation, test in splits.folds(corpus.clips, 2, seed=0):
        rows = np.union1d(train, validation)
        line.append(np.polyval(np.polyfit(valence[rows], ratings[rows], 1), valence[test]))
    assert found["pretrained"].predictions == pytest.approx(np.concatenate(line)[None], abs=1e-3)
    assert found["pretrained_head"].predictions.shape == (1, 12)
    first = records()
    sha256 = features.pretrained_model().sha256
    assert len(first) == 4 and all(sha256 in each["pretrained"] for each in first.values())
    assert not any("/" in json.dumps(each) for each in first.values())
    write_model(folder, gain=2)
    fits._made.clear()  # as in a new process
    comparison.fit_all(corpus, compared, folds=2)
    assert len(records()) == 8


def test_the_network_changes_no_key_of_other_contenders(corpus, folder):
    split = splits.folds(corpus.clips, 2, seed=0)[0]
    for name in ("median", "cnn_blstm", "parallel_cnn"):
        made_by = fits.Fit.plan(corpus, comparison.named(name), split, 0).made_by
        assert "pretrained" not in json.dumps(made_by)


def test_the_command_names_the_network_and_what_it_was_trained_on(corpus, folder, capsys):
    source = Path(corpus.clips["path"].iloc[0]).parent.parent
    arguments = [str(source), "--models", "pretrained,median", "--folds", "2"]
    assert comparison.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"The pretrained network is {folder / 'model.onnx'}." in printed
    assert "\npretrained " in printed
    assert notes(corpus, ["median"]) == []


def test_a_corpus_that_the_network_knows_is_said(corpus, monkeypatch):
    model = features.Pretrained("model.onnx", "0" * 64, ("valence",), "CC BY-NC-SA 4.0")
    monkeypatch.setattr(features, "pretrained_model", lambda: model)
    known = dataclasses.replace(corpus, layout="MSP-Podcast, RAVDESS")
    assert [len(notes(each, ["pretrained_head"])) for each in (corpus, known)] == [1, 2]
    assert "fine-tuned on MSP-Podcast" in notes(known, ["pretrained"])[1]
