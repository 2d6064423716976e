"""Clips as mel spectrograms and functionals, kept in the cache: notebook 2."""

from helpers.features.egemaps import VERSION as FUNCTIONALS_VERSION
from helpers.features.egemaps import functionals as functionals
from helpers.features.extraction import VERSION as VERSION
from helpers.features.extraction import clip_features as clip_features
from helpers.features.extraction import extract as extract
from helpers.features.extraction import main as main
from helpers.features.extraction import target_duration as target_duration
from helpers.features.spectrograms import MelSettings as MelSettings
from helpers.features.spectrograms import decibels as decibels
from helpers.features.spectrograms import is_padding as is_padding
from helpers.features.spectrograms import mel_spectrogram as mel_spectrogram
from helpers.features.spectrograms import normalise_by_speaker as normalise_by_speaker
from helpers.features.spectrograms import pcen as pcen
from helpers.features.spectrograms import pitch_tracks as pitch_tracks
from helpers.features.spectrograms import waveform_features as waveform_features
