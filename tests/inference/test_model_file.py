import importlib.util
import json
import math
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import features, inference, models, training
from helpers.inference import model_file
from helpers.models import keras
from helpers.storage import PROJECT
from tests.inference.conftest import MEL


def assert_same_as_in_memory(model, run, corpus):
    table = inference.predict(model, corpus.clips["path"][:3])
    in_memory = training.predict(run, run.features, np.arange(3))
    np.testing.assert_allclose(table["valence"], in_memory, atol=1e-5)


def test_every_clip_gets_the_number_that_it_had_in_memory(study, model):
    corpus, run, _ = study
    assert (corpus.clips["duration"] > 1).any() and (corpus.clips["duration"] < 1).any()
    table = inference.predict(model, corpus.clips["path"])
    in_memory = training.predict(run, run.features, np.arange(len(corpus.clips)))
    assert table.columns.tolist() == ["clip", "valence", "low", "high", "problem"]
    assert table["clip"].tolist() == corpus.clips["path"].tolist()
    np.testing.assert_allclose(table["valence"], in_memory, atol=1e-5)


@pytest.mark.parametrize("shape", [(32, 16), (32, 16, 1)])
def test_any_shape_of_input_comes_back(study, tmp_path, shape):
    corpus, run, _ = study
    network = models.parallel_cnn(shape, filters=2, kernels=((3, 3), (4, 5)), units=(4, 3))
    matrix = np.asarray(run.features).reshape(-1, *shape)
    run = training.train(network, matrix, run.ratings, run.split, epochs=1, batch_size=10)
    assert_same_as_in_memory(study.save(run, tmp_path / "a.keras"), run, corpus)


def test_the_recommended_network_comes_back(study, tmp_path, output):
    corpus, mel = study.corpus, models.RECOMMENDED_MEL
    matrix = features.extract(corpus, mel, duration=1)
    network = models.recommended(matrix.shape[1:], scale=corpus.scale)
    recipe = {**models.RECOMMENDED_TRAINING, "epochs": 2}
    run = training.train(network, matrix, study.run.ratings, study.run.split, **recipe)
    rows = np.union1d(run.split.train, run.split.validation)
    prediction, quantiles = training.predict_with_quantiles(run, matrix, rows)
    low, high = quantiles.T
    out_of_fold = pd.DataFrame(
        {"fold": np.arange(len(rows)) % 4, "prediction": prediction, "low": low, "high": high}, rows
    )
    model = study.save(run, tmp_path / "a.keras", mel=mel, out_of_fold=out_of_fold)
    assert_same_as_in_memory(model, run, corpus)
    card, table = model.card, inference.predict(model, corpus.clips["path"].iloc[rows])
    assert card.from_quantiles and card.errors["folds"] == 4
    np.testing.assert_allclose(table["low"], np.clip(low - card.margin, 1, 5), atol=1e-4)
    np.testing.assert_allclose(table["high"], np.clip(high + card.margin, 1, 5), atol=1e-4)
    held = (
        corpus.clips["valence"]
        .iloc[rows]
        .between(low - card.margin - 1e-6, high + card.margin + 1e-6)
    )
    assert held.sum() == np.ceil(0.9 * (len(rows) + 1))  # of its own calibration clips
    tested = inference.predict(model, corpus.clips["path"].iloc[run.split.test])
    ratings = corpus.clips["valence"].iloc[run.split.test].to_numpy()
    inside = (tested["low"] <= ratings) & (ratings <= tested["high"])
    assert card.coverage["held"] == inside.sum()


def test_a_network_whose_bands_were_standardised_one_by_one_comes_back(study, tmp_path):
    corpus, run, _ = study
    clips = run.model, run.features, run.ratings, run.split
    run = training.train(*clips, epochs=1, batch_size=10, per_band=True)
    model = study.save(run, tmp_path / "a.keras")
    assert_same_as_in_memory(model, run, corpus)
    text = inference.card_markdown(model.card)
    assert "decibels, minus the mean of each band, divided by its standard deviation" in text


