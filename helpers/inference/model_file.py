"""A trained network in one file, and the valence of any recording.

`save` puts everything that a prediction needs into the ``.keras`` file itself: beside Keras's
weights and architecture lies ``valence.json``, which says how audio is prepared, on what scale the
answer is, how sure it is and what the network was trained on. `load` reads both, on any backend.

From a terminal, ``python -m helpers.inference MODEL`` prints what a model is, and ``python -m
helpers.inference MODEL CLIP...`` the valence of recordings.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from helpers import training
from helpers.cli import UserError
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.inference import cards
from helpers.inference.cards import Card
from helpers.models import keras
from helpers.storage import atomic_write, make_folder

#: What `save` adds to Keras's file, and the version of what is in it.
MEMBER = "valence.json"


FORMAT = 1


class ModelError(UserError):
    """A file that is no model of this study; the message names it and the mend."""


class Model(NamedTuple):
    """A network that is ready to predict, see `load`.

    Attributes:
        network: takes standardised mel spectrograms
        card: how they are made, and what is known of the network
    """

    network: keras.Model
    card: Card


# Saving and loading


def save(
    run: training.Run,
    path: str | Path,
    *,
    corpus: Corpus | None = None,
    mel: MelSettings = MelSettings(),  # noqa: B008 frozen
    duration: float | None = None,
) -> None:
    """Write a trained network with all that its use needs into one file, whole or not at all.

    The test part of the split is predicted here, for the scores in the file.

    The intervals are those of split conformal prediction (Vovk et al. 2005; Lei et al. 2018): with
    n validation clips, the ceil((n + 1) 0.9)-th smallest of their absolute errors to each side. If
    a new clip is exchangeable with them, the interval holds its rating with a probability of at
    least 90 %, whatever the network and the distribution. Voices that were in no part are not
    exchangeable with the speakers of the validation part, so the coverage on the test part says
    more than the promise.

    Args:
        run: see `training.train`
        path: file to write, ending in ``.keras``
        corpus: that the run was trained on; without it, the file does not know the rating scale
        mel: settings of the features that the run was trained on
        duration: that they were extracted with, in seconds; None is the whole seconds that have as
            many frames as the network takes

    Raises:
        ValueError: if the path does not end in ``.keras``, the run has no validation part, the
            corpus is not the run's, or such features do not fit the network
        settings.OutputError: if the file cannot be written

    See: notebooks/07_your_speech.ipynb
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"{path} is no name for a model: let it end in .keras.")
    duration = _duration(run.model, mel, duration)
    card = cards.of(run, corpus, mel=mel, duration=duration)
    network = keras.Model.from_config(run.model.get_config())  # without optimiser and loss
    network.set_weights(run.model.get_weights())
    make_folder(path.parent)
    with atomic_write(path) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(MEMBER, json.dumps({"format": FORMAT, **asdict(card)}, indent=1))


def _duration(network: keras.Model, mel: MelSettings, duration: float | None) -> float:
    rows, frames = network.input_shape[1:3]
    if duration is None:
        duration = math.ceil((frames - 1) * mel.hop_length / mel.sample_rate)
    if (rows, frames) != (mel.rows, mel.frames(duration)):
        raise ValueError(
            f"The network takes {rows} rows x {frames} frames and {duration:g} s of audio "
            f"are {mel.rows} x {mel.frames(duration)}: pass the mel settings and the duration "
            "that its features were extracted with."
        )
    return float(duration)


def load(path: str | Path) -> Model:
    """Read a model that `save` wrote; on this backend, whichever wrote it.

    Nothing in the file is executed: Keras's safe mode is on, and the rest is JSON.

    Args:
        path: see `save`

    Raises:
        ModelError: if there is no such file, or it is none of ours

    See: notebooks/07_your_speech.ipynb
    """
    from helpers import layers  # noqa: F401 registers what the networks are made of

    if not os.path.isfile(path):  # noqa: PTH113 that of a Path raises if a name is too long
        raise ModelError(f"There is no file {path}: `make report` writes a model to models/.")
    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read(MEMBER))
        found = content.pop("format")
        if found != FORMAT:
            raise ModelError(
                f"{path} has format {found} and this version of the study reads {FORMAT}: train "
                "the model again, or use the version that wrote it."
            )
        mel = MelSettings(**content.pop("mel"))
        scale = content.pop("scale")
        card = Card(**content, mel=mel, scale=scale and tuple(scale))
        network = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except ModelError:
        raise
    except Exception as error:  # a zip, its JSON or Keras's part can be spoilt in any way
        raise ModelError(
            f"{path} is no model of this study: use a file that `inference.save` wrote."
        ) from error
    return Model(network, card)
