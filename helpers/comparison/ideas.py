"""Models side by side: the same folds, several seeds, every fit stored as soon as it ends.

A model here is a name and all that decides its numbers: features, network, training. A comparison
that was killed goes on with what is missing. From a terminal: ``python -m helpers.evaluation``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers import models
from helpers.comparison.contenders import NAMED, Model, _beforehand, recommended, statistics
from helpers.features import MelSettings
from helpers.training import Augmentation


def ablation() -> dict[str, Model]:
    """Models in which one thing is as it would be without, or with, an idea.

    The first is `statistics`, which they are changes of: it is trained in seconds.

    See: notebooks/06_improvements.ipynb
    """
    # One linear unit instead of a distribution, or nothing but mel bands.
    number = {"options": {"distribution": False}}
    bands = replace(models.RECOMMENDED_MEL, pitch=False)
    changes: dict[str, dict[str, Any]] = {
        "statistics": {},
        "loss: mean absolute error": {"loss": "mae", **number},
        "loss: MAE and CCC": {"loss": "mae+ccc", **number},
        "loss: CCC": {"loss": "ccc", **number},
        "loss: Huber": {"loss": "huber", **number},
        "loss: mean squared error": {"loss": "mse", **number},
        "no pitch": {"mel": bands},
        "no modulation spectrum": {"options": {"groups": 0}},
        "no parts of the phrase": {"options": {"parts": 0}},
        "features of the report": {"mel": MelSettings()},
        "frames half as many": {"mel": replace(models.RECOMMENDED_MEL, hop_length=256)},
        "bands half as many": {"mel": replace(models.RECOMMENDED_MEL, n_mels=32)},
        "frequencies up to 8 kHz": {
            "mel": MelSettings(16000, n_fft=1024, hop_length=256, n_mels=80, pitch=True)
        },
        "standardised band by band": {"per_band": True},
        "constant learning rate": {"schedule": "constant"},
        "averaging of weights": {"averaging": 0.98},
        "weight decay": {"weight_decay": 1e-2},
        "balanced": {"balanced": True},
        "no pitch, SpecAugment": {"mel": bands, "augmentation": Augmentation(masks=2)},
        "no pitch, shifted in time": {"mel": bands, "augmentation": Augmentation(shift=0.3)},
        "no pitch, shifted by up to 3 bands": {"mel": bands, "augmentation": Augmentation(pitch=3)},
        "no pitch, speed ± 15 %": {"mel": bands, "augmentation": Augmentation(speed=0.15)},
        "no pitch, noise": {"mel": bands, "augmentation": Augmentation(noise=0.5)},
        "no pitch, mixup": {"mel": bands, "augmentation": Augmentation(mixup=0.4)},
    }
    plain = statistics(mel=bands)
    four = NAMED["parallel_cnn"]
    attention = Model("attention_cnn", mel=bands, training=models.RECOMMENDED_TRAINING)
    return {
        **{name: statistics(**change) for name, change in changes.items()},
        "no pitch, PCEN": replace(plain, inputs=("pcen",)),
        "trained on the demo corpus first": replace(statistics(), transfer=True),
        "normalised by speaker": _beforehand("statistics", by_speaker=True),
        "with eGeMAPS": _beforehand("statistics", "functionals"),
        "with eGeMAPS, normalised by speaker": _beforehand(
            "statistics", "functionals", by_speaker=True
        ),
        "parallel_cnn instead": four,
        "parallel_cnn on own frames instead": replace(
            four, options={**four.options, "own_frames": True}
        ),
        "attention_cnn instead": attention,
        "attention_cnn at random speeds instead": replace(
            attention, options={"speed": models.RECOMMENDED_SPEED}
        ),
        "attention_cnn instead, batches by length": replace(
            attention, training={**attention.training, "by_length": True}
        ),
        "two attention_cnn beside it: recommended": recommended(),
    }
