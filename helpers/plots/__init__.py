"""Every figure of the study: a function takes arrays and tables and returns a figure."""

from helpers.plots.data import (
    categories,
    durations,
    mel_filters,
    padding,
    ratings,
    recording,
    speakers,
    spectrogram,
    spectrograms,
    voices,
    waveforms,
)
from helpers.plots.errors import (
    calibration,
    error_by_speaker,
    error_grid,
    joint,
    occlusion,
    residuals,
)
from helpers.plots.networks import architecture, learning_curves, max_pooling
from helpers.plots.playback import MelSliders, player, players, show_widget, sounds
from helpers.plots.scores import (
    comparison,
    costs,
    distributions,
    explored,
    few_clips,
    intervals,
    predicted_against_true,
    transfer_heatmap,
    trials,
)
from helpers.plots.style import NAMES, save, show
