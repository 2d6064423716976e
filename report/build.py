"""Run the notebooks and typeset the report: what `make report` calls.

On the demo corpus in the quick profile the notebooks are run where they are, and keep their
outputs; for any other study, and where ``VALENCE_OUTPUT`` names another folder than the project's
own (which may then be read-only), executed copies go to ``report/<corpus>/notebooks/`` there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import psutil
import typst
from jupyter_client.kernelspec import get_kernel_spec
from tqdm import tqdm

from helpers import cli, corpora
from helpers.settings import Settings
from helpers.storage import PROJECT, make_folder, write_file

NOTEBOOKS = PROJECT / "notebooks"


class ReportError(cli.UserError):
    """Results that no report can be made of; the message names them and says how to fix it."""


def main(arguments: list[str] | None = None) -> int:
    """Make the whole report, of the study that the environment variables choose.

    They are VALENCE_CORPUS, VALENCE_SCALE, VALENCE_PROFILE and VALENCE_OUTPUT, see README.md.
    """
    parser = argparse.ArgumentParser(prog="python report/build.py", description=main.__doc__)
    parser.parse_args(arguments)
    settings = Settings.from_env()
    corpus = corpora.load(settings.corpus, scale=settings.scale)
    target = make_folder(executed(corpus.name, settings))
    os.environ.update(for_kernels(settings))
    if holds_another(corpus, settings):
        print(
            f"{settings.results(corpus.name)} holds the study of another corpus of this name, or "
            "of other labels: this one replaces it."
        )

    start = time.perf_counter()
    run_all(target)
    pdf = typeset(corpus.name, settings)
    print(f"{pdf} after {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def holds_another(corpus: corpora.Corpus, settings: Settings) -> bool:
    """Whether results of a study are there that is of another corpus with the same name."""
    about = settings.results(corpus.name) / "corpus.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        made_by = json.loads(about.read_text(encoding="utf-8"))["made_by"]
        return bool(made_by["fingerprint"] != corpus.fingerprint)
    return False


def run_all(target: Path) -> None:
    """Execute the notebooks in order and write each to `target`; exit at an error."""
    sources = {
        path: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    }
    cells = sum(
        cell.cell_type == "code" for notebook in sources.values() for cell in notebook.cells
    )
    with tqdm(total=cells, unit="cell", disable=False) as progress:
        for path, notebook in sources.items():
            progress.set_description(path.stem)
            try:
                execute(notebook, progress)
            except nbclient.exceptions.CellExecutionError as error:
                sys.exit(f"\n{path.name} stopped at a cell:\n{error}")
            write_file(target / path.name, nbformat.writes(notebook) + "\n")


def executed(corpus_name: str, settings: Settings) -> Path:
    """Folder for the executed notebooks of a study."""
    if (corpus_name, settings.profile, settings.output) == ("demo", "quick", PROJECT):
        return NOTEBOOKS
    return settings.output / "report" / corpus_name / "notebooks"


def for_kernels(settings: Settings) -> dict[str, str]:
    """The study's choices as they read in notebooks/, where kernels run: with whole paths."""
    # The bar of the report is the one; stored outputs hold none.
    # Text is UTF-8, on Windows too.
    choices = {
        "VALENCE_OUTPUT": str(settings.output),
        "TQDM_DISABLE": "1",
        "PYTHONUTF8": "1",
    }
    if settings.corpus is not None:
        choices["VALENCE_CORPUS"] = ",".join(map(_absolute, corpora.listed(settings.corpus)))
    return choices


def _absolute(corpus: str) -> str:
    """The whole path of a corpus, or its name, see `helpers.corpora.downloads`."""
    path = Path(corpus).expanduser()
    return str(path.resolve()) if path.exists() else corpus


def execute(notebook: nbformat.NotebookNode, progress: tqdm) -> None:
    """Run a notebook from top to bottom in a kernel of its own; its outputs replace the old."""
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        psutil.Process(client.km.provisioner.pid).kill()

    def stop_at_ctrl_c(notebook: nbformat.NotebookNode) -> None:
        # nbclient itself asks the kernel to end, and both print their tracebacks.
        with contextlib.suppress(RuntimeError):  # on Windows and in threads
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)

    client = nbclient.NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,  # of widgets without a kernel
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        on_notebook_start=stop_at_ctrl_c,
        on_cell_executed=lambda cell, cell_index, execute_reply: progress.update(),
    )
    try:
        client.execute(transport_encryption="auto")  # else ipykernel warns in the middle of the bar
    except nbclient.exceptions.DeadKernelError as error:
        raise KeyboardInterrupt if stopped else error from None
    notebook.metadata.pop("widgets", None)
    # What JupyterLab writes, or else it would ask to save a notebook that was only opened. The
    # language, with Python's version, is stored by `execute`.
    kernel = get_kernel_spec(client.kernel_name)
    notebook.metadata["kernelspec"] = {
        "display_name": kernel.display_name,
        "language": kernel.language,
        "name": client.kernel_name,
    }


def typeset(corpus_name: str, settings: Settings) -> Path:
    """Compile ``report.typ`` on one corpus's results and figures, and its first page as a picture.

    Args:
        corpus_name: names the folders below ``report/`` and ``figures/``
        settings: say where those folders are

    Returns:
        path of the PDF

    Raises:
        ReportError: see `compiler`, or if a results file or a figure is missing or spoilt
    """
    pdf = settings.output / "report" / corpus_name / "report.pdf"
    report = compiler(corpus_name, settings)
    try:
        # PDF/UA: compiling fails where a figure has no alternative text.
        document = report.compile(pdf_standards="ua-1")
        pages = report.compile(format="png", ppi=100)
    except typst.TypstError as error:
        raise ReportError(
            f"{settings.results(corpus_name)} holds no results that a report can be made of "
            f"({error.message}): make them again with `make report`."
        ) from error
    write_file(pdf, document)
    write_file(
        settings.figures(corpus_name) / "report.png", pages[0] if isinstance(pages, list) else pages
    )
    return pdf


def compiler(corpus_name: str, settings: Settings) -> typst.Compiler:
    """``report.typ`` on one corpus's results and figures, ready to be compiled.

    Raises:
        ReportError: if a file in ``run/``, which the results can do without, is spoilt
    """
    results = settings.results(corpus_name)
    below = {"results": results, "figures": settings.figures(corpus_name)}
    inputs = {
        name: "/" + path.relative_to(settings.output).as_posix() for name, path in below.items()
    }
    inputs["runs"] = json.dumps({path.stem: _run(path) for path in results.glob("run/*.json")})
    return typst.Compiler(
        sources(settings) / "report.typ",
        root=settings.output,
        sys_inputs=inputs,
        ignore_system_fonts=True,
    )


def _run(path: Path) -> dict[str, Any]:
    """What differs from run to run, see `helpers.results.save_results`."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): delete it.") from error


def sources(settings: Settings) -> Path:
    """Folder with ``report.typ`` and what it includes, in the output folder.

    Typst reads below one folder only, and on Windows the project may be on another drive.
    """
    here = PROJECT / "report"
    if settings.output == PROJECT:
        return here
    copy = settings.output / ".cache" / "report"
    for path in (*here.glob("*.typ"), *here.glob("*.bib"), *here.glob("parts/*.typ")):
        target = copy / path.relative_to(here)
        make_folder(target.parent)
        write_file(target, path.read_bytes())
    return copy


if __name__ == "__main__":
    sys.exit(cli.run(main))
