"""The whole study, made from two bare clones: the same bytes in all that git tracks.

A quarter of an hour, so only where ``VALENCE_STUDIES`` says how many to make; `make nightly` does.
"""

import os
import subprocess
import sys

import pytest

from helpers.storage import PROJECT

STUDIES = int(os.environ.get("VALENCE_STUDIES", 0))

#: What holds times, and is not in git: a figure, and the folder beside the results.
OF_TIMES = {"costs.png", "run"}


def made_in(clone):
    """Results, figures, report and executed notebooks of the demo corpus, by name."""
    folders = (clone / "report" / "demo" / "results", clone / "figures" / "demo")
    made = [path for folder in folders for path in folder.iterdir() if path.name not in OF_TIMES]
    made += [clone / "report/demo/report.pdf", *clone.glob("notebooks/*.ipynb")]
    return {path.name: path.read_bytes() for path in made}


@pytest.mark.skipif(STUDIES < 2, reason="takes a quarter of an hour: make nightly")
def test_the_study_from_two_bare_clones_has_the_same_bytes(tmp_path):
    studies = []
    for number in range(STUDIES):
        clone = tmp_path / f"étude {number}"
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        for path in (*clone.glob("report/demo/results/*"), *clone.glob("figures/demo/*")):
            path.unlink()  # so that all that is compared was made here
        env = {**os.environ, "PYTHONPATH": str(clone)}
        env.pop("VALENCE_OUTPUT")
        subprocess.run([sys.executable, clone / "report" / "build.py"], env=env, check=True)
        studies.append(made_in(clone))
    assert len(studies[0]) >= 36
    for other in studies[1:]:
        assert other.keys() == studies[0].keys()
        assert [name for name in other if other[name] != studies[0][name]] == []
