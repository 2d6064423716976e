"""The panel of notebook 7, used as a browser uses it."""

import base64
import json
import re
import subprocess
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import soundfile
from playwright._impl._driver import compute_driver_executable

from helpers import audio, cli, inference
from helpers.storage import PROJECT
from tests.conftest import stored_of, voice
from tests.inference.conftest import RATE

#: A browser that asks for permission before it hands out a stream, or refuses.
BROWSER = """
let button, streams = [];
const element = () => ({ style: {}, append() {} });
globalThis.document = {
  createElement: (tag) => (tag === "button" ? (button = element()) : element()),
};
const getUserMedia = () => new Promise((grant, refuse) => setTimeout(() => {
  if (process.argv[2] === "refuse") return refuse(new Error("refused"));
  const stream = { on: true, getTracks: () => [{ stop: () => (stream.on = false) }] };
  streams.push(stream);
  grant(stream);
}));
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } } });
globalThis.AudioContext = class {
  createAnalyser() { return { fftSize: 8, getFloatTimeDomainData() {} }; }
  createMediaStreamSource() { return { connect() {} }; }
  close() {}
  async decodeAudioData() { return { duration: 1, getChannelData: () => new Float32Array(3) }; }
};
globalThis.MediaRecorder = class { start() {} stop() { this.onstop(); } };
const click = () => button.disabled || button.onclick();
const wait = () => new Promise((done) => setTimeout(done, 20));
recorder.render({ model: { get() {}, set() {}, save_changes() {}, on() {} }, el: element() });
click(); click(); await wait();
const during = streams.map((stream) => stream.on);
if (during.length) click();
await wait();
const after = streams.map((stream) => stream.on);
console.log(JSON.stringify([during, after, button.textContent, button.disabled]));
process.exit(); // although a microphone may be on
"""


@pytest.mark.parametrize(
    ("answer", "during", "after"), [("grant", [True], [False]), ("refuse", [], [])]
)
def test_two_quick_clicks_open_one_microphone_and_leave_none_on(tmp_path, answer, during, after):
    node, _ = compute_driver_executable()  # which comes with playwright
    source = (PROJECT / "helpers/inference/recorder.js").read_text(encoding="utf-8")
    script = tmp_path / "recorder.mjs"
    script.write_text(f"{source.replace('export default', 'const recorder =')}\n{BROWSER}")
    run = subprocess.run([node, script, answer], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [during, after, "Record", False]


@pytest.fixture
def panel(model, tmp_path):
    rows = []
    for name, y in {"a <b>": voice(1), "silent": np.zeros(RATE)}.items():
        path = str(tmp_path / f"{len(rows)}.wav")
        soundfile.write(path, y, RATE)
        rows.append({"file": name, "path": path, "valence": 2.25})
    return inference.panel(model, pd.DataFrame(rows), scale=(1, 9))


def record(panel, y, rate):
    """What the browser sends."""
    state = {"sample_rate": rate, "samples": memoryview(y.astype("<f4").tobytes())}
    panel.recorder.set_state({**state, "note": "recorded"})


def upload(panel, name, content):
    about = {"name": name, "type": "audio/x", "size": len(content), "content": content}
    panel.upload.value = [{**about, "last_modified": datetime.now(UTC)}]


def test_the_first_clip_is_shown_with_its_rating_its_sound_and_its_picture(panel):
    said = r"<b>a &lt;b&gt;</b>: valence \d.\d\d of 1 to 5; 90 % interval \d.\d\d to \d.\d\d\."
    assert re.match(said, panel.answer.value)
    assert panel.answer.value.endswith(" In the corpus: 2.25 of 1 to 9.")
    assert panel.sound.value[:4] == b"RIFF" and panel.picture.value[:4] == b"\x89PNG"


def test_what_is_stored_of_it_shows_the_same_without_a_kernel(panel, monkeypatch):
    still = stored_of(panel, monkeypatch)
    assert f"<p>{panel.answer.value}</p>" in still.data
    assert "<option>a &lt;b&gt;</option>" in still.data and "$" not in still.data
    picture = re.search('src="data:image/png;base64,(.*)"', still.data)[1]
    assert base64.b64decode(picture) == panel.picture.value


def test_silence_has_no_picture_until_another_clip_is_chosen_and_nothing_moves(panel):
    panel.choose.value = "silent"
    assert panel.answer.value == (
        "<b>silent</b> has no valence. The recording is silent or constant."
    )
    below = panel.sound, panel.picture
    assert [each.layout.visibility for each in below] == ["hidden", "hidden"]
    panel.choose.value = "a <b>"
    assert [each.layout.visibility for each in below] == ["visible", "visible"]
    assert [each.layout.display for each in below] == [None, None]


def test_each_action_forgets_the_one_before_so_that_it_can_be_repeated(panel, tmp_path):
    content = (tmp_path / "0.wav").read_bytes()
    for pitch in (120, 150):
        record(panel, voice(1, RATE, pitch), RATE)
        assert panel.answer.value.startswith("<b>Your recording</b>: valence ")
        assert "In the corpus" not in panel.answer.value
        assert (panel.choose.value, panel.recorder.note) == ("", "recorded")
        upload(panel, "mine.wav", content)
        assert panel.answer.value.startswith("<b>mine.wav</b>: valence ")
        assert (panel.choose.value, panel.recorder.note, panel.upload.value) == ("", "", ())
        panel.choose.value = "a <b>"
        assert panel.answer.value.startswith("<b>a &lt;b&gt;</b>: valence ")


def test_it_says_that_it_is_busy_while_it_predicts(panel):
    said = []
    panel.answer.observe(lambda change: said.append(change["new"]), "value")
    record(panel, voice(1, RATE), RATE)
    assert said == ["<b>Your recording</b>: predicting …", panel.answer.value]


@pytest.mark.parametrize("seconds", [1, 1.3, 2.5])  # one window, cut as in training, many windows
def test_what_the_browser_recorded_is_predicted(panel, model, seconds):
    y = voice(seconds, 48000, pitch=150).astype("<f4")
    record(panel, y, 48000)
    row = inference.predict(model, (y, 48000)).iloc[0]
    said = f"{row['valence']:.2f} of 1 to 5; 90 % interval {row['low']:.2f} to {row['high']:.2f}."
    assert panel.answer.value.startswith(f"<b>Your recording</b>: valence {said}")


def test_a_recording_that_is_unlike_the_training_clips_is_marked(panel):
    record(panel, 0.1 * np.random.default_rng(0).normal(size=RATE), RATE)
    assert "<br>Take this with care: the recording sounds unlike the training" in panel.answer.value


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
    upload(panel, "mine.flac", (tmp_path / "mine.flac").read_bytes())
    assert panel.answer.value.startswith("<b>mine.flac</b>: valence ")
    upload(panel, "text.wav", b"no audio")
    refused = "<b>text.wav</b> has no valence. The recording is text and no audio."
    assert panel.answer.value == refused


def test_a_figure_of_a_recording_that_cannot_be_used_is_refused(model, tmp_path):
    with pytest.raises(cli.UserError, match="The recording does not exist"):
        inference.recording_figure(model, tmp_path / "none.wav")
    with pytest.raises(cli.UserError, match=r"The recording is silent or constant\."):
        inference.recording_figure(model, (np.zeros(RATE), RATE))
