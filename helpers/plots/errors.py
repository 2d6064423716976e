"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.features import MelSettings
from helpers.plots.style import BLUE, GREY, ORANGE, _axes, _figure, _levels


def error_grid(levels: np.ndarray, clips: pd.DataFrame, settings: MelSettings) -> Figure:
    """Mel spectrograms of some clips, each with its rating and what was predicted.

    Args:
        levels: decibels [clips, n_mels, frames]
        clips: a row a clip: ``valence``, ``prediction``, ``speaker`` and ``duration`` in seconds
        settings: that made the spectrograms

    See: notebooks/05_error_analysis.ipynb
    """
    columns = min(5, len(clips))
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(2.1 * columns + 0.8, 2.55 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in panels.flat[len(clips) :]:
        ax.set_axis_off()
    limits = {"vmin": np.min(levels), "vmax": np.max(levels)}
    for ax, level, clip in zip(panels.flat, levels, clips.itertuples(), strict=False):
        image = _levels(level, settings, ax, **limits)
        speaker = "unknown" if pd.isna(clip.speaker) else clip.speaker
        ax.set_title(f"True: {clip.valence:.2f}  Pred: {clip.prediction:.2f}", fontsize="medium")
        ax.set(xlabel=f"time (s)\n{speaker}, {clip.duration:.2f} s", ylabel="")
        ax.locator_params(axis="x", nbins=5)
    for ax in panels[:, 0]:
        ax.set(ylabel="frequency (Hz)")
    figure.colorbar(image, ax=panels, label="level (dB)", format="%d", aspect=40, pad=0.01)
    return figure


def joint(truth: np.ndarray, prediction: np.ndarray, scale: tuple[float, float]) -> Figure:
    """Each clip's prediction over its rating, and the distribution of both along the edges.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips]
        scale: lowest and highest possible rating

    See: notebooks/05_error_analysis.ipynb
    """
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    ratios: dict[str, Any] = {"width_ratios": (4, 1), "height_ratios": (1, 4)}
    (top, corner), (ax, right) = figure.subplots(2, 2, sharex="col", sharey="row", **ratios)
    corner.set_axis_off()
    ax.plot(scale, scale, color=GREY, linewidth=1, label="no error")
    ax.plot(truth, prediction, "o", color=BLUE, alpha=0.5, markersize=4)
    low, high = min(scale[0], np.min(prediction)), max(scale[1], np.max(prediction))
    margin = 0.04 * (high - low)
    limits = low - margin, high + margin
    ax.set(xlabel="rated valence", ylabel="predicted valence", xlim=limits, ylim=limits)
    ax.legend(frameon=False, loc="upper left")
    bins = {"bins": 20, "range": (low, high), "color": GREY}
    top.hist(truth, **bins)
    right.hist(prediction, orientation="horizontal", **bins)
    top.set(ylabel="clips")
    right.set(xlabel="clips")
    for panel in (ax, top, right):
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def residuals(predicted: pd.DataFrame, bias: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Error of each clip over its rating, and the mean error in parts of the scale.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        bias: see `evaluation.bias_by_rating`
        ax: where to draw; None makes a figure

    See: notebooks/05_error_analysis.ipynb
    """
    ax = _axes(ax, 4.6, 3.6)
    error = predicted["prediction"] - predicted["valence"]
    ax.axhline(0, color=GREY, linewidth=1)
    ax.plot(predicted["valence"], error, "o", color=BLUE, alpha=0.35, markersize=4, label="a clip")
    _means(ax, bias["valence"], bias["bias"], bias, "mean, 95 % interval")
    ax.set(xlabel="rated valence", ylabel="predicted minus rated")
    ax.legend(frameon=False)
    return _figure(ax)


def calibration(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Mean rating of clips with similar predictions, over their mean prediction.

    Args:
        table: see `evaluation.calibration`
        ax: where to draw; None makes a figure

    See: notebooks/05_error_analysis.ipynb
    """
    ax = _axes(ax, 4.6, 3.6)
    rating = table["prediction"] - table["bias"]
    ends = pd.DataFrame(
        {"low": table["prediction"] - table["high"], "high": table["prediction"] - table["low"]}
    )
    line = table["prediction"].agg(["min", "max"])
    ax.plot(line, line, color=GREY, linewidth=1, label="calibrated")
    _means(ax, table["prediction"], rating, ends, "mean rating, 95 % interval")
    ax.set(xlabel="predicted valence, mean of the group", ylabel="rated valence, mean")
    ax.legend(frameon=False)
    return _figure(ax)


def _means(ax: Axes, x: pd.Series, y: pd.Series, ends: pd.DataFrame, label: str) -> None:
    distance = np.abs([y - ends["low"], ends["high"] - y])
    style: dict[str, Any] = {"fmt": "D", "color": ORANGE, "capsize": 4, "markeredgecolor": "black"}
    ax.errorbar(x, y, yerr=np.nan_to_num(distance), label=label, **style)


def error_by_speaker(predicted: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Absolute error of each clip by speaker, with each speaker's mean, the worst first.

    Args:
        predicted: a row a clip, with ``valence``, ``prediction`` and ``speaker``
        ax: where to draw; None makes a figure

    See: notebooks/05_error_analysis.ipynb
    """
    ax = _axes(ax, 6.4, 3.4)
    error = (predicted["prediction"] - predicted["valence"]).abs()
    means = error.groupby(predicted["speaker"].fillna("unknown")).mean().sort_values()[::-1]
    place = (
        predicted["speaker"].fillna("unknown").map({name: i for i, name in enumerate(means.index)})
    )
    ax.plot(place, error, "o", color=BLUE, alpha=0.35, markersize=4, label="a clip")
    ax.hlines(
        means,
        np.arange(len(means)) - 0.35,
        np.arange(len(means)) + 0.35,
        color="black",
        label="mean of the speaker",
    )
    ax.axhline(error.mean(), color=ORANGE, linestyle="--", linewidth=1, label="mean of all clips")
    if len(means) <= 40:
        ax.set_xticks(range(len(means)), means.index, rotation=90 if len(means) > 6 else 0)
    else:
        ax.set_xticks([])
    ax.set(xlabel="speaker", ylabel="absolute error", ylim=(0, None))
    ax.legend(frameon=False)
    return _figure(ax)


def occlusion(
    levels: np.ndarray, maps: np.ndarray, clips: pd.DataFrame, settings: MelSettings
) -> Figure:
    """Spectrograms of some clips and, beneath each, what its parts did to the prediction.

    Args:
        levels: decibels [clips, n_mels, frames]
        maps: points of valence, same shape, see `explanation.occlusion`
        clips: a row a clip, with ``valence`` and ``prediction``
        settings: that made the spectrograms

    See: notebooks/05_error_analysis.ipynb
    """
    figure = Figure(figsize=(1.7 * len(clips) + 1, 4.4), layout="constrained")
    panels = figure.subplots(2, len(clips), sharex=True, sharey=True, squeeze=False)
    most = np.abs(maps).max() or 1
    rows = (
        (levels, "magma", "level (dB)", {"vmin": np.min(levels), "vmax": np.max(levels)}),
        (maps, "cividis", "effect on the prediction", {"vmin": -most, "vmax": most}),
    )
    for axes, (images, colours, label, limits) in zip(panels, rows, strict=True):
        for ax, each in zip(axes, images, strict=True):
            image = _levels(each, settings, ax, colours, **limits)
            ax.set(xlabel="", ylabel="")
            ax.locator_params(axis="x", nbins=5)
        axes[0].set(ylabel="frequency (Hz)")
        figure.colorbar(image, ax=axes, label=label, aspect=15, pad=0.01)
    for (top, bottom), clip in zip(panels.T, clips.itertuples(), strict=True):
        top.set_title(f"True: {clip.valence:.2f}  Pred: {clip.prediction:.2f}", fontsize="small")
        bottom.set(xlabel="time (s)")
    return figure
