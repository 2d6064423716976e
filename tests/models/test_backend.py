import importlib.util
import os
import platform
import random
import subprocess
import sys

import pytest

from helpers import models
from helpers.storage import PROJECT


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have no such settings")
@pytest.mark.parametrize(("package", "fresh"), [("models", 0), ("features", 100_000_000)])
def test_freed_memory_is_kept_for_the_next_step_of_a_training(package, fresh):
    code = f"""
import resource
from helpers import {package}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"1" * {10**8}
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults() * resource.getpagesize())
"""
    assert int(run(code).stdout) == pytest.approx(fresh, abs=1e7)


def test_the_same_seed_draws_the_same_numbers():
    draws = []
    for _ in range(2):
        models.seed_everything(7)
        draws.append((random.random(), float(models.keras.random.uniform(()))))
    assert draws[0] == draws[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tensorflwo", "KERAS_BACKEND is 'tensorflwo': set it to tensorflow, jax or torch."),
        ("torch", "torch, the KERAS_BACKEND, is not here: install it, or set another."),
    ],
)
def test_a_backend_that_is_not_there_is_one_sentence(name, said):
    if name == "torch" and importlib.util.find_spec(name):
        pytest.skip("it is here")
    command = [sys.executable, "-m", "helpers.inference"]
    env = {**os.environ, "KERAS_BACKEND": name}
    run = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (2, f"{said}\n")
