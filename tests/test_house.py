"""The plan of the house: `pyproject.toml` states it, import-linter checks it in `make test`."""

import importlib
import inspect
import re
import subprocess
import sys
import tomllib

import pytest

import helpers
from helpers.storage import PROJECT

FOLDER = PROJECT / "helpers"
ROOMS = sorted({path.stem for path in FOLDER.glob("[a-z]*") if path.name != "__pycache__"})
PACKAGES = [room for room in ROOMS if (FOLDER / room).is_dir()]
CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_the_package_lists_its_rooms_each_above_those_that_import_it():
    listed = re.findall(r"^- `(\w+)`", helpers.__doc__, re.MULTILINE)
    assert listed[::-1] == CONTRACTS["contracts"][0]["layers"]
    assert sorted(listed) == ROOMS and len(ROOMS) <= 20


def test_every_package_is_protected_by_its_face():
    protected = [each for each in CONTRACTS["contracts"] if each["type"] == "protected"]
    assert [each["protected_modules"] for each in protected] == [
        [f"helpers.{name}.*"] for name in sorted(PACKAGES, key=lambda name: order(name))
    ]


def order(room):
    return -CONTRACTS["contracts"][0]["layers"].index(room)


def test_no_file_needs_a_table_of_contents():
    lines = {path: len(path.read_text().splitlines()) for path in FOLDER.rglob("*.py")}
    assert {path.name: count for path, count in lines.items() if count > 450} == {}


def test_the_docstring_of_what_notebooks_call_names_some_of_them_and_no_other():
    notebooks = (PROJECT / "notebooks").glob("0*.ipynb")
    code = {path.name: path.read_text(encoding="utf-8") for path in notebooks}
    for room in ROOMS:
        for name, function in vars(importlib.import_module(f"helpers.{room}")).items():
            called = {each for each, source in code.items() if f"{room}.{name}(" in source}
            named = re.findall(r"notebooks/(\w+\.ipynb)", inspect.getdoc(function) or "")
            assert not called or (named and called >= set(named)), f"{room}.{name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_imports_takes_no_longer_than_it_must(package):
    """Keras takes seconds to import: who reads a corpus or draws a figure does not wait for it."""
    networks = {"models", "training", "tuning", "comparison", "inference"}
    # Where Keras is imported, it ends there.
    code = f"""
import sys

class Keras:
    def find_spec(name, path=None, target=None):
        if name == "keras":
            sys.exit(11)

sys.meta_path.insert(0, Keras)
import helpers.{package}
sys.exit(10)"""
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode
    assert loaded == 10 + (package in networks)
