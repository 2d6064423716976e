"""Keras, imported quietly and made reproducible, whichever backend runs it.

Every other module takes `keras` from here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys


@contextlib.contextmanager
def _no_stderr():
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
with _no_stderr():
    import keras

# TensorFlow also warns of networks that are compiled one after another, as if by mistake.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

name = keras.backend.backend()

#: What `compile` is given. XLA takes longer to compile this study's networks for a processor than
#: it saves; JAX needs it, since without it every step runs operation by operation.
JIT_COMPILE = name == "jax"


def seed_everything(seed: int) -> None:
    """Fix Python's, NumPy's and the backend's random numbers, and the order of sums.

    Args:
        seed: any non-negative integer
    """
    keras.utils.set_random_seed(seed)
    if name == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif name == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


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
    if name == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    elif name == "torch":
        import torch

        torch.set_num_threads(threads)
