import importlib.util
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import audio, cards, corpora, features, inference, models, splits, training
from helpers.backend import keras
from helpers.settings import PROJECT
from tests.conftest import voice, write_corpus

MEL = features.MelSettings(n_mels=32)
RATE = 16000


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A corpus of voices, and a small network that was trained on it and saved."""
    folder = tmp_path_factory.mktemp("study")
    write_corpus(folder / "voices", clips=40, speakers=8, seconds=1.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(folder))
        corpus = corpora.load(folder / "voices")
        matrix = features.extract(corpus, MEL, duration=1)
        split = splits.random_split(corpus.clips, seed=0)
        network = models.cnn_blstm(matrix.shape[1:], filters=(4, 4), lstm_units=4)
        run = training.train(network, matrix, corpus.clips["valence"], split, epochs=2)
        path = folder / "models" / "voices.keras"
        inference.save(run, path, corpus=corpus, mel=MEL)
        yield corpus, run, path


@pytest.fixture(scope="module")
def model(study):
    return inference.load(study[2])


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice(1.2, RATE, pitch=200), RATE)
    return path


# One file


def test_every_clip_gets_the_number_that_it_had_in_memory(study, model):
    corpus, run, _ = study
    assert (corpus.clips["duration"] > 1).any() and (corpus.clips["duration"] < 1).any()
    table = inference.predict(model, corpus.clips["path"])
    in_memory = training.predict(run, run.features, np.arange(len(corpus.clips)))
    assert table.columns.tolist() == ["clip", "valence", "low", "high", "problem"]
    assert table["clip"].tolist() == corpus.clips["path"].tolist()
    np.testing.assert_allclose(table["valence"], in_memory, atol=1e-5)


def test_nothing_but_the_run_and_the_path_is_needed(study, tmp_path):
    corpus, run, _ = study
    small = models.parallel_cnn((128, 32), filters=2, kernels=((3, 3),), units=(4,))
    matrix = np.random.default_rng(0).normal(size=(40, 128, 32)).astype(np.float32)
    run = training.train(small, matrix, run.ratings, run.split, epochs=1)
    inference.save(run, tmp_path / "a.keras")
    model = inference.load(tmp_path / "a.keras")
    assert model.card.scale is None and model.card.duration == 2
    row = inference.predict(model, corpus.clips["path"][0]).iloc[0]
    assert row["high"] - row["valence"] == pytest.approx(row["valence"] - row["low"])


def test_any_network_of_the_study_comes_back(study, tmp_path):
    corpus, run, _ = study
    for shape in ((32, 16), (32, 16, 1)):
        network = models.parallel_cnn(shape, filters=2, kernels=((3, 3), (4, 5)), units=(4, 3))
        matrix = np.asarray(run.features).reshape(-1, *shape)
        other = training.train(network, matrix, run.ratings, run.split, epochs=1)
        inference.save(other, tmp_path / "a.keras", corpus=corpus, mel=MEL)
        table = inference.predict(inference.load(tmp_path / "a.keras"), corpus.clips["path"][:3])
        in_memory = training.predict(other, matrix, np.arange(3))
        np.testing.assert_allclose(table["valence"], in_memory, atol=1e-5)


def test_the_recommended_network_comes_back(study, tmp_path):
    corpus = study[0]
    mel = models.RECOMMENDED_MEL
    matrix = features.extract(corpus, mel, duration=1)
    network = models.recommended(matrix.shape[1:], scale=corpus.scale)
    recipe = {**models.RECOMMENDED_TRAINING, "epochs": 2}
    run = training.train(network, matrix, study[1].ratings, study[1].split, **recipe)
    inference.save(run, tmp_path / "a.keras", corpus=corpus, mel=mel)
    table = inference.predict(inference.load(tmp_path / "a.keras"), corpus.clips["path"][:3])
    in_memory = training.predict(run, matrix, np.arange(3))
    np.testing.assert_allclose(table["valence"], in_memory, atol=1e-5)


def test_a_save_that_fails_leaves_the_file_that_was_there(study, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_text("before")
    monkeypatch.setattr(inference, "asdict", lambda card: {"unwritable": object()})
    with pytest.raises(TypeError):
        inference.save(study[1], path, mel=MEL)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


def test_a_network_whose_bands_were_standardised_one_by_one_is_saved_like_any_other(
    study, tmp_path
):
    corpus, run, _ = study
    clips = run.model, run.features, run.ratings, run.split
    run = training.train(*clips, epochs=1, per_band=True)
    inference.save(run, tmp_path / "a.keras", corpus=corpus, mel=MEL)
    model = inference.load(tmp_path / "a.keras")
    table = inference.predict(model, corpus.clips["path"][:3])
    in_memory = training.predict(run, run.features, np.arange(3))
    assert table["valence"].to_numpy() == pytest.approx(in_memory, abs=1e-5)
    text = cards.markdown(model.card)
    assert "decibels, minus the mean of each band, divided by its deviation" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "takes 32 rows x 16 frames and 1 s of audio are 128 x 16"),
        ({"mel": MEL, "duration": 3}, "3 s of audio are 32 x 47"),
    ],
)
def test_features_that_do_not_fit_the_network_are_refused(study, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        inference.save(study[1], tmp_path / "a.keras", **options)


def test_a_run_on_other_ratings_or_without_validation_is_refused(study, tmp_path):
    corpus, run, _ = study
    clips = corpus.clips.assign(valence=3.0)
    with pytest.raises(ValueError, match="The ratings of voices are not those"):
        inference.save(run, tmp_path / "a.keras", corpus=replace(corpus, clips=clips), mel=MEL)
    with pytest.raises(ValueError, match="no validation part"):
        inference.save(replace(run, validation=None), tmp_path / "a.keras", mel=MEL)
    with pytest.raises(ValueError, match="let it end in .keras"):
        inference.save(run, tmp_path / "a.h5", mel=MEL)


def test_a_file_that_is_not_ours_is_refused_with_one_sentence(study, tmp_path):
    _, run, path = study
    text, foreign, later, broken = (tmp_path / f"{name}.keras" for name in "abcd")
    text.write_text("no zip")
    run.model.save(foreign)
    with zipfile.ZipFile(later, "w") as target:
        target.writestr(inference.MEMBER, json.dumps({"format": 99}))
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        target.writestr(inference.MEMBER, source.read(inference.MEMBER))
    for path, reason in {
        text: "is no model of this study",
        foreign: "is no model of this study",
        later: "has format 99",
        broken: "is no model of this study",
        tmp_path / "none.keras": "There is no file",
        tmp_path: "There is no file",
        tmp_path / ("long" * 100): "There is no file",
    }.items():
        with pytest.raises(inference.ModelError, match=reason) as error:
            inference.load(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)


def test_code_in_a_file_is_not_run(study, tmp_path):
    inputs = keras.Input((32, 16))
    code = keras.layers.Lambda(lambda x: x[:, 0, :1], output_shape=(1,))(inputs)
    path = tmp_path / "a.keras"
    keras.Model(inputs, code).save(path)
    with zipfile.ZipFile(study[2]) as source, zipfile.ZipFile(path, "a") as target:
        target.writestr(inference.MEMBER, source.read(inference.MEMBER))
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
    kernels = (
        (3, 3),
        (12, 8),
    )  # the one is searched by convolution, the other by Fourier transform
    networks = {
        "parallel_cnn": models.parallel_cnn(shape, filters=8, kernels=kernels, units=(8, 4)),
        "cnn_blstm": models.cnn_blstm(shape, filters=(4, 4), lstm_units=4),
        "recommended": models.recommended(shape),
    }
    folder = tmp_path_factory.mktemp("networks")
    for name, network in networks.items():
        loss = models.RECOMMENDED_TRAINING["loss"] if name == "recommended" else "mae"
        trained = training.train(network, run.features, run.ratings, run.split, epochs=2, loss=loss)
        inference.save(trained, folder / f"{name}.keras", corpus=corpus, mel=MEL)
    return sorted(folder.iterdir())


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # over time: the clips are short
@pytest.mark.parametrize("backend", ENVIRONMENTS)
def test_a_file_from_this_backend_predicts_the_same_on_another(study, one_of_each, backend):
    python, clips = python_with(backend), study[0].clips["path"].tolist()
    for path in one_of_each:
        table = path.with_suffix(f".{backend}.json")
        run = subprocess.run(
            [python, "-m", "helpers.inference", path, *clips, "--json", table],
            cwd=PROJECT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True,
            text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        expected = inference.predict(inference.load(path), clips)["valence"]
        assert expected.std() > 1e-3  # or they would agree on nothing
        np.testing.assert_allclose(pd.read_json(table)["valence"], expected, rtol=0, atol=1e-4)


# Any recording


def test_paths_folders_waveforms_and_streams_of_them_are_taken(model, recording):
    y, rate = soundfile.read(recording)
    expected = inference.predict(model, recording)["valence"].item()
    stereo, integers = np.stack([y, y], axis=1), np.round(y * 2**15).astype(np.int16)
    assert inference.predict(model, recording.parent)["clip"].tolist() == [str(recording)]
    for clips in ((y, rate), [(stereo, rate)], iter([str(recording)]), [(integers, rate)]):
        table = inference.predict(model, clips)
        assert table["valence"].item() == pytest.approx(expected, abs=1e-3)
    names = inference.predict(model, ((y, rate) for _ in range(2)))["clip"]
    assert names.tolist() == ["waveform 1", "waveform 2"]


def test_progress_knows_how_many_there_are_unless_they_can_be_read_only_once(
    model, recording, monkeypatch
):
    totals = []
    monkeypatch.setattr(inference, "bar", lambda rows, **options: totals.append(options) or rows)
    y, rate = soundfile.read(recording)
    for clips in (
        recording.parent,
        (y, rate),
        [str(recording), recording.parent],
        iter([(y, rate)]),
    ):
        inference.predict(model, clips)
    assert [each["total"] for each in totals] == [1, 1, 2, None]


@pytest.mark.parametrize(("suffix", "rate"), [("flac", 44100), ("ogg", 48000), ("mp3", 22050)])
def test_any_format_and_sampling_rate_gives_about_the_same(model, recording, suffix, rate):
    path = recording.with_suffix(f".{suffix}")
    soundfile.write(path, voice(1.2, rate, pitch=200), rate)
    both = inference.predict(model, [recording, path])["valence"]
    assert both[1] == pytest.approx(both[0], abs=0.1)


def test_a_file_that_cannot_be_used_becomes_a_row_with_its_reason(model, recording):
    folder = recording.parent
    (folder / "text.wav").write_text("no audio")
    (folder / "empty").mkdir()
    soundfile.write(folder / "short.wav", voice(0.01, RATE), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "cut.flac", voice(1, RATE), RATE)
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:9000])
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    expected = {
        recording: "",
        folder / "text.wav": "is not readable audio",
        folder / "none.wav": "",
        folder / "empty": "is a folder without audio",
        folder / "short.wav": "lasts 10 ms, too short for speech",
        folder / "silent.wav": "is silent or constant",
        folder / "cut.flac": "",
        folder / "nan.wav": "has samples that are not numbers",
        folder / ("long" * 100): "",
    }
    table = inference.predict(model, expected)
    assert table["clip"].tolist() == [str(path) for path in expected]
    for problem, reason in zip(table["problem"], expected.values(), strict=True):
        assert reason in problem
    assert table["valence"].notna().tolist() == [True] + [False] * 8
    assert table.loc[2, "problem"] and table.loc[1:, ["low", "high"]].isna().all(axis=None)


def test_a_long_recording_is_the_mean_of_its_windows(model):
    y = np.concatenate([voice(1, pitch=110), voice(1, pitch=220), voice(1.5, pitch=330)])
    curve = inference.curve(model, (y, RATE))
    assert len(y) / RATE > model.card.longest
    assert curve["seconds"].tolist() == pytest.approx([0.5, 1, 1.5, 2, 2.5, 3])  # of 3.5 s
    by_hand = inference.predict(
        model, [(y[round((s - 0.5) * RATE) :][:RATE], RATE) for s in curve["seconds"]]
    )
    np.testing.assert_allclose(curve["valence"], by_hand["valence"], atol=0.05)
    whole = inference.predict(model, (y, RATE))["valence"].item()
    assert whole == pytest.approx(curve["valence"].mean(), abs=1e-6)


def test_a_pause_is_left_out_of_the_curve(model):
    y = np.concatenate([voice(1), np.zeros(3 * RATE), voice(1)])
    curve = inference.curve(model, (y, RATE))
    assert curve["seconds"].diff().max() > 1 and curve["valence"].notna().all()
    with pytest.raises(ValueError, match="The recording is silent or constant."):
        inference.curve(model, (np.zeros(RATE), RATE))


def test_a_recording_of_many_blocks_is_read_as_in_training(tmp_path):
    path, y = tmp_path / "long.wav", voice(9, 44100)
    soundfile.write(path, np.stack([y, y[::-1]], axis=1), 44100)
    with audio.opened(path) as file:
        assert len(list(file.blocks)) > 2
    found, rate = inference.read(path, RATE)
    assert rate == 44100
    np.testing.assert_array_equal(found, features.read_clip(path, RATE))


def test_long_recordings_are_not_read_far_ahead(model, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    taken = []

    def recordings():
        for number in range(60):
            taken.append(number)
            yield voice(20), RATE

    next(inference.stream(model, recordings()))
    assert len(taken) < 10


def test_memory_stays_flat_over_a_stream(model):
    y = voice(1)

    def peak_of(clips):
        tracemalloc.start()
        for _ in inference.stream(model, ((y.copy(), RATE) for _ in range(clips))):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak_of(150)
    assert peak_of(600) < 1.3 * few


# How sure


def test_the_margin_is_the_conformal_quantile():
    errors = np.random.default_rng(0).normal(size=99)
    assert cards.conformal_margin(errors) == np.sort(np.abs(errors))[89]  # the 90th of 99
    assert cards.conformal_margin(errors[:8]) is None


def test_intervals_of_exchangeable_clips_hold_nine_in_ten_ratings():
    random = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        errors = random.standard_t(3, size=40)
        held.append(abs(errors[-1]) <= cards.conformal_margin(errors[:-1]))
    assert 0.9 - 0.02 < np.mean(held) < 0.925 + 0.02  # between 1 - alpha and that + 1 / (n + 1)


def test_an_interval_stays_on_the_scale(model):
    card = replace(model.card, scale=(1.0, 5.0), margin=0.5)
    low, high = card.interval(np.array([1.2, 3.0, 4.9, 5.2]))
    assert low.tolist() == pytest.approx([1.0, 2.5, 4.4, 4.7])
    assert high.tolist() == pytest.approx([1.7, 3.5, 5.0, 5.0])
    assert replace(card, margin=None).interval(3.0) == (1.0, 5.0)


def test_what_is_unlike_the_training_clips_is_marked(model):
    time = np.arange(RATE) / RATE
    odd = {
        "noise": np.random.default_rng(0).normal(size=RATE),
        "chord": sum(np.sin(2 * np.pi * f * time) for f in (262, 330, 392)),
        "hum": np.sin(2 * np.pi * 50 * time),
    }
    table = inference.predict(model, [(0.1 * y, RATE) for y in odd.values()])
    assert table["problem"].str.contains("sounds unlike the training clips").all()
    assert table["valence"].notna().all()
    slow = inference.predict(model, (voice(1, 6000), 6000)).iloc[0]
    assert "has a sampling rate of 6000 Hz" in slow["problem"]
    assert inference.predict(model, (voice(1, seed=99), RATE))["problem"].item() == ""


# From a terminal


def test_the_command_prints_the_model_card(study, capsys):
    assert inference.main([str(study[2])]) == 0
    card = capsys.readouterr().out
    assert card.startswith("# Valence of speech, trained on voices\n")
    assert "on a scale of 1 to 5" in card and "| ccc |" in card


def test_the_command_writes_tables_and_its_exit_code_says_what_failed(
    study, recording, tmp_path, capsys
):
    model, clip, missing = str(study[2]), str(recording), str(tmp_path / "none.wav")
    assert inference.main([model, clip]) == 0
    assert clip in capsys.readouterr().out
    csv, as_json = tmp_path / "out.csv", tmp_path / "out.json"
    options = ["--csv", str(csv), "--json", str(as_json)]
    assert inference.main([model, clip, missing, *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == "2 recordings, 1 of them without a valence\n"
    assert captured.err.startswith(f"{missing} ")
    rows = json.loads(as_json.read_text())
    assert rows[1]["valence"] is None and rows[0]["problem"] == ""
    assert pd.read_csv(csv)["valence"][0] == pytest.approx(rows[0]["valence"])
    assert inference.main([missing, clip]) == 2
    assert "There is no file" in capsys.readouterr().err
