import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from helpers import evaluation, features, models, plots, tuning

RANDOM = np.random.default_rng(0)
SECONDS = RANDOM.gamma(9, 0.5, 200)
TRUTH = RANDOM.integers(4, 21, 200) / 4
PREDICTIONS = {"median": np.full(200, 3.0), "network": TRUTH + RANDOM.normal(size=200)}
MEL = features.MelSettings()
LEVELS = RANDOM.normal(size=(MEL.n_mels, 20))
HISTORY = pd.DataFrame({"epoch": [1, 2], "train_mae": [2.0, 1], "validation_mae": [1.5, 1]})
CLIPS = pd.DataFrame({"speaker": np.repeat(["a", "b", None, "d"], 50), "valence": TRUTH})
PREDICTED = CLIPS.assign(prediction=PREDICTIONS["network"])
WORST = evaluation.worst(PREDICTED.assign(duration=SECONDS), 3)
CURVE = pd.DataFrame({"seconds": [3, 6], "valence": [2.0, 3], "low": [1.0, 2], "high": [3.0, 4]})
RATINGS = {"edges": [1.0, 3, 5], "counts": [10, 20]}
COSTS = evaluation.table(TRUTH, PREDICTIONS)
for column, cost in {"seconds": [0, 9.0], "parameters": [0, 1e4], "milliseconds": [0, 0.1]}.items():
    COSTS["cost", column] = cost

