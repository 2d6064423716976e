"""Run every benchmark, print one table and keep it: what `make bench` calls."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path

import joblib
import pandas as pd

from helpers.results import commit, save_results, versions
from helpers.storage import output_folder
from tests.benchmarks.measuring import Row

#: From the quickest to the longest.
MODULES = ("startup", "extraction", "training", "scale", "stages")


def machine() -> str:
    """Processor, cores and memory."""
    processor = platform.processor() or platform.machine()
    memory = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        lines = {name.strip(): value.strip() for name, value in lines.items()}
        processor = lines.get("model name", processor)
        fast = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in lines["flags"]]
        processor += f" ({', '.join(fast)})"
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return f"{processor}, {joblib.cpu_count()} cores{memory}"


def table(rows: list[Row]) -> pd.DataFrame:
    """Rows as they are printed, with a ratio: above 1 is better than what it is compared with."""
    frame = pd.DataFrame(rows)
    better = frame["value"] / frame["other"]
    lower_is_better = frame["unit"].isin(["s", "MB", "points"])
    frame["ratio"] = better.where(~lower_is_better, 1 / better)
    return frame


def main() -> int:
    """Measure what was asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("modules", nargs="*", help=", ".join(MODULES))
    chosen = parser.parse_args().modules or MODULES
    if unknown := set(chosen) - set(MODULES):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(MODULES)}")
    path = output_folder() / "report" / "benchmarks" / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows = importlib.import_module(f"tests.benchmarks.{name}").measure()
        kept[name] = {
            "machine": machine(),
            "date": date.today().isoformat(),
            "code": commit(),
            "versions": versions(),
            "rows": [row._asdict() for row in rows],
        }
        ordered = {module: kept[module] for module in MODULES if module in kept}
        save_results(path, {"results": ordered}, made_by={"command": "make bench"})
    rows = [Row(**row) for name in chosen for row in kept[name]["rows"]]
    with pd.option_context(
        "display.width", 200, "display.max_colwidth", 70, "display.max_rows", None
    ):
        print(f"\n{machine()}\n")
        print(table(rows).to_string(index=False, float_format="{:.3g}".format, na_rep=""))
    print(f"\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
