"""Where time and memory of both commands go, by stage, with an environment but nothing stored.

``VALENCE_CORPUS`` and ``VALENCE_PROFILE`` choose another study, whose notebooks alone are then run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import nbformat
from tqdm import tqdm

from helpers import corpora
from helpers.settings import Settings
from helpers.storage import PROJECT
from report import build
from tests.benchmarks.measuring import Cost, Row

#: The modules that `make test` calls, with their arguments.
TESTS = {
    "types": "mypy",
    "unit tests": "pytest -q -n 2 --dist worksteal",
    "notebooks against their outputs": "pytest -q -n 2 --dist loadfile --nbval notebooks/",
}


def measure() -> list[Row]:
    """Memory of each stage, and its seconds against those of all cores: the ratio is busy cores."""
    rows: list[Row] = []

    @contextmanager
    def stage(what: str) -> Iterator[None]:
        with Cost() as cost:
            yield
        rows.append(Row(what, cost.seconds, "s", "core-seconds", cost.busy))
        rows.append(Row(f"{what}, memory", cost.memory, "MB"))

    with (
        tempfile.TemporaryDirectory(prefix="valence-stages-") as folder,
        mock.patch.dict(os.environ),  # as it was, for what comes after
    ):
        os.environ["VALENCE_OUTPUT"] = folder
        settings = Settings.from_env()
        name = corpora.load(settings.corpus, scale=settings.scale).name
        os.environ.update(build.for_kernels(settings))
        for path in sorted(build.NOTEBOOKS.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            with stage(f"make report, {path.stem}"), tqdm(disable=True) as progress:
                build.execute(notebook, progress)
        with stage("make report, report.pdf"):
            build.typeset(name, settings)
    if (name, settings.profile) != ("demo", "quick"):
        return rows
    for what, arguments in TESTS.items():
        with stage(f"make test, {what}"):
            command = [sys.executable, "-m", *arguments.split()]
            run = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        if run.returncode:  # with the names of the tests that failed
            sys.exit(f"{' '.join(command)} failed:\n{run.stdout[-2000:]}")
    return rows
