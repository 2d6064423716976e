"""What importing the helpers costs: a script that trains nothing should not wait for Keras."""

from __future__ import annotations

import subprocess
import sys

from tests.benchmarks.measuring import Row, in_turns

WITHOUT_KERAS = "from helpers import corpora, evaluation, features, plots, splits"


def measure() -> list[Row]:
    """Seconds from nothing to imported, each in a new process."""

    def importing(code: str):
        return lambda: subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)

    seconds = in_turns(
        {
            "all packages without Keras": importing(WITHOUT_KERAS),
            "helpers.corpora": importing("from helpers import corpora"),
            "keras": importing("from helpers.models import keras"),
        },
        rounds=3,
    )
    return [
        Row(f"start-up, {name}", value, "s", "importing Keras", seconds["keras"])
        for name, value in seconds.items()
        if name != "keras"
    ]
