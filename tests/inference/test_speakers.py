"""Valence relative to a person's usual one."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import inference, models
from helpers.inference import speakers
from tests.conftest import voice
from tests.inference.conftest import RATE
from tests.inference.test_model_file import rewritten

SPREAD = {"speakers": 7, "centre": 3.0, "within": 0.6, "between": 0.12}


def test_the_spread_of_two_speakers_is_that_of_the_analysis_of_variance():
    found = speakers.spread(np.array([1.0, 3, 3, 5]), np.array(["a", "b", "a", "b"]))
    # Means 2 and 4; squares within are 4 over 2 degrees of freedom, those among 4 over 1.
    assert found == {"speakers": 2, "centre": 3.0, "within": 2.0, "between": 1.0}
    alike = speakers.spread(np.array([1.0, 5, 1, 5]), np.array(["a", "a", "b", "b"]))
    assert alike["between"] == 0
    assert speakers.spread(np.array([1.0, 5]), np.array(["a", "b"])) == {}
    assert speakers.spread(np.array([1.0, 5]), None) == {}


def test_the_spread_of_speakers_with_different_numbers_of_clips_is_recovered():
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(3000), random.integers(1, 8, 3000))
    predicted = 2.5 + random.normal(0, 0.5, 3000)[names] + random.normal(0, 1.5, len(names))
    found = speakers.spread(predicted, names)
    assert found["centre"] == pytest.approx(2.5, abs=0.05)
    assert found["within"] == pytest.approx(2.25, rel=0.05)
    assert found["between"] == pytest.approx(0.25, rel=0.2)


@pytest.mark.parametrize("clips", [1, 2, 20])
def test_what_is_usual_is_the_best_linear_unbiased_prediction(clips):
    valence = pd.Series(np.random.default_rng(clips).normal(2, 1, clips))
    covariance = np.full((clips, clips), SPREAD["between"]) + SPREAD["within"] * np.eye(clips)
    weights = np.linalg.solve(covariance, np.full(clips, SPREAD["between"]))
    expected = SPREAD["centre"] + weights @ (valence - SPREAD["centre"])
    with_a_gap = pd.concat([valence, pd.Series([np.nan])])
    assert speakers.usual(with_a_gap, SPREAD) == pytest.approx(expected)
    assert speakers.usual(valence, {}) == pytest.approx(valence.mean())
    assert speakers.usual(valence, {**SPREAD, "between": 0.0}) == SPREAD["centre"]


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, pitch in enumerate((110, 200, 330)):
        soundfile.write(folder / f"{number}.wav", voice(1.2, RATE, pitch), RATE)
    (folder / "text.wav").write_text("no audio")
    return folder


def test_a_card_knows_how_the_predictions_of_its_validation_part_differ(study, model, tmp_path):
    rows = study.run.split.validation
    clips = study.corpus.clips.iloc[rows]
    predicted = inference.predict(model, clips["path"])["valence"].to_numpy()
    expected = speakers.spread(predicted, clips["speaker"].to_numpy())
    assert expected["speakers"] == 6
    assert model.card.spread == pytest.approx(expected, rel=1e-3)
    unknown = dataclasses.replace(study.corpus, clips=study.corpus.clips.assign(speaker=None))
    assert study.save(study.run, tmp_path / "a.keras", corpus=unknown).card.spread == {}


def test_the_command_gives_recordings_relative_to_their_shrunk_mean(
    study, model, recordings, tmp_path, capsys
):
    path = rewritten(study.path, tmp_path / "a.keras", lambda card: {**card, "spread": SPREAD})
    out = tmp_path / "out.csv"
    assert inference.main([str(path), str(recordings), "--relative", "--csv", str(out)]) == 1
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["clip", "valence", "low", "high", "relative", "problem"]
    mean = table["valence"].mean()
    usual = 3 + 3 / (3 + 0.6 / 0.12) * (mean - 3)
    expected = table["valence"] - usual
    np.testing.assert_allclose(table["relative"], expected, atol=1e-12)
    assert table["relative"].isna().tolist() == [False] * 3 + [True]
    known = inference.predict(model, recordings).drop(columns="problem")
    pd.testing.assert_frame_equal(table[known.columns], known)
    said = capsys.readouterr().out.splitlines()[1]
    assert said == (
        f"relative: valence minus {usual:.2f}, the person's usual one; the 3 recordings with a "
        f"valence are taken as one person's. The person's mean, {mean:.2f}, counts 38 %, and the "
        "mean of 7 other speakers, 3.00, the rest. low and high are those of valence."
    )


def test_a_file_of_format_2_gives_the_plain_mean_and_says_so(study, recordings, tmp_path, capsys):
    def old(card):
        del card["spread"]
        return {**card, "format": 2}

    path, out = rewritten(study.path, tmp_path / "a.keras", old), tmp_path / "out.json"
    assert inference.main([str(path), str(recordings), "--relative", "--json", str(out)]) == 1
    rows = json.loads(out.read_text())
    assert sum(row["relative"] or 0 for row in rows) == pytest.approx(0, abs=1e-9)
    assert rows[0]["relative"] != rows[1]["relative"] and rows[3]["relative"] is None
    assert "the model does not say how speakers differ" in capsys.readouterr().out
    card = inference.load(path).card
    assert card.spread == {} and "--relative" not in inference.card_markdown(card)
    assert models.FORMAT == 3


def test_one_recording_is_called_one():
    said = speakers.in_words(pd.DataFrame({"valence": [2.0, np.nan]}), SPREAD)
    assert "the one recording with a valence is taken" in said and "heir" not in said


def test_recordings_without_a_valence_say_nothing_of_a_person(study, recordings):
    table = inference.predict(inference.load(study.path), recordings / "text.wav")
    assert "nothing is known of the person" in speakers.in_words(table, {})
    assert speakers.relative(table, {})["relative"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--relative"], "name some"), (["a.wav", "--relative", "--channels"], "leave --channels")],
)
def test_what_relative_cannot_be_used_with_is_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        inference.main(arguments)
    assert reason in capsys.readouterr().err


def test_the_card_says_how_speakers_differ(model):
    text = inference.card_markdown(dataclasses.replace(model.card, spread=SPREAD))
    assert (
        "Over 7 speakers, mean predictions vary by 0.35 (standard deviation) around 3.00, and a "
        "speaker's clips by 0.77 around the speaker's mean. `--relative` uses this.\n"
    ) in text
