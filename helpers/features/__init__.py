"""Clips as mel spectrograms, functionals and embeddings, kept in the cache: notebook 2."""

from helpers.features.egemaps import FUNCTIONALS_VERSION, functionals
from helpers.features.extraction import (
    VERSION,
    clip_features,
    extract,
    input_duration,
    main,
    target_duration,
)
from helpers.features.pretrained import (
    PRETRAINED,
    SAMPLE_RATE,
    STATES,
    WINDOW_MEMORY,
    Pretrained,
    PretrainedError,
    embedding,
    embeddings,
    pretrained_model,
    windows_of,
)
from helpers.features.spectrograms import (
    MelSettings,
    decibels,
    griffin_lim,
    is_padding,
    mel_spectrogram,
    normalise_by_speaker,
    standardised,
    voiced_pitch,
    waveform_features,
)