FIGURES = {
    "durations": lambda: plots.durations(SECONDS, 6),
    "padding": lambda: plots.padding(SECONDS, 6),
    "ratings": lambda: plots.ratings(TRUTH, (1, 5)),
    "ratings of any value": lambda: plots.ratings(TRUTH + 0.1 * SECONDS / 60, (1, 5)),
    "speakers": lambda: plots.speakers(CLIPS, (1, 5)),
    "waveforms": lambda: plots.waveforms(
        {"a": (np.sin(np.arange(900)), 100), "b": (np.ones(50), 10)}
    ),
    "spectrogram": lambda: plots.spectrogram(LEVELS, MEL),
    "mel_filters": lambda: plots.mel_filters(MEL),
    "learning_curves": lambda: plots.learning_curves({"a": HISTORY, "b": HISTORY}, reference=1.2),
    "trials": lambda: plots.trials(tuning.REPORTED, reference=0.75),
    "trials of one combination": lambda: plots.trials(tuning.REPORTED[:3]),
    "explored": lambda: plots.explored(
        tuning.REPORTED.assign(units=[(8, 4)] * 36), ["dropout", "units"], log=["units"]
    ),
    "predicted_against_true": lambda: plots.predicted_against_true(TRUTH, PREDICTIONS, (1, 5)),
    "error_grid": lambda: plots.error_grid(np.stack([LEVELS] * 3), WORST, MEL),
    "joint": lambda: plots.joint(TRUTH, PREDICTIONS["network"], (1, 5)),
    "residuals": lambda: plots.residuals(PREDICTED, evaluation.bias_by_rating(PREDICTED, (1, 5))),
    "calibration": lambda: plots.calibration(evaluation.calibration(PREDICTED)),
    "error_by_speaker": lambda: plots.error_by_speaker(PREDICTED),
    "occlusion": lambda: plots.occlusion(
        np.stack([LEVELS] * 3), np.stack([LEVELS] * 3), WORST, MEL
    ),
    "recording": lambda: plots.recording(
        np.sin(np.arange(80000)), LEVELS, MEL, CURVE, CURVE.mean(), RATINGS
    ),
    "intervals": lambda: plots.intervals(CURVE, np.array([2.0, 4]), (1, 5)),
    "comparison": lambda: plots.comparison(evaluation.compare(TRUTH, PREDICTIONS)),
    "costs": lambda: plots.costs(COSTS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_names_its_axes_and_is_written_the_same_each_time(name, tmp_path):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert figure.axes[-1].get_xlabel() or figure.axes[-1].get_ylabel()
    assert figure.axes[0].get_ylabel() or name == "comparison"
    for suffix in (".png", ".svg"):
        paths = [tmp_path / f"{i}" / f"figure{suffix}" for i in range(2)]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            plots.save(FIGURES[name](), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_panel_can_be_drawn_into_a_figure_of_ones_own():
    ax = Figure().subplots()
    assert plots.durations(SECONDS, 6, ax=ax) is ax.figure
    assert [line.get_xdata()[0] for line in ax.lines] == [np.percentile(SECONDS, 75), 6]


def test_a_panel_of_a_subfigure_gives_the_whole_figure_which_can_be_saved(tmp_path):
    whole = Figure()
    figure = plots.durations(SECONDS, 6, ax=whole.subfigures(1, 2)[0].subplots())
    assert figure is whole
    plots.save(figure, tmp_path / "figure.png")


def test_the_histogram_of_ratings_counts_each_rating_once():
    figure = plots.ratings(TRUTH, (1, 5))
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [np.sum(value == TRUTH) for value in np.unique(TRUTH)]


def test_every_trial_is_in_every_panel_and_a_constant_setting_has_none():
    table = tuning.REPORTED.query("batch_size == 16")
    figure = plots.trials(table)
    assert [ax.get_xlabel() for ax in figure.axes] == ["dropout", "epochs"]
    for ax in figure.axes:
        drawn = np.concatenate([line.get_ydata() for line in ax.lines])
        assert sorted(drawn) == sorted(table["validation_mae"])
    bars = [bar.get_segments()[0][0, 1] for bar in figure.axes[1].collections]
    by_hand = [table.query(f"epochs == {epochs}")["validation_mae"].mean() for epochs in (10, 20)]
    assert bars == pytest.approx(by_hand)


def test_the_diagram_shows_every_parameter_and_every_branch():
    model = models.parallel_cnn((128, 94), filters=3)
    texts = [text.get_text() for text in plots.architecture(model).axes[0].texts]
    assert sum("filters" in text for text in texts) == 4
    counts = [int(t.split(" parameters")[0].split("\n")[-1].replace(",", ""))
              for t in texts if "parameters" in t]  # fmt: skip
    assert sum(counts) == model.count_params()
    drawn = plots.architecture(model).axes[0].texts
    arrows = [text for text in drawn if isinstance(text, Annotation)]
    assert len(arrows) == 4 + 4 + 3  # to and from the branches; down to the output


def test_the_diagram_needs_no_weights():
    with models.without_weights():
        figure = plots.architecture(models.parallel_cnn((128, 94), pool="window"))
    assert any("570" in t.get_text() or "569" in t.get_text() for t in figure.axes[0].texts)


def test_the_largest_response_of_each_cell_is_marked_where_it_is():
    levels = np.zeros((12, 20))
    responses = np.zeros((8, 15))  # a kernel of 5 x 6
    places = [(1, 2), (3, 14), (7, 0), (4, 8)]  # row, column, one in each cell
    for row, column in places:
        responses[row, column] = 1
    seen, answered = plots.max_pooling(levels, responses).axes[:2]
    marks = [line.get_xydata()[0] for line in answered.lines if line.get_marker() == "o"]
    assert sorted((int(y), int(x)) for x, y in marks) == sorted(places)
    boxes = sorted((b.get_y() + 0.5, b.get_x() + 0.5) for b in seen.patches)
    assert boxes == sorted(places)
    assert {(box.get_height(), box.get_width()) for box in seen.patches} == {(5, 6)}


def test_the_grid_of_errors_says_what_each_clip_was_and_was_taken_for():
    figure = plots.error_grid(np.stack([LEVELS] * 3), WORST, MEL)
    clip = WORST.iloc[0]
    assert figure.axes[0].get_title() == f"True: {clip.valence:.2f}  Pred: {clip.prediction:.2f}"
    assert f"{clip.duration:.2f} s" in figure.axes[0].get_xlabel()
    assert figure.axes[-1].get_ylabel() == "level (dB)"


def test_the_kernels_with_the_largest_weights_are_drawn_in_seconds_and_bands():
    model = models.parallel_cnn((128, 94), filters=3)
    figure = plots.kernels(model, MEL, count=2)
    assert len(figure.axes) == 4 * (2 + 1)
    drawn = figure.axes[0].images[0]
    weights = np.asarray(model.get_layer("conv_12x16").weights[0])[:, :, 0]
    norms = np.linalg.norm(weights, axis=(0, 1))
    assert np.array_equal(drawn.get_array(), weights[..., norms.argmax()])
    assert drawn.get_extent() == pytest.approx([0, 16 * 512 / 8000, 0, 12])


def test_ratings_outside_their_interval_are_drawn_apart():
    figure = plots.intervals(CURVE, np.array([2.0, 4.5]), (1, 5))
    drawn = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert drawn["rating, held"] == [2.0] and drawn["rating, missed"] == [4.5]
