"""Sounds in a notebook: players in rows, and sliders with a spectrogram to see and to hear.

A living widget is shown only while someone runs the notebook. Stored is HTML that needs no kernel.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import soundfile
from IPython.core.pylabtools import print_figure
from IPython.display import HTML, Audio, display

from helpers import audio, features
from helpers.features import MelSettings
from helpers.plots.data import spectrogram
from helpers.progress import watched

#: Hides what is stored of a widget beside the living one, and the error that JupyterLab shows in
#: place of a widget without a kernel.
STYLE = """<style>
.jp-OutputArea:has(.valence-panel) .valence-still { display: none }
.jp-OutputArea:has(.valence-still) .jp-OutputArea-output.jupyter-widgets:not(:has(*)) {
  display: none }
</style>
"""

#: Suffixes of files that browsers play.
PLAYED = (".wav", ".mp3", ".flac", ".ogg", ".m4a")

#: Sampling rates in Hz that MP3 has.
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

#: Samples in a window of the sliders; at 8 kHz, 64 to 256 ms.
WINDOWS = (512, 1024, 2048)

#: Mel bands of the sliders.
BANDS = (16, 32, 64, 128)


def player(path: str | os.PathLike[str]) -> Audio:
    """A player with a recording in it, as it is if browsers play such files.

    Of others it has the mean of the channels, as WAV, and as loud as that can be.

    Args:
        path: of the recording

    Raises:
        audio.UnusableError: if it is of another kind, and cannot be read

    See: notebooks/01_exploration.ipynb
    """
    if os.fspath(path).lower().endswith(PLAYED):
        return Audio(path)
    y, rate = audio.read(path)
    return Audio(y, rate=rate)


def players(clips: pd.DataFrame) -> HTML:
    """A player for each of some clips, in rows, with its rating and its prediction.

    Args:
        clips: a row a clip: ``path``, ``valence`` and ``prediction``

    See: notebooks/05_error_analysis.ipynb
    """
    titles = [
        f"{place}. true: {clip.valence:.2f}, pred: {clip.prediction:.2f}"
        for place, clip in enumerate(clips.itertuples(), start=1)
    ]
    stored = [player(path)._repr_html_() for path in clips["path"]]
    return _rows(dict(zip(titles, stored, strict=True)), columns=5)


def sounds(waveforms: Mapping[str, tuple[np.ndarray, int]]) -> HTML:
    """A player for each of some waveforms, in rows, with its name; all have the same peak.

    Args:
        waveforms: samples [samples] and sampling rate in Hz, by name

    See: notebooks/02_preprocessing.ipynb
    """
    return _rows({name: _player(y, rate) for name, (y, rate) in waveforms.items()}, columns=2)


def _rows(titled: Mapping[str, str], columns: int) -> HTML:
    cells = [f"<div>{title}{player}</div>" for title, player in titled.items()]
    return HTML(
        "<style>.players audio { width: 100% }</style>"
        f'<div class="players" style="display: grid; gap: 8px;'
        f' grid-template-columns: repeat({columns}, 1fr)">{"".join(cells)}</div>'
    )


def _player(y: np.ndarray, rate: int) -> str:
    """A player with its sound in it; MP3 is a quarter of the size of FLAC."""
    kind, mime = ("MP3", "mpeg") if rate in MP3_RATES else ("FLAC", "flac")
    file = io.BytesIO()
    soundfile.write(file, 0.9 * y / max(np.abs(y).max(), 1e-9), rate, format=kind)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/{mime};base64,{data}"></audio>'


def show_widget(box: ipywidgets.Box, still: str) -> None:
    """Show a widget to who runs the notebook, and store something else of it.

    Args:
        box: the widget
        still: HTML that is stored in its place

    See: notebooks/07_your_speech.ipynb
    """
    display(HTML(f'{STYLE}<div class="valence-still">\n{still}\n</div>'))
    if watched():
        box.add_class("valence-panel")
        bundle = box._repr_mimebundle_()
        del bundle["text/plain"]  # which nbval would compare after someone has saved
        display(bundle, raw=True)


class MelSliders:
    """Sliders for the window and the mel bands; below them the mel spectrogram, played back.

    A notebook shows them while someone runs it, and stores what they show at first.

    Args:
        y: waveform at ``settings.sample_rate`` [samples]
        settings: of the first spectrogram; the hop stays the same share of the window

    Attributes:
        window: samples in a window
        bands: mel bands
        result: the spectrogram and its player
        box: all of these, below each other

    See: notebooks/02_preprocessing.ipynb
    """

    def __init__(self, y: np.ndarray, settings: MelSettings) -> None:
        self._y, self._settings = y, settings
        options: dict[str, Any] = {"continuous_update": False}
        self.window = ipywidgets.SelectionSlider(
            options=WINDOWS, value=settings.n_fft, description="window", **options
        )
        self.bands = ipywidgets.SelectionSlider(
            options=BANDS, value=settings.n_mels, description="mel bands", **options
        )
        self.result = ipywidgets.HTML()
        self.box = ipywidgets.VBox([ipywidgets.HBox([self.window, self.bands]), self.result])
        for slider in (self.window, self.bands):
            slider.observe(self._show, "value")
        self._show()

    def _ipython_display_(self) -> None:
        chosen = f"A window of {self.window.value} samples, {self.bands.value} mel bands."
        note = f"<p>{chosen} Run this cell for sliders that change both.</p>"
        show_widget(self.box, note + self.result.value)

    def _show(self, _: Mapping[str, Any] | None = None) -> None:
        rate, n_fft = self._settings.sample_rate, self.window.value
        hop_length = self._settings.hop_length * n_fft // self._settings.n_fft
        settings = MelSettings(rate, n_fft, hop_length, self.bands.value)
        levels = features.decibels(features.mel_spectrogram(self._y, settings))
        picture = base64.b64encode(print_figure(spectrogram(levels, settings))).decode()
        self.result.value = (
            f'<img alt="Mel spectrogram with a window of {n_fft} samples and {settings.n_mels} '
            f'bands." width="700" src="data:image/png;base64,{picture}"><br>'
            f"{_player(features.griffin_lim(levels, settings), rate)}"
        )
