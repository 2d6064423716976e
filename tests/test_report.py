import json
import re
import shutil
import subprocess
import sys

import pypdf
import pytest

from helpers.settings import Settings
from helpers.storage import PROJECT
from report import build


@pytest.fixture
def demo(output):
    """The committed results and figures of the demo corpus, where a test may change them."""
    for kind in ("figures/demo", "report/demo/results"):
        shutil.copytree(PROJECT / kind, output / kind)
    return output


def text_of(pdf):
    pages = [page.extract_text() for page in pypdf.PdfReader(pdf).pages]
    unbroken = re.sub(
        "(?<=[a-z])[-\u00ad]\\s*\n", "", "\n".join(pages)
    )  # words broken at a line's end
    return " ".join(unbroken.split())


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


def change(path, **results):
    """Change a results file; ``__`` leads into it, ``_`` is a space there."""
    content = json.loads(path.read_text())
    for key, value in results.items():
        *way, last = key.split("__")
        place = content
        for step in way:
            place = place[int(step) if isinstance(place, list) else step.replace("_", " ")]
        place[last] = value
    path.write_text(json.dumps(content))


def test_the_table_of_trials_is_read_from_its_file_with_the_best_row_in_bold(demo):
    path = demo / "report/demo/results/trials.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[3] = "0.123456"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    assert "0.1235" in text_of(build.typeset("demo", Settings.from_env()))


def test_a_trial_that_failed_leaves_a_gap_in_the_table(demo):
    path = demo / "report/demo/results/trials.csv"
    lines = path.read_text().splitlines()
    settings = lines[-1].split(",")[:3]
    path.write_text("\n".join([*lines[:-1], ",".join([*settings, "", "1.5", "1.6", "", ""])]))
    assert "– 1.5000 1.6000 – –" in text_of(build.typeset("demo", Settings.from_env()))


def test_another_corpus_gets_other_conclusions(demo):
    results = demo / "report/demo/results"
    worst = json.loads((results / "errors.json").read_text())["worst"][0]
    text = text_of(build.typeset("demo", Settings.from_env()))
    assert f"from {abs(worst['error']):.2f} down to" in text
    for name in ("high_ratings_predicted_too_low", "low_ratings_predicted_too_high"):
        change(results / "errors.json", **{f"claims__{name}__holds": False})
    change(results / "errors.json", claims__broader_spectrum__holds=True, factors={})
    change(results / "tuning.json", as_good=1)
    model = json.loads((results / "model.json").read_text())
    model["splits"][model["main"]]["against_median"]["parallel_cnn"].update(value=-1, low=-2)
    (results / "model.json").write_text(json.dumps(model))
    text = text_of(build.typeset("demo", Settings.from_env()))
    for sentence in (
        "not too high beyond chance",
        "not too low beyond chance",
        "they do have a broader spectrum than the other clips",
        "Neither duration, padding, cutting, level nor spectrum goes with",
        "pull to the middle is not there",
        "No other row comes so near",
    ):
        assert sentence in text
    assert "else [" not in text


def test_what_is_recommended_stands_beside_the_baseline(demo):
    path = demo / "report/demo/results/improvements.json"
    main = json.loads(path.read_text())["main"]
    for gain, sentence in (
        ({"value": 0.31, "low": 0.2, "high": 0.4}, "below the baseline’s by 0.31 (0.20–0.40)"),
        ({"value": -0.31, "low": -0.4, "high": -0.2}, "above the baseline’s by 0.31 (0.20–0.40)"),
        ({"value": 0.31, "low": -0.1, "high": 0.7}, "the difference is 0.31 (−0.10 to 0.70)"),
    ):
        content = json.loads(path.read_text())
        content["final"][main]["recommended"]["mae gain"] = gain
        path.write_text(json.dumps(content))
        text = text_of(build.typeset("demo", Settings.from_env()))
        assert sentence in text
        abstract = "is not beyond chance" if gain["low"] < 0 < gain["high"] else "is beyond chance"
        assert f"a difference that {abstract}" in text


def test_results_that_are_missing_or_spoilt_are_one_sentence(demo):
    path = demo / "report/demo/results/model.json"
    for spoil in (lambda: path.write_text('{"main": '), path.unlink):
        spoil()
        with pytest.raises(build.ReportError, match="holds no results .*make report") as caught:
            build.typeset("demo", Settings.from_env())
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("key", "other"), [("fingerprint", "0"), ("profile", "full"), ("seed", 1)])
def test_results_of_different_studies_make_no_report(demo, key, other):
    path = demo / "report/demo/results/errors.json"
    content = json.loads(path.read_text())
    content["made_by"][key] = other
    path.write_text(json.dumps(content))
    with pytest.raises(
        build.ReportError, match=rf"errors\.json and model\.json differ in their {key}"
    ):
        build.typeset("demo", Settings.from_env())


def test_a_corpus_without_speakers_gets_a_report(demo):
    path = demo / "report/demo/results/errors.json"
    change(path, speakers={"known": 0, "share": None, "p": None})
    text = text_of(build.typeset("demo", Settings.from_env()))
    assert "test speakers" not in text


def test_the_first_page_is_a_picture_too(demo):
    build.typeset("demo", Settings.from_env())
    header = (demo / "figures/demo/report.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(header[i : i + 4]) for i in (16, 20))
    assert height / width == pytest.approx(297 / 210, rel=0.01)


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
    monkeypatch.setenv("VALENCE_CORPUS", "ravdess")
    monkeypatch.setenv("VALENCE_OUTPUT", "else where")
    choices = build.for_kernels(Settings.from_env())
    assert choices["VALENCE_CORPUS"] == "ravdess"
    assert choices["VALENCE_OUTPUT"] == str(tmp_path / "else where")
    (tmp_path / "ravdess").mkdir()
    choices = build.for_kernels(Settings.from_env())
    assert choices["VALENCE_CORPUS"] == str(tmp_path / "ravdess")
    monkeypatch.delenv("VALENCE_CORPUS")
    assert "VALENCE_CORPUS" not in build.for_kernels(Settings.from_env())


def test_notebooks_are_run_in_place_only_where_their_outputs_are_the_projects(output, monkeypatch):
    elsewhere = Settings.from_env()
    assert build.executed("demo", elsewhere) == output.resolve() / "report" / "demo" / "notebooks"
    monkeypatch.delenv("VALENCE_OUTPUT")
    here = Settings.from_env()
    assert build.executed("demo", here) == build.NOTEBOOKS
    assert build.executed("mine", here) == PROJECT / "report" / "mine" / "notebooks"
    monkeypatch.setenv("VALENCE_PROFILE", "full")
    full = Settings.from_env()
    assert build.executed("demo", full) == PROJECT / "report" / "demo" / "notebooks"
