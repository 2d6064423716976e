"""Try a model in JupyterLab: record, upload or choose a recording, play it, and see its valence.

The browser records and decodes, so that no other software is needed. Browsers allow a microphone on
``localhost`` and over https only.
"""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.core.pylabtools import print_figure
from IPython.display import Audio
from matplotlib.figure import Figure

from helpers import audio, features, plots
from helpers.audio import Clip
from helpers.cli import UserError
from helpers.inference.cards import Card
from helpers.inference.model_file import Model
from helpers.inference.predictions import Analysis, analyse


class Recorder(anywidget.AnyWidget):
    """A button that records from the browser's microphone.

    Attributes:
        samples: the latest recording, as bytes of little-endian float32
        sample_rate: of the latest recording, in Hz
    """

    _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    samples = traitlets.CBytes().tag(sync=True)  # the browser sends a memoryview
    sample_rate = traitlets.Float(0).tag(sync=True)

    def __repr__(self) -> str:
        return "Recorder()"  # anywidget's has an address, which a notebook would store

    def recording(self) -> tuple[np.ndarray, int]:
        """The latest recording: its waveform [samples] and its sampling rate in Hz."""
        return np.frombuffer(self.samples, "<f4"), round(self.sample_rate)


def panel(model: Model, clips: Mapping[str, str]) -> ipywidgets.Widget:
    """Controls for a recording; below them its valence, its sound and `recording_figure`.

    Args:
        model: see `inference.load`
        clips: recordings to choose from, name to path; the first is shown

    See: notebooks/07_your_speech.ipynb
    """
    recorder = Recorder()
    upload = ipywidgets.FileUpload(
        accept=",".join(["audio/*", *audio.SUFFIXES]), description="Upload"
    )
    choose = ipywidgets.Dropdown(options=dict(clips), description="or choose")
    text, sound = ipywidgets.HTML(), ipywidgets.Audio(autoplay=False, loop=False)
    picture = ipywidgets.Image(format="png", layout={"max_width": "850px"})

    def show(name: str, clip: Clip) -> None:
        name = f"<b>{html.escape(name)}</b>"
        try:
            analysis = analyse(model, clip)
        except UserError as error:
            text.value = f"{name} has no valence. {html.escape(str(error))}"
            sound.layout.display = picture.layout.display = "none"
            return
        text.value = f"{name}: {_valence(analysis.row)}"
        y = np.clip(analysis.waveform, -1, 1)
        sound.value = Audio(y, rate=model.card.mel.sample_rate, normalize=False).data
        picture.value = print_figure(_figure(model.card, analysis), bbox_inches=None)
        sound.layout.display = picture.layout.display = None

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
    return ipywidgets.VBox([controls, text, sound, picture])


def recording_figure(model: Model, clip: Clip) -> Figure:
    """A recording and its valence over time, see `plots.recording`.

    Args:
        model: see `inference.load`
        clip: one path, or a waveform with its sampling rate, see `inference.predict`

    Raises:
        cli.UserError: if the recording cannot be used

    See: notebooks/07_your_speech.ipynb
    """
    return _figure(model.card, analyse(model, clip))


def _figure(card: Card, analysis: Analysis) -> Figure:
    y, curve, row = analysis
    levels = features.decibels(features.mel_spectrogram(audio.normalise(y), card.mel))
    return plots.recording(y, levels, card.mel, curve, row, card.ratings)


def _valence(row: Mapping[str, Any]) -> str:
    text = f"valence {row['valence']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    problem = html.escape(row["problem"])
    return f"{text}<br>Take this with care: the recording {problem}." if problem else text
