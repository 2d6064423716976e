"""Figures of a corpus and of its clips, before any network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import librosa
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from helpers.features import MelSettings
from helpers.plots import style
from helpers.plots.style import BLUE, GREY, ORANGE, panel, panels

#: Distinct ratings up to which each has a bar of its own.
MOST_BARS = 20

#: The percentile of durations that decides the duration of all clips.
PERCENTILE = 75


def durations(seconds: np.ndarray, target: float) -> Figure:
    """Histogram of durations with their 75th percentile and the duration chosen from it.

    Args:
        seconds: durations of the clips
        target: duration that clips are cut or padded to, in seconds

    See: notebooks/01_exploration.ipynb
    """
    figure, ax = panel()
    value = np.percentile(seconds, PERCENTILE)
    sns.histplot(x=seconds, bins=40, color=GREY, linewidth=0, alpha=1, ax=ax)
    ax.axvline(value, color=BLUE, label=f"{PERCENTILE}th percentile, {value:.2f} s")
    ax.axvline(target, color=ORANGE, linestyle="--", label=f"duration chosen, {target:g} s")
    ax.set(xlabel="duration (s)")
    style.count_clips(ax.yaxis)
    style.legend_above(ax)
    return figure


def padding(seconds: np.ndarray, target: float) -> Figure:
    """What of each clip is kept, padded and cut when all get the same duration.

    Args:
        seconds: durations of the clips
        target: duration that clips are cut or padded to, in seconds

    See: notebooks/02_preprocessing.ipynb
    """
    figure, ax = panel()
    ordered = np.sort(seconds)
    kept = np.minimum(ordered, target)
    fill = partial(ax.fill_between, range(len(ordered)), step="mid", linewidth=0)
    fill(0, kept, color=BLUE, label="kept")
    fill(kept, target, fc="white", ec=GREY, hatch="//", label="padded with zeros")
    fill(target, np.maximum(ordered, target), color=ORANGE, label="cut off")
    ax.set(xlabel="clips, from the shortest to the longest", ylabel="time (s)")
    ax.set(xlim=(0, len(ordered) - 1), ylim=(0, ordered[-1]))
    ax.legend(loc="upper left")
    return figure


def ratings(valence: np.ndarray, scale: tuple[float, float]) -> Figure:
    """How often each rating occurs: a bar for each, or a histogram if there are more than 20.

    Args:
        valence: ratings [clips]
        scale: lowest and highest possible rating

    See: notebooks/01_exploration.ipynb
    """
    figure, ax = panel()
    values, median = np.unique(valence), np.median(valence)
    if len(values) <= MOST_BARS:
        sns.countplot(x=valence, color=BLUE, saturation=1, formatter="{:g}".format, ax=ax)
        place = np.interp(median, values, range(len(values)))
    else:
        sns.histplot(
            x=valence, bins=30, binrange=scale, color=BLUE, edgecolor="white", alpha=1, ax=ax
        )
        ax.set(xlim=scale)
        place = median
    ax.axvline(place, color=ORANGE, linestyle="--", label=f"median, {median:.2f}")
    ax.set(xlabel="valence")
    style.count_clips(ax.yaxis)
    style.legend_above(ax)
    return figure


def categories(clips: pd.DataFrame) -> Figure:
    """How many clips each emotion has, from the lowest valence to the highest.

    Args:
        clips: `corpora.Corpus.clips` of a corpus with a column ``emotion``

    See: notebooks/01_exploration.ipynb
    """
    table = clips.groupby("emotion")["valence"].agg(["mean", "size"]).sort_values("mean")
    figure, ax = panel(height=max(2.4, 1 + 0.3 * len(table)))
    names = [f"{emotion} ({valence:.2f})" for emotion, valence in table["mean"].items()]
    sns.barplot(x=table["size"].to_numpy(), y=names, color=BLUE, saturation=1, ax=ax)
    ax.set(ylabel="emotion (valence)")
    style.count_clips(ax.xaxis)
    return figure


def speakers(clips: pd.DataFrame, scale: tuple[float, float]) -> Figure:
    """Ratings of each speaker: the mean, one standard deviation to each side, every clip behind.

    Args:
        clips: `corpora.Corpus.clips`
        scale: lowest and highest possible rating

    See: notebooks/01_exploration.ipynb
    """
    figure, ax = panel(7.5)
    strips = style.by_speaker(clips, clips["valence"], ax, ascending=True)
    sns.stripplot(**strips, jitter=False, marker="_", linewidth=1, color=GREY, alpha=0.6)
    bars: dict[str, Any] = {"errorbar": "sd", "capsize": 0.3, "err_kws": {"linewidth": 1}}
    sns.pointplot(**strips, linestyle="none", color=BLUE, **bars)
    style.name_speakers(ax)
    ax.set(xlabel="speaker, by mean label", ylabel="valence", ylim=scale)
    return figure


def voices(table: pd.DataFrame) -> Figure:
    """The pitch of each speaker, from the lowest voice to the highest, and their group.

    Args:
        table: a row a speaker, the lowest voice first: ``pitch`` in Hz and ``corpus``, the group

    See: notebooks/08_other_voices.ipynb
    """
    figure, ax = panel()
    groups = table["corpus"].rename(None)
    colours = sns.color_palette(style.COLOURS, groups.nunique())
    drawn: dict[str, Any] = {"hue": groups, "style": groups, "palette": colours, "s": 50}
    sns.scatterplot(x=range(len(table)), y=table["pitch"].to_numpy(), **drawn, ax=ax)
    ax.set_xticks(range(len(table)), table.index)
    style.name_speakers(ax)
    ax.set(xlabel="speaker, from the lowest voice", ylabel="median pitch (Hz)")
    style.legend_above(ax)
    return figure


def waveforms(recordings: Mapping[str, tuple[np.ndarray, int]]) -> Figure:
    """Amplitude over time, a panel a waveform, all on one axis of time.

    Args:
        recordings: title of each panel, and its waveform [samples] with its sampling rate in Hz

    See: notebooks/02_preprocessing.ipynb
    """
    figure, axes = panels(len(recordings), 1, (7.5, 1.5 * len(recordings)), sharex=True)
    for ax, (title, (y, rate)) in zip(axes[:, 0], recordings.items(), strict=True):
        ax.plot(np.arange(len(y)) / rate, y, color=BLUE, linewidth=0.4)
        ax.set_title(title, fontsize="medium")
        ax.set(ylabel="amplitude")
    longest = max(len(y) / rate for y, rate in recordings.values())
    ax.set(xlabel="time (s)", xlim=(0, longest))
    return figure


def spectrogram(levels: np.ndarray, settings: MelSettings, *, title: str = "") -> Figure:
    """Mel spectrogram with its axes in hertz and seconds.

    Args:
        levels: decibels [n_mels, frames]
        settings: that made it
        title: above the panel

    See: notebooks/02_preprocessing.ipynb
    """
    figure, ax = panel(7.5, 3.2)
    image = style.draw_levels(levels, settings, ax)
    figure.colorbar(image, ax=ax, label="level (dB)", format="%d")
    ax.set(title=title)
    return figure


def spectrograms(drawn: Mapping[str, tuple[np.ndarray, MelSettings]]) -> Figure:
    """Mel spectrograms of one clip with several settings, two beside each other.

    Args:
        drawn: decibels [n_mels, frames] and the settings that made them, by title

    See: notebooks/02_preprocessing.ipynb
    """
    rows = math.ceil(len(drawn) / 2)
    figure, axes = panels(rows, 2, (9, 2.4 * rows), sharex=True)
    for ax, (title, (levels, settings)) in zip(axes.flat, drawn.items(), strict=False):
        style.draw_levels(levels, settings, ax)
        ax.set(title=title)
    for ax in axes.flat:
        ax.label_outer()
    return figure


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
        ratings: see `inference.Card`

    See: notebooks/07_your_speech.ipynb
    """
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.subplot_mosaic("w.;m.;vr", width_ratios=(4, 1), height_ratios=(2, 3, 3))
    wave, mel, over_time, spread = axes.values()
    spread.sharey(over_time)

    seconds = len(y) / settings.sample_rate
    wave.plot(np.arange(len(y)) / settings.sample_rate, y, color=BLUE, linewidth=0.4)
    wave.set(ylabel="amplitude")
    style.draw_levels(levels, settings, mel)
    for ax in (wave, mel):
        ax.sharex(over_time)
        ax.set(xlabel="")
        ax.tick_params(labelbottom=False)

    valence, low, high = (prediction[name] for name in ("valence", "low", "high"))
    over_time.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0, label="90 % interval")
    over_time.plot(curve["seconds"], curve["valence"], "o-", color=BLUE, label="each window")
    edges = np.array(ratings["edges"])
    spread.barh(edges[:-1], ratings["counts"], np.diff(edges), align="edge", color=GREY)
    for ax in (over_time, spread):
        ax.axhline(valence, color=ORANGE, linestyle="--", label="the recording")
    shown = np.concatenate([edges, [low, high], curve["valence"]])
    shown = shown[np.isfinite(shown)]
    over_time.set(xlim=(0, seconds), ylim=(shown.min(), shown.max()))
    over_time.set(xlabel="time (s)", ylabel="valence")
    style.count_clips(spread.xaxis)
    spread.set(xlabel="training clips")
    spread.tick_params(labelleft=False)
    sns.despine(figure)
    style.legend_outside(np.array([over_time]), 3, "lower center")
    return figure


def mel_filters(settings: MelSettings) -> Figure:
    """Every eighth triangle of the mel filter bank.

    Args:
        settings: that define it

    See: notebooks/02_preprocessing.ipynb
    """
    figure, ax = panel(7.5, 2.4)
    bank = librosa.filters.mel(
        sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels
    )
    hertz = librosa.fft_frequencies(sr=settings.sample_rate, n_fft=settings.n_fft)
    for i, band in enumerate(bank[::8]):
        ax.plot(hertz, band, ("-", "--")[i % 2], color=(BLUE, ORANGE)[i % 2], linewidth=1)
    ax.set(xlabel="frequency (Hz)", ylabel="weight", xlim=(0, hertz[-1]), ylim=(0, None))
    return figure
