"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from helpers.plots.style import BLUE, COLOURS, GREY, ORANGE, _axes, _figure


def intervals(
    table: pd.DataFrame, truth: np.ndarray, scale: tuple[float, float], *, ax: Axes | None = None
) -> Figure:
    """The interval of each prediction, by prediction, and the rating that it holds or misses.

    Args:
        table: ``valence``, ``low`` and ``high`` of each clip, see `inference.predict`
        truth: ratings [clips]
        scale: lowest and highest possible rating
        ax: where to draw; None makes a figure

    See: notebooks/07_your_speech.ipynb
    """
    ax = _axes(ax, 7.5)
    order = np.argsort(table["valence"].to_numpy(), kind="stable")
    table, truth = table.iloc[order], np.asarray(truth)[order]
    place = np.arange(len(table))
    held = (table["low"] <= truth) & (truth <= table["high"])
    ax.vlines(place, table["low"], table["high"], color=GREY, alpha=0.5, label="90 % interval")
    ax.plot(place, table["valence"], "-", color="black", linewidth=1, label="prediction")
    for inside, marker, colour, label in (
        (held, "o", BLUE, "rating, held"),
        (~held, "X", ORANGE, "rating, missed"),
    ):
        points: dict[str, Any] = {"color": colour, "markersize": 4, "clip_on": False}
        ax.plot(place[inside], truth[inside], marker, label=label, **points)
    ax.set(xlabel="test clips, by prediction", ylabel="valence", ylim=scale)
    ax.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
    return _figure(ax)


def trials(table: pd.DataFrame, *, reference: float | None = None) -> Figure:
    """Validation error by each setting that varies, every trial in every panel.

    Args:
        table: see `tuning.search`; settings are the columns before ``seed``. Trials that failed
            are not drawn
        reference: MAE of the median predictor, drawn as a level line

    See: notebooks/04_tuning.ipynb
    """
    settings = table.columns[: table.columns.get_loc("seed")]
    settings = [name for name in settings if table[name].nunique() > 1] or settings[-1:]
    figure = Figure(figsize=(max(4, 2.5 * len(settings)), 3.8), layout="constrained")
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for ax, name in zip(panels, settings, strict=True):
        groups = table.groupby(name)["validation_mae"]
        for place, (_, maes) in enumerate(groups):
            beside = place + np.linspace(-0.3, 0.3, len(maes))  # in the order of the table
            points = ax.plot(beside, maes, "o", color=BLUE, alpha=0.5, markersize=4)
            means = ax.hlines(maes.mean(), place - 0.4, place + 0.4, color="black")
        shown = {"trial": points[0], "mean": means}
        if reference is not None:
            shown["median predictor"] = ax.axhline(reference, color=ORANGE, linestyle="--")
        ax.set_xticks(range(len(groups)), [str(value) for value in groups.groups])
        ax.set(xlabel=name.replace("_", " "), xlim=(-0.6, len(groups) - 0.4))
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="validation MAE")
    figure.legend(shown.values(), shown, loc="outside upper left", ncols=3, frameon=False)
    return figure


