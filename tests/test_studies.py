"""The whole study of small corpora of one's own: all notebooks and the report, to the end.

The networks are too small, and trained too shortly, to say anything. Even so it takes minutes, so
only where ``VALENCE_STUDIES`` is set; `make nightly` sets it.
"""

import os
import subprocess
import sys

import pytest

from helpers.storage import PROJECT
from tests.conftest import write_corpus

#: What each kernel runs first: the same study with less of everything.
SMALLER = """
from helpers import models, settings
settings.PROFILES["quick"].update(
    filters=2, epochs=2, search={"filters": 1, "kernels": ((12, 16),), "epochs": (1, 2)}
)
models.RECOMMENDED_TRAINING["epochs"] = 2
"""


@pytest.mark.skipif("VALENCE_STUDIES" not in os.environ, reason="takes minutes: make nightly")
@pytest.mark.parametrize(
    ("speakers", "clips", "seconds"),
    [
        pytest.param(4, 24, 3.5, id="speakers and nothing else"),
        pytest.param(0, 24, 1.0, id="short clips by unknown speakers"),
        pytest.param(1, 24, 3.5, id="one speaker"),
        pytest.param(3, 9, 3.5, id="three clips a speaker"),
        pytest.param(4, 24, 30.0, id="long clips"),
    ],
)
def test_a_small_corpus_is_studied_to_the_end(tmp_path, output, speakers, clips, seconds):
    folder = tmp_path / "speech"
    labels = write_corpus(folder, clips=clips, speakers=max(speakers, 1), seconds=seconds)
    if not speakers:
        labels.drop(columns="speaker").to_csv(folder / "labels.csv", index=False)
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "smaller.py").write_text(SMALLER)
    env = {
        **os.environ,
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": str(PROJECT),
        "VALENCE_CORPUS": str(folder),
        "VALENCE_SCALE": "1,5",
        "VALENCE_OUTPUT": str(output),
    }
    command = [sys.executable, PROJECT / "report" / "build.py"]
    made = subprocess.run(command, env=env, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-5000:]
    assert (output / "report" / "speech" / "report.pdf").read_bytes().startswith(b"%PDF")
