"""Processes in which networks are trained."""

import os
import subprocess
import sys

import pytest

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
