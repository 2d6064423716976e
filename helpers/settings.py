"""The choices of a study: which corpus, how large, which seed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.cli import UserError
from helpers.storage import make_folder, output_folder

#: What each profile changes. Everything else is the original study's in both.
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "filters": 24,
        "epochs": 20,
        "folds": 2,
        "seeds": 1,
        "search": {"filters": 8, "kernels": ((12, 16),), "epochs": (4, 8)},
    },
    "full": {
        "filters": 200,
        "epochs": 20,
        "folds": 6,
        "seeds": 3,
        "search": {"filters": 200, "epochs": (10, 20)},
    },
}


class SettingsError(UserError):
    """A setting that cannot be used; the message names it and says how to fix it."""


@dataclass(frozen=True)
class Settings:
    """The choices of one study.

    Attributes:
        corpus: path or name of the corpus; None is the bundled demo corpus
        scale: lowest and highest possible rating; None leaves it to `corpora.load`
        profile: ``"quick"`` (minutes on a laptop) or ``"full"`` (the sizes of the original study)
        filters: filters of each branch of `models.parallel_cnn`
        epochs: training epochs
        folds: parts that a corpus is cut into, each of which is tested on once
        seeds: trainings of a network in each fold
        search: what the search over settings trains: ``epochs`` to choose from, and arguments of
            `models.parallel_cnn` that are not searched
        output: folder that receives ``figures/``, ``report/`` and ``.cache/``
        seed: of splits, initial weights, batch order, dropout and bootstrap

    See: notebooks/01_exploration.ipynb
    """

    corpus: str | None
    profile: str
    filters: int
    epochs: int
    folds: int
    seeds: int
    search: dict[str, Any]
    output: Path
    seed: int = 0
    scale: tuple[float, float] | None = None

    @classmethod
    def from_env(cls) -> Settings:
        """Read ``VALENCE_CORPUS``, ``VALENCE_SCALE``, ``VALENCE_PROFILE`` and ``VALENCE_OUTPUT``.

        Raises:
            SettingsError: if the profile is not one of `PROFILES`, or the scale is not two numbers
            storage.OutputError: if the output folder is in the home of a user who has none

        Examples:
            >>> os.environ["VALENCE_PROFILE"] = "full"
            >>> Settings.from_env().filters
            200
            >>> del os.environ["VALENCE_PROFILE"]
        """
        profile = os.environ.get("VALENCE_PROFILE") or "quick"
        if profile not in PROFILES:
            raise SettingsError(
                f"VALENCE_PROFILE is {profile!r}: set it to one of {', '.join(PROFILES)}."
            )
        return cls(
            corpus=os.environ.get("VALENCE_CORPUS") or None,
            scale=_scale(os.environ.get("VALENCE_SCALE", "")),
            profile=profile,
            output=output_folder(),
            **PROFILES[profile],
        )

    def figures(self, corpus_name: str) -> Path:
        """Folder for this corpus's figures, made if need be."""
        return make_folder(self.output / "figures" / corpus_name)

    def results(self, corpus_name: str) -> Path:
        """Folder for this corpus's results files, made if need be."""
        return make_folder(self.output / "report" / corpus_name / "results")


def _scale(written: str) -> tuple[float, float] | None:
    """Two numbers such as ``1,9``, None if nothing is written."""
    if not written.strip():
        return None
    try:
        low, high = map(float, written.replace(",", " ").split())
        if low < high:
            return low, high
    except ValueError:
        pass
    raise SettingsError(
        f"VALENCE_SCALE is {written!r}: set it to the lowest and highest possible rating, as 1,9."
    )
