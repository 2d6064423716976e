import numpy as np
import pandas as pd
import pytest

from helpers import evaluation, plots
from tests.plots.examples import (
    COSTS,
    CURVE,
    EXPLORED,
    FEW,
    PREDICTIONS,
    SETTINGS,
    TRANSFERS,
    TRIALS,
    TRUTH,
)


def test_every_trial_is_in_every_panel_and_a_constant_setting_has_none():
    table = TRIALS.query("batch_size == 1")
    figure = plots.trials(table, SETTINGS, reference=0.75)
    assert [ax.get_xlabel() for ax in figure.axes] == ["dropout", "epochs"]
    for ax in figure.axes:
        drawn = np.concatenate([points.get_offsets()[:, 1] for points in ax.collections])
        assert sorted(drawn) == pytest.approx(sorted(table["validation_mae"]))
    means = figure.axes[1].lines[0].get_ydata()
    by_hand = [table.query(f"epochs == {epochs}")["validation_mae"].mean() for epochs in (0, 1)]
    assert means == pytest.approx(by_hand)
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["trial", "mean", "median predictor"]
    assert all(list(ax.lines[-1].get_ydata()) == [0.75, 0.75] for ax in figure.axes)


def test_trials_without_an_error_are_ticks_on_the_axis():
    figure = plots.explored(EXPLORED, ["dropout", "units"])
    whole, stopped = figure.axes[0].collections
    found = EXPLORED["validation_mae"].notna()
    assert np.array_equal(whole.get_offsets(), EXPLORED[found][["dropout", "validation_mae"]])
    ticks = [tick[0, 0] for tick in stopped.get_segments()]
    assert ticks == EXPLORED["dropout"][~found].tolist()
    assert len(figure.axes) == 2


def test_every_model_has_a_panel_with_all_clips_and_the_same_limits():
    figure = plots.predicted_against_true(TRUTH, PREDICTIONS, (1, 5))
    assert [ax.get_title() for ax in figure.axes] == ["Median predictor", "network"]
    for ax, predicted in zip(figure.axes, PREDICTIONS.values(), strict=True):
        assert np.array_equal(ax.collections[0].get_offsets(), np.column_stack([TRUTH, predicted]))
        assert ax.get_xlim() == ax.get_ylim() == figure.axes[0].get_xlim()


def test_ratings_outside_their_interval_are_drawn_apart():
    figure = plots.intervals(CURVE, np.array([2.0, 4.5]), (1, 5))
    drawn = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert drawn["label, held"] == [2.0] and drawn["label, missed"] == [4.5]


def test_models_that_cost_the_same_are_drawn_beside_each_other():
    table = COSTS.loc[["median", "network", "network", "network"]].set_axis(list("abcd"))
    table["cost", "seconds"] = [0, 100.0, 101.0, 100.0]
    ax = plots.costs(table).axes[0]
    places = dict(zip("abcd", ax.collections[-1].get_offsets()[:, 0], strict=True))
    assert places["a"] < places["b"] < places["d"] < places["c"]
    assert places["b"] == pytest.approx(100)
    pixels = ax.transData.transform([(place, 1) for place in sorted(places.values())])[:, 0]
    assert np.diff(pixels).min() > 6 * ax.figure.dpi / 72  # a mark is 6 points wide


def test_one_kind_of_cost_alone_has_one_panel():
    (ax,) = plots.costs(COSTS, ["parameters"]).axes
    assert ax.get_xlabel() == "parameters"


def test_a_comparison_draws_values_with_their_intervals():
    ax = plots.comparison(COSTS, "mae gain").axes[0]
    rows = COSTS["mae gain"].iloc[::-1]
    assert ax.lines[0].get_xdata() == pytest.approx(rows["value"])
    ends = [bar[:, 0].tolist() for bar in ax.collections[0].get_segments()]
    assert ends == pytest.approx(rows[["low", "high"]].to_numpy())


def test_models_are_called_what_the_report_calls_them():
    keys = {"parallel_cnn": "Four-branch CNN", "cnn_blstm": "CNN–BLSTM"}
    predictions = dict.fromkeys(keys, TRUTH + 0.1)
    panels = plots.predicted_against_true(TRUTH, predictions, (1, 5)).axes
    assert [ax.get_title() for ax in panels] == list(keys.values())
    table = evaluation.compare(TRUTH, predictions)
    ticks = plots.comparison(table).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == list(keys.values())[::-1]
    cost = {("cost", kind): [1.0, 2.0] for kind in ("seconds", "parameters", "milliseconds")}
    legend = plots.costs(table.join(pd.DataFrame(cost, table.index))).legends[0]
    assert [text.get_text() for text in legend.texts] == list(keys.values())


def test_a_cell_has_the_ccc_of_what_its_row_was_trained_on():
    figure = plots.transfer_heatmap(TRANSFERS, ["three_views", "median"])
    for ax, model in zip(figure.axes, ["three_views", "median"], strict=False):
        columns = [tick.get_text() for tick in ax.get_xticklabels()]
        rows = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        assert (columns, rows) == (list("abc"), ["a", "b", "c", "all others"])
        ccc = TRANSFERS.xs(model, level="model")["ccc", "value"]
        written = {text.get_position(): text.get_text() for text in ax.texts}
        assert len(written) == len(ccc) == 11
        for (trained, tested), value in ccc.items():
            row = rows.index(trained if trained in rows else "all others")
            assert written[columns.index(tested) + 0.5, row + 0.5] == f"{value:.2f}"
        framed = [frame.get_xy() for frame in ax.patches]
        assert framed == [(0, 0), (1, 1), (2, 2)]
    assert [ax.get_title() for ax in figure.axes[:2]] == ["Three views", "Median predictor"]


def test_each_way_has_a_line_over_the_numbers_of_known_clips():
    figure = plots.few_clips(FEW, "ccc")
    assert [ax.get_title() for ax in figure.axes] == ["any clips known", "pleasant clips known"]
    ax = figure.axes[1]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "all"]
    for way, line in zip(("median", "network"), ax.containers, strict=True):
        expected = FEW.loc["pleasant clips"].xs(way, level="way")["ccc", "value"]
        assert line.get_label() == way and np.array_equal(line.lines[0].get_ydata(), expected)
    assert [text.get_text() for text in figure.legends[0].texts] == ["median", "network"]
