"""The whole study, made from two bare clones: the same bytes, but for how long it took.

A quarter of an hour, so only where ``VALENCE_STUDIES`` says how many to make; `make nightly` does.
"""

import json
import os
import subprocess
import sys

import pytest

from helpers.storage import PROJECT

STUDIES = int(os.environ.get("VALENCE_STUDIES", 0))

#: Keys of results files that hold times.
TIMES = {"seconds", "milliseconds"}

#: Figures of times, and the report's first page, whose reproducibility box tells them.
OF_TIMES = {"costs.png", "report.png"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def made_in(clone):
    """Results and figures of the demo corpus, by name."""
    found = {}
    for folder in (clone / "report" / "demo" / "results", clone / "figures" / "demo"):
        for path in folder.iterdir():
            found[path.name] = path.read_bytes()
            if path.suffix == ".json":
                found[path.name] = without_times(json.loads(path.read_text(encoding="utf-8")))
    return {name: content for name, content in found.items() if name not in OF_TIMES}


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
    assert len(studies[0]) >= 28
    for other in studies[1:]:
        assert other.keys() == studies[0].keys()
        assert [name for name in other if other[name] != studies[0][name]] == []
