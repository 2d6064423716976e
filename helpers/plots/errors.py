"""Figures of a network's errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from helpers.features import MelSettings
from helpers.plots import style
from helpers.plots.style import GREY, ORANGE, POINTS, panel, panels

#: Of a histogram.
BINS = 20

#: How a mean is drawn among the clips.
MEANS: dict[str, Any] = {"fmt": "D", "color": ORANGE, "capsize": 4, "markeredgecolor": "black"}


def error_grid(levels: np.ndarray, clips: pd.DataFrame, settings: MelSettings) -> Figure:
    """Mel spectrograms of some clips, each with its rating and its prediction.

    Args:
        levels: decibels [clips, n_mels, frames]
        clips: a row a clip: ``valence``, ``prediction``, ``speaker`` and ``duration`` in seconds
        settings: that made the spectrograms

    See: notebooks/05_error_analysis.ipynb
    """
    columns = min(5, len(clips))
    rows = -(-len(clips) // columns)
    figure, axes = panels(rows, columns, (2.1 * columns + 0.8, 2.55 * rows), sharey=True)
    for ax in axes.flat[len(clips) :]:
        ax.set_axis_off()
    limits = {"vmin": np.min(levels), "vmax": np.max(levels)}
    for ax, level, clip in zip(axes.flat, levels, clips.itertuples(), strict=False):
        image = style.draw_levels(level, settings, ax, **limits)
        speaker = "unknown" if pd.isna(clip.speaker) else clip.speaker
        ax.set_title(_title(clip), fontsize="medium")
        ax.set(xlabel=f"time (s)\n{speaker}, {clip.duration:.2f} s")
        ax.locator_params(axis="x", nbins=5)
    for ax in axes[:, 1:].flat:
        ax.set(ylabel="")
    figure.colorbar(image, ax=axes, label="level (dB)", format="%d", aspect=40, pad=0.01)
    return figure


def _title(clip: Any) -> str:
    return f"True: {clip.valence:.2f}  Pred: {clip.prediction:.2f}"


def joint(truth: np.ndarray, prediction: np.ndarray, scale: tuple[float, float]) -> Figure:
    """Each clip's prediction over its rating, and the distribution of both along the edges.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips]
        scale: lowest and highest possible rating

    See: notebooks/05_error_analysis.ipynb
    """
    low, high = min(scale[0], np.min(prediction)), max(scale[1], np.max(prediction))
    margin = 0.04 * (high - low)
    limits = low - margin, high + margin
    x, y = np.asarray(truth), np.asarray(prediction)
    grid = sns.JointGrid(
        x=x, y=y, xlim=limits, ylim=limits, height=4.6, ratio=4, marginal_ticks=True
    )
    plt.close(grid.figure)  # a notebook would show it twice
    grid.plot_joint(sns.scatterplot, s=18, **POINTS)
    bars: dict[str, Any] = {"color": GREY, "edgecolor": "white"}
    sns.histplot(x=x, ax=grid.ax_marg_x, bins=_edges(x, low, high), **bars)
    sns.histplot(y=y, ax=grid.ax_marg_y, bins=np.linspace(low, high, BINS + 1), **bars)
    grid.ax_joint.plot(scale, scale, color=GREY, linewidth=1, label="no error")
    grid.ax_joint.legend(frameon=False, loc="upper left")
    grid.set_axis_labels("labelled valence", "predicted valence")
    style.count_clips(grid.ax_marg_x.yaxis)
    style.count_clips(grid.ax_marg_y.xaxis)
    grid.figure.tight_layout()
    return grid.figure


def _edges(labels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Edges of a histogram's bins, around each label where labels come in steps."""
    values = np.unique(labels)
    steps = np.diff(values)
    step = steps.min(initial=high - low)
    if (high - low) / step > 2 * BINS or not np.allclose(steps / step, np.round(steps / step)):
        return np.linspace(low, high, BINS + 1)
    return np.arange(values[0] - step / 2, values[-1] + step, step)


