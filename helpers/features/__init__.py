"""Clips as mel spectrograms and functionals, kept in the cache: notebook 2."""

from helpers.features.egemaps import FUNCTIONALS_VERSION, functionals
from helpers.features.extraction import VERSION, clip_features, extract, main, target_duration
from helpers.features.spectrograms import (
    MelSettings,
    decibels,
    is_padding,
    mel_spectrogram,
    normalise_by_speaker,
    waveform_features,
)
