"""Keras, imported quietly and made reproducible, whichever backend runs it.

Every other module takes `keras` from here.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Send the process's stderr nowhere.

    TensorFlow prints lines about drivers and oneDNN before its log level can be set
    (tensorflow/tensorflow#100442); in a notebook they would be stored with the outputs.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow also warns of networks that are compiled one after another, as if by mistake. A filter,
# since it sets the level itself where it takes the session for an interactive one.
logging.getLogger("tensorflow").addFilter(lambda record: record.levelno >= logging.ERROR)

with _no_stderr():
    import keras as keras

#: A tensor of whichever backend, or of none while a network is being put together.
Tensor = Any


def jit_compile() -> bool:
    """What `compile` is given.

    XLA takes longer to compile this study's networks for a processor than it saves; JAX needs it,
    since without it every step runs operation by operation.
    """
    return keras.backend.backend() == "jax"


def seed_everything(seed: int) -> None:
    """Fix Python's, NumPy's and the backend's random numbers, and the order of sums.

    Args:
        seed: any non-negative integer
    """
    keras.utils.set_random_seed(seed)
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif name == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


@functools.cache
def fast_bfloat16() -> bool:
    """Whether the processor or the GPU multiplies bfloat16 faster than float32."""
    name = keras.backend.backend()
    if name == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.is_bf16_supported()
    elif name == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return True
    elif name == "tensorflow":
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        if gpus:
            details = tensorflow.config.experimental.get_device_details(gpus[0])
            return details.get("compute_capability", (0, 0)) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def limit_threads(threads: int) -> None:
    """Compute on so many threads in this process.

    Parts of a sum that are added in another order round in another way, so the number of threads
    decides the last digits of a training, op determinism or not (tensorflow/community#346).

    Args:
        threads: for each operation, and for operations at once. JAX knows no such limit and is
            left alone

    Raises:
        RuntimeError: if TensorFlow has begun to compute with another number
    """
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    elif name == "torch":
        import torch

        torch.set_num_threads(threads)
