import json
import shutil
import subprocess
import sys

import pypdf
import pytest

from helpers.settings import PROJECT, Settings
from report import build


@pytest.fixture
def demo(output):
    """The committed results and figures of the demo corpus, where a test may change them."""
    for kind in ("figures/demo", "report/demo/results"):
        shutil.copytree(PROJECT / kind, output / kind)
    return output


def text_of(pdf):
    pages = [page.extract_text() for page in pypdf.PdfReader(pdf).pages]
    return " ".join(" ".join(pages).split())


def test_the_report_says_what_the_results_say(demo):
    text = text_of(build.typeset("demo", Settings.from_env()))
    results = json.loads((demo / "report/demo/results/model.json").read_text())
    scores = results["splits"][results["main"]]["scores"]
    for model in ("parallel_cnn", "cnn_blstm", "median"):
        assert f"{scores[model]['mae']['value']:.2f}" in text
    assert f"{results['parameters']['window_200']:,}" in text
    assert results["made_by"]["fingerprint"] in text


def test_a_changed_result_changes_the_report(demo):
    path = demo / "report/demo/results/model.json"
    results = json.loads(path.read_text())
    network = results["splits"][results["main"]]["scores"]["parallel_cnn"]["mae"]
    gain = results["splits"][results["main"]]["against_median"]["parallel_cnn"]
    network.update(value=0.0123, low=0.01, high=0.02)
    gain.update(value=0.45, low=0.4, high=0.5)
    path.write_text(json.dumps(results))
    text = text_of(build.typeset("demo", Settings.from_env()))
    assert "mean absolute error of 0.01" in text
    assert "The difference of 0.45 (0.40–0.50) is beyond chance" in text
    network.update(value=9.87, low=9, high=10)
    gain.update(value=-5, low=-6, high=-4)
    path.write_text(json.dumps(results))
    text = text_of(build.typeset("demo", Settings.from_env()))
    assert "9.87" in text and "The network is no better than that guess" in text


def test_the_committed_report_is_that_of_the_committed_results(demo):
    built = text_of(build.typeset("demo", Settings.from_env()))
    assert text_of(PROJECT / "report/demo/report.pdf") == built


@pytest.mark.parametrize(
    ("choice", "value", "sentence"),
    [
        ("VALENCE_CORPUS", "no/such/corpus.zip", "no/such/corpus.zip does not exist"),
        ("VALENCE_PROFILE", "hasty", "VALENCE_PROFILE is 'hasty'"),
    ],
)
def test_a_choice_that_cannot_be_used_is_one_sentence(monkeypatch, choice, value, sentence):
    monkeypatch.setenv(choice, value)
    run = subprocess.run(
        [sys.executable, "report/build.py"], cwd=PROJECT, capture_output=True, text=True
    )
    assert run.returncode == 2 and run.stdout == ""
    assert sentence in run.stderr and len(run.stderr.splitlines()) == 1


def test_kernels_get_a_path_whole_and_a_name_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build.for_kernels("ravdess") == "ravdess"
    (tmp_path / "ravdess").mkdir()
    assert build.for_kernels("ravdess") == str(tmp_path / "ravdess")
