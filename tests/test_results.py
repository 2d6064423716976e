import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from helpers import corpora, results
from helpers.settings import Settings
from helpers.storage import PROJECT, digest


def test_a_results_file_keeps_its_content_when_the_new_one_cannot_be_written(tmp_path):
    path = tmp_path / "result.json"
    results.save_results(path, {"mae": 0.5}, made_by={"seed": 0})
    with pytest.raises(TypeError):
        results.save_results(path, {"mae": object()}, made_by={})
    assert json.loads(path.read_text()) == {"mae": 0.5, "made_by": {"seed": 0}}
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_says_what_made_it(corpus_folder):
    corpus = corpora.load(corpus_folder)
    made = results.made_by(corpus, Settings.from_env(), batch_size=16)
    assert made["fingerprint"] == corpus.fingerprint
    assert {"profile", "seed", "batch_size", "commit", "python", "versions"} <= set(made)
    json.dumps(made)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 kernels")
def test_a_result_says_which_blas_kernels_computed_it():
    code = "import scipy.linalg; from helpers import results; print(results.machine())"
    said = {
        kernels: subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_CORETYPE": kernels},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for kernels in ("Haswell", "Nehalem")
    }
    system = f"{platform.system()} {platform.machine()}"
    assert said == {each: f"{system} (BLAS kernels: {each})" for each in said}


def test_a_second_run_with_the_same_findings_writes_the_same_file(tmp_path):
    def run(seconds, commit, mae=0.5):
        cost = {"parameters": 9, "seconds": seconds, "milliseconds": 2 * seconds}
        content = {
            "ablation": {"no pitch": {"mae": mae, "cost": cost}},
            "seconds": {"cnn": seconds},
        }
        results.save_results(path, content, made_by={"seed": 0, "commit": commit})
        return path.read_bytes(), json.loads((tmp_path / "run" / path.name).read_text())

    path = tmp_path / "improvements.json"
    first, second, other = run(1.8, "abc"), run(2.7, "def"), run(2.7, "def", mae=0.6)
    assert first[0] == second[0] != other[0]
    assert json.loads(first[0]) == {
        "ablation": {"no pitch": {"mae": 0.5, "cost": {"parameters": 9}}},
        "made_by": {"seed": 0},
    }
    assert second[1] == {
        "ablation": {"no pitch": {"cost": {"seconds": 2.7, "milliseconds": 5.4}}},
        "seconds": {"cnn": 2.7},
        "made_by": {"commit": "def"},
    }


def test_what_differs_from_run_to_run_is_not_in_git():
    committed = [
        (path, json.loads(path.read_text(encoding="utf-8")))
        for path in (PROJECT / "report/demo/results").glob("*.json")
    ]
    assert len(committed) == 8
    assert [path.name for path, content in committed if results.apart(content)[1]] == []
    ignored = ["report/demo/results/run/model.json", "figures/demo/costs.png"]
    asked = ["git", "-C", str(PROJECT), "check-ignore", *ignored]
    if shutil.which("git") and (PROJECT / ".git").exists():
        found = subprocess.run(asked, capture_output=True, encoding="utf-8").stdout
        assert found.split() == ignored


def test_a_missing_number_is_null_however_deep_it_lies(tmp_path):
    path = tmp_path / "result.json"
    content = {"ccc": [{"value": float("nan")}, {"value": np.float64("nan")}, {"value": 0.5}]}
    results.save_results(path, content, made_by={})
    assert json.loads(path.read_text())["ccc"] == [{"value": None}, {"value": None}, {"value": 0.5}]


def test_results_of_an_earlier_notebook_are_the_studys_own_or_the_projects(corpus_folder, output):
    settings, demo = Settings.from_env(), corpora.load()
    found = results.earlier_results("tuning.json", demo, settings)
    assert found == PROJECT / "report/demo/results"
    mine = settings.results("demo")
    results.save_results(mine / "tuning.json", {}, made_by=results.made_by(demo, settings))
    assert results.earlier_results("tuning.json", demo, settings) == mine
    (mine / "tuning.json").write_text("[]")
    assert results.earlier_results("tuning.json", demo, settings) == found
    for corpus, study in (
        (corpora.load(corpus_folder), settings),
        (demo, dataclasses.replace(settings, profile="full")),
    ):
        with pytest.raises(results.ResultsError, match="There is no tuning.json of the .* first"):
            results.earlier_results("tuning.json", corpus, study)


@pytest.mark.parametrize("path", sorted(PROJECT.glob("report/*/trainings.zip")))
def test_each_training_kept_with_a_study_is_named_after_what_decides_its_numbers(path):
    with zipfile.ZipFile(path) as kept:
        for name in kept.namelist():
            kind, file = name.split("/")
            made_by = json.loads(kept.read(name))["made_by"]
            trial = digest(json.dumps(made_by, sort_keys=True))
            assert file == f"{trial if kind == 'trials' else made_by['key']}.json"
