"""What all figures share: colours, panels, ticks, and how a figure is saved and shown.

Colours are Okabe and Ito's, which colour-blind eyes can tell apart; lines and markers differ, too,
for print in grey.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import librosa
import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.core.pylabtools import print_figure
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, MaxNLocator, ScalarFormatter

from helpers.features import MelSettings
from helpers.storage import atomic_write

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"

COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")

Drawn = TypeVar("Drawn")

#: A clip among many.
POINTS: dict[str, Any] = {"color": BLUE, "alpha": 0.5, "linewidth": 0}

#: The mean of many clips.
DASH: dict[str, Any] = {"marker": "_", "linestyle": "none", "color": "black", "errorbar": None}

#: What figures call a model, as the tables of the report do.
NAMES = {
    "median": "Median predictor",
    "parallel_cnn": "Four-branch CNN",
    "cnn_blstm": "CNN–BLSTM",
    "tuned": "Tuned CNN",
    "egemaps_svr": "eGeMAPS, SVR",
    "egemaps_8k_svr": "eGeMAPS at 8 kHz, SVR",
    "compare_svr": "ComParE, SVR",
    "egemaps_network": "eGeMAPS, network",
    "statistics": "Statistics",
    "recommended": "Recommended",
    "three_views": "Three views",
    "fine_tuned": "Fine-tuned",
    "fusion": "Statistics and eGeMAPS",
    "noise_floor": "Noise floor",
    "one_listener": "One listener",
}

#: Names on an axis, beyond which they are left out.
MOST_NAMES = 40


def named(models: Mapping[str, Drawn]) -> dict[str, Drawn]:
    """What is drawn of each model, by the model's name in figures."""
    return {NAMES.get(model, model): drawn for model, drawn in models.items()}


def panels(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of `size` in inches, and its panels [rows, columns]."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    sns.despine(figure)
    return figure, axes


def panel(width: float = 6.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """A figure with one panel; its size in inches."""
    figure, axes = panels(1, 1, (width, height))
    return figure, axes[0, 0]


def count_clips(axis: Axis) -> None:
    """Label an axis that counts clips, with whole numbers only."""
    axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    axis.set_label_text("clips")


def legend_above(ax: Axes) -> None:
    """One line of labels above the panel, where it hides nothing; each label once."""
    shown = _labelled(ax)
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
    ax.legend(shown.values(), shown, ncols=len(shown), frameon=False, **place)


def legend_outside(axes: np.ndarray, columns: int, place: str = "upper left") -> None:
    """One legend for all panels, beside them, with the labels of the first; each label once."""
    shown = _labelled(axes.flat[0])
    for legend in filter(None, [ax.get_legend() for ax in axes.flat]):
        legend.remove()
    figure = axes.flat[0].figure
    figure.legend(shown.values(), shown, loc=f"outside {place}", ncols=columns, frameon=False)


def _labelled(ax: Axes) -> dict[str, Artist]:
    """What has a label, by label; of several with the same one, the last."""
    handles, labels = ax.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def by_speaker(clips: pd.DataFrame, y: pd.Series, ax: Axes, *, ascending: bool) -> dict[str, Any]:
    """What seaborn needs to draw a number of each clip by speaker, in the order of their means."""
    names = clips["speaker"].fillna("unknown")
    order = y.groupby(names).mean().sort_values(ascending=ascending).index
    return {"x": names, "y": y, "order": order, "ax": ax}


def name_speakers(ax: Axes) -> None:
    """Keep the speakers' names below a figure by speaker where there is room for them."""
    if len(ax.get_xticks()) > MOST_NAMES:
        ax.set_xticks([])
    elif len(ax.get_xticks()) > 6:
        ax.tick_params(axis="x", rotation=90)


def distances(table: pd.DataFrame, value: str = "value") -> np.ndarray:
    """From a value to ``low`` and ``high``, as error bars take them [2, values]; 0 if missing."""
    low, high = table[value] - table["low"], table["high"] - table[value]
    return np.nan_to_num(np.abs([low, high]))


def draw_levels(
    levels: np.ndarray, settings: MelSettings, ax: Axes, cmap: str = "magma", **limits: Any
) -> QuadMesh:
    """Draw mel bands over frames [n_mels, frames], with axes in hertz and seconds."""
    rate, bands = settings.sample_rate, len(levels)
    # Left alone, librosa draws the lowest band at 0 Hz and the highest at half the sampling rate.
    centres = librosa.mel_frequencies(bands + 2, fmax=rate / 2)[1:-1]
    axes: dict[str, Any] = {"x_axis": "time", "y_axis": "mel", "y_coords": centres, "ax": ax}
    image = librosa.display.specshow(
        levels, sr=rate, hop_length=settings.hop_length, cmap=cmap, **axes, **limits
    )
    ax.set_ylim(0, rate / 2)
    ax.xaxis.set_major_locator(AutoLocator())  # librosa's ticks at 10.5 s and 13.5 s read 10 and 14
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
    return image


def save(figure: Figure, path: Path) -> None:
    """Write a figure as the suffix says, PNG or SVG; the same figure gives the same bytes.

    Args:
        figure: what to write
        path: ends in ``.png`` or ``.svg``; an existing file is replaced, as a whole or not at all

    See: notebooks/01_exploration.ipynb
    """
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        metadata = {"Date": None} if path.suffix == ".svg" else None
        with atomic_write(path) as partial:
            figure.savefig(partial, dpi=200, metadata=metadata)


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook, with a description for readers who cannot see it.

    Args:
        figure: what to show
        alt: what is drawn, in a sentence; stored as the picture's text and as its alternative text

    See: notebooks/01_exploration.ipynb
    """
    picture = print_figure(figure, fmt="png", base64=True)
    content = {"image/png": picture, "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)
