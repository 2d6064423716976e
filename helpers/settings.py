"""Where things are, how large the study is, and what made a result.

Nothing here knows about audio or networks.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.corpora import Corpus

PROJECT = Path(__file__).resolve().parent.parent

#: What each profile changes. Everything else is the report's in both.
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "filters": 24,
        "epochs": 20,
        "search": {"filters": 8, "kernels": ((12, 16),), "epochs": (4, 8)},
    },
    "full": {
        "filters": 200,
        "epochs": 20,
        "search": {"filters": 200, "epochs": (10, 20)},
    },
}

#: Packages whose version can change a number in the results, besides Keras's backend.
PACKAGES = ("keras", "librosa", "numpy", "pandas", "scikit-learn", "audmetric")


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and the mend."""


class OutputError(OSError):
    """A file or folder that cannot be written; the message names it and the mend."""


@dataclass(frozen=True)
class Settings:
    """The choices of one study.

    Attributes:
        corpus: path or name of the corpus; None is the bundled demo corpus
        profile: ``"quick"`` (minutes on a laptop) or ``"full"`` (the report's sizes)
        filters: filters of each branch of `models.parallel_cnn`
        epochs: training epochs
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
    search: dict[str, Any]
    output: Path
    seed: int = 0

    @classmethod
    def from_env(cls) -> Settings:
        """Read ``VALENCE_CORPUS``, ``VALENCE_PROFILE`` and ``VALENCE_OUTPUT``.

        Raises:
            SettingsError: if the profile is not one of `PROFILES`

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


def output_folder() -> Path:
    """``VALENCE_OUTPUT``, or the project's own folder.

    Raises:
        OutputError: if it is that of a user who has no home
    """
    try:
        return Path(os.environ.get("VALENCE_OUTPUT") or PROJECT).expanduser().resolve()
    except RuntimeError as error:
        raise OutputError(
            f"VALENCE_OUTPUT names nobody's folder ({error}): name another."
        ) from error


def cache_folder(kind: str) -> Path:
    """``.cache/<kind>`` below `output_folder`, made if need be; all in it can be rebuilt."""
    return make_folder(output_folder() / ".cache" / kind)


def make_folder(folder: Path) -> Path:
    """Make a folder, unless it is there; the same path.

    Raises:
        OutputError: if it cannot be made
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def versions() -> dict[str, str]:
    """Installed version of Keras's backend, the one in use, and of each of `PACKAGES`."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return {package: version(package) for package in (backend, *PACKAGES)}


def made_by(corpus: Corpus, settings: Settings, **choices: Any) -> dict[str, Any]:
    """What a results file needs to say so that it can be made again.

    Args:
        corpus: a `corpora.Corpus`
        settings: the study's settings
        **choices: whatever else decided the numbers (learning rate, splits ...)
    """
    return {
        "corpus": corpus.name,
        "fingerprint": corpus.fingerprint,
        "profile": settings.profile,
        "seed": settings.seed,
        **choices,
        "commit": commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }


def commit() -> str:
    """Git commit of the code, with ``+changes`` if helpers/ differs from it; else ``"unknown"``."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "helpers", "requirements.txt")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def save_results(path: Path, content: dict[str, Any], *, made_by: dict[str, Any]) -> None:
    """Write a results file as JSON, whole or not at all.

    Args:
        path: file to write; what it held is replaced
        content: what was found; numbers that are missing (NaN) become null, which JSON knows
        made_by: what it was found with, see `made_by`
    """
    content = _without_nan({**content, "made_by": made_by})
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new, see `whole`.

    Args:
        path: file to write; what it held is replaced
        content: what it is to hold; text is written as UTF-8
    """
    with whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Let a file be written beside its place, which it takes at the end, whole or not at all.

    Args:
        path: file to write; what it held is replaced

    Yields:
        what to write to, with the same suffix

    Raises:
        OutputError: if it cannot be written
    """
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with writing(path):
            yield partial
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file and the mend, if what is done meanwhile fails to write it.

    Args:
        path: what is written

    Raises:
        OutputError: if it cannot be
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}): make room there, or let "
            "VALENCE_OUTPUT name another folder."
        ) from error
