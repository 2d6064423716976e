"""A training step of the four-branch network, against the same network in stock Keras layers."""

from __future__ import annotations

import numpy as np

from helpers import models
from helpers.models import jit_compile, keras, seed_everything
from tests.benchmarks.measuring import Row, in_new_process, in_turns
from tests.stock import stock_parallel_cnn

BATCH = 16
SHAPE = (128, 94)  # six seconds, as in the original study
STOCK = "stock Keras"
OURS = "ConvMaxPool, float32"
WINDOW = "pool='window'"  # another network: 570 million parameters

STEPS = """
import time
from tests.benchmarks.training import networks, stepper
step = stepper(networks({shape}, {filters})[{name!r}]())
step()
start = time.perf_counter()
for _ in range(3): step()
print((time.perf_counter() - start) / 3)
"""

#: How a process keeps glibc's own settings, see `helpers.models.backend`.
GLIBC = "import platform; platform.libc_ver = lambda: ('', '')"

#: How a process searches all filters at once, see `helpers.models.conv_max_pool`.
AT_ONCE = "from helpers.models import conv_max_pool; conv_max_pool.HELD = 10**9"


def networks(shape: tuple[int, int], filters: int) -> dict:
    """Functions that build what is compared."""
    return {
        STOCK: lambda: stock_parallel_cnn(shape, filters=filters),
        OURS: lambda: models.parallel_cnn(shape, filters=filters),
        WINDOW: lambda: models.parallel_cnn(shape, filters=filters, pool="window"),
    }


def stepper(model, *, predict: bool = False):
    """A function that does one training step, or predicts one batch."""
    seed_everything(0)
    model.compile(
        keras.optimizers.Adam(1e-3), loss="mean_absolute_error", jit_compile=jit_compile()
    )
    x = np.random.default_rng(0).normal(size=(BATCH, *model.input_shape[1:])).astype(np.float32)
    y = np.zeros(BATCH, np.float32)
    return lambda: model.predict_on_batch(x) if predict else model.train_on_batch(x, y)


def measure() -> list[Row]:
    """Steps, predictions, how steps grow with filters and frames, and memory."""
    rows = []
    for what, predict in (("training step", False), ("prediction of a batch", True)):
        built = networks(SHAPE, 200).items()
        times = in_turns(
            {name: stepper(build(), predict=predict) for name, build in built if name != WINDOW}
        )
        rows += [
            Row(f"{what}, {name}", seconds, "s", STOCK, times[STOCK])
            for name, seconds in times.items()
            if name != STOCK
        ]
    sizes = [(SHAPE, 24), (SHAPE, 100), (SHAPE, 400), ((128, 63), 200), ((128, 188), 200)]
    for shape, filters in sizes:
        built = networks(shape, filters)
        times = in_turns({name: stepper(built[name]()) for name in (STOCK, OURS)}, rounds=3)
        what = f"training step, {filters} filters, {shape[1]} frames"
        rows.append(Row(what, times[OURS], "s", STOCK, times[STOCK]))
    alone = {
        name: in_new_process(STEPS.format(shape=SHAPE, filters=200, name=name))
        for name in networks(SHAPE, 200)
    }
    glibc = in_new_process(GLIBC + STEPS.format(shape=SHAPE, filters=200, name=OURS))
    rows.append(Row("training step, memory is kept", alone[OURS][0], "s", "glibc's own", glibc[0]))
    at_once = in_new_process(AT_ONCE + STEPS.format(shape=SHAPE, filters=200, name=OURS))
    what = "training step, filters in groups"
    rows.append(Row(what, alone[OURS][0], "s", "all at once", at_once[0]))
    rows.append(Row(f"training step, {WINDOW}", alone[WINDOW][0], "s", STOCK, alone[STOCK][0]))
    rows += [
        Row(f"peak memory of training, {name}", memory, "MB", STOCK, alone[STOCK][1])
        for name, (_, memory) in alone.items()
        if name != STOCK
    ]
    return rows
