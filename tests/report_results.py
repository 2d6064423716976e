"""Results files that the report can be made of, until all of them are committed.

Only what is missing is added. Delete this module and its call in tests/test_report.py once the
committed results hold every key.
"""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def score(value: float, half: float = 0.05) -> Json:
    """A score with its interval."""
    return {"value": value, "low": value - half, "high": value + half}


def scores(mae: float, ccc: float, **more: Json) -> Json:
    """Scores of one model."""
    return {"mae": score(mae), "rmse": score(mae + 0.15), "ccc": score(ccc), **more}


def against(mae: float, ccc: float, median: float = 0.86) -> Json:
    """Scores of one model over folds, with its gains over the median."""
    gains = {"mae gain": score(median - mae), "ccc gain": score(ccc)}
    return scores(mae, ccc, pearson=score(ccc), **gains)


FOLDS: Json = {"by": "speaker", "folds": 3, "seeds": 3, "speakers": 20}
VERDICTS = {True: "yes", False: "not shown"}


def complete(folder: Path) -> None:
    """Add what the results files in a folder lack."""
    for name, add in (
        ("corpus", _corpus),
        ("model", _model),
        ("tuning", _tuning),
        ("errors", _errors),
    ):
        path = folder / f"{name}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        add(content)
        path.write_text(json.dumps(content), encoding="utf-8")


def _corpus(corpus: Json) -> None:
    for key, value in {"categories": None, "calm": None, "duplicates": 0}.items():
        corpus.setdefault(key, value)


def _model(model: Json) -> None:
    for split in model["splits"].values():
        split.setdefault("speakers", 4 if split["by"] == "speaker" else 20)
        split["scores"].setdefault("cnn_blstm", scores(0.4, 0.85, pearson=score(0.86)))
        split["against_median"].setdefault("cnn_blstm", score(0.45))
    rows = {
        "median": against(0.86, 0.0),
        "parallel_cnn": against(0.61, 0.66),
        "cnn_blstm": against(0.45, 0.80),
        "noise_floor": against(0.29, 0.93),
    }
    model.setdefault("folds", {**FOLDS, "scores": rows, "against_blstm": score(-0.16)})
    starts = [("0", "moving"), ("0", "taken anew"), ("median", "moving"), ("median", "taken anew")]
    model.setdefault(
        "starts",
        [
            {
                "start": start,
                "statistics": statistics,
                "seeds": 3,
                "filters": 24,
                "mae": 1.1 - 0.1 * i,
                "bias": -0.8 + 0.2 * i,
                "maes": [1.0 - 0.1 * i, 1.1 - 0.1 * i, 1.2 - 0.1 * i],
            }
            for i, (start, statistics) in enumerate(starts)
        ],
    )


def _tuning(tuning: Json) -> None:
    tuning.setdefault("median", 0.85)
    tuning.setdefault("better_than_median", 4)
    tuning.setdefault("rows", 12)
    tuning.setdefault("test_speakers", 4)
    tuning["bayesian"]["difference"].setdefault("seeds", 3)
    tuning.setdefault("by_clip", {"median": scores(0.87, 0.0), "tuned": scores(0.47, 0.78)})
    rows = {"median": against(0.86, 0.0), "tuned": against(0.55, 0.72)}
    tuning.setdefault("folds", {**FOLDS, "scores": rows})


def _errors(errors: Json) -> None:
    if "parallel_cnn" in errors["scores"]:
        errors["scores"]["tuned"] = errors["scores"].pop("parallel_cnn")
    errors.setdefault("folds", {**FOLDS, "clips": 360})
    errors["slopes"].setdefault("intercept of rating on prediction", score(0.4, 0.3))
    errors["slopes"].setdefault("mean error", score(-0.1))
    for factor in errors["factors"].values():
        factor.setdefault("raw", factor["value"])
        factor.setdefault("constant", 0.1)
    for claim in errors["claims"].values():
        claim.setdefault("verdict", VERDICTS[claim["holds"]])
