"""What made a result, the files that results are kept in, and a store of finished fits."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import filelock
import threadpoolctl

from helpers.cli import UserError
from helpers.settings import Settings
from helpers.storage import PROJECT, make_folder, write_file, writing

#: Packages whose version can change a number in the results, besides Keras's backend.
PACKAGES = ("keras", "librosa", "numpy", "pandas", "scikit-learn", "audmetric")

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
        _write_json(make_folder(path.parent / "run") / path.name, run)
    _write_json(path, found)


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


def _write_json(path: Path, content: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(content), parse_constant=lambda not_a_number: None)
    write_file(path, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")


#: What is stored of a finished fit, as JSON.
Record = dict[str, Any]


class Fit(Protocol):
    """What a `Store` keeps a record of."""

    @property
    def key(self) -> str:
        """Name of its file: it changes with anything that decides the numbers."""

    def is_whole(self, record: Record) -> bool:
        """Whether a record is of this fit and says all that is asked.

        A spoilt record may also make it raise AttributeError, LookupError, TypeError or ValueError.
        """


AnyFit = TypeVar("AnyFit", bound=Fit)


@dataclass(frozen=True)
class Store:
    """Finished fits, each in a JSON file of its own, so that none is done twice.

    A file that is torn, spoilt or not of this fit counts as missing.

    Attributes:
        folder: holds the files
    """

    folder: Path

    def path(self, fit: Fit) -> Path:
        """The file of a fit."""
        return self.folder / f"{fit.key}.json"

    def load(self, fit: Fit) -> Record | None:
        """The record of a fit, or None if it is missing."""
        spoilt = (OSError, AttributeError, LookupError, TypeError, ValueError)
        with contextlib.suppress(*spoilt):
            record = json.loads(self.path(fit).read_text(encoding="utf-8"))
            if fit.is_whole(record):
                return record
        return None

    def load_all(self, fits: Iterable[AnyFit]) -> tuple[dict[str, Record], list[AnyFit]]:
        """The records of those fits that are stored, by key, and the missing fits, each once."""
        unique = {fit.key: fit for fit in fits}
        found = {key: self.load(fit) for key, fit in unique.items()}
        records = {key: record for key, record in found.items() if record is not None}
        return records, [fit for key, fit in unique.items() if key not in records]

    def once(self, fit: Fit, make: Callable[[], Record]) -> Record:
        """The record of a fit; if it is missing, make it and store it.

        Two processes never make the same record at once: one waits for the other.

        Args:
            fit: what is stored
            make: returns the record; nothing is stored if it raises an error

        Raises:
            storage.OutputError: if the record cannot be written
        """
        path = self.path(fit)
        with writing(path):
            held = filelock.FileLock(path.with_suffix(".lock")).acquire()
        with held:
            record = self.load(fit)
            if record is None:
                record = make()
                _write_json(path, record)
        return record
