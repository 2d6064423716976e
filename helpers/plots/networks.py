"""Figures of a network: its layers, one of its filters, and how it learnt."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from helpers.plots import style
from helpers.plots.style import BLUE, COLOURS, GREY, ORANGE, panel, panels

if TYPE_CHECKING:  # since it loads Keras
    from helpers.models import keras

#: Cells of max pooling along both axes, see `models.ConvMaxPool`.
GRID = (2, 2)

#: How a text stands at its place.
CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}


def max_pooling(levels: np.ndarray, responses: np.ndarray) -> Figure:
    """One filter's responses with the largest in each quarter, and the patches they answer.

    Args:
        levels: the filter's input, standardised decibels [n_mels, frames]
        responses: at each position of the kernel [rows, columns]

    See: notebooks/03_model.ipynb
    """
    figure, axes = panels(1, 2, (9, 3.4))
    seen, answered = axes[0]
    for ax, image, cmap, label in (
        (seen, levels, "magma", "level (standardised)"),
        (answered, responses, "Greys", "response"),
    ):
        drawn = ax.imshow(image, origin="lower", aspect="auto", cmap=cmap)
        figure.colorbar(drawn, ax=ax, label=label)
        ax.set(xlabel="frame", ylabel="mel band")
    height, width = (a - b + 1 for a, b in zip(levels.shape, responses.shape, strict=True))
    rows, columns = (
        np.array_split(np.arange(n), cells) for n, cells in zip(responses.shape, GRID, strict=True)
    )
    for edges, line in ((rows, answered.axhline), (columns, answered.axvline)):
        for cell in edges[1:]:
            line(cell[0] - 0.5, color=GREY, linestyle="--", linewidth=1)
    for number, (r, c) in enumerate(itertools.product(rows, columns), start=1):
        best = np.argmax(responses[np.ix_(r, c)])
        row, column = r[best // len(c)], c[best % len(c)]
        frame = (column - 0.5, row - 0.5), width, height
        seen.add_patch(Rectangle(*frame, fill=False, edgecolor="white", linewidth=1.5))
        _mark(seen, number, column, row + height - 1)
        _mark(answered, number, column, row)
    seen.set(title="the spectrogram")
    answered.set(title="the filter's responses")
    return figure


def _mark(ax: Axes, number: int, x: float, y: float) -> None:
    """A number in a circle, readable on any colour and not clipped at the edge."""
    circle = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": ORANGE}
    ax.text(x, y, str(number), bbox=circle, weight="bold", fontsize=8, **CENTRED)


def learning_curves(
    histories: Mapping[str, pd.DataFrame], references: Mapping[str, float]
) -> Figure:
    """Mean absolute error by epoch, in training (thin) and validation (thick).

    Args:
        histories: name of each run and its `training.Run.history`; the training of one whose loss
            is not this error has no curve
        references: name and MAE of what the curves are compared with, drawn as horizontal lines

    See: notebooks/03_model.ipynb
    """
    figure, ax = panel(7.5)
    parts = {"train_mae": "training", "validation_mae": "validation"}
    table = (
        pd.concat(style.named(histories), names=["network"])
        .reset_index("network")
        .rename(columns=parts)
    )
    known = [part for part in parts.values() if part in table]
    table = table.melt(["epoch", "network"], known, "part", "mean absolute error")
    sizes = {"training": 0.8, "validation": 2}
    lines: dict[str, Any] = {"hue": "network", "style": "network", "size": "part", "sizes": sizes}
    colours = COLOURS[: len(histories)]
    sns.lineplot(table, x="epoch", y="mean absolute error", palette=colours, **lines, ax=ax)
    for (name, mae), dashes in zip(references.items(), itertools.cycle((":", "-.")), strict=False):
        ax.axhline(mae, color="black", linewidth=1, linestyle=dashes, label=name)
    ax.set(ylim=(0, None))
    ax.locator_params("x", integer=True)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    return figure


# The diagram of a model

#: Layers that are written into the box of the layer before them.
ATTACHED = (
    *("Activation", "BatchNormalization", "Dropout", "Flatten", "Permute", "ReLU", "Rescaling"),
    "Reshape",
)

#: What is written for a layer, from its settings; its name if it is not here.
TEXTS = {
    "Activation": "limited",
    "ClipStatistics": "statistics of the clip",
    "Concatenate": "side by side",
    "InputLayer": "mel spectrogram",
    "RatingMedian": "mean of the medians",
    "Rescaling": "",
    "Conv2D": "{filters} filters {kernel_size}",
    "ConvMaxPool": "{filters} filters {kernel_size}\nReLU\nmax to {grid}",
    "MaxPooling2D": "max over {pool_size}",
    "Dense": "{units} unit{s}",
    "Bidirectional": "BLSTM, 2 × {layer[config][units]} units",
    "Dropout": "dropout {rate:g}",
    "BatchNormalization": "batch norm.",
    "ReLU": "ReLU",
}


def architecture(model: keras.Model) -> Figure:
    """Draw a functional Keras model from itself, from the input at the top to the output.

    Args:
        model: a `keras.Model` in which every layer is called once

    See: notebooks/03_model.ipynb
    """
    boxes = pd.DataFrame(_boxes(model))
    levels = boxes.groupby("level")["level"]
    boxes["x"], boxes["y"] = levels.cumcount() - (levels.transform("size") - 1) / 2, -boxes["level"]
    columns, rows = levels.size().max(), levels.ngroups
    # without branches, there is room for wide boxes of two lines
    width, height, shift, between = (
        (6, 0.6, 0.15, " · ") if columns == 1 else (2.3, 1.05, 0.22, "\n")
    )
    figure = Figure(figsize=(width * columns, height * rows))
    ax = figure.add_axes((0, 0, 1, 1))
    arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    corners = "round,pad=0,rounding_size=0.05"
    frame: dict[str, Any] = {"boxstyle": corners, "facecolor": "#EEF4F8", "edgecolor": BLUE}
    for box in boxes.itertuples():
        for source in boxes.loc[box.sources].itertuples():
            ends = (box.x, box.y + 0.36), (source.x, source.y - 0.36)
            ax.annotate("", *ends, arrowprops=arrow)
        ax.add_patch(FancyBboxPatch((box.x - 0.44, box.y - 0.34), 0.88, 0.68, **frame))
        title, *rest = box.lines
        ax.text(box.x, box.y + shift, title, weight="bold", fontsize=9, **CENTRED)
        ax.text(box.x, box.y - 0.08, between.join(rest), fontsize=8, **CENTRED)
    ax.set(xlim=(-columns / 2, columns / 2), ylim=(0.5 - rows, 0.5))
    ax.set_axis_off()
    return figure


def _boxes(model: keras.Model) -> list[dict[str, Any]]:
    """Layers gathered into boxes: their lines of text, level, and the boxes they read from."""
    home: dict[int, int] = {}  # the box that gives a tensor
    boxes: list[dict[str, Any]] = []
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = [home[id(each)] for each in inputs if each is not layer.output]
        if type(layer).__name__ not in ATTACHED:
            level = 1 + max((boxes[source]["level"] for source in sources), default=-1)
            boxes.append({"level": level, "sources": sources, "layers": [], "parameters": 0})
            sources = [len(boxes) - 1]
        home[id(layer.output)] = sources[0]
        box = boxes[sources[0]]
        box["layers"] += _describe(layer)
        box["parameters"] += layer.count_params()
        box["shape"] = " × ".join(str(size or "any") for size in layer.output.shape[1:])
    for box in boxes:
        title, *attached = box["layers"]
        count = f"{box['parameters']:,} parameters" if box["parameters"] else ""
        lines = [
            title,
            ", ".join(filter(None, dict.fromkeys(attached))),
            f"→ {box['shape']}",
            count,
        ]
        box["lines"] = [line for line in lines if line]
    return boxes


def _describe(layer: keras.Layer) -> list[str]:
    kind, config = type(layer).__name__, layer.get_config()
    sizes = {
        name: " × ".join(map(str, size))
        for name, size in config.items()
        if isinstance(size, list | tuple)
    }
    plural = "" if config.get("units") == 1 else "s"
    lines = TEXTS.get(kind, kind.lower()).format(**{**config, **sizes, "s": plural}).split("\n")
    activations = {"relu": "ReLU", "softmax": "softmax"}
    return lines + [activations[a] for a in [config.get("activation")] if a in activations]
