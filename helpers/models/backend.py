"""Keras, imported quietly and made reproducible, whichever backend runs it.

All other modules import `keras` from here, so that the settings below are made before.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from helpers.cli import UserError


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


#: Parameters of glibc's mallopt by their numbers in malloc.h: M_ARENA_MAX, M_MMAP_MAX,
#: M_TRIM_THRESHOLD and M_TOP_PAD (bytes by which the heap grows at least).
MALLOC = {-8: 1, -4: 0, -1: 2**31 - 1, -2: 2**28}


def _keep_memory() -> None:
    """Let the process keep the memory that it frees, for the next step of a training.

    A step needs arrays of tens of megabytes. glibc gives each of them back at once, and the system
    clears every page anew for the next one, which can take as long as computing. So arrays are
    taken from one growing heap (mallopt(3): no maps of their own, no trimming, one arena). No
    number changes. Other C libraries have no such settings.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC.items():
            mallopt(parameter, value)


_keep_memory()  # before TensorFlow starts threads


class BackendError(UserError):
    """A backend of Keras that is not there; the message says how to fix it."""


def _choose_backend() -> None:
    """Let Keras take the backend that ``KERAS_BACKEND`` names, or TensorFlow.

    Raises:
        BackendError: if it is none of the three, or not installed
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in ("tensorflow", "jax", "torch"):
        raise BackendError(f"KERAS_BACKEND is {name!r}: set it to tensorflow, jax or torch.")
    if importlib.util.find_spec(name) is None:
        raise BackendError(f"{name}, the KERAS_BACKEND, is not here: install it, or set another.")
    os.environ["KERAS_BACKEND"] = name


_choose_backend()
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


def as_graph(function: Callable[..., Any], shape: Sequence[int | None]) -> Callable[..., Any]:
    """The same function, in TensorFlow compiled into a graph, which saves most of the overhead.

    Args:
        function: of a tensor; what else it reads is read once
        shape: of the tensor; None where it varies
    """
    if BACKEND == "tensorflow":
        import tensorflow

        signature = [tensorflow.TensorSpec(shape)]
        return tensorflow.function(function, input_signature=signature, autograph=False)
    return function


def seed_everything(seed: int) -> None:
    """Fix Python's, NumPy's and the backend's random numbers, and the order of sums.

    Args:
        seed: an integer from 0 to 2**32 - 1
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
