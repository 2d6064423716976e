"""Ideas: what changes if one thing about a contender is added, left out or exchanged.

They use two hooks of `training.train`, ``sample_weight`` and ``transform``, and so can ideas of
your own.
"""

from __future__ import annotations

from dataclasses import replace

from helpers import models
from helpers.comparison.contenders import (
    RECOMMENDED,
    Contender,
    dense_network,
    parallel_cnn,
    statistics,
)
from helpers.features import MelSettings
from helpers.training import Augmentation


def ideas(filters: int = 200) -> dict[str, Contender]:
    """Contenders that differ in one thing each.

    The first, ``"statistics"``, is one of the networks of the recommended one. Most of the others
    are changes of it: something is left out or exchanged, and the ideas that the original study
    names are tried (loss, features, augmentation, balance, attention, clips of any length).

    Args:
        filters: of each branch of ``"parallel_cnn"``, see `settings.Settings`

    Returns:
        by the name that tables show

    See: notebooks/06_improvements.ipynb
    """
    mel, both = models.RECOMMENDED_MEL, ("statistics", "preprocessed functionals")
    bands = replace(mel, pitch=False)
    wide = MelSettings(16000, n_fft=1024, hop_length=256, n_mels=80, pitch=True)
    number = {"output": "rating"}  # one linear unit
    masks, noise = Augmentation(masks=2), Augmentation(noise=0.5)
    recipe = {**models.RECOMMENDED_TRAINING, "batch_size": 32, "epochs": 30}
    attention = Contender("attention_cnn", mel=bands, training=recipe)
    by_length = {**recipe, "bucket_by_length": True}
    return {
        "statistics": statistics(),
        "loss: mean absolute error": statistics(options=number, loss="mae"),
        "loss: MAE and CCC": statistics(options=number, loss="mae+ccc"),
        "no pitch": statistics(bands),
        "no parts of the phrase": statistics(options={"parts": 0}),
        "features of the original study": statistics(MelSettings()),
        "frames half as many": statistics(replace(mel, hop_length=256)),
        "bands half as many": statistics(replace(mel, n_mels=32)),
        "frequencies up to 8 kHz": statistics(wide),
        "constant learning rate": statistics(schedule="constant"),
        "weight decay": statistics(weight_decay=1e-2),
        "balanced": replace(statistics(), balanced=True),
        "no pitch, SpecAugment": replace(statistics(bands), augmentation=masks),
        "no pitch, noise": replace(statistics(bands), augmentation=noise),
        "normalised by speaker": dense_network("statistics", by_speaker=True),
        "with eGeMAPS": dense_network(*both),
        "with eGeMAPS, normalised by speaker": dense_network(*both, by_speaker=True),
        "parallel_cnn instead": parallel_cnn(filters),
        "attention_cnn instead": attention,
        "attention_cnn instead, batches by length": replace(attention, training=by_length),
        "four of them: recommended": RECOMMENDED,
    }
