"""A tiny network of the same interface stands in for the pretrained one."""

import json

import numpy as np
import pytest
import soundfile

from helpers import cli, inference
from tests.conftest import voice
from tests.pretrained import expected, write_model


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("audonnx", reason="requirements-pretrained.txt is not installed")
    return write_model(tmp_path / "tiny", gain=20)


def test_its_valence_is_mapped_from_1_to_5_without_an_interval(folder):
    y, quiet = voice(1), np.zeros(16000)
    table = inference.predict_pretrained(
        [(y, 16000), (quiet, 16000), (voice(1, 8000), 8000)], folder
    )
    assert list(table) == ["clip", "valence", "low", "high", "problem"]
    assert table["valence"][0] == pytest.approx(1 + 4 * expected(y, gain=20)[-1], abs=1e-4)
    assert table[["low", "high"]].isna().all(axis=None) and np.isnan(table["valence"][1])
    without = "has no interval: the pretrained network's valence is mapped from 0..1 to 1..5"
    assert table["problem"][0] == f"{without} without training"
    assert table["problem"][1] == "is silent or constant"
    assert table["problem"][2].endswith("8000 Hz; the network was trained on 16000 Hz")


def test_a_recording_of_several_windows_says_so(folder):
    (row,) = inference.predict_pretrained((voice(31), 16000), folder).itertuples()
    assert row.problem.endswith("; is long: the mean of 2 windows")


def test_the_command_takes_it_instead_of_a_model_file(folder, tmp_path, monkeypatch, capsys):
    path, out = tmp_path / "voice.wav", tmp_path / "out.json"
    soundfile.write(path, voice(1), 16000)
    run = lambda *given: cli.run(inference.main, [*map(str, given)])  # noqa: E731
    assert run("--model", folder, path, "--json", out) == 0
    rows = json.loads(out.read_text())
    assert [row["clip"] for row in rows] == [str(path)] and rows[0]["low"] is None
    monkeypatch.setenv("VALENCE_PRETRAINED", str(folder / "model.onnx"))
    assert run("--model", "pretrained", path) == 0
    assert f"{rows[0]['valence']:.2f}" in capsys.readouterr().out
    assert run("--model", tmp_path / "nothing.onnx", path) == 2
    assert "nothing.onnx is neither an ONNX file nor a folder" in capsys.readouterr().err
    assert run("--model", folder, tmp_path / "nothing.wav") == 2
