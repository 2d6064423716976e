"""Contenders of a comparison: models, each with its features and its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from helpers import models, tuning
from helpers.cli import UserError
from helpers.features import MelSettings
from helpers.training import Augmentation


class ComparisonError(UserError):
    """A comparison that cannot be made; the message says why and how to fix it."""


@dataclass(frozen=True)
class Contender:
    """All that decides what a model predicts, given clips and a seed.

    Attributes:
        network: name of a function in `models`, or ``"median"`` or ``"egemaps_svr"``
        options: arguments of that function
        inputs: what it is given: the ``"spectrogram"``, or any of ``"statistics"`` of the
            spectrogram (see `models.ClipStatistics`) and eGeMAPS ``"functionals"`` side by side
        mel: how clips become mel spectrograms
        training: arguments of `training.train`
        by_speaker: normalise the inputs by speaker first, see `features.normalise_by_speaker`
        balanced: weight clips by the rarity of their rating, see `training.rarity`
        augmentation: how training clips are changed, see `training.augment`
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("spectrogram",)
    mel: MelSettings = field(default_factory=MelSettings)
    training: Mapping[str, Any] = field(default_factory=dict)
    by_speaker: bool = False
    balanced: bool = False
    augmentation: Augmentation | None = None

    @property
    def is_network(self) -> bool:
        """Whether it is trained from random weights, so that seeds differ."""
        return self.network not in ("median", "egemaps_svr")

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, from which the keys of stored fits are made."""
        return asdict(self)


#: A contender, or several with weights, whose weighted mean prediction counts as one.
Compared = Contender | tuple[tuple[float, Contender], ...]

#: How networks on nothing but statistics are trained.
STATISTICS_TRAINING = {**models.RECOMMENDED_TRAINING, "batch_size": 64, "epochs": 60}


def dense_network(*inputs: str, by_speaker: bool = False) -> Contender:
    """Dense layers on numbers about whole clips.

    Args:
        *inputs: ``"statistics"``, ``"functionals"`` or both, see `Contender`
        by_speaker: see `Contender`
    """
    training = {**STATISTICS_TRAINING, "per_band": True}
    return Contender("statistics_network", {}, inputs, models.RECOMMENDED_MEL, training, by_speaker)


def parallel_cnn(filters: int) -> Contender:
    """The four-branch network as the original study trains it.

    Args:
        filters: of each branch
    """
    return Contender("parallel_cnn", {"filters": filters})


def tuned(hyperparameters: Mapping[str, Any]) -> Contender:
    """The four-branch network with hyperparameters that a search found.

    Args:
        hyperparameters: some of `tuning.HYPERPARAMETERS`; the others are the original study's

    See: notebooks/04_tuning.ipynb
    """
    whole = {**tuning.HYPERPARAMETERS, **hyperparameters}
    network = {name: whole.pop(name) for name in tuning.NETWORK_HYPERPARAMETERS}
    return Contender("parallel_cnn", network, training=whole)


RECOMMENDED = Contender(
    "recommended", mel=models.RECOMMENDED_MEL, training=models.RECOMMENDED_TRAINING
)

NAMED = {
    "recommended": RECOMMENDED,
    "egemaps_network": dense_network("functionals"),
    "egemaps_svr": Contender("egemaps_svr", inputs=("functionals",)),
    "median": Contender("median", inputs=()),
    "cnn_blstm": Contender("cnn_blstm"),
}

#: All that can be asked for by name.
NAMES = (*NAMED, "parallel_cnn", "fusion")


def named(name: str, *, filters: int = 200, by_speaker: bool = False) -> Compared:
    """A contender that can be asked for by name.

    ``"fusion"`` is two parts of the recommended network and one part of a network on statistics
    and eGeMAPS functionals.

    Args:
        name: one of `NAMES`
        filters: of each branch of ``"parallel_cnn"``, see `settings.Settings`
        by_speaker: see `Contender`. Only statistics and functionals are normalised, since they say
            more of a voice than single frames do: the recommended network then has a network on
            normalised statistics beside it, which counts half as much

    Raises:
        ComparisonError: if the name is unknown

    See: notebooks/06_improvements.ipynb
    """
    if name not in NAMES:
        raise ComparisonError(f"{name!r} is no model: choose from {', '.join(NAMES)}.")
    if name == "fusion" or (name == "recommended" and by_speaker):
        more = ("functionals",) if name == "fusion" else ()
        return (2, RECOMMENDED), (1, dense_network("statistics", *more, by_speaker=by_speaker))
    contender = parallel_cnn(filters) if name == "parallel_cnn" else NAMED[name]
    return replace(contender, by_speaker=by_speaker)