def explored(table: pd.DataFrame, settings: Sequence[str], *, log: Sequence[str] = ()) -> Figure:
    """Validation error over each setting of a search that proposes its own values.

    Args:
        table: see `bayesian.explore`; trials that were pruned or failed have no error, and are
            drawn as ticks on the axis
        settings: the columns to draw
        log: those of them on a logarithmic axis

    See: notebooks/04_tuning.ipynb
    """
    figure = Figure(figsize=(9.6, 2.9 * -(-len(settings) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(settings) // 3), 3, sharey=True, squeeze=False).flat
    whole = table["validation_mae"].notna()
    for ax, name in zip(panels, settings, strict=False):
        values = table[name].map(lambda value: value[0] if isinstance(value, Sequence) else value)
        finished = ax.plot(
            values[whole], table["validation_mae"][whole], "o", color=BLUE, alpha=0.6
        )
        height = ax.get_xaxis_transform()
        stopped = ax.plot(values[~whole], 0 * values[~whole], "|", color="black", transform=height)
        stopped[0].set(markersize=12, clip_on=False)
        if name in log:
            ax.set_xscale("log")
        elif values.nunique() < 5:
            ax.set_xticks(values.unique())
        ax.set(xlabel=name.replace("_", " "))
        ax.spines[["top", "right"]].set_visible(False)
    for ax in figure.axes[len(settings) :]:
        ax.remove()
    for ax in figure.axes[::3]:
        ax.set(ylabel="validation MAE")
    shown = {"whole trial": finished[0], "stopped early": stopped[0]}
    figure.legend(shown.values(), shown, loc="outside upper left", ncols=2, frameon=False)
    return figure


def predicted_against_true(
    truth: np.ndarray, predictions: Mapping[str, np.ndarray], scale: tuple[float, float]
) -> Figure:
    """One panel a model: each clip's prediction over its rating, with the line where both agree.

    Args:
        truth: ratings [clips]
        predictions: name of each model and what it predicts [clips]
        scale: lowest and highest possible rating

    See: notebooks/03_model.ipynb
    """
    figure = Figure(figsize=(3.4 * len(predictions), 3.8), layout="constrained")
    panels = figure.subplots(1, len(predictions), sharex=True, sharey=True, squeeze=False)[0]
    every = np.concatenate([scale, truth, *predictions.values()])
    margin = 0.05 * np.ptp(scale)
    limits = every.min() - margin, every.max() + margin
    for ax, (name, predicted) in zip(panels, predictions.items(), strict=True):
        ax.plot(scale, scale, color=GREY, linewidth=1)
        ax.plot(truth, predicted, "o", color=BLUE, alpha=0.5, markersize=4)
        ax.set(title=name, xlabel="rated valence", xlim=limits, ylim=limits, box_aspect=1)
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="predicted valence")
    return figure


def comparison(table: pd.DataFrame, metric: str = "mae", *, ax: Axes | None = None) -> Figure:
    """One metric of several models with its 95 % intervals.

    Args:
        table: see `evaluation.compare` and `evaluation.table`
        metric: one of its columns, such as ``"mae"`` or ``"mae gain"``
        ax: where to draw; None makes a figure

    See: notebooks/03_model.ipynb
    """
    ax = _axes(ax, height=0.6 + 0.4 * len(table))
    rows = table[metric].iloc[::-1]
    distance = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
    ax.errorbar(rows["value"], range(len(rows)), xerr=distance, fmt="o", color=BLUE, capsize=3)
    if metric.endswith(" gain"):
        ax.axvline(0, color=GREY, linewidth=1, zorder=0)
    ax.set_yticks(range(len(rows)), rows.index)
    ax.locator_params(axis="x", nbins=6)
    label = metric.replace("mae", "MAE").replace("ccc", "CCC").replace("rmse", "RMSE")
    ax.set(xlabel=f"{label} with its 95 % interval", ylim=(-0.5, len(rows) - 0.5))
    return _figure(ax)


def costs(table: pd.DataFrame, metric: str = "mae") -> Figure:
    """One metric of several models over what they cost, a panel for each kind of cost.

    Args:
        table: see `comparison.table`; models without a cost (the median's) are drawn at the left
        metric: ``"mae"``, ``"ccc"`` or ``"pearson"``

    See: notebooks/06_improvements.ipynb
    """
    names = {
        "seconds": "training (s)",
        "parameters": "parameters",
        "milliseconds": "prediction (ms per clip)",
    }
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True)
    for ax, (column, label) in zip(panels, names.items(), strict=True):
        cost = table["cost", column].astype(float)
        least = cost[cost > 0].min() / 4 if (cost > 0).any() else 1
        for (model, row), colour, marker in zip(
            table.iterrows(), itertools.cycle(COLOURS), itertools.cycle("osD^vP*X"), strict=False
        ):
            score = row[metric]
            errors = [[score["value"] - score["low"]], [score["high"] - score["value"]]]
            style = {"fmt": marker, "color": colour, "capsize": 3, "label": model}
            ax.errorbar(max(cost[model], least), score["value"], yerr=errors, **style)
        ax.set(xlabel=label, xscale="log")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel=f"{metric.upper()} with its 95 % interval")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False)
    return figure
