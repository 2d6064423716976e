"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import librosa
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from helpers.features import MelSettings
from helpers.plots.style import BLUE, COLOURS, GREY, LINES, ORANGE, _axes, _figure, _levels


def durations(
    seconds: np.ndarray, target: float, *, percentile: float = 75, ax: Axes | None = None
) -> Figure:
    """Histogram of durations with the percentile and the duration chosen from it.

    Args:
        seconds: durations of the clips
        target: duration that clips are cut or padded to, in seconds
        percentile: from which `target` was rounded up
        ax: where to draw; None makes a figure

    See: notebooks/01_exploration.ipynb
    """
    ax = _axes(ax)
    value = np.percentile(seconds, percentile)
    ax.hist(seconds, bins=40, color=GREY)
    ax.axvline(value, color=BLUE, label=f"{percentile:g}th percentile, {value:.2f} s")
    ax.axvline(target, color=ORANGE, linestyle="--", label=f"rounded up, {target:g} s")
    ax.set(xlabel="duration (s)", ylabel="clips")
    ax.legend(frameon=False)
    return _figure(ax)


def padding(seconds: np.ndarray, target: float, *, ax: Axes | None = None) -> Figure:
    """What of each clip is kept, padded and cut when all get the same duration.

    Args:
        seconds: durations of the clips
        target: duration that clips are cut or padded to, in seconds
        ax: where to draw; None makes a figure

    See: notebooks/02_preprocessing.ipynb
    """
    ax = _axes(ax)
    ordered = np.sort(seconds)
    clips = np.arange(len(ordered))
    kept = np.minimum(ordered, target)
    shares: dict[str, tuple[ArrayLike, ArrayLike, dict[str, Any]]] = {
        "kept": (0, kept, {"color": BLUE}),
        "padded with zeros": (
            kept,
            target,
            {"facecolor": "white", "edgecolor": GREY, "hatch": "//"},
        ),
        "cut off": (target, np.maximum(ordered, target), {"color": ORANGE}),
    }
    for label, (low, high, style) in shares.items():
        ax.fill_between(clips, low, high, step="mid", linewidth=0, label=label, **style)
    ax.set(xlabel="clips, from the shortest to the longest", ylabel="time (s)")
    ax.set(xlim=(0, len(ordered) - 1), ylim=(0, ordered[-1]))
    ax.legend(loc="upper left")
    return _figure(ax)


def ratings(valence: np.ndarray, scale: tuple[float, float], *, ax: Axes | None = None) -> Figure:
    """How often each rating occurs.

    Args:
        valence: ratings [clips]
        scale: lowest and highest possible rating
        ax: where to draw; None makes a figure

    See: notebooks/01_exploration.ipynb
    """
    ax = _axes(ax)
    values, counts = np.unique(valence, return_counts=True)
    low, high = scale
    if len(values) <= 40:
        step = np.diff(values).min() if len(values) > 1 else (high - low) / 16
        ax.bar(values, counts, width=0.8 * step, color=BLUE)
        margin = step
    else:
        ax.hist(valence, bins=30, range=scale, color=BLUE)
        margin = 0
    median = np.median(valence)
    ax.axvline(median, color=ORANGE, linestyle="--", label=f"median, {median:g}")
    ax.set(xlabel="valence", ylabel="clips", xlim=(low - margin, high + margin))
    ax.legend(frameon=False)
    return _figure(ax)


def speakers(clips: pd.DataFrame, scale: tuple[float, float], *, ax: Axes | None = None) -> Figure:
    """Ratings of each speaker: the mean, one standard deviation to each side, every clip behind.

    Args:
        clips: `corpora.Corpus.clips`
        scale: lowest and highest possible rating
        ax: where to draw; None makes a figure

    See: notebooks/01_exploration.ipynb
    """
    ax = _axes(ax, 7.5)
    names = clips["speaker"].fillna("unknown")
    spread = clips.groupby(names)["valence"].agg(["mean", "std"]).sort_values("mean")
    place = {speaker: i for i, speaker in enumerate(spread.index)}
    ax.plot(names.map(place), clips["valence"], "_", color=GREY, alpha=0.6)
    ax.errorbar(
        range(len(spread)), spread["mean"], yerr=spread["std"], fmt="o", color=BLUE, capsize=3
    )
    if len(spread) <= 40:
        ax.set_xticks(range(len(spread)), spread.index, rotation=90)
    else:
        ax.set_xticks([])
    ax.set(xlabel="speaker, by mean rating", ylabel="valence", ylim=scale)
    return _figure(ax)


