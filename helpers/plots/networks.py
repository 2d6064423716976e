"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke

from helpers.features import MelSettings
from helpers.plots.style import BLUE, COLOURS, GREY, LINES, ORANGE, _axes, _figure

if TYPE_CHECKING:  # since it loads Keras
    from helpers.models import keras


def max_pooling(
    levels: np.ndarray,
    responses: np.ndarray,
    *,
    grid: tuple[int, int] = (2, 2),
) -> Figure:
    """One filter's responses with the largest in each cell of a grid, and the patches they answer.

    Args:
        levels: what the filter saw, standardised decibels [n_mels, frames]
        responses: at each position of the kernel [rows, columns]
        grid: cells along both axes, see `layers.ConvMaxPool`

    See: notebooks/03_model.ipynb
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    seen, answered = figure.subplots(1, 2)
    image = seen.imshow(levels, origin="lower", aspect="auto", cmap="magma")
    figure.colorbar(image, ax=seen, label="level (standardised)")
    image = answered.imshow(responses, origin="lower", aspect="auto", cmap="Greys")
    figure.colorbar(image, ax=answered, label="response")
    height, width = (a - b + 1 for a, b in zip(levels.shape, responses.shape, strict=True))
    rows, columns = (
        np.array_split(np.arange(n), cells) for n, cells in zip(responses.shape, grid, strict=True)
    )
    for edges, line in ((rows, answered.axhline), (columns, answered.axvline)):
        for cell in edges[1:]:
            line(cell[0] - 0.5, color=GREY, linestyle="--", linewidth=1)
    for number, (r, c) in enumerate(itertools.product(rows, columns), start=1):
        best = np.argmax(responses[np.ix_(r, c)])
        row, column = r[best // len(c)], c[best % len(c)]
        left = column < responses.shape[1] / 2
        answered.plot(column, row, "o", markersize=8, markeredgecolor="white", color=ORANGE)
        answered.annotate(
            str(number),
            (column, row),
            xytext=(8 if left else -8, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            weight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        frame = (column - 0.5, row - 0.5), width, height
        seen.add_patch(Rectangle(*frame, fill=False, edgecolor="white", linewidth=1.5))
        seen.annotate(f" {number}", (column, row + height - 1), color="white", va="top")
    seen.set(title="the spectrogram", xlabel="frame", ylabel="mel band")
    answered.set(title="the filter's responses", xlabel="frame", ylabel="mel band")
    return figure


def learning_curves(
    histories: Mapping[str, pd.DataFrame], *, reference: float | None = None, ax: Axes | None = None
) -> Figure:
    """Mean absolute error by epoch, in training (thin) and validation (thick).

    Args:
        histories: name of each run and its `training.Run.history`
        reference: MAE of the median predictor, drawn as a level line
        ax: where to draw; None makes a figure

    See: notebooks/03_model.ipynb
    """
    ax = _axes(ax)
    for (name, history), colour, line in zip(histories.items(), COLOURS, LINES, strict=False):
        style: dict[str, Any] = {"color": colour, "linestyle": line}
        ax.plot(history["epoch"], history["train_mae"], linewidth=0.8, alpha=0.6, **style)
        ax.plot(history["epoch"], history["validation_mae"], linewidth=2, label=name, **style)
    if reference is not None:
        ax.axhline(reference, color="black", linewidth=1, linestyle=":", label="median predictor")
    ax.set(xlabel="epoch", ylabel="mean absolute error", ylim=(0, None))
    ax.locator_params("x", integer=True)
    ax.legend(title="validation (thin: training)", frameon=False)
    return _figure(ax)


def kernels(model: keras.Model, settings: MelSettings, *, count: int = 6) -> Figure:
    """Learnt kernels of each convolution that reads the spectrogram, the strongest first.

    Args:
        model: a `keras.Model` such as `models.parallel_cnn`
        settings: that made the spectrograms; they say how long a frame is
        count: kernels of each convolution, those with the largest norm

    See: notebooks/05_error_analysis.ipynb
    """
    layers = [layer for layer in model.layers if layer.name.startswith("conv_")]
    figure = Figure(figsize=(1.35 * count + 0.9, 1.5 * len(layers)), layout="constrained")
    panels = figure.subplots(len(layers), count, squeeze=False)
    frame = settings.hop_length / settings.sample_rate
    for axes, layer in zip(panels, layers, strict=True):
        weights = np.asarray(layer.weights[0])[:, :, 0]  # [bands, frames, filters]
        norms = np.linalg.norm(weights, axis=(0, 1))
        strongest = np.argsort(-norms, kind="stable")[:count]
        most = np.abs(weights[..., strongest]).max()
        bands, frames, _ = weights.shape
        for ax, kernel in zip(axes, strongest, strict=False):
            image = ax.imshow(
                weights[..., kernel],
                origin="lower",
                aspect="auto",
                cmap="cividis",
                vmin=-most,
                vmax=most,
                extent=(0, frames * frame, 0, bands),
            )
        for ax in axes[1:]:
            ax.set_yticklabels([])
        for ax in axes[len(strongest) :]:
            ax.set_axis_off()
        axes[0].set(ylabel=f"{bands} × {frames}\nmel band")
        figure.colorbar(image, ax=axes, label="weight", pad=0.01)
    for ax in panels[-1]:
        ax.set(xlabel="time (s)")
    return figure


# The diagram of a model

#: Layers that are written into the box of the layer before them.
ATTACHED = ("BatchNormalization", "ReLU", "Dropout", "Flatten", "Reshape", "Permute")


def architecture(model: keras.Model) -> Figure:
    """Draw a functional Keras model from itself, from the input at the top to the output.

    Args:
        model: a `keras.Model` in which every layer is called once

    See: notebooks/03_model.ipynb
    """
    boxes = _boxes(model)
    levels = pd.Series([box["level"] for box in boxes])
    columns = levels.value_counts().max()
    figure = Figure(figsize=(max(3, 2.3 * columns), 1.05 * (levels.max() + 1)))
    ax = figure.add_axes((0, 0, 1, 1))
    places: list[tuple[float, float]] = []
    for box in boxes:
        beside = [other["level"] for other in boxes[: len(places)]].count(box["level"])
        x = beside - ((levels == box["level"]).sum() - 1) / 2
        places.append((x, -box["level"]))
        for source in box["sources"]:
            ax.annotate(
                "",
                (x, -box["level"] + 0.36),
                (places[source][0], places[source][1] - 0.36),
                arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0},
            )
        ax.add_patch(
            FancyBboxPatch(
                (x - 0.44, -box["level"] - 0.34), 0.88, 0.68,
                boxstyle="round,pad=0,rounding_size=0.05", facecolor="#EEF4F8", edgecolor=BLUE,
            )
        )  # fmt: skip
        title, *rest = box["lines"]
        ax.text(x, -box["level"] + 0.2, title, ha="center", va="center", weight="bold", fontsize=8)
        ax.text(x, -box["level"] - 0.1, "\n".join(rest), ha="center", va="center", fontsize=7)
    ax.set(xlim=(-columns / 2, columns / 2), ylim=(-levels.max() - 0.5, 0.5))
    ax.set_axis_off()
    return figure


def _boxes(model: keras.Model) -> list[dict[str, Any]]:
    """Layers gathered into boxes: their lines of text, level, and the boxes they read from."""
    producer = {id(layer.output): layer.name for layer in model.layers}
    home: dict[str, int] = {}
    boxes: list[dict[str, Any]] = []
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        kind = type(layer).__name__
        sources = [home[producer[id(t)]] for t in inputs] if kind != "InputLayer" else []
        if kind in ATTACHED and sources:
            box = boxes[sources[0]]
            home[layer.name] = sources[0]
        else:
            level = 1 + max((boxes[s]["level"] for s in sources), default=-1)
            box = {"level": level, "sources": sources, "layers": [], "parameters": 0}
            home[layer.name] = len(boxes)
            boxes.append(box)
        box["layers"] += _describe(layer)
        box["parameters"] += layer.count_params()
        box["shape"] = " × ".join(str(size) for size in layer.output.shape[1:])
    for box in boxes:
        title, *attached = box["layers"]
        count = f"{box['parameters']:,} parameters" if box["parameters"] else ""
        lines = [title, ", ".join(attached), f"→ {box['shape']}", count]
        box["lines"] = [line for line in lines if line]
    return boxes


def _describe(layer: keras.Layer) -> list[str]:
    kind, config = type(layer).__name__, layer.get_config()
    if kind == "InputLayer":
        return ["mel spectrogram"]
    if kind == "Conv2D":
        activation = ["ReLU"] if config["activation"] == "relu" else []
        return [f"{config['filters']} filters {_times(config['kernel_size'])}", *activation]
    if kind == "ConvMaxPool":
        filters = f"{config['filters']} filters {_times(config['kernel_size'])}"
        return [filters, "ReLU", f"max to {_times(config['grid'])}"]
    if kind == "MaxPooling2D":
        return [f"max over {_times(config['pool_size'])}"]
    if kind == "Dense":
        return [f"{config['units']} unit{'s' if config['units'] > 1 else ''}"]
    if kind == "Bidirectional":
        return [f"BLSTM, 2 × {layer.forward_layer.units} units"]
    if kind == "Dropout":
        return [f"dropout {config['rate']:g}"]
    return [{"BatchNormalization": "batch norm.", "ReLU": "ReLU"}.get(kind, kind.lower())]


def _times(size: tuple[int, int]) -> str:
    return " × ".join(map(str, size))
