"""Try a model in JupyterLab: record, upload or choose a recording, play it, and see its valence.

The browser records and decodes, so that no other software is needed. Browsers allow a microphone on
``localhost`` and over https only.
"""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
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

#: What a notebook stores of a panel.
STILL = Template(
    """<p><button disabled>Record</button> <button disabled>Upload</button>
<select disabled><option>$clip</option></select> Run this cell to use it.</p>
<p>$answer</p>
<img alt="The chosen clip's waveform, mel spectrogram and valence over time." width="850"
 src="data:image/png;base64,$picture">"""
)


class Recorder(anywidget.AnyWidget):
    """A button that records from the browser's microphone.

    Attributes:
        samples: the latest recording, as bytes of little-endian float32
        sample_rate: of the latest recording, in Hz
        note: what stands beside the button
    """

    _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    samples = traitlets.CBytes().tag(sync=True)  # the browser sends a memoryview
    sample_rate = traitlets.Float(0).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def __repr__(self) -> str:
        return "Recorder()"  # anywidget's has an address, which a notebook would store

    def recording(self) -> tuple[np.ndarray, int]:
        """The latest recording: its waveform [samples] and its sampling rate in Hz."""
        return np.frombuffer(self.samples, "<f4"), round(self.sample_rate)


class Panel:
    """Controls for a recording; below them its valence, its sound and `recording_figure`.

    A notebook shows it while someone runs it, and stores a picture of it, see `STILL`.

    Attributes:
        recorder: records, see `Recorder`
        upload: takes a file
        choose: a choice of clips, empty where what is shown is none of them
        answer: what is said of the recording
        sound: plays it
        picture: of it, and of its valence over time
        box: all of these, below each other
    """

    def __init__(self, model: Model, clips: pd.DataFrame, scale: tuple[float, float]) -> None:
        self._model, self._clips, self._scale = model, clips.set_index("file"), scale
        self.recorder = Recorder(layout={"flex": "0 0 280px"})
        self.upload = ipywidgets.FileUpload(
            accept=",".join(["audio/*", *audio.SUFFIXES]),
            description="Upload",
            layout={"flex": "0 0 130px"},
        )
        options = [("a clip of the corpus", ""), *((name, name) for name in self._clips.index)]
        self.choose = ipywidgets.Dropdown(
            options=options, description="or choose", layout={"flex": "0 0 300px"}
        )
        # What is not there keeps its place, so that nothing below the pointer moves.
        self.answer = ipywidgets.HTML(layout={"min_height": "84px"})
        self.sound = ipywidgets.Audio(autoplay=False, loop=False, layout={"height": "54px"})
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "850px"})
        controls = ipywidgets.HBox(
            [self.recorder, self.upload, self.choose], layout={"flex_flow": "row wrap"}
        )
        self.box = ipywidgets.VBox([controls, self.answer, self.sound, self.picture])
        self.recorder.observe(self._show_recording, "samples")
        self.upload.observe(self._show_upload, "value")
        self.choose.observe(self._show_choice, "value")
        self.choose.value = self._clips.index[0]

    def _ipython_display_(self) -> None:
        plots.show_widget(self.box, self.still())

    def still(self) -> str:
        """The panel as it is now, as HTML that needs no kernel."""
        return STILL.substitute(
            clip=html.escape(self.choose.label or ""),
            answer=self.answer.value,
            picture=base64.b64encode(self.picture.value).decode(),
        )

    def _show_recording(self, _: Mapping[str, Any]) -> None:
        self.choose.value = ""
        self._show("Your recording", self.recorder.recording())

    def _show_upload(self, change: Mapping[str, Any]) -> None:
        for file in change["new"]:
            self.choose.value, self.recorder.note = "", ""
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"upload{Path(file['name']).suffix}"
                path.write_bytes(file["content"])
                self._show(file["name"], path)
            self.upload.value = ()  # the same file may be uploaded again

    def _show_choice(self, change: Mapping[str, Any]) -> None:
        if not (name := change["new"]):
            return
        self.recorder.note = ""
        low, high = self._scale
        clip = self._clips.loc[name]
        known = f" In the corpus: {clip['valence']:.2f} of {low:g} to {high:g}."
        self._show(name, clip["path"], known)

    def _show(self, name: str, clip: Clip, known: str = "") -> None:
        """Predict a recording; `known` is what is known of it already."""
        name = f"<b>{html.escape(name)}</b>"
        self.answer.value = f"{name}: predicting …"
        try:
            analysis = analyse(self._model, clip)
        except UserError as error:
            self.answer.value = f"{name} has no valence. {html.escape(str(error))}"
            self._show_result("hidden")
            return
        card = self._model.card
        y = np.clip(analysis.waveform, -1, 1)
        self.sound.value = Audio(y, rate=card.mel.sample_rate, normalize=False).data
        self.picture.value = print_figure(_figure(card, analysis), bbox_inches=None)
        self.answer.value = f"{name}: {_valence(analysis.row, card.scale)}{known}"
        self._show_result("visible")

    def _show_result(self, visibility: str) -> None:
        self.sound.layout.visibility = self.picture.layout.visibility = visibility


def panel(model: Model, clips: pd.DataFrame, *, scale: tuple[float, float]) -> Panel:
    """Controls for a recording; below them its valence, its sound and `recording_figure`.

    Args:
        model: see `inference.load`
        clips: rows of `corpora.Corpus.clips` to choose from; the first is shown
        scale: lowest and highest possible rating of these clips

    See: notebooks/07_your_speech.ipynb
    """
    return Panel(model, clips, scale)


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


def _valence(row: Mapping[str, Any], scale: tuple[float, float]) -> str:
    text = (
        f"valence {row['valence']:.2f} of {scale[0]:g} to {scale[1]:g}; "
        f"90 % interval {row['low']:.2f} to {row['high']:.2f}."
    )
    problem = html.escape(row["problem"])
    return f"{text}<br>Take this with care: the recording {problem}." if problem else text
