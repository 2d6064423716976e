"""For unit tests and notebooks alike: leave the committed results alone, and print no progress."""

import os
import tempfile

import hypothesis
import pytest

#: For nbval: exercises fail until someone has solved them. Their solutions are run.
collect_ignore_glob = ["notebooks/exercises/[0-9]*.ipynb"]

# Set before anything is collected, so that doctests and the notebooks' kernels inherit them.
_OUTPUT = tempfile.TemporaryDirectory(prefix="valence-tests-")
os.environ["VALENCE_OUTPUT"] = _OUTPUT.name
os.environ["TQDM_DISABLE"] = "1"
os.environ["PYTHONUTF8"] = "1"  # in the processes that tests start, on Windows too
for _choice in ("VALENCE_CORPUS", "VALENCE_PROFILE", "VALENCE_SCALE"):
    os.environ.pop(_choice, None)

# A first example may import what takes a second, and machines are busy.
hypothesis.settings.register_profile("study", deadline=None)
hypothesis.settings.load_profile("study")


@pytest.fixture
def output(tmp_path, monkeypatch):
    """An empty output folder for one test, with a cache of its own."""
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / "output"))
    return tmp_path / "output"
