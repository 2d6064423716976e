import importlib
import json
import subprocess
import sys

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import scale
from tests.benchmarks.measuring import Cost, Row, in_new_process, in_turns


@pytest.mark.parametrize(
    ("row", "ratio"),
    [
        (Row("step", 0.5, "s", "stock", 2.0), 4),
        (Row("extraction", 300, "clips/s", "librosa", 100), 3),
        (Row("memory", 200, "MB", "stock", 100), 0.5),
    ],
)
def test_a_ratio_above_one_is_better_whatever_the_unit(row, ratio):
    assert bench.table([row])["ratio"].item() == pytest.approx(ratio)


def test_functions_are_timed_in_turns_after_one_call_each():
    calls = []
    times = in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, rounds=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert set(times) == {"a", "b"} and all(seconds >= 0 for seconds in times.values())


def test_memory_is_that_of_the_new_process():
    number, little = in_new_process("print(7)")
    _, much = in_new_process("block = b'x' * 300_000_000\nprint(len(block))")
    assert number == 7
    assert 250 < much - little < 350


def test_the_cost_of_a_block_is_that_of_its_children_too():
    sleep = "block = b'x' * 300_000_000; import time; time.sleep(1)"
    with Cost() as little:
        pass
    costs = []
    for _ in range(2):  # a copy of this process, before it becomes the other one, may be counted
        with Cost() as much:
            subprocess.run([sys.executable, "-c", sleep], check=True)
        costs.append(much.memory)
    much.memory = min(costs)
    assert 250 < much.memory - little.memory < 400
    assert little.seconds < 1 < much.seconds


def test_a_corpus_goes_through_the_whole_path_and_ten_times_as_many_clips_are_compared(
    monkeypatch,
):
    monkeypatch.setattr(scale, "SIZES", (64,))
    once = scale.measure()
    assert len(once) == 2 * len(scale.STAGES) and all(row.value > 0 for row in once)
    numbers = {64: [row.value for row in once], 640: [row.value * 9 for row in once]}
    monkeypatch.setattr(scale, "SIZES", tuple(numbers))
    monkeypatch.setattr(scale, "corpus_of", lambda clips, folder: clips)
    monkeypatch.setattr(scale, "in_new_process", lambda clips: [*numbers[clips], 0.0])
    rows = {row.what: row for row in scale.measure()}
    more = rows["predict, 640 clips"]
    assert (more.value, more.other) == (9 * once[-2].value, 10 * once[-2].value)


def test_results_are_kept_beside_those_of_other_modules(output, monkeypatch, capsys):
    for name in ("training", "startup"):
        module = importlib.import_module(f"tests.benchmarks.{name}")
        monkeypatch.setattr(module, "measure", lambda: [Row("x", 1.0, "s", "y", 2.0)])
    for name in ("training", "startup"):
        monkeypatch.setattr("sys.argv", ["benchmarks", name])
        assert bench.main() == 0
    kept = json.loads((output / "report" / "benchmarks" / "results.json").read_text())["results"]
    assert list(kept) == ["startup", "training"]
    assert kept["startup"]["rows"][0]["what"] == "x" and kept["startup"]["machine"]
    assert "ratio" in capsys.readouterr().out


def test_a_module_that_does_not_exist_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "there is no speed; there are startup, extraction" in capsys.readouterr().err
