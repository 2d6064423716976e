"""The panel of notebook 7, driven as the browser drives it."""

from datetime import UTC, datetime

import numpy as np
import pytest
import soundfile

from helpers import features, inference, models, recorder, training
from helpers.splits import Split
from tests.conftest import voice

MEL = features.MelSettings(n_mels=16)
RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "a.keras"
    ratings = np.linspace(1, 5, 24)
    clips = [features.normalise(voice(1, 8000, pitch=90 + 40 * r)) for r in ratings]
    matrix = np.stack([features.decibels(features.mel_spectrogram(y, MEL)) for y in clips])
    split = Split(np.arange(0, 24, 2), np.arange(1, 24, 2), np.arange(0))
    network = models.parallel_cnn(matrix.shape[1:], filters=2, kernels=((3, 3),), units=(4,))
    run = training.train(network, matrix, ratings, split, epochs=1)
    inference.save(run, path, mel=MEL)
    return inference.load(path)


@pytest.fixture
def panel(model, tmp_path):
    clips = {}
    for name, y in {"a <b>": voice(1), "silent": np.zeros(RATE)}.items():
        clips[name] = str(tmp_path / f"{len(clips)}.wav")
        soundfile.write(clips[name], y, RATE)
    return recorder.panel(model, clips)


def controls(panel):
    return panel.children[0].children


def verdict(panel):
    return panel.children[1].value


def test_the_first_clip_is_shown_with_its_sound_and_picture(panel):
    _, text, sound, picture = panel.children
    assert text.value.startswith("<b>a &lt;b&gt;</b>: valence ")
    assert sound.value[:4] == b"RIFF" and picture.value[:4] == b"\x89PNG"


def test_another_choice_replaces_it_and_silence_has_no_picture(panel):
    choose = controls(panel)[2]
    choose.value = dict(choose.options)["silent"]
    assert verdict(panel) == "<b>silent</b> has no valence: it is silent or constant."
    assert panel.children[3].layout.display == "none"


def test_what_the_browser_recorded_is_predicted(panel, model):
    y = voice(1, 48000, pitch=150).astype("<f4")
    browser = controls(panel)[0]
    browser.set_state({"sample_rate": 48000, "samples": memoryview(y.tobytes())})
    expected = inference.predict(model, (y, 48000))["valence"].item()
    assert verdict(panel).startswith(f"<b>Your recording</b>: valence {expected:.2f} ")


def test_what_is_uploaded_is_predicted_or_refused_with_its_reason(panel, tmp_path):
    soundfile.write(tmp_path / "mine.flac", voice(1), RATE)
    upload = controls(panel)[1]
    for name, content, expected in (
        ("mine.flac", (tmp_path / "mine.flac").read_bytes(), "<b>mine.flac</b>: valence "),
        ("text.wav", b"no audio", "<b>text.wav</b> has no valence: it is not readable audio"),
    ):
        about = {"name": name, "type": "audio/x", "size": len(content), "content": content}
        upload.value = [{**about, "last_modified": datetime.now(UTC)}]
        assert verdict(panel).startswith(expected)
