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


def test_nothing_waits_for_keras_or_scikit_learn_before_it_is_used():
    done = run("""
import sys
from helpers import corpora, evaluation, features, plots
print({"sklearn"} & set(sys.modules))
from helpers import splits
print({"keras", "tensorflow", "torch", "jax"} & set(sys.modules))
""")
    assert (done.stdout.split(), done.stderr) == (["set()", "set()"], "")


def test_keras_is_imported_and_used_quietly_and_then_stderr_is_there_again():
    done = run("""
import os, sys
from helpers.models import keras
print(float(keras.ops.ones(())))
print("a", file=sys.stderr, flush=True)
os.write(2, b"b")
""")
    assert (done.stdout, done.stderr) == ("1.0\n", "a\nb")


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
