"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import matplotlib
import numpy as np
from IPython.core.pylabtools import print_figure
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from helpers.features import MelSettings
from helpers.storage import atomic_write

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"


COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")


LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def _axes(ax: Axes | None, width: float = 6.4, height: float = 3.6) -> Axes:
    if ax is not None:
        return ax
    ax = Figure(figsize=(width, height), layout="constrained").subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _figure(ax: Axes) -> Figure:
    return ax.figure.figure  # of a panel in a subfigure too


def save(figure: Figure, path: Path) -> None:
    """Write a figure as the suffix says, PNG or SVG; the same figure gives the same bytes.

    Args:
        figure: what to write
        path: ends in ``.png`` or ``.svg``; a file that is there is replaced, whole or not at all
    """
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        metadata = {"Date": None} if path.suffix == ".svg" else None
        with atomic_write(path) as partial:
            figure.savefig(partial, dpi=200, metadata=metadata)


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook, described for those who cannot see it.

    Args:
        figure: what to show
        alt: what is drawn, in a sentence; stored as the picture's text and as its alternative text

    See: notebooks/01_exploration.ipynb
    """
    picture = print_figure(figure, fmt="png", base64=True)
    content = {"image/png": picture, "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)


def _levels(
    levels: np.ndarray, settings: MelSettings, ax: Axes, cmap: str = "magma", **limits: Any
) -> QuadMesh:
    """Mel bands over frames, with axes in hertz and seconds."""
    return librosa.display.specshow(
        levels,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        x_axis="time",
        y_axis="mel",
        fmax=settings.sample_rate / 2,
        cmap=cmap,
        ax=ax,
        **limits,
    )
