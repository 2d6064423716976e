import io

import numpy as np
from matplotlib.text import Annotation

from helpers import models, plots
from tests.plots.examples import HISTORY, NETWORK


def test_the_diagram_shows_every_parameter_and_every_branch():
    texts = [text.get_text() for text in plots.architecture(NETWORK).axes[0].texts]
    assert sum("filters" in text for text in texts) == 4
    counts = [int(t.split(" parameters")[0].split("\n")[-1].replace(",", ""))
              for t in texts if "parameters" in t]  # fmt: skip
    assert sum(counts) == NETWORK.count_params()
    drawn = plots.architecture(NETWORK).axes[0].texts
    arrows = [text for text in drawn if isinstance(text, Annotation)]
    assert len(arrows) == 4 + 4 + 3  # to and from the branches; down to the output


def test_the_diagram_of_a_deep_network_fits_a_page_and_its_text_fits_the_boxes():
    figure = plots.architecture(models.cnn_blstm((128, 94)))
    assert figure.get_figheight() < 6
    figure.savefig(io.BytesIO(), dpi=100)
    boxes = [box.get_window_extent() for box in figure.axes[0].patches]
    for text in (t for t in figure.axes[0].texts if t.get_text()):
        inside = text.get_window_extent(dpi=100)
        assert any(
            box.x0 < inside.x0 and inside.x1 < box.x1 and box.y0 < inside.y0 and inside.y1 < box.y1
            for box in boxes
        )


def test_the_largest_response_of_each_cell_is_marked_where_it_is():
    levels = np.zeros((12, 20))
    responses = np.zeros((8, 15))  # a kernel of 5 x 6
    places = [(1, 2), (3, 14), (7, 0), (4, 8)]  # row, column, one in each cell
    for row, column in places:
        responses[row, column] = 1
    seen, answered = plots.max_pooling(levels, responses).axes[:2]
    marks = [text.get_position() for text in answered.texts]
    assert sorted((int(y), int(x)) for x, y in marks) == sorted(places)
    boxes = sorted((b.get_y() + 0.5, b.get_x() + 0.5) for b in seen.patches)
    assert boxes == sorted(places)
    assert {(box.get_height(), box.get_width()) for box in seen.patches} == {(5, 6)}
    assert [text.get_text() for text in seen.texts] == ["1", "2", "3", "4"]


def test_a_loss_that_is_no_mean_absolute_error_is_not_drawn_as_one():
    other = HISTORY.rename(columns={"train_mae": "train_loss"})
    for histories, curves in (({"a": HISTORY, "b": other}, 3), ({"b": other}, 1)):
        ax = plots.learning_curves(histories, {}).axes[0]
        drawn = [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata())]
        assert len(drawn) == curves and drawn.count([2.0, 1.0]) == curves // 2


def test_the_legend_of_learning_curves_covers_no_curve():
    figure = plots.learning_curves(
        {"parallel_cnn": HISTORY, "b": HISTORY}, {"median predictor": 1.2}
    )
    ax = figure.axes[0]
    labels = [text.get_text() for text in ax.get_legend().texts]
    networks, parts = ["network", "Four-branch CNN", "b"], ["part", "training", "validation"]
    expected = [*networks, *parts, "median predictor"]
    assert labels == expected
    drawn = [list(line.get_ydata()) for line in ax.lines]
    assert drawn.count([2.0, 1.0]) == drawn.count([1.5, 1.0]) == 2 and [1.2, 1.2] in drawn
    figure.savefig(io.BytesIO(), dpi=100)
    assert ax.get_legend().get_window_extent().y1 <= ax.get_window_extent().y0
