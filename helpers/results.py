"""What made a result, and the files that results are kept in."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from helpers.settings import Settings
from helpers.storage import PROJECT, write_file

#: Packages whose version can change a number in the results, besides Keras's backend.
PACKAGES = ("keras", "librosa", "numpy", "pandas", "scikit-learn", "audmetric")


def versions() -> dict[str, str]:
    """Installed version of Keras's backend, the one in use, and of each of `PACKAGES`."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return {package: version(package) for package in (backend, *PACKAGES)}


class Source(Protocol):
    """What a result was found on: a `corpora.Corpus`."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


def made_by(corpus: Source, settings: Settings, **choices: Any) -> dict[str, Any]:
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
    write_file(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
