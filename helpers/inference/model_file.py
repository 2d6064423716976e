"""A trained network in one file, with everything that a prediction needs.

`save` adds ``valence.json`` to the ``.keras`` file, beside the weights and the architecture. It is
the network's card, see `cards.Card`: how audio is prepared, the rating scale, the width of the
intervals, and what the network was trained on. `load` reads both, on any backend.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from helpers.cli import UserError
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.inference.cards import ABOUT, Card
from helpers.models import keras  # which registers the layers of the networks, too
from helpers.storage import atomic_write, make_folder
from helpers.training import Run

#: The member that `save` adds to Keras's file.
MEMBER = "valence.json"

#: Version of its content.
FORMAT = 1


class ModelError(UserError):
    """A file that is no model of this study; the message names it and says how to fix it."""


class Model(NamedTuple):
    """A network that is ready to predict, see `load`.

    Attributes:
        network: takes standardised mel spectrograms [clips, n_mels, frames]
        card: how they are made, and what is known of the network
    """

    network: keras.Model
    card: Card


def save(run: Run, path: str | Path, *, corpus: Corpus, mel: MelSettings, duration: float) -> None:
    """Write a trained network and its card into one file, whole or not at all.

    The test part of the split is predicted here, for the scores in the card.

    The intervals are those of split conformal prediction (Vovk et al. 2005; Lei et al. 2018). With
    n validation clips, they extend to each side by the ceil((n + 1) 0.9)-th smallest of their
    absolute errors. If a new clip is exchangeable with the validation clips, the interval holds its
    rating with a probability of at least 90 %, whatever the network and the distribution. Clips of
    new speakers are not exchangeable with them, so the coverage on the test part is the better
    guide.

    Args:
        run: see `training.train`
        path: file to write, ending in ``.keras``
        corpus: the corpus that the run was trained on
        mel: settings of the features that the run was trained on
        duration: seconds that its clips were cut or padded to

    Raises:
        ValueError: if the path does not end in ``.keras``, the run has no validation part, the
            corpus is not the run's, or such features do not fit the network
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
    card = Card.from_run(run, corpus=corpus, mel=mel, duration=duration)
    network = keras.Model.from_config(run.model.get_config())  # without optimiser and loss
    network.set_weights(run.model.get_weights())
    make_folder(path.parent)
    with atomic_write(path) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(MEMBER, json.dumps({"format": FORMAT, **asdict(card)}, indent=1))


def load(path: str | Path) -> Model:
    """Read a model that `save` wrote, on this backend or on another.

    Nothing in the file is executed: Keras's safe mode is on, and the rest is JSON.

    Args:
        path: see `save`

    Raises:
        ModelError: if there is no such file, or `save` did not write it

    See: notebooks/07_your_speech.ipynb
    """
    if not os.path.isfile(path):  # noqa: PTH113 a Path's fails for names that no file can have
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
        # Older files may lack the corpus, and the scale with it.
        content["corpus"] = content["corpus"] or dict.fromkeys(ABOUT, "unknown")
        content["scale"] = tuple(content["scale"] or (-math.inf, math.inf))
        card = Card(**{**content, "mel": MelSettings(**content["mel"])})
        network = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except ModelError:
        raise
    except Exception as error:  # a zip, its JSON or Keras's part can be spoilt in any way
        raise ModelError(
            f"{path} is no model of this study: use a file that `inference.save` wrote."
        ) from error
    return Model(network, card)
