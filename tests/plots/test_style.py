import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers import plots
from helpers.plots import style
from tests.plots.examples import FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_names_its_axes_and_is_written_the_same_each_time(name, tmp_path):
    figures = [FIGURES[name](), FIGURES[name]()]
    assert plt.get_fignums() == []  # pyplot would show it a second time
    assert isinstance(figures[0], Figure)
    axes = figures[0].axes
    assert axes[-1].get_xlabel() or axes[-1].get_ylabel()
    assert axes[0].get_ylabel() or name in ("comparison", "gains")
    for suffix in (".png", ".svg"):
        paths = [tmp_path / f"{i}" / f"figure{suffix}" for i in range(2)]
        for figure, path in zip(figures, paths, strict=True):
            path.parent.mkdir(exist_ok=True)
            plots.save(figure, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_no_label_is_cut_off(name):
    figure = FIGURES[name]()
    figure.savefig(io.BytesIO(), dpi=100)  # with the places of its layout
    width, height = figure.get_size_inches() * 100
    panels = [ax for ax in figure.axes if ax.axison]
    labels = [each for ax in panels for each in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    shown = [label for label in labels if label.get_text()]
    assert shown
    for box in (label.get_window_extent(dpi=100) for label in shown):
        assert -1 <= box.x0 <= box.x1 <= width + 1 and -1 <= box.y0 <= box.y1 <= height + 1


@pytest.mark.parametrize("name", ["durations", "ratings", "ratings of any value", "joint"])
def test_counts_of_clips_have_whole_ticks(name):
    for ax in FIGURES[name]().axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.label.get_text() == "clips":
                assert np.equal(axis.get_majorticklocs() % 1, 0).all()


def test_a_figure_is_shown_with_its_description(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda *content, **how: shown.append((*content, how)))
    plots.show(FIGURES["durations"](), "A histogram.")
    [(content, options)] = shown
    assert content["text/plain"] == "A histogram."
    assert base64.b64decode(content["image/png"]).startswith(b"\x89PNG")
    assert options == {"metadata": {"image/png": {"alt": "A histogram."}}, "raw": True}
