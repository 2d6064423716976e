"""A trained network in one file, with everything that a prediction needs.

`save` adds ``valence.json`` to the ``.keras`` file, beside the weights and the architecture. It is
the network's card, see `cards.Card`: how audio is prepared, the rating scale, the width of the
intervals, and what the network was trained on. `load` reads both, on any backend.
"""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import models
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.inference import speakers
from helpers.inference.cards import ABOUT, Card, card_markdown, distance
from helpers.models import keras
from helpers.storage import atomic_write, make_folder
from helpers.training import Run


class Model(NamedTuple):
    """A network that is ready to predict, see `load`.

    Attributes:
        network: takes standardised mel spectrograms [clips, rows, frames]
        card: how they are made, and what is known of the network
    """

    network: keras.Model
    card: Card


def save(
    run: Run,
    path: str | Path,
    *,
    corpus: Corpus,
    mel: MelSettings,
    duration: float,
    out_of_fold: pd.DataFrame | None = None,
) -> None:
    """Write a trained network and its card into one file, whole or not at all.

    The test part of the split is predicted here, for the scores in the card.

    The intervals are those of conformal prediction (Vovk et al. 2005; Lei et al. 2018). With n
    absolute errors on clips that were not trained on, they extend to each side by the
    ceil((n + 1) 0.9)-th smallest. If the network predicts a distribution, they start from its 5 %
    and 95 % quantiles, and an error is how far a rating is outside these, below 0 inside
    (conformalised quantiles, Romano et al. 2019). So each clip has an interval of its own.

    The errors are those of the validation part or, better, of `out_of_fold` predictions
    (cross-conformal prediction, Vovk 2015), which are of all speakers but the tested ones. If a new
    clip is exchangeable with those clips, its interval holds the rating with a probability of 90 %
    or more, whatever the network and the distribution. For out-of-fold errors this is what is
    usually found; what is proved of a similar method is 80 % (Barber et al. 2021). Clips of one
    speaker resemble each other, so a new speaker's are not exchangeable with them, and the coverage
    in the card is the better guide.

    Args:
        run: see `training.train`
        path: file to write, ending in ``.keras``
        corpus: the corpus that the run was trained on
        mel: settings of the features that the run was trained on
        duration: seconds that its clips were cut or padded to
        out_of_fold: predictions for clips that are not in the test part, by trainings of the same
            network without them, see `comparison.cross_val_predict`; None calibrates the intervals
            on the validation part

    Raises:
        ValueError: if the path does not end in ``.keras``, there is neither a validation part nor a
            prediction out of fold, the corpus is not the run's, such features do not fit the
            network, or the out-of-fold predictions are of test clips or of another network
        storage.OutputError: if the file cannot be written

    See: notebooks/07_your_speech.ipynb
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The name of a model file ends in .keras; {path} does not.")
    rows, frames = run.model.input_shape[1:3]
    if (rows, frames) != (mel.rows, mel.frames(duration)):
        raise ValueError(
            f"The network takes {rows} rows x {frames} frames and {duration:g} s of audio "
            f"are {mel.rows} x {mel.frames(duration)}: pass the settings of its own features."
        )
    card = Card.from_run(run, corpus=corpus, mel=mel, duration=duration, out_of_fold=out_of_fold)
    network = keras.Model.from_config(run.model.get_config())  # without optimiser and loss
    network.set_weights(run.model.get_weights())
    make_folder(path.parent)
    about = json.dumps({"format": models.FORMAT, **asdict(card)}, indent=1)
    with tempfile.TemporaryDirectory() as folder, atomic_write(path) as partial:
        written = Path(folder) / "network.keras"
        network.save(written)
        with zipfile.ZipFile(written) as source, zipfile.ZipFile(partial, "w") as target:
            for member in source.namelist():
                target.writestr(_without_time(member), _undated(member, source.read(member)))
            target.writestr(_without_time(models.MEMBER), about)


def _without_time(member: str) -> zipfile.ZipInfo:
    """A member with the date 1980, so that the same network has the same bytes."""
    return zipfile.ZipInfo(member)


def _undated(member: str, content: bytes) -> bytes:
    """Keras's metadata without the time of saving; other members as they are."""
    if member != "metadata.json":
        return content
    return json.dumps({**json.loads(content), "date_saved": ""}).encode()


def load(path: str | Path) -> Model:
    """Read a model that `save` wrote, on this backend or on another.

    Nothing in the file is executed: Keras's safe mode is on, and the rest is JSON.

    Args:
        path: see `save`

    Raises:
        models.ModelError: if there is no such file, or `save` did not write it

    See: notebooks/07_your_speech.ipynb
    """
    network, about = models.read(path)
    try:
        # Older files may lack the corpus, and the scale with it.
        about["corpus"] = about["corpus"] or dict.fromkeys(ABOUT, "unknown")
        about["scale"] = tuple(about["scale"] or (-math.inf, math.inf))
        card = Card(**{**about, "mel": MelSettings(**about["mel"])})
        _use(card)
    except Exception as error:  # its JSON can be spoilt in any way
        raise models.refused(path, error) from error
    return Model(network, card)


def _use(card: Card) -> None:
    """Use all of a card that its text and a prediction need; what is spoilt raises an error."""
    card_markdown(card)
    card.interval(np.zeros(1), np.zeros((1, 2)))
    speakers.usual(pd.Series([0.0]), card.spread)
    levels = np.zeros((card.mel.rows, card.mel.frames(card.duration)))
    (levels - np.asarray(card.mean)) / np.asarray(card.deviation)
    mean, deviation = (np.array(card.familiar[name]) for name in ("mean", "deviation"))
    float(card.familiar["limit"]) - distance(np.zeros(2 * len(levels)), mean, deviation)
