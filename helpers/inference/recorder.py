"""Try a model on a recording in JupyterLab: record, upload or choose one; hear it, see its valence.

The browser records and decodes, so nothing has to be installed beside it, on the server or here.
Browsers allow a microphone on ``localhost`` and over https only.
"""

from __future__ import annotations

import html
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import soundfile
import traitlets
from matplotlib.figure import Figure

from helpers import audio, features, plots
from helpers.audio import Clip, read
from helpers.inference import predictions
from helpers.inference.model_file import Model

_RECORD = """
function render({ model, el }) {
  const button = document.createElement("button");
  const say = document.createElement("span");
  button.className = "jupyter-button mod-primary";
  el.append(button, say);
  let recorder = null;

  function rest(text) {
    recorder = null;
    button.textContent = "Record";
    say.textContent = text;
  }

  async function send(pieces) {
    const context = new AudioContext();
    const bytes = await new Blob(pieces).arrayBuffer();
    const sound = await context.decodeAudioData(bytes);
    await context.close();
    model.set("sample_rate", sound.sampleRate);
    model.set("samples", new DataView(sound.getChannelData(0).slice().buffer));
    model.save_changes();
    rest(` ${sound.duration.toFixed(1)} s recorded`);
  }

  async function start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      send(pieces).catch((error) => rest(` That was no sound (${error.message}).`));
    };
    recorder.start();
    button.textContent = "Stop";
    say.textContent = " recording";
  }

  rest("");
  if (!navigator.mediaDevices) {
    button.disabled = true;
    say.textContent = " This browser allows a microphone on localhost and over https only.";
  }
  button.onclick = () => {
    if (recorder) recorder.stop();
    else start().catch((error) => rest(` No microphone (${error.message}).`));
  };
  return () => recorder && recorder.stop();
}
export default { render };
"""


class Recorder(anywidget.AnyWidget):
    """A button that records from the browser's microphone.

    Attributes:
        samples: the latest recording, float32 in the byte order of all current processors
        sample_rate: of it, in Hz
    """

    _esm = _RECORD
    samples = traitlets.CBytes().tag(sync=True)  # the browser sends a memoryview
    sample_rate = traitlets.Float(0).tag(sync=True)

    def __repr__(self) -> str:
        return "Recorder()"  # anywidget's names an address, which a notebook would store

    def recording(self) -> tuple[np.ndarray, int]:
        """The latest recording: its waveform [samples] and its sampling rate in Hz."""
        return np.frombuffer(self.samples, "<f4"), round(self.sample_rate)


def panel(model: Model, clips: Mapping[str, str]) -> ipywidgets.Widget:
    """Controls for a recording, and below them what the model makes of it.

    Args:
        model: see `inference.load`
        clips: recordings to choose from: the name of each and its path; the first is shown

    See: notebooks/07_your_speech.ipynb
    """
    recorder = Recorder()
    upload = ipywidgets.FileUpload(
        accept=",".join(["audio/*", *audio.SUFFIXES]), description="Upload"
    )
    choose = ipywidgets.Dropdown(options=dict(clips), description="or choose")
    verdict, sound = ipywidgets.HTML(), ipywidgets.Audio(autoplay=False, loop=False)
    picture = ipywidgets.Image(format="png", layout={"max_width": "850px"})

    def show(name: str, clip: Clip) -> None:
        row = predictions.predict(model, [clip]).iloc[0]
        known = row["valence"] == row["valence"]
        verdict.value = _verdict(name, row)
        for widget in (sound, picture):
            widget.layout.display = None if known else "none"
        if known:
            y, _ = read(clip, model.card.mel.sample_rate)
            sound.value = _wav(y, model.card.mel.sample_rate)
            picture.value = _png(figure(model, clip))

    def show_upload(change: Mapping[str, Any]) -> None:
        for file in change["new"]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"upload{Path(file['name']).suffix}"
                path.write_bytes(file["content"])
                show(file["name"], path)

    upload.observe(show_upload, "value")
    recorder.observe(lambda _: show("Your recording", recorder.recording()), "samples")
    choose.observe(lambda change: show(choose.label, change["new"]), "value")
    show(choose.label, choose.value)
    controls = ipywidgets.HBox([recorder, upload, choose])
    return ipywidgets.VBox([controls, verdict, sound, picture])


def figure(model: Model, clip: Clip) -> Figure:
    """A recording and its valence over time, see `plots.recording`.

    Args:
        model: see `inference.load`
        clip: one path, or a waveform with its sampling rate, see `inference.predict`

    Raises:
        ValueError: if the recording cannot be used

    See: notebooks/07_your_speech.ipynb
    """
    mel = model.card.mel
    y, _ = read(clip, mel.sample_rate)
    levels = features.decibels(features.mel_spectrogram(features.normalise(y), mel))
    prediction = predictions.predict(model, [clip]).iloc[0]
    curve = predictions.curve(model, clip)
    return plots.recording(y, levels, mel, curve, prediction, model.card.ratings)


def _verdict(name: str, row: Mapping[str, Any]) -> str:
    name, problem = html.escape(name), html.escape(row["problem"])
    if row["valence"] != row["valence"]:
        return f"<b>{name}</b> has no valence: it {problem}."
    text = f"<b>{name}</b>: valence {row['valence']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    return f"{text}<br>Take this with care: it {problem}." if problem else text


def _wav(y: np.ndarray, sample_rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.clip(y, -1, 1), sample_rate, format="WAV")
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
