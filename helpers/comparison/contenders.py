"""Contenders of a comparison: models, each with its features and its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from helpers import models, tuning
from helpers.cli import UserError
from helpers.features import MelSettings
from helpers.training import Augmentation

#: Inputs that are functionals, each with its arguments of `features.functionals`.
FUNCTIONALS: dict[str, dict[str, Any]] = {
    "functionals": {},
    "preprocessed functionals": {"preprocessed": True},
    "ComParE functionals": {"feature_set": "ComParE_2016"},
}


class ComparisonError(UserError):
    """A comparison that cannot be made; the message says why and how to fix it."""


#: Predictors on top of a pretrained network, see `pretrained_valence` and `pretrained_head`.
PRETRAINED = ("pretrained", "pretrained_head")


@dataclass(frozen=True)
class Contender:
    """All that decides what a model predicts, given clips and a seed.

    Attributes:
        network: name of a function in `models`, or ``"median"`` or ``"svr"``, see `baselines`, or
            one of `PRETRAINED`
        options: arguments of that function
        inputs: what it is given: the ``"spectrogram"``, or any of ``"statistics"`` of the
            spectrogram (see `models.ClipStatistics`) and of `FUNCTIONALS` side by side; or the
            ``"embeddings"`` of a pretrained network
        mel: how clips become mel spectrograms
        training: arguments of `training.train`; `start` is ``"human voices"`` for a training that
            begins with the weights of `models.HUMAN_VOICES`, see `fine_tuning`
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
        """Whether it is a network that is trained, so that seeds differ."""
        return self.network not in ("median", "svr", *PRETRAINED)

    @property
    def is_fine_tuned(self) -> bool:
        """Whether training begins with the network of human voices."""
        return "start" in self.training

    @property
    def has_distribution(self) -> bool:
        """Whether it predicts a distribution over ratings, and not only a number."""
        return self.training.get("loss") == "distribution"

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, from which the keys of stored fits are made."""
        return asdict(self)


def dense_network(
    *inputs: str, networks: int = models.RECOMMENDED_NETWORKS, by_speaker: bool = False
) -> Contender:
    """The dense layers of the recommended network on numbers about whole clips.

    Args:
        *inputs: ``"statistics"``, some of `FUNCTIONALS` or both, see `Contender`
        networks: side by side
        by_speaker: see `Contender`
    """
    training = {**models.RECOMMENDED_TRAINING, "per_band": True}
    options = {"networks": networks}
    mel = models.RECOMMENDED_MEL
    return Contender("statistics_network", options, inputs, mel, training, by_speaker)


def statistics(
    mel: MelSettings = models.RECOMMENDED_MEL, options: Mapping[str, Any] = {}, **training: Any
) -> Contender:
    """One of the networks of the recommended one, or with something changed.

    Args:
        mel: see `Contender`
        options: arguments of `models.clip_statistics`
        **training: arguments of `training.train`
    """
    options = {"tracks": mel.rows - mel.n_mels, "networks": 1, **options}
    training = {**models.RECOMMENDED_TRAINING, **training}
    return Contender("clip_statistics", options, mel=mel, training=training)


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


def svr(functionals: str, kernel: str, grid: Sequence[float]) -> Contender:
    """A support vector machine whose C is chosen inside each training part.

    Args:
        functionals: one of `FUNCTIONALS`
        kernel: see `baselines.svr`
        grid: values of C
    """
    return Contender("svr", {"kernel": kernel, "grid": grid, "folds": 3}, (functionals,))


#: How `fine_tuned` is trained: for a quarter of the epochs of a training from random weights.
FINE_TUNING = {
    "start": "human voices",
    "batch_size": 64,
    "epochs": 15,
    "learning_rate": 1e-3,
    "loss": "distribution",
}

RECOMMENDED = Contender(
    "recommended", mel=models.RECOMMENDED_MEL, training=models.RECOMMENDED_TRAINING
)

NAMED = {
    "recommended": RECOMMENDED,
    "three_views": Contender(
        "three_views", mel=models.RECOMMENDED_MEL, training=models.THREE_VIEWS_TRAINING
    ),
    "fine_tuned": Contender("three_views", mel=models.RECOMMENDED_MEL, training=FINE_TUNING),
    "statistics": statistics(),
    "fusion": dense_network("statistics", "preprocessed functionals"),
    "egemaps_network": dense_network("preprocessed functionals"),
    "egemaps_svr": svr("functionals", "rbf", (0.1, 1.0, 10.0)),
    "egemaps_8k_svr": svr("preprocessed functionals", "rbf", (0.1, 1.0, 10.0)),
    "compare_svr": svr("ComParE functionals", "linear", (1e-5, 1e-4, 1e-3)),
    "median": Contender("median", inputs=()),
    "cnn_blstm": Contender("cnn_blstm"),
    **{name: Contender(name, inputs=("embeddings",)) for name in PRETRAINED},
}

#: All that can be asked for by name.
NAMES = (*NAMED, "parallel_cnn")


def named(name: str, *, filters: int = 200, by_speaker: bool = False) -> Contender:
    """A contender that can be asked for by name.

    ``"statistics"`` is one of the networks that the recommended one consists of; ``"fusion"`` is
    the recommended network with eGeMAPS functionals beside its statistics, and
    ``"egemaps_network"`` has these functionals alone.

    Three are support vector machines. ``"egemaps_svr"`` is the field's baseline, on eGeMAPS of the
    recordings as they are. Their level and sampling rate depend on the microphone and its distance,
    too, so ``"egemaps_8k_svr"`` has eGeMAPS of the clips that spectrograms are made of, at 8 kHz
    and one level; ``"fusion"`` and ``"egemaps_network"`` have the same. ``"compare_svr"`` has the
    6,373 ComParE functionals of the recordings as they are, and a linear kernel (Schuller et al.
    2016).

    ``"three_views"`` is for corpora that it is not trained on. ``"fine_tuned"`` is the same
    network, beginning with the weights that come with the project, see `fine_tuning`.
    ``"pretrained"`` and ``"pretrained_head"`` use `features.pretrained_model`, which is downloaded
    on first use.

    Args:
        name: one of `NAMES`
        filters: of each branch of ``"parallel_cnn"``, see `settings.Settings`
        by_speaker: see `Contender`. Statistics and functionals are normalised, since they say more
            of a voice than single frames do

    Raises:
        ComparisonError: if the name is unknown

    See: notebooks/06_improvements.ipynb
    """
    if name not in NAMES:
        raise ComparisonError(f"{name!r} is no model: choose from {', '.join(NAMES)}.")
    if by_speaker and name in ("recommended", "statistics"):
        several = {} if name == "recommended" else {"networks": 1}
        return dense_network("statistics", by_speaker=True, **several)
    contender = parallel_cnn(filters) if name == "parallel_cnn" else NAMED[name]
    return replace(contender, by_speaker=by_speaker)
