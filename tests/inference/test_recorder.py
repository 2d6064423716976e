"""The panel of notebook 7, used as a browser uses it."""

from datetime import UTC, datetime

import numpy as np
import pytest
import soundfile

from helpers import audio, cli, inference
from tests.conftest import NO_AUDIO, voice
from tests.inference.conftest import RATE


@pytest.fixture
def panel(model, tmp_path):
    clips = {}
    for name, y in {"a <b>": voice(1), "silent": np.zeros(RATE)}.items():
        clips[name] = str(tmp_path / f"{len(clips)}.wav")
        soundfile.write(clips[name], y, RATE)
    return inference.panel(model, clips)


def controls(panel):
    return panel.children[0].children


def text(panel):
    return panel.children[1].value


def record(panel, y, rate):
    """What the browser sends."""
    state = {"sample_rate": rate, "samples": memoryview(y.astype("<f4").tobytes())}
    controls(panel)[0].set_state(state)


def test_the_first_clip_is_shown_with_its_sound_and_picture(panel):
    _, verdict, sound, picture = panel.children
    assert verdict.value.startswith("<b>a &lt;b&gt;</b>: valence ")
    assert sound.value[:4] == b"RIFF" and picture.value[:4] == b"\x89PNG"


def test_silence_has_no_picture_until_another_clip_is_chosen(panel):
    choose = controls(panel)[2]
    first = choose.value
    choose.value = dict(choose.options)["silent"]
    assert text(panel) == "<b>silent</b> has no valence. The recording is silent or constant."
    assert [each.layout.display for each in panel.children[2:]] == ["none", "none"]
    choose.value = first
    assert [each.layout.display for each in panel.children[2:]] == [None, None]


@pytest.mark.parametrize("seconds", [1, 1.3, 2.5])  # one window, cut as in training, many windows
def test_what_the_browser_recorded_is_predicted(panel, model, seconds):
    y = voice(seconds, 48000, pitch=150).astype("<f4")
    record(panel, y, 48000)
    row = inference.predict(model, (y, 48000)).iloc[0]
    interval = f"{row['valence']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    assert text(panel).startswith(f"<b>Your recording</b>: valence {interval}")


def test_a_recording_that_is_unlike_the_training_clips_is_marked(panel):
    record(panel, 0.1 * np.random.default_rng(0).normal(size=RATE), RATE)
    assert "<br>Take this with care: the recording sounds unlike the training" in text(panel)


@pytest.mark.parametrize("seconds", [1, 1.3, 2.5])
def test_a_recording_is_decoded_once_and_predicted_once(panel, model, monkeypatch, seconds):
    calls = []

    def counted(function):
        def call(*arguments, **options):
            calls.append(function.__name__)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(audio, "read", counted(audio.read))
    monkeypatch.setattr(model.network, "predict_on_batch", counted(model.network.predict_on_batch))
    record(panel, voice(seconds), RATE)
    assert calls == ["read", "predict_on_batch"]


def test_what_is_uploaded_is_predicted_or_refused_with_its_reason(panel, tmp_path):
    soundfile.write(tmp_path / "mine.flac", voice(1), RATE)
    upload = controls(panel)[1]
    for name, content, expected in (
        ("mine.flac", (tmp_path / "mine.flac").read_bytes(), "<b>mine.flac</b>: valence "),
        (
            "text.wav",
            b"no audio",
            f"<b>text.wav</b> has no valence. The recording {NO_AUDIO}",
        ),
    ):
        about = {"name": name, "type": "audio/x", "size": len(content), "content": content}
        upload.value = [{**about, "last_modified": datetime.now(UTC)}]
        assert text(panel).startswith(expected)


def test_a_figure_of_a_recording_that_cannot_be_used_is_refused(model, tmp_path):
    with pytest.raises(cli.UserError, match="The recording does not exist"):
        inference.recording_figure(model, tmp_path / "none.wav")
    with pytest.raises(cli.UserError, match=r"The recording is silent or constant\."):
        inference.recording_figure(model, (np.zeros(RATE), RATE))
