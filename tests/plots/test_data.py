import numpy as np
import pytest

from helpers import plots
from tests.plots.examples import CLIPS, CURVE, MEL, RANDOM, RATINGS, SECONDS, TRUTH, VOICES


def test_the_percentile_and_the_duration_chosen_from_it_are_drawn_where_they_are():
    ax = plots.durations(SECONDS, 6).axes[0]
    assert [line.get_xdata()[0] for line in ax.lines] == [np.percentile(SECONDS, 75), 6]
    assert sum(bar.get_height() for bar in ax.patches) == len(SECONDS)


@pytest.mark.parametrize(
    "valence", [TRUTH, np.repeat([1.37, 1.6, 1.68, 1.8, 2.75, 3.3, 4.6, 4.9], range(1, 9))]
)
def test_the_histogram_of_ratings_counts_each_rating_once(valence):
    ax = plots.ratings(valence, (1, 5)).axes[0]
    values = np.unique(valence)
    heights = [patch.get_height() for patch in ax.patches]
    assert heights == [np.sum(value == valence) for value in values]
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{each:g}" for each in values]
    assert {round(patch.get_width(), 9) for patch in ax.patches} == {0.8}  # no hairlines


@pytest.mark.parametrize(("valence", "place"), [([1, 2, 2, 5], 1), ([1, 1, 4, 5], 0.5)])
def test_the_median_is_drawn_between_the_bars_of_the_ratings_around_it(valence, place):
    ax = plots.ratings(np.array(valence, float), (1, 5)).axes[0]
    assert ax.lines[0].get_xdata()[0] == place


def test_speakers_are_in_the_order_of_their_means_with_one_standard_deviation():
    ax = plots.speakers(CLIPS, (1, 5)).axes[0]
    spread = CLIPS.groupby(CLIPS["speaker"].fillna("unknown"))["valence"].agg(["mean", "std"])
    spread = spread.sort_values("mean")
    assert [label.get_text() for label in ax.get_xticklabels()] == list(spread.index)
    bars = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "-"]
    ends = [[np.nanmin(bar), np.nanmax(bar)] for bar in bars if len(bar)]
    for (low, high), speaker in zip(ends, spread.itertuples(), strict=True):
        assert low == pytest.approx(speaker.mean - speaker.std)
        assert high == pytest.approx(speaker.mean + speaker.std)
    assert sum(len(strip.get_offsets()) for strip in ax.collections) == len(CLIPS)


@pytest.mark.parametrize(("speakers", "rotation"), [(6, 0), (7, 90), (40, 90)])
def test_names_of_speakers_stand_upright_where_they_would_overlap(speakers, rotation):
    some = CLIPS.assign(speaker=[f"s{i % speakers}" for i in range(len(CLIPS))])
    labels = plots.speakers(some, (1, 5)).axes[0].get_xticklabels()
    assert len(labels) == speakers and {each.get_rotation() for each in labels} == {rotation}


def test_names_of_many_speakers_are_left_out():
    many = CLIPS.assign(speaker=[f"s{i % 41}" for i in range(len(CLIPS))])
    assert not len(plots.speakers(many, (1, 5)).axes[0].get_xticks())


def test_the_time_of_a_recording_reads_as_it_is():
    y = RANDOM.normal(size=15 * MEL.sample_rate)
    levels = RANDOM.normal(size=(MEL.n_mels, 1 + len(y) // MEL.hop_length))
    figure = plots.recording(y, levels, MEL, CURVE, CURVE.mean(), RATINGS)
    for ax in (ax for ax in figure.axes if ax.get_xlabel() == "time (s)"):
        read = [float(label.get_text()) for label in ax.get_xticklabels()]
        assert read == pytest.approx(ax.get_xticks()) and len(read) > 3


def test_each_voice_is_at_its_pitch_with_the_mark_of_its_group():
    ax = plots.voices(VOICES).axes[0]
    drawn = ax.collections[0].get_offsets()
    assert drawn[:, 0].tolist() == [0, 1, 2] and drawn[:, 1].tolist() == VOICES["pitch"].tolist()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "c", "b"]
    assert [text.get_text() for text in ax.get_legend().texts] == ["low", "high"]
    assert len({path.vertices.shape for path in ax.collections[0].get_paths()}) == 2