def residuals(predicted: pd.DataFrame, bias: pd.DataFrame) -> Figure:
    """Error of each clip over its rating, and the mean error in parts of the scale.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        bias: see `evaluation.bias_by_rating`

    See: notebooks/05_error_analysis.ipynb
    """
    figure, ax = panel(4.6, 3.6)
    error = predicted["prediction"] - predicted["valence"]
    ax.axhline(0, color=GREY, linewidth=1)
    sns.scatterplot(x=predicted["valence"], y=error, s=18, label="a clip", **POINTS, ax=ax)
    distances = style.distances(bias, "bias")
    ax.errorbar(bias["valence"], bias["bias"], distances, label="mean, 95 % interval", **MEANS)
    ax.set(xlabel="labelled valence", ylabel="predicted minus labelled")
    style.legend_above(ax)
    return figure


def calibration(table: pd.DataFrame) -> Figure:
    """Mean rating of clips with similar predictions, over their mean prediction.

    Args:
        table: see `evaluation.calibration`

    See: notebooks/05_error_analysis.ipynb
    """
    figure, ax = panel(4.6, 3.6)
    x, y = table["prediction"], table["valence"]
    ax.plot(x, x, color=GREY, linewidth=1, label="calibrated")
    above, below = style.distances(table, "bias")  # since a rating is prediction minus error
    ax.errorbar(x, y, [below, above], label="mean, 95 % interval", **MEANS)
    ax.set(xlabel="predicted valence, mean of the group", ylabel="labelled valence, mean")
    ax.legend(frameon=False)
    return figure


def error_by_speaker(predicted: pd.DataFrame) -> Figure:
    """Absolute error of each clip by speaker, with each speaker's mean, the worst first.

    Args:
        predicted: a row a clip, with ``valence``, ``prediction`` and ``speaker``

    See: notebooks/05_error_analysis.ipynb
    """
    figure, ax = panel(6.4, 3.4)
    error = (predicted["prediction"] - predicted["valence"]).abs()
    strips = style.by_speaker(predicted, error, ax, ascending=False)
    sns.stripplot(**strips, jitter=False, size=4, label="a clip", **POINTS)
    sns.pointplot(**strips, label="mean of the speaker", markersize=14, **style.DASH)
    ax.axhline(error.mean(), color=ORANGE, linestyle="--", linewidth=1, label="mean of all clips")
    style.name_speakers(ax)
    ax.set(xlabel="speaker", ylabel="absolute error", ylim=(0, None))
    style.legend_above(ax)
    return figure


def occlusion(
    levels: np.ndarray, maps: np.ndarray, clips: pd.DataFrame, settings: MelSettings
) -> Figure:
    """Spectrograms of some clips and, below each, the effect of its parts on the prediction.

    Args:
        levels: decibels [clips, n_mels, frames]
        maps: points of valence, same shape, see `evaluation.occlusion`
        clips: a row a clip, with ``valence`` and ``prediction``
        settings: that made the spectrograms

    See: notebooks/05_error_analysis.ipynb
    """
    size = 1.7 * len(clips) + 1, 4.4
    figure, panes = panels(2, len(clips), size, sharex=True, sharey=True)
    most = np.abs(maps).max() or 1
    rows = (
        (levels, "magma", "level (dB)", {"vmin": np.min(levels), "vmax": np.max(levels)}),
        (maps, "cividis", "effect on the prediction", {"vmin": -most, "vmax": most}),
    )
    for axes, (images, colours, label, limits) in zip(panes, rows, strict=True):
        for ax, each in zip(axes, images, strict=True):
            image = style.draw_levels(each, settings, ax, colours, **limits)
            ax.locator_params(axis="x", nbins=5)
            ax.label_outer()
        figure.colorbar(image, ax=axes, label=label, aspect=15, pad=0.01)
    for ax, clip in zip(panes[0], clips.itertuples(), strict=True):
        ax.set_title(_title(clip), fontsize="small")
    return figure
