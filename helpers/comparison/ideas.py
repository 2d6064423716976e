"""Ideas: what changes if one thing about a contender is added, left out or exchanged.

They use two hooks of `training.train`, ``sample_weight`` and ``transform``, and so can ideas of
your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from helpers import models
from helpers.comparison.contenders import (
    RECOMMENDED,
    STATISTICS_TRAINING,
    Contender,
    dense_network,
    parallel_cnn,
)
from helpers.features import MelSettings
from helpers.training import Augmentation


def ideas(filters: int = 200) -> dict[str, Contender]:
    """Contenders that differ in one thing each.

    The first, ``"statistics"``, is the part of the recommended network that is trained in seconds.
    Most of the others are changes of it: parts are left out or exchanged, and the ideas that the
    original study names are tried (loss, features, augmentation, balance, attention, clips of any
    length).

    Args:
        filters: of each branch of ``"parallel_cnn"``, see `settings.Settings`

    Returns:
        by the name that tables show

    See: notebooks/06_improvements.ipynb
    """
    mel, both = models.RECOMMENDED_MEL, ("statistics", "functionals")
    bands = replace(mel, pitch=False)
    wide = MelSettings(16000, n_fft=1024, hop_length=256, n_mels=80, pitch=True)
    number = {"distribution": False}  # one linear unit
    masks, noise = Augmentation(masks=2), Augmentation(noise=0.5)
    attention = Contender("attention_cnn", mel=bands, training=models.RECOMMENDED_TRAINING)
    by_length = {**models.RECOMMENDED_TRAINING, "bucket_by_length": True}
    speed = {"speed": models.RECOMMENDED_SPEED}
    return {
        "statistics": _statistics(),
        "loss: mean absolute error": _statistics(options=number, loss="mae"),
        "loss: MAE and CCC": _statistics(options=number, loss="mae+ccc"),
        "no pitch": _statistics(bands),
        "no modulation spectrum": _statistics(options={"groups": 0}),
        "no parts of the phrase": _statistics(options={"parts": 0}),
        "features of the original study": _statistics(MelSettings()),
        "frames half as many": _statistics(replace(mel, hop_length=256)),
        "bands half as many": _statistics(replace(mel, n_mels=32)),
        "frequencies up to 8 kHz": _statistics(wide),
        "standardised band by band": _statistics(per_band=True),
        "constant learning rate": _statistics(schedule="constant"),
        "weight decay": _statistics(weight_decay=1e-2),
        "balanced": replace(_statistics(), balanced=True),
        "no pitch, SpecAugment": replace(_statistics(bands), augmentation=masks),
        "no pitch, noise": replace(_statistics(bands), augmentation=noise),
        "normalised by speaker": dense_network("statistics", by_speaker=True),
        "with eGeMAPS": dense_network(*both),
        "with eGeMAPS, normalised by speaker": dense_network(*both, by_speaker=True),
        "parallel_cnn instead": parallel_cnn(filters),
        "attention_cnn instead": attention,
        "attention_cnn at random speeds instead": replace(attention, options=speed),
        "attention_cnn instead, batches by length": replace(attention, training=by_length),
        "two attention_cnn beside it: recommended": RECOMMENDED,
    }


def _statistics(
    mel: MelSettings = models.RECOMMENDED_MEL, options: Mapping[str, Any] = {}, **training: Any
) -> Contender:
    """`models.clip_statistics` as it is in the recommended network, or with something changed."""
    options = {"tracks": mel.rows - mel.n_mels, **options}
    training = {**STATISTICS_TRAINING, **training}
    return Contender("clip_statistics", options, mel=mel, training=training)
