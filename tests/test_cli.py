import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import cli
from helpers.storage import PROJECT, OutputError


def test_what_a_user_can_fix_is_one_sentence_and_exit_code_2(capsys):
    def main(arguments):
        raise OutputError(f"{arguments[0]} cannot be written: make room.")

    assert cli.run(main, ["table.csv"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "table.csv cannot be written: make room.\n")


def test_a_bug_is_not_turned_into_a_sentence():
    def main(arguments):
        raise ValueError("the arrays have different lengths")

    with pytest.raises(ValueError, match="different lengths"):
        cli.run(main, [])


def test_ctrl_c_is_one_word_and_the_exit_code_of_a_shell(capsys):
    def main(arguments):
        raise KeyboardInterrupt

    assert cli.run(main, []) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_a_command_that_ends_well_says_so():
    assert cli.run(lambda arguments: len(arguments), ["a"]) == 1


def test_a_name_that_the_consoles_encoding_lacks_is_printed_all_the_same():
    code = "import sys; from helpers import cli; sys.exit(cli.run(lambda none: print('głos.wav')))"
    env = {**os.environ, "PYTHONIOENCODING": "cp1252:strict"}  # a pipe on Windows
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert run.stdout.decode("cp1252").strip() == "g\\u0142os.wav"


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error there")
@pytest.mark.parametrize("lines", [1, 99999])  # it breaks at the end, and in between
def test_output_that_nobody_reads_is_no_traceback(lines):
    code = f"""import sys; from helpers import cli
sys.stdin.read()  # until the pipe is closed
sys.exit(cli.run(lambda none: print("line\\n" * {lines})))"""
    pipe = subprocess.PIPE
    run = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe)
    run.stdout.close()
    run.stdin.close()
    assert run.stderr.read() == b"" and run.wait() == 141
    run.stderr.close()


def test_a_pipe_that_breaks_elsewhere_is_a_bug():
    def main(arguments):
        raise BrokenPipeError("of a worker")

    with pytest.raises(BrokenPipeError, match="of a worker"):
        cli.run(main, [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.parametrize("lines", [1, 99999])
def test_output_that_has_no_room_is_one_sentence(lines):
    code = f"""import sys; from helpers import cli
sys.exit(cli.run(lambda none: print("line\\n" * {lines})))"""
    with open("/dev/full", "w") as full:
        run = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE)
    assert (run.returncode, run.stderr) == (
        2, b"The output cannot be written (No space left on device): make room, or send it "
        b"elsewhere.\n",
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="a process there cannot send Ctrl-C to one other")
def test_ctrl_c_while_a_command_is_imported_is_no_traceback(tmp_path):
    code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    (tmp_path / "pandas.py").write_text(code)  # which every command imports
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "helpers.inference"]
    run = subprocess.run(
        command,
        cwd=PROJECT,
        env=env,
        capture_output=True,
        # Shells start background jobs without.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, b"", b"")
