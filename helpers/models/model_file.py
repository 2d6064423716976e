"""A network of this study in one file: Keras's own, with what is known of the network beside it.

`inference.save` writes such files. What is known is the member ``valence.json``, see
`inference.Card`.
"""

from __future__ import annotations

import json
import os
import textwrap
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from helpers.cli import UserError
from helpers.models.backend import keras
from helpers.storage import PROJECT

#: The network that comes with the project, see `inference.train_human_voices`.
HUMAN_VOICES = PROJECT / "models" / "human_voices.keras"

#: The member that is added to Keras's file.
MEMBER = "valence.json"

#: Version of its content. Older ones are read, too: 1 has intervals of constant width, and neither
#: 1 nor 2 says how speakers differ.
FORMAT = 3


class ModelError(UserError):
    """A file that is no model of this study; the message names it and says how to fix it."""


class Stored(NamedTuple):
    """A network that was read from a file.

    Attributes:
        network: takes standardised mel spectrograms [clips, rows, frames]
        about: what is known of it, as `inference.Card` has it
    """

    network: keras.Model
    about: dict[str, Any]


def read(path: str | Path) -> Stored:
    """Read a network and what is known of it, on any backend.

    Nothing in the file is executed: Keras's safe mode is on, and the rest is JSON.

    Args:
        path: a file that `inference.save` wrote

    Raises:
        ModelError: if there is no such file, or it is another kind of file

    See: notebooks/07_your_speech.ipynb
    """
    if not os.path.isfile(path):  # noqa: PTH113 a Path's fails for names that no file can have
        raise ModelError(f"There is no file {path}: `make report` writes a model to models/.")
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(MEMBER))
        found = about.pop("format")
        if found not in range(1, FORMAT + 1):
            raise ModelError(
                f"{path} has format {found} and this version of the study reads 1 to {FORMAT}: "
                "train the model again, or use the version that wrote it."
            )
        return Stored(keras.saving.load_model(str(path), compile=False, safe_mode=True), about)
    except ModelError:
        raise
    except Exception as error:  # a zip, its JSON or Keras's part can be spoilt in any way
        raise refused(path, error) from error


def refused(path: str | Path, error: Exception) -> ModelError:
    """What to say of a file that cannot be read; the reason may also be this version of Keras.

    Args:
        path: of the file
        error: that came of reading it
    """
    reason = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
    return ModelError(
        f"{path} is no model of this study, or cannot be read here ({reason}): use a file that "
        "`inference.save` wrote with these versions of the packages."
    )
