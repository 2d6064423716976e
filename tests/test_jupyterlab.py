"""The notebooks in a real JupyterLab, driven in headless Chromium where one is installed."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import psutil
import pytest

from helpers.storage import PROJECT

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
NOTEBOOKS = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address and folder of a JupyterLab with a copy of the notebooks, as `make lab` starts it."""
    folder = tmp_path_factory.mktemp("lab")
    for path in (PROJECT / "notebooks").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    output = {"VALENCE_OUTPUT": str(folder / "output")}
    env = {**os.environ, **output, "TQDM_DISABLE": "", "JUPYTER_TOKEN": "test"}
    command = [sys.executable, "-m", "jupyterlab", *options, "--ServerApp.log_level=ERROR"]
    server = psutil.Popen(command, env=env, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/api?token=test"), seconds=60)
        yield address, folder
    finally:
        family = [server, *server.children(recursive=True)]
        server.terminate()
        # It waits for its kernels, which a busy machine may not let end in time.
        for process in psutil.wait_procs(family, timeout=30)[1]:
            process.kill()
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(json.load(reply))
    except OSError:
        return False


def until(condition, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(1)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def opened(page, lab, name: str) -> None:
    page.goto(f"{lab[0]}/lab/tree/{name}?token=test&reset")
    page.wait_for_selector(".jp-Notebook .jp-MarkdownCell h1")


def test_make_lab_opens_on_a_page_that_leads_to_the_notebooks(page, lab):
    start = re.search(r"default_url=/lab/tree/notebooks/(\S+)", (PROJECT / "Makefile").read_text())
    page.goto(f"{lab[0]}/lab/tree/{start[1]}?token=test&reset")
    page.wait_for_selector(".jp-MarkdownViewer h1:has-text('Valence from speech')")
    assert page.locator(".jp-MarkdownViewer li a").count() == len(NOTEBOOKS)
    page.click(".jp-MarkdownViewer a:has-text('Exploration')")
    page.wait_for_selector(".jp-Notebook .jp-MarkdownCell h1")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_opens_clean_with_a_heading_and_its_pictures(page, lab, name):
    opened(page, lab, name)
    title = name.split("_")[0].lstrip("0")
    assert page.inner_text(".jp-MarkdownCell h1").startswith(f"{title} ·")
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert page.locator(".jp-Dialog").count() == 0


def test_run_all_ends_without_errors_and_progress_bars_do_not_flood(page, lab):
    path = lab[1] / "01_exploration.ipynb"
    notebook = nbformat.read(path, as_version=4)
    committed = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            committed.append(len(cell.outputs))
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)
    opened(page, lab, path.name)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.click(".lm-MenuBar-itemLabel:has-text('Run')")
    page.click(".lm-Menu-itemLabel:has-text('Run All Cells')")

    cells = []

    def ended():
        page.keyboard.press("Control+s")
        with contextlib.suppress(nbformat.reader.NotJSONError):  # JupyterLab is writing it
            saved = nbformat.read(path, as_version=4).cells
            cells[:] = [cell for cell in saved if cell.cell_type == "code"]
        return cells and all(cell.execution_count for cell in cells)

    until(ended, seconds=150)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("text/html" in output.get("data", {}) for output in outputs)
    for cell, outputs in zip(cells, committed, strict=True):
        assert len(cell.outputs) <= outputs + 1, "more than one progress bar in a cell"
