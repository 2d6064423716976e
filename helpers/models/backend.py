"""Keras, imported quietly and made reproducible, whichever backend runs it.

All other modules import `keras` from here, so that the settings below are made before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Discard what the process writes to stderr.

    TensorFlow prints lines about drivers and oneDNN before its log level can be set
    (tensorflow/tensorflow#100442). A notebook would store them with its outputs.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow also warns when many networks are compiled one after another, which is no mistake here.
# This is a filter and no level, since TensorFlow sets the level itself in interactive sessions.
logging.getLogger("tensorflow").addFilter(lambda record: record.levelno >= logging.ERROR)

with _no_stderr():
    import keras as keras

#: ``"tensorflow"``, ``"jax"`` or ``"torch"``.
BACKEND = keras.backend.backend()

#: A tensor of any backend, or a symbolic one while a network is built.
Tensor = Any


def jit_compile() -> bool:
    """The argument `jit_compile` of `keras.Model.compile`.

    On a processor, XLA takes longer to compile this study's networks than it saves. JAX needs it,
    since it runs every step operation by operation otherwise.
    """
    return BACKEND == "jax"


def as_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, in TensorFlow compiled into a graph, which saves most of the overhead.

    Args:
        function: of tensors; what else it reads is read when it first meets a shape
    """
    if BACKEND == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    return function


def seed_everything(seed: int) -> None:
    """Fix Python's, NumPy's and the backend's random numbers, and the order of sums.

    Args:
        seed: any non-negative integer
    """
    keras.utils.set_random_seed(seed)
    if BACKEND == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif BACKEND == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


def limit_threads(threads: int) -> None:
    """Set the number of threads that this process computes with.

    Sums are rounded differently when their parts are added in another order. The number of threads
    therefore decides the last digits of a training, even with deterministic operations
    (tensorflow/community#346).

    Args:
        threads: for each operation, and for operations at the same time. JAX has no such limit, so
            nothing is set there

    Raises:
        RuntimeError: if TensorFlow has already computed with another number
    """
    if BACKEND == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    elif BACKEND == "torch":
        import torch

        torch.set_num_threads(threads)
