"""Every figure of the study.

Each function takes arrays and tables and returns a `matplotlib.figure.Figure`; none saves itself.
Those that draw one panel accept ``ax``, so that a notebook can compose them. Colours are Okabe and
Ito's, told apart by colour-blind eyes; lines and markers differ too, for print in grey.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import librosa
import matplotlib
import numpy as np
import pandas as pd
from IPython.core.pylabtools import print_figure
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from helpers.backend import keras
from helpers.features import MelSettings
from helpers.settings import whole

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
        with whole(path) as partial:
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
