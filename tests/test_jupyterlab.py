"""The notebooks in a real JupyterLab, driven in headless Chromium where one is installed."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from tqdm import tqdm

from helpers.storage import PROJECT
from report import build

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
MAKEFILE = (PROJECT / "Makefile").read_text()
NOTEBOOKS = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address and folder of a JupyterLab with a copy of the notebooks, as `make lab` starts it."""
    folder, data = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("data")
    for path in (PROJECT / "notebooks").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    choices = {"VALENCE_OUTPUT": str(folder / "output"), "TQDM_DISABLE": ""}
    env = {**os.environ, **choices, "JUPYTER_TOKEN": "test", "JUPYTER_DATA_DIR": str(data)}
    *before, _ = re.search(r"^lab:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)[1].splitlines()
    for line in before:
        line = line.replace("$(BIN)", f'"{Path(sys.executable).parent}"')
        line = line.replace("notebooks", f'"{folder}"')
        subprocess.run(line, shell=True, env=env, check=True, stdout=subprocess.DEVNULL)
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
        microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *microphone])
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


def run_all(page) -> None:
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.click(".lm-MenuBar-itemLabel:has-text('Run')")
    page.click(".lm-Menu-itemLabel:has-text('Run All Cells')")


def save(page) -> None:
    page.keyboard.press("Control+s")
    page.wait_for_selector(".jp-mod-dirty", state="detached")


def test_make_lab_opens_on_a_page_that_leads_to_the_notebooks(page, lab):
    start = re.search(r"default_url=/lab/tree/notebooks/(\S+)", MAKEFILE)
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
    page.wait_for_selector(".jp-RenderedImage img", state="attached")
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert page.locator(".jp-Dialog").count() == 0


def test_stored_sounds_can_be_played(page, lab):
    opened(page, lab, "02_preprocessing.ipynb")
    page.wait_for_selector(".jp-RenderedHTMLCommon audio")
    page.wait_for_function(
        "[...document.querySelectorAll('.jp-RenderedHTMLCommon audio')].every(a => a.duration > 1)"
    )


WIDGET = "application/vnd.jupyter.widget-view+json"

#: Slow only where its bar is drawn: in the lab.
SLOW = """import os, time
from helpers.progress import bar
for _ in bar(range(4), desc="slowly"):
    time.sleep(0 if os.environ.get("TQDM_DISABLE") else 1.1)
print("done")"""


@pytest.fixture(scope="module")
def stored(lab):
    """Notebook 2 with a slow cell at its end, run as `make report` runs it and stored."""
    path = lab[1] / "again.ipynb"
    notebook = nbformat.read(PROJECT / "notebooks" / "02_preprocessing.ipynb", as_version=4)
    notebook.cells.append(new_code_cell(SLOW, id="0510beef"))
    build.execute(notebook, tqdm(disable=True))
    nbformat.write(notebook, path)
    return path


def test_closing_an_untouched_notebook_asks_nothing(page, lab, stored):
    opened(page, lab, stored.name)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.wait_for_timeout(3000)  # for what would only then be written into it
    page.click(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon")
    page.wait_for_selector(".jp-Notebook", state="detached")
    assert page.locator(".jp-Dialog").count() == 0


def test_after_run_all_and_save_it_is_as_it_was_stored_and_passes_nbval(page, lab, stored):
    committed = nbformat.read(stored, as_version=4)
    opened(page, lab, stored.name)
    run_all(page)
    page.wait_for_selector(".jp-RenderedText:has-text('slowly:')", timeout=150_000)
    page.wait_for_selector(".jp-RenderedText:has-text('slowly:')", state="detached")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.press(".valence-panel .noUi-handle >> nth=1", "ArrowLeft")
    page.wait_for_selector(".valence-panel img[alt*=' 64 bands']")
    save(page)

    saved = nbformat.read(stored, as_version=4)
    assert saved.metadata == committed.metadata
    for cell, was in zip(saved.cells, committed.cells, strict=True):
        if cell.cell_type == "code":
            # A widget without a kernel is not seen, nor a bar that has ended.
            seen = [each for each in cell.outputs if set(each.get("data", "?")) - {WIDGET}]
            assert len(cell.outputs) <= len(seen) + 1, "more than one widget or bar in a cell"
            cell.outputs = seen
        assert cell == was

    opened(page, lab, stored.name)
    page.wait_for_selector(".valence-still img", state="attached")
    assert not page.is_visible(":text('Error displaying widget')")
    nbval = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", stored]
    run = subprocess.run(nbval, cwd=stored.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


PANEL = """from helpers import corpora, inference
corpus = corpora.load()
inference.panel(inference.load(inference.HUMAN_VOICES), corpus.clips[:2], scale=corpus.scale)"""


def test_a_voice_is_recorded_and_predicted_and_a_panel_without_a_kernel_is_a_picture(page, lab):
    path = lab[1] / "panel.ipynb"
    notebook = nbformat.read(lab[1] / NOTEBOOKS[0], as_version=4)
    notebook.cells = [new_markdown_cell("# Panel"), new_code_cell(PANEL)]
    nbformat.write(notebook, path)
    opened(page, lab, path.name)
    run_all(page)
    answer = page.locator(".valence-panel .widget-html >> nth=0")
    page.wait_for_selector(".valence-panel :text('In the corpus')", timeout=150_000)
    assert "of 1 to 5; 90 % interval" in answer.inner_text()
    assert not page.is_visible(".valence-still")

    places = ".valence-panel > *, .valence-panel > :first-child > *"
    corners = f"[...document.querySelectorAll('{places}')].map(e => e.getBoundingClientRect().top)"
    before = page.evaluate(corners)
    page.click(".valence-panel button:text('Record')")
    page.wait_for_selector(".valence-panel :text('recording, 2.')")
    assert page.evaluate(corners) == before
    page.click(".valence-panel button:text('Stop')")
    page.wait_for_selector(".valence-panel :text('s recorded')")
    page.wait_for_selector(".valence-panel :text('Your recording')")
    page.wait_for_selector(".valence-panel :text('predicting')", state="detached")
    assert page.evaluate(corners) == before
    page.select_option(".valence-panel select", index=1)
    page.wait_for_selector(".valence-panel :text('In the corpus')")
    assert not page.is_visible(".valence-panel :text('s recorded')")

    save(page)
    for session in page.request.get(f"{lab[0]}/api/sessions?token=test").json():
        page.request.delete(f"{lab[0]}/api/sessions/{session['id']}?token=test")
    opened(page, lab, path.name)
    page.wait_for_selector(".valence-still img")
    page.wait_for_selector(":text('Error displaying widget')", state="attached")
    assert page.is_visible(".valence-still")
    assert not page.is_visible(":text('Error displaying widget')")
