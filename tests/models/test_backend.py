import random
import subprocess
import sys

from helpers import backend


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_nothing_waits_for_keras_or_scikit_learn_before_it_is_used():
    modules = "corpora, evaluation, features, models, plots, splits, training"
    slow = "{'tensorflow', 'keras', 'sklearn', 'torch', 'jax'}"
    assert run(f"import sys; from helpers import {modules}; print({slow} & set(sys.modules))") == (
        "set()"
    )


def test_keras_arrives_quietly_when_it_is_used():
    assert run("from helpers.backend import keras; print(keras.Model.__name__)") == "Model"


def test_the_same_seed_draws_the_same_numbers():
    draws = []
    for _ in range(2):
        backend.seed_everything(7)
        draws.append((random.random(), float(backend.keras.random.uniform(()))))
    assert draws[0] == draws[1]
