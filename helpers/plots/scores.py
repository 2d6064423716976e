"""Figures of scores: of models, of trials of a search, and of prediction intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from helpers.plots import style
from helpers.plots.style import BLUE, COLOURS, GREY, ORANGE, POINTS, panel, panels

#: The higher, the darker, in print, too; what is below 0 is as light as 0.
HEATMAP: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 1, "annot": True, "fmt": ".2f"}

#: What a model costs, and how axes call it.
COSTS = {
    "seconds": "training (s)",
    "parameters": "parameters",
    "milliseconds": "prediction (ms per clip)",
}

#: Markers and lines that differ in grey, too.
LINES = ("o:", "s--", "^-")

#: Around what was tested in folds within a corpus.
FRAME: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 1.5, "clip_on": False}


def intervals(table: pd.DataFrame, truth: np.ndarray, scale: tuple[float, float]) -> Figure:
    """The interval of each prediction, by prediction, and the rating inside or outside it.

    Args:
        table: ``valence``, ``low`` and ``high`` of each clip, see `inference.predict`
        truth: ratings [clips]
        scale: lowest and highest possible rating

    See: notebooks/07_your_speech.ipynb
    """
    figure, ax = panel(7.5)
    table = table.assign(truth=np.asarray(truth)).sort_values("valence", kind="stable")
    place, rating = np.arange(len(table)), table["truth"]
    held = rating.between(table["low"], table["high"])
    ax.vlines(place, table["low"], table["high"], color=GREY, alpha=0.5, label="90 % interval")
    ax.plot(place, table["valence"], "-", color="black", linewidth=1, label="prediction")
    points: dict[str, Any] = {"markersize": 4, "clip_on": False}
    ax.plot(place[held], rating[held], "o", color=BLUE, label="label, held", **points)
    ax.plot(place[~held], rating[~held], "X", color=ORANGE, label="label, missed", **points)
    ax.set(xlabel="test clips, by prediction", ylabel="valence", ylim=scale)
    style.legend_above(ax)
    return figure


def distributions(
    probabilities: np.ndarray, truth: np.ndarray, predicted: np.ndarray, scale: tuple[float, float]
) -> Figure:
    """The predicted distribution of some clips, with the predicted and the labelled valence.

    Args:
        probabilities: of each class, by each network [clips, networks, classes]; the bars show
            their mean, and the lines each of them
        truth: ratings [clips]
        predicted: valence [clips]
        scale: lowest and highest possible rating

    See: notebooks/06_improvements.ipynb
    """
    figure, axes = panels(1, len(truth), (2.6 * len(truth), 3), sharey=True)
    classes = np.linspace(*scale, probabilities.shape[2])
    for ax, each, rating, valence in zip(axes[0], probabilities, truth, predicted, strict=True):
        ax.bar(classes, each.mean(axis=0), width=0.9 * (classes[1] - classes[0]), color="#CFE0EA")
        ax.plot(classes, each.T, color=GREY, linewidth=0.8)
        ax.axvline(valence, color=BLUE, label="prediction")
        ax.axvline(rating, color=ORANGE, linestyle="--", label="label")
        ax.set(xlabel="valence", title=f"labelled {rating:.2f}\npredicted {valence:.2f}")
    axes[0, 0].set(ylabel="probability")
    axes[0, 0].legend()
    style.legend_outside(axes, 2, "lower center")
    return figure


def trials(table: pd.DataFrame, settings: Sequence[str], *, reference: float) -> Figure:
    """Validation error by each hyperparameter that varies, every trial in every panel.

    Args:
        table: see `tuning.search`. Trials that failed are not drawn
        settings: its columns of hyperparameters; those with one value only are left out
        reference: MAE of the median predictor, drawn as a horizontal line

    See: notebooks/04_tuning.ipynb
    """
    varying = [name for name in settings if table[name].nunique() > 1] or [settings[-1]]
    figure, axes = panels(1, len(varying), (max(4, 2.5 * len(varying)), 3.8), sharey=True)
    for ax, name in zip(axes[0], varying, strict=True):
        strips: dict[str, Any] = {"x": table[name], "y": table["validation_mae"], "ax": ax}
        sns.swarmplot(**strips, size=4, label="trial", warn_thresh=1, **POINTS)
        sns.pointplot(**strips, label="mean", markersize=30, **style.DASH)
        ax.axhline(reference, color=ORANGE, linestyle="--", label="median predictor")
        ax.set(xlabel=name.replace("_", " "), ylabel="validation MAE")
    style.legend_outside(axes, 3)
    return figure


def explored(table: pd.DataFrame, settings: Sequence[str], *, log: Sequence[str] = ()) -> Figure:
    """Validation error over each hyperparameter of a search that proposes its own values.

    Args:
        table: see `tuning.explore`; trials that were pruned or failed have no error, and are drawn
            as ticks on the axis
        settings: the columns to draw
        log: those of them on a logarithmic axis

    See: notebooks/04_tuning.ipynb
    """
    rows = -(-len(settings) // 3)
    figure, axes = panels(rows, 3, (9.6, 2.9 * rows), sharey=True)
    whole = table["validation_mae"].notna()
    for ax, name in zip(axes.flat, settings, strict=False):
        values = table[name].map(lambda value: np.ravel(value)[0])  # units are a pair
        maes = table["validation_mae"][whole]
        sns.scatterplot(x=values[whole], y=maes, label="whole trial", legend=False, **POINTS, ax=ax)
        sns.rugplot(x=values[~whole], height=0.06, color="black", label="stopped early", ax=ax)
        if name in log:
            ax.set_xscale("log")
        elif values.nunique() < 5:
            ax.set_xticks(values.unique())
        ax.set(xlabel=name.replace("_", " "), ylabel="validation MAE")
    for ax in axes.flat[len(settings) :]:
        ax.remove()
    style.legend_outside(axes, 2)
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
    x, y = "labelled valence", "predicted valence"
    models = {name: pd.DataFrame({x: truth, y: each}) for name, each in predictions.items()}
    table = pd.concat(style.named(models), names=["model"]).reset_index("model")
    grid = sns.relplot(table, x=x, y=y, col="model", height=3.6, s=18, **POINTS)
    plt.close(grid.figure)  # a notebook would show it twice
    shown = np.concatenate([scale, table[x], table[y]])
    margin = 0.05 * np.ptp(scale)
    limits = shown.min() - margin, shown.max() + margin
    grid.set(xlim=limits, ylim=limits, box_aspect=1).set_titles("{col_name}")
    for ax in grid.axes.flat:
        ax.plot(scale, scale, color=GREY, linewidth=1)
    return grid.figure


def comparison(table: pd.DataFrame, metric: str = "mae") -> Figure:
    """One metric of several models with its 95 % intervals.

    Args:
        table: see `evaluation.compare`
        metric: one of its columns, such as ``"mae"`` or ``"mae gain"``

    See: notebooks/03_model.ipynb
    """
    figure, ax = panel(height=0.6 + 0.4 * len(table))
    rows = table[metric].iloc[::-1]
    place = range(len(rows))
    ends = style.distances(rows)
    ax.errorbar(rows["value"], place, xerr=ends, fmt="o", color=BLUE, capsize=3)
    if metric.endswith(" gain"):
        ax.axvline(0, color=GREY, linewidth=1, zorder=0)
    ax.set_yticks(place, rows.rename(index=style.NAMES).index)
    ax.locator_params(axis="x", nbins=6)
    label = metric.replace("mae", "MAE").replace("ccc", "CCC").replace("rmse", "RMSE")
    ax.set(xlabel=f"{label} with its 95 % interval", ylim=(-0.5, len(rows) - 0.5))
    return figure


def few_clips(table: pd.DataFrame, metric: str = "mae") -> Figure:
    """One metric by the number of clips that are known of a speaker, with 95 % intervals.

    Args:
        table: see `comparison.few_clips`; a panel for each kind of known clips, a line a way
        metric: ``"mae"`` or ``"ccc"``

    See: notebooks/06_improvements.ipynb
    """
    kinds = table.index.unique("known")
    figure, axes = panels(1, len(kinds), (4.2 * len(kinds), 3.6), sharey=True)
    for ax, kind in zip(axes[0], kinds, strict=True):
        ways = table.loc[kind, metric].groupby("way", sort=False)
        for number, ((way, rows), mark) in enumerate(zip(ways, LINES, strict=False)):
            place = np.arange(len(rows)) + 0.12 * (number - 1)  # intervals stand side by side
            ends = style.distances(rows)
            colour = COLOURS[number]
            ax.errorbar(place, rows["value"], ends, fmt=mark, color=colour, label=way, capsize=2)
        *counts, _ = table.loc[kind].index.unique("clips")
        ax.set_xticks(range(len(counts) + 1), [*map(str, counts), "all"])
        ax.set(xlabel="known clips of the speaker", title=f"{kind} known")
        ax.title.set_fontsize("medium")
    axes[0, 0].set(ylabel=f"{metric.upper()} with its 95 % interval")
    style.legend_outside(axes, len(LINES), "lower center")
    return figure


def transfer_heatmap(table: pd.DataFrame, models: Sequence[str]) -> Figure:
    """CCC of each model by the corpus that it was trained on and the one that it was tested on.

    Args:
        table: see `comparison.transfer_table`
        models: those to draw, a panel each. Folds within a corpus have a frame; the last row is the
            training on all other corpora, if there are several

    See: notebooks/08_other_voices.ipynb
    """
    scores = table["ccc", "value"].reset_index()
    scores.columns = ["trained on", "tested on", "model", "ccc"]
    names = list(scores["tested on"].unique())
    alone = scores["trained on"].isin(names)
    scores["trained on"] = scores["trained on"].where(alone, "all others")
    rows = names if alone.all() else [*names, "all others"]
    size = 1.6 + 1.5 * len(models) * len(names), 1.6 + 0.6 * len(rows)
    figure, axes = panels(1, len(models), size, sharey=True)
    for ax, model in zip(axes[0], models, strict=True):
        of = scores[scores["model"] == model]
        cells = of.pivot(index="trained on", columns="tested on", values="ccc").loc[rows, names]
        cells = cells.round(2) + 0.0  # never "-0.00"
        sns.heatmap(cells, **HEATMAP, square=False, cbar=False, ax=ax)
        for place in range(len(names)):
            ax.add_patch(Rectangle((place, place), 1, 1, **FRAME))
        ax.set_title(style.NAMES.get(model, model), fontsize="medium")
        ax.tick_params(rotation=0, length=0)
        ax.label_outer()
    figure.colorbar(axes[0, -1].collections[0], ax=axes, label="CCC", pad=0.02)
    return figure


def costs(table: pd.DataFrame, kinds: Sequence[str] = tuple(COSTS)) -> Figure:
    """Mean absolute error of several models over what they cost, a panel for each kind of cost.

    Args:
        table: see `comparison.score_table`; models without a cost (the median) are drawn left of a
            line, and models of about the same cost beside each other
        kinds: some of `COSTS`

    See: notebooks/06_improvements.ipynb
    """
    table = table.rename(index=style.NAMES)
    colours = sns.color_palette(COLOURS, len(table))
    figure, axes = panels(1, len(kinds), (1 + 4 * len(kinds), 3.6), sharey=True)
    for ax, kind in zip(axes[0], kinds, strict=True):
        cost, score = table["cost", kind].astype(float), table["mae"]
        place = _beside(cost)
        ends = style.distances(score)
        ax.errorbar(place, score["value"], yerr=ends, fmt="none", color=GREY, capsize=3)
        names = {"hue": table.index, "style": table.index, "palette": colours}
        sns.scatterplot(x=place, y=score["value"], **names, s=60, ax=ax)
        ax.set(xlabel=COSTS[kind], xscale="log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if 0 < (cost == 0).sum() < len(cost):
            _mark_none(ax, np.sqrt(place[cost == 0].max() * place[cost > 0].min()))
    axes[0, 0].set(ylabel="MAE with its 95 % interval")
    style.legend_outside(axes, 2 + len(kinds))
    return figure


def _mark_none(ax: Axes, border: float) -> None:
    """A line left of which models cost nothing, and no numbers there."""
    limits = ax.get_xlim()
    ax.set_xticks([tick for tick in ax.get_xticks() if border < tick <= limits[1]])
    ax.set_xlim(limits)
    ax.axvline(border, color=GREY, linestyle=":")
    ax.text(border, 1, "none ", ha="right", va="top", transform=ax.get_xaxis_transform())


def _beside(cost: pd.Series) -> pd.Series:
    """Costs for a logarithmic axis: none is 0, and no two are so close that marks would overlap."""
    least = cost[cost > 0].min() / 4 if (cost > 0).any() else 1
    exponents = np.log10(cost.clip(lower=least)).sort_values()
    steps = 0.06 * max(np.ptp(exponents), 1) * np.arange(len(cost))
    return (10 ** ((exponents - steps).cummax() + steps)).loc[cost.index]
