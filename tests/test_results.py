import json

import numpy as np
import pytest

from helpers import corpora, results
from helpers.settings import Settings


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


def test_a_missing_number_is_null_however_deep_it_lies(tmp_path):
    path = tmp_path / "result.json"
    content = {"ccc": [{"value": float("nan")}, {"value": np.float64("nan")}, {"value": 0.5}]}
    results.save_results(path, content, made_by={})
    assert json.loads(path.read_text())["ccc"] == [{"value": None}, {"value": None}, {"value": 0.5}]