def waveforms(recordings: Mapping[str, tuple[np.ndarray, int]]) -> Figure:
    """Amplitude over time, a panel a waveform, all on one axis of time.

    Args:
        recordings: title of each panel, and its waveform [samples] with its sampling rate in Hz

    See: notebooks/02_preprocessing.ipynb
    """
    figure = Figure(figsize=(7.5, 1.5 * len(recordings)), layout="constrained")
    panels = figure.subplots(len(recordings), sharex=True, squeeze=False)[:, 0]
    for ax, (title, (y, rate)) in zip(panels, recordings.items(), strict=True):
        ax.plot(np.arange(len(y)) / rate, y, color=BLUE, linewidth=0.4)
        ax.set_title(title, fontsize="medium")
        ax.set(ylabel="amplitude")
        ax.spines[["top", "right"]].set_visible(False)
    longest = max(len(y) / rate for y, rate in recordings.values())
    panels[-1].set(xlabel="time (s)", xlim=(0, longest))
    return figure


def spectrogram(
    levels: np.ndarray, settings: MelSettings, *, title: str = "", ax: Axes | None = None
) -> Figure:
    """Mel spectrogram with its axes in hertz and seconds.

    Args:
        levels: decibels [n_mels, frames]
        settings: that made it
        title: above the panel
        ax: where to draw; None makes a figure

    See: notebooks/02_preprocessing.ipynb
    """
    ax = _axes(ax, 7.5, 3.2)
    image = _levels(levels, settings, ax)
    ax.figure.colorbar(image, ax=ax, label="level (dB)", format="%d")
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (Hz)")
    return _figure(ax)


def recording(
    y: np.ndarray,
    levels: np.ndarray,
    settings: MelSettings,
    curve: pd.DataFrame,
    prediction: Mapping[str, float],
    ratings: Mapping[str, list[float]],
) -> Figure:
    """A recording over time: waveform, mel spectrogram and valence, beside the training ratings.

    Args:
        y: waveform at ``settings.sample_rate`` [samples]
        levels: its decibels [n_mels, frames]
        settings: that made them
        curve: see `inference.curve`
        prediction: ``valence``, ``low`` and ``high``, see `inference.predict`
        ratings: see `cards.Card`

    See: notebooks/07_your_speech.ipynb
    """
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(4, 1), height_ratios=(2, 3, 3))
    wave = figure.add_subplot(grid[0, 0])
    mel = figure.add_subplot(grid[1, 0], sharex=wave)
    over_time = figure.add_subplot(grid[2, 0], sharex=wave)
    spread = figure.add_subplot(grid[2, 1], sharey=over_time)

    seconds = len(y) / settings.sample_rate
    wave.plot(np.arange(len(y)) / settings.sample_rate, y, color=BLUE, linewidth=0.4)
    wave.set(ylabel="amplitude")
    _levels(levels, settings, mel)
    mel.set(xlabel="", ylabel="frequency (Hz)")
    for ax in (wave, mel):
        ax.tick_params(labelbottom=False)

    low, high = ([prediction[end]] * 2 for end in ("low", "high"))
    over_time.fill_between(
        [0, seconds], low, high, color=GREY, alpha=0.25, linewidth=0, label="90 % interval"
    )
    over_time.axhline(prediction["valence"], color=ORANGE, linestyle="--", label="the recording")
    over_time.plot(curve["seconds"], curve["valence"], "o-", color=BLUE, label="each window")
    over_time.set(xlabel="time (s)", ylabel="valence", xlim=(0, seconds))
    edges = np.array(ratings["edges"])
    spread.barh(edges[:-1], ratings["counts"], np.diff(edges), align="edge", color=GREY)
    spread.axhline(prediction["valence"], color=ORANGE, linestyle="--")
    shown = np.concatenate([edges, [prediction["low"], prediction["high"]], curve["valence"]])
    shown = shown[np.isfinite(shown)]
    over_time.set(ylim=(shown.min(), shown.max()))
    spread.set(xlabel="training clips")
    spread.tick_params(labelleft=False)
    for ax in (wave, over_time, spread):
        ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def mel_filters(settings: MelSettings, *, every: int = 8, ax: Axes | None = None) -> Figure:
    """Some triangles of the mel filter bank.

    Args:
        settings: that define it
        every: draw each so many-th filter
        ax: where to draw; None makes a figure

    See: notebooks/02_preprocessing.ipynb
    """
    ax = _axes(ax, 7.5, 2.4)
    bank = librosa.filters.mel(
        sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels
    )
    hertz = librosa.fft_frequencies(sr=settings.sample_rate, n_fft=settings.n_fft)
    for i, band in enumerate(bank[::every]):
        ax.plot(hertz, band, color=COLOURS[i % 2], linestyle=LINES[i % 2], linewidth=1)
    ax.set(xlabel="frequency (Hz)", ylabel="weight", xlim=(0, hertz[-1]), ylim=(0, None))
    return _figure(ax)
