import random
import subprocess
import sys

import pytest

from helpers import models


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("packages", "slow"),
    [
        ("corpora, evaluation, features, plots, splits", "{'keras', 'tensorflow', 'torch', 'jax'}"),
        ("corpora, evaluation, features, plots", "{'sklearn'}"),
    ],
)
def test_nothing_waits_for_keras_or_scikit_learn_before_it_is_used(packages, slow):
    done = run(f"import sys; from helpers import {packages}; print({slow} & set(sys.modules))")
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_keras_is_imported_and_used_quietly():
    done = run("from helpers.models import keras; print(float(keras.ops.ones(())))")
    assert (done.stdout.strip(), done.stderr) == ("1.0", "")


def test_stderr_is_there_again_when_keras_has_been_imported():
    done = run("import helpers.models, os, sys; print('a', file=sys.stderr); os.write(2, b'b')")
    assert sorted(done.stderr.split()) == ["a", "b"] or done.stderr == "ba\n"


def test_the_same_seed_draws_the_same_numbers():
    draws = []
    for _ in range(2):
        models.seed_everything(7)
        draws.append((random.random(), float(models.keras.random.uniform(()))))
    assert draws[0] == draws[1]
