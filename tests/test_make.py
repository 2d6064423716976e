"""The Makefile, where it can be tried without installing anything."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers.storage import PROJECT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the README has commands without make")

OLD_PYTHON = """#!/bin/sh
exec "{python}" -c '
import sys
if sys.argv[1] == "-V":
    print("Python 3.9.2")
else:
    sys.version_info = (3, 9, 2, "final", 0)
    exec(sys.argv[2])
' "$@"
"""


@pytest.fixture
def bare(tmp_path):
    """A checkout without an environment."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def make(folder, *arguments):
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)


def test_help_lists_the_commands(bare):
    listed = make(bare, "help").stdout
    assert {line.split()[0] for line in listed.splitlines()} >= {
        "help", "report", "data", "test", "lab", "site", "clean",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["corpus", "Scale", "PROFIL", "VENV"])
def test_a_choice_that_there_is_not_is_refused(bare, name):
    run = make(bare, "help", f"{name}=1,5")
    said = f"{name} is no choice: take one of CORPUS SCALE PROFILE ONLY PYTHON, or write {name}=..."
    assert run.returncode == 2 and said in run.stderr


def test_each_choice_that_there_is_is_taken(bare):
    choices = [f"{name}=a" for name in ("CORPUS", "SCALE", "PROFILE", "ONLY", "PYTHON")]
    assert make(bare, "-j2", "help", *choices).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "corpus", "scale", "profile"),
    [
        ([], "theirs", "1,9", "full"),
        (["PROFILE=quick"], "theirs", "1,9", "quick"),
        (["CORPUS=mine"], "mine", "", "full"),  # 1,9 is the scale of the other corpus
        (["CORPUS=mine", "SCALE=1,7"], "mine", "1,7", "full"),
    ],
)
def test_choices_in_the_environment_are_taken_but_no_scale_for_another_corpus(
    bare, monkeypatch, arguments, corpus, scale, profile
):
    chosen = {"VALENCE_CORPUS": "theirs", "VALENCE_SCALE": "1,9", "VALENCE_PROFILE": "full"}
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    assert made(bare, "report", *arguments) == ["report/build.py", corpus, scale, profile]


def made(bare, *arguments):
    """What a command calls in its environment: the arguments, then the choices there."""
    python = bare / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    choices = "$VALENCE_CORPUS\n$VALENCE_SCALE\n$VALENCE_PROFILE"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "{choices}"\n')
    python.chmod(0o755)
    (bare / ".venv" / "installed").touch()
    run = make(bare, "-s", *arguments)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("how", ["command line", "environment", ""])
@pytest.mark.parametrize("command", ["report", "data"])
def test_a_path_is_taken_as_it_is_written(bare, monkeypatch, command, how):
    path = """a $b $(c `echo d` "e" 'f' #g ~ \\h"""
    monkeypatch.setenv("VALENCE_CORPUS", "other" if how else path)
    if how == "environment":
        monkeypatch.setenv("CORPUS", path)
    given = [f"CORPUS={path}"] if how == "command line" else []
    expected = {"report": ["report/build.py"], "data": ["-m", "helpers.corpora.downloads", path]}
    assert made(bare, command, *given)[:-2] == [*expected[command], path]


def test_the_wrong_python_is_named_with_the_mend(bare):
    python = bare / "python3.9"
    python.write_text(OLD_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    run = make(bare, f"PYTHON={python}", "report")
    assert run.returncode == 2
    assert "Python 3.11, 3.12 or 3.13 is needed" in run.stderr and "is Python 3.9.2" in run.stderr
    assert "make PYTHON=python3.12 report" in run.stderr
    assert not (bare / ".venv").exists()


def test_clean_leaves_nothing_that_can_be_rebuilt(bare):
    for folder in (
        ".cache/features",
        ".mypy_cache",
        ".hypothesis",
        ".import_linter_cache",
        "helpers/__pycache__",
        "x.egg-info",
    ):
        (bare / folder).mkdir(parents=True)
    assert make(bare, "clean").returncode == 0
    assert sorted(path.name for path in bare.iterdir()) == [
        "Makefile", "helpers", "pyproject.toml", "requirements.txt",
    ]  # fmt: skip