def test_a_save_that_fails_leaves_the_file_that_was_there(study, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_text("before")
    monkeypatch.setattr(model_file, "asdict", lambda card: {"unwritable": object()})
    with pytest.raises(TypeError):
        study.save(study.run, path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"mel": features.MelSettings(), "duration": 1},
            "takes 32 rows x 16 frames and 1 s of audio are 128 x 16",
        ),
        ({"mel": MEL, "duration": 3}, "3 s of audio are 32 x 47"),
    ],
)
def test_features_that_do_not_fit_the_network_are_refused(study, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        study.save(study.run, tmp_path / "a.keras", **options)


def test_a_run_on_other_ratings_or_without_validation_is_refused(study, tmp_path):
    corpus, run, _ = study
    other = replace(corpus, clips=corpus.clips.assign(valence=3.0))
    with pytest.raises(ValueError, match="not trained on the ratings of speech"):
        study.save(run, tmp_path / "a.keras", corpus=other)
    with pytest.raises(ValueError, match="no validation part"):
        study.save(replace(run, validation=None), tmp_path / "a.keras")
    with pytest.raises(ValueError, match=r"ends in \.keras; .*a\.h5 does not"):
        study.save(run, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def rewritten(source, target, change):
    """A copy of a model file whose card was changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == models.MEMBER:
                content = json.dumps(change(json.loads(content)))
            new.writestr(name, content)
    return target


def test_a_file_of_before_that_does_not_name_its_corpus_is_read(study, model, recording, tmp_path):
    path = rewritten(
        study.path, tmp_path / "a.keras", lambda card: {**card, "corpus": {}, "scale": None}
    )
    card = inference.load(path).card
    assert card.scale == (-math.inf, math.inf)
    row = inference.predict(inference.load(path), recording).iloc[0]
    assert row["valence"] == inference.predict(model, recording)["valence"].item()
    assert row["high"] - row["valence"] == pytest.approx(row["valence"] - row["low"])
    assert row["high"] - row["valence"] == pytest.approx(card.margin)
    assert inference.card_markdown(card).startswith("# Valence of speech, trained on unknown\n")


def test_a_file_of_format_1_has_intervals_of_constant_width(study, distribution, tmp_path):
    study.save(distribution, tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as archive:
        content = json.loads(archive.read(models.MEMBER))
    old = {name: each for name, each in content.items() if name not in NEW}
    old |= {"format": 1, "margin": 0.25, "coverage": {"clips": 8, "held": 6}}
    path = rewritten(tmp_path / "new.keras", tmp_path / "old.keras", lambda content: old)
    model = inference.load(path)
    table = inference.predict(model, study.corpus.clips["path"][:5])
    np.testing.assert_allclose(table["high"] - table["low"], 0.5)
    text = inference.card_markdown(model.card)
    assert "Prediction interval at 90 %: 0.25 to each side.\n" in text
    assert "It held 75 % of the test ratings" in text and "ratings held" not in text


#: What cards of format 1 did not have.
NEW = ("from_quantiles", "errors", "out_of_fold")


def test_a_file_that_is_not_ours_is_refused_with_one_sentence(study, tmp_path):
    text, foreign, broken = (tmp_path / f"{name}.keras" for name in "abc")
    text.write_text("no zip")
    study.run.model.save(foreign)
    with zipfile.ZipFile(study.path) as source, zipfile.ZipFile(broken, "w") as target:
        target.writestr(models.MEMBER, source.read(models.MEMBER))

    def changed(name, change):
        path = tmp_path / f"{name}.keras"
        return rewritten(study.path, path, lambda card: {**card, **change})

    for path, reason in {
        text: "is no model of this study",
        foreign: "is no model of this study",
        rewritten(
            study.path, tmp_path / "d.keras", lambda card: {**card, "format": 99}
        ): "has format 99",
        rewritten(
            study.path, tmp_path / "e.keras", lambda card: {**card, "odd": 1}
        ): "is no model of this study",
        broken: "is no model of this study",
        tmp_path / "none.keras": "There is no file",
        tmp_path: "There is no file",
        tmp_path / ("long" * 100): "There is no file",
    }.items():
        with pytest.raises(inference.ModelError, match=reason) as error:
            inference.load(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"settings": {"model": "recommended"}}, "KeyError: 'parameters'"),
        ({"familiar": {}}, "KeyError: 'mean'"),
        ({"familiar": {"mean": [1], "deviation": [[1], [1]]}}, "KeyError: 'limit'"),
        ({"mean": [[0.0]] * 3}, "ValueError: "),
        ({"margin": "wide"}, "TypeError|UFunc|ValueError"),
        ({"spread": {"centre": 3}}, "KeyError: "),
        ({"coverage": {"held": 3}}, "KeyError: 'clips'"),
    ],
)
def test_a_card_that_lacks_what_is_needed_is_refused_when_it_is_read(
    study, tmp_path, monkeypatch, change, reason
):
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **b: study.run.model)
    path = rewritten(study.path, tmp_path / "a.keras", lambda card: {**card, **change})
    with pytest.raises(inference.ModelError, match=rf"a\.keras is no model .*\(({reason})"):
        inference.load(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (TypeError("of another\nversion" * 99), "TypeError: of another version"),
    ],
)
def test_what_keeps_a_file_from_being_read_is_said(study, monkeypatch, error, reason):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(keras.saving, "load_model", fail)
    with pytest.raises(inference.ModelError) as raised:
        inference.load(study.path)
    said = str(raised.value)
    assert f"voices.keras is no model of this study, or cannot be read here ({reason}" in said
    assert "\n" not in said and len(said) < 500


def test_code_in_a_file_is_not_run(study, tmp_path):
    inputs = keras.Input((32, 16))
    code = keras.layers.Lambda(lambda x: x[:, 0, :1], output_shape=(1,))(inputs)
    path = tmp_path / "a.keras"
    keras.Model(inputs, code).save(path)
    with zipfile.ZipFile(study.path) as source, zipfile.ZipFile(path, "a") as target:
        target.writestr(models.MEMBER, source.read(models.MEMBER))
    with pytest.raises(inference.ModelError, match="is no model of this study"):
        inference.load(path)


#: The environments that `make` creates, by their backend.
ENVIRONMENTS = {"tensorflow": ".venv", "jax": ".venv-jax", "torch": ".venv-torch"}


def python_with(backend):
    """An interpreter that has this backend: this one, or that of its own environment."""
    if importlib.util.find_spec(backend):
        return sys.executable
    python = PROJECT / ENVIRONMENTS[backend] / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{backend} is not here; `make test-backends` makes an environment with it")
    return python


@pytest.fixture(scope="module")
def one_of_each(study, tmp_path_factory):
    """A file of each network, written by this backend."""
    corpus, run, _ = study
    shape = run.model.input_shape[1:]
    kernels = ((3, 3), (12, 8))  # searched by convolution, and by Fourier transform
    networks = {
        "parallel_cnn": models.parallel_cnn(shape, filters=8, kernels=kernels, units=(8, 4)),
        "cnn_blstm": models.cnn_blstm(shape),
        "recommended": models.recommended(shape, scale=corpus.scale, pitch=False),
    }
    folder = tmp_path_factory.mktemp("networks")
    for name, network in networks.items():
        loss = models.RECOMMENDED_TRAINING["loss"] if name == "recommended" else "mae"
        recipe = {"epochs": 2, "batch_size": 10, "loss": loss}
        trained = training.train(network, run.features, run.ratings, run.split, **recipe)
        study.save(trained, folder / f"{name}.keras")
    return sorted(folder.iterdir())


PREDICT = """
import json, sys
from helpers import inference
sys.exit(any(inference.main(arguments) for arguments in json.loads(sys.argv[1])))
"""


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # over time: the clips are short
@pytest.mark.parametrize("backend", ENVIRONMENTS)
def test_a_file_from_this_backend_predicts_the_same_on_another(study, one_of_each, backend):
    python, clips = python_with(backend), study.corpus.clips["path"].tolist()
    tables = [path.with_suffix(f".{backend}.json") for path in one_of_each]
    asked = [
        [str(path), *clips, "--json", str(table)]
        for path, table in zip(one_of_each, tables, strict=True)
    ]
    run = subprocess.run(
        [python, "-c", PREDICT, json.dumps(asked)],
        cwd=PROJECT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for path, table in zip(one_of_each, tables, strict=True):
        expected = inference.predict(inference.load(path), clips)["valence"]
        assert expected.std() > 1e-3  # or they would agree on nothing
        np.testing.assert_allclose(pd.read_json(table)["valence"], expected, rtol=0, atol=1e-4)
