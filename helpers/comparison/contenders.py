"""Models side by side: the same folds, several seeds, every fit stored as soon as it ends.

A model here is a name and all that decides its numbers: features, network, training. A comparison
that was killed goes on with what is missing. From a terminal: ``python -m helpers.evaluation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from helpers import models
from helpers.features import MelSettings


@dataclass(frozen=True)
class Model:
    """All that decides what a model predicts, given clips and a seed.

    Attributes:
        network: name of a function in `models`, or ``"median"`` or ``"egemaps_svr"``
        options: arguments of that function
        inputs: what it is given: the ``"spectrogram"`` or its ``"pcen"`` (see `features.pcen`), or
            any of ``"statistics"`` of the spectrogram (see `layers.ClipStatistics`) and eGeMAPS
            ``"functionals"`` side by side
        mel: how clips become mel spectrograms
        training: arguments of `training.train`
        by_speaker: normalise the inputs by speaker first, see `features.normalise_by_speaker`
        transfer: begin with what it learnt from the demo corpus, instead of random weights
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("spectrogram",)
    mel: MelSettings = field(default_factory=MelSettings)
    training: Mapping[str, Any] = field(default_factory=dict)
    by_speaker: bool = False
    transfer: bool = False

    @property
    def is_network(self) -> bool:
        """Whether it is trained from random weights, so that seeds differ."""
        return self.network not in ("median", "egemaps_svr")


#: A model, or several with weights, whose weighted mean prediction counts as that of one.
Compared = Model | tuple[tuple[float, Model], ...]


def recommended(**changes: Any) -> Model:
    """The recommended model as `models` has it.

    Args:
        **changes: arguments of `training.train` that differ
    """
    settings = {**models.RECOMMENDED_TRAINING, **changes}
    return Model("recommended", mel=models.RECOMMENDED_MEL, training=settings)


#: How networks on nothing but statistics are trained.
STATISTICS_TRAINING = {**models.RECOMMENDED_TRAINING, "batch_size": 64, "epochs": 60}


def statistics(
    *,
    mel: MelSettings = models.RECOMMENDED_MEL,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Model:
    """The part of the recommended model that is trained in seconds, or with something changed.

    Args:
        mel: see `Model`
        options: of `models.clip_statistics`
        **changes: arguments of `training.train` that differ
    """
    settings = {**STATISTICS_TRAINING, **changes}
    tracks = {"tracks": mel.rows - mel.n_mels}
    return Model("clip_statistics", {**tracks, **(options or {})}, mel=mel, training=settings)


def _beforehand(*inputs: str, by_speaker: bool = False) -> Model:
    """The dense layers of `statistics`, on statistics that are made beforehand."""
    settings = {**STATISTICS_TRAINING, "per_band": True}
    network = "statistics_network"
    return Model(network, {}, inputs, models.RECOMMENDED_MEL, settings, by_speaker)


#: Models that can be asked for by name, beside the recommended one.
NAMED = {
    "egemaps_network": _beforehand("functionals"),
    "egemaps_svr": Model("egemaps_svr", inputs=("functionals",)),
    "median": Model("median", inputs=()),
    "parallel_cnn": Model("parallel_cnn", {"filters": 24}),
    "cnn_blstm": Model("cnn_blstm"),
}


#: All names of models.
NAMES = ("recommended", "fusion", *NAMED)


def named(name: str, *, by_speaker: bool = False) -> Compared:
    """A model that can be asked for by name.

    ``"recommended"``; ``"fusion"``, two parts of that and one of a network on statistics and
    eGeMAPS functionals; or one of `NAMED`.

    Args:
        name: of the model
        by_speaker: see `Model`. Of the statistics and functionals, which say more of a voice than
            single frames do: the recommended network then has a network on those beside it, which
            counts half as much

    Raises:
        ValueError: if there is none of this name
    """
    if name == "recommended" and not by_speaker:
        return recommended()
    if name in ("recommended", "fusion"):
        inputs = ("statistics",) if name == "recommended" else ("statistics", "functionals")
        return (2, recommended()), (1, _beforehand(*inputs, by_speaker=by_speaker))
    if name not in NAMED:
        raise ValueError(f"{name!r} is no model: those are {', '.join(NAMES)}.")
    return replace(NAMED[name], by_speaker=by_speaker)
