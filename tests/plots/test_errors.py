import numpy as np
import pytest

from helpers import evaluation, plots
from tests.plots.examples import LEVELS, MEL, PREDICTED, PREDICTIONS, TRUTH, WORST


def test_the_grid_of_errors_says_what_each_clip_was_and_was_taken_for():
    figure = plots.error_grid(np.stack([LEVELS] * 3), WORST, MEL)
    clip = WORST.iloc[0]
    assert figure.axes[0].get_title() == f"True: {clip.valence:.2f}  Pred: {clip.prediction:.2f}"
    assert f"{clip.duration:.2f} s" in figure.axes[0].get_xlabel()
    assert figure.axes[-1].get_ylabel() == "level (dB)"


def test_the_rest_of_the_last_row_of_the_grid_of_errors_is_empty():
    six = evaluation.worst(PREDICTED.assign(duration=3.0), 6)
    panels = plots.error_grid(np.stack([LEVELS] * 6), six, MEL).axes[:10]
    assert [ax.axison for ax in panels] == [True] * 6 + [False] * 4


def test_every_clip_is_in_the_joint_plot_and_in_both_histograms():
    figure = plots.joint(TRUTH, PREDICTIONS["network"], (1, 5))
    ax, above, beside = figure.axes
    drawn = ax.collections[0].get_offsets()
    assert np.array_equal(drawn, np.column_stack([TRUTH, PREDICTIONS["network"]]))
    assert sum(bar.get_height() for bar in above.patches) == len(TRUTH)
    assert sum(bar.get_width() for bar in beside.patches) == len(TRUTH)
    assert ax.get_xlim() == ax.get_ylim()


def test_the_mean_error_of_each_part_is_drawn_over_the_errors_of_the_clips():
    bias = evaluation.bias_by_rating(PREDICTED, (1, 5))
    ax = plots.residuals(PREDICTED, bias).axes[0]
    clips, intervals = ax.collections[0].get_offsets(), ax.collections[1].get_segments()
    error = PREDICTED["prediction"] - PREDICTED["valence"]
    assert np.array_equal(clips, np.column_stack([PREDICTED["valence"], error]))
    assert [part[:, 1].tolist() for part in intervals] == pytest.approx(
        bias[["low", "high"]].to_numpy()
    )


def test_the_interval_of_calibration_is_that_of_the_mean_rating():
    table = evaluation.calibration(PREDICTED)
    ax = plots.calibration(table).axes[0]
    means = next(line for line in ax.lines if line.get_marker() == "D")
    assert means.get_ydata() == pytest.approx(table["valence"])
    ends = [part[:, 1].tolist() for part in ax.collections[0].get_segments()]
    rating = table["prediction"]
    assert ends == pytest.approx(np.column_stack([rating - table["high"], rating - table["low"]]))


def test_speakers_are_in_the_order_of_their_mean_errors():
    ax = plots.error_by_speaker(PREDICTED).axes[0]
    error = (PREDICTED["prediction"] - PREDICTED["valence"]).abs()
    means = error.groupby(PREDICTED["speaker"].fillna("unknown")).mean()
    means = means.sort_values(ascending=False)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(means.index)
    drawn = next(line for line in ax.lines if line.get_marker() == "_")
    assert drawn.get_ydata() == pytest.approx(means)
    labels = [text.get_text() for text in ax.get_legend().texts]
    assert labels == ["a clip", "mean of the speaker", "mean of all clips"]
