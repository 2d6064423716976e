"""Processes in which networks are trained."""

import os
import subprocess
import sys

import pytest

from helpers import workers
from helpers.storage import PROJECT

FORKED = """
import os, signal
from helpers import workers

assert dict(workers.each(abs, [-1, -2], 1)) == {-1: 1, -2: 2}
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a process that waits for ever
    os._exit(dict(workers.each(abs, [-3], 1)) != {-3: 3})
assert os.waitpid(child, 0)[1] == 0
assert dict(workers.each(abs, [-4], 1)) == {-4: 4}
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_a_fork_does_not_wait_for_the_processes_of_its_parent():
    run = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=PROJECT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


REPLACED = """
import time
import psutil
from joblib.externals.loky import process_executor
from helpers import workers

def grow(_):  # too much for loky, which ends the process
    process_executor._MEMORY_LEAK_CHECK_DELAY = 0
    process_executor._MAX_MEMORY_LEAK_SIZE = -(10**12)

def die(_):
    psutil.Process().kill()

for _ in workers.each(grow, [1, 2], 1):
    pass
time.sleep(2)  # until it has ended
((_, found),) = workers.each(die, [1], 1)
assert isinstance(found, workers.KilledError), found
"""


def test_a_process_that_is_killed_after_it_took_the_place_of_another_is_noticed():
    subprocess.run([sys.executable, "-c", REPLACED], cwd=PROJECT, timeout=60, check=True)


def test_a_call_that_raises_gives_its_process_back():
    with workers.Processes() as processes:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                processes.call(divmod, 1, 0)
            assert len(processes.idle) == 1


class Unreadable:
    def __reduce__(self):
        return divmod, (1, 0)


def test_an_argument_that_cannot_be_read_there_costs_no_other_call():
    with workers.Processes() as processes:
        with pytest.raises(Exception, match="un-serialize"):
            processes.call(abs, Unreadable())
        assert processes.idle == []
        assert processes.call(abs, -1) == 1


def test_a_process_that_is_kept_hears_of_another_choice(monkeypatch):
    for model in ("a.onnx", "b.onnx"):
        monkeypatch.setenv("VALENCE_PRETRAINED", model)
        ((_, found),) = workers.each(os.environ.get, ["VALENCE_PRETRAINED"], 1)
        assert found == model
