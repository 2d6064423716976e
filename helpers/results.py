"""What made a result, and the files that results are kept in."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import threadpoolctl

from helpers.cli import UserError
from helpers.settings import Settings
from helpers.storage import PROJECT, make_folder, write_json

#: Packages whose version can change a number in the results, besides Keras's backend.
PACKAGES = (
    "keras",
    "librosa",
    "soxr",
    "soundfile",
    "numpy",
    "pandas",
    "scikit-learn",
    "audmetric",
)

#: What differs from run to run although the findings are the same.
RUN = ("seconds", "milliseconds", "commit")


class ResultsError(UserError):
    """Results of an earlier notebook that are missing; the message says which to run first."""


def versions() -> dict[str, str]:
    """Installed version of Keras's backend, the one in use, and of each of `PACKAGES`."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return {package: _version(package) for package in (backend, *PACKAGES)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-cpu")  # TensorFlow without what only GPUs need


class Source(Protocol):
    """What a result was found on: a `corpora.Corpus`."""

    @property
    def name(self) -> str:
        """Name of the corpus."""

    @property
    def fingerprint(self) -> str:
        """Changes with any clip, rating or speaker."""


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
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> str:
    """System, processor, and the kernels that BLAS chose for the processor.

    Other kernels add in another order: predictions differ from the seventh digit on.

    Examples:
        >>> machine()  # doctest: +SKIP
        'Linux x86_64 (BLAS kernels: SkylakeX)'
    """
    loaded = threadpoolctl.threadpool_info()
    kernels = sorted({each["architecture"] for each in loaded if "architecture" in each})
    chosen = f" (BLAS kernels: {', '.join(kernels)})" if kernels else ""
    return f"{platform.system()} {platform.machine()}{chosen}"


def commit() -> str:
    """Git commit that last changed the code, or ``"unknown"``.

    The code is helpers/ and requirements.txt, so that results which the same code made have the
    same commit. It ends with ``+changes`` if they differ from it.
    """
    code = ("helpers", "requirements.txt")

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(PROJECT), *arguments],
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", *code)
        last = git("log", "-1", "--format=%H", "--", *code)[:12]
        return (last or "unknown") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def save_results(path: Path, content: dict[str, Any], *, made_by: dict[str, Any]) -> None:
    """Write a results file as JSON, whole or not at all.

    What is in `RUN` goes to a file of the same name in ``run/`` beside it, which git ignores. A
    second run with the same findings therefore changes nothing that git tracks.

    Args:
        path: file to write; what it held is replaced
        content: what was found; numbers that JSON does not know (NaN, infinity) become null
        made_by: what it was found with, see `made_by`
    """
    found, run = apart({**content, "made_by": made_by})
    if run:
        write_json(make_folder(path.parent / "run") / path.name, run)
    write_json(path, found)


def apart(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The findings, and what differs from run to run.

    Args:
        content: of a results file; its lists are findings as a whole

    Returns:
        without the keys in `RUN`, however deep they lie; and with nothing else

    Examples:
        >>> apart({"mae": 0.5, "cost": {"parameters": 9, "seconds": 1.2}})
        ({'mae': 0.5, 'cost': {'parameters': 9}}, {'cost': {'seconds': 1.2}})
    """
    found: dict[str, Any] = {}
    run: dict[str, Any] = {}
    for key, value in content.items():
        if key in RUN:
            run[key] = value
        elif isinstance(value, dict):
            found[key], inner = apart(value)
            if inner:
                run[key] = inner
        else:
            found[key] = value
    return found, run


def earlier_results(name: str, corpus: Source, settings: Settings) -> Path:
    """The folder that holds what an earlier notebook of the same study found.

    Args:
        name: of its results file, such as ``"tuning.json"``
        corpus: a `corpora.Corpus`
        settings: the study's settings

    Returns:
        the study's own folder of results, or else the one that comes with the project

    Raises:
        ResultsError: if neither has the file, of this corpus, profile and seed

    See: notebooks/05_error_analysis.ipynb
    """
    wanted = (corpus.fingerprint, settings.profile, settings.seed)
    for root in (settings.output, PROJECT):
        folder = root / "report" / corpus.name / "results"
        with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
            made_by = json.loads((folder / name).read_text(encoding="utf-8"))["made_by"]
            if tuple(made_by[key] for key in ("fingerprint", "profile", "seed")) == wanted:
                return folder
    raise ResultsError(
        f"There is no {name} of the {settings.profile} study of {corpus.name} in "
        f"{settings.output}: run the notebooks before this one first."
    )
