"""Tables as a reader wants them: few columns, few digits, no raw values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.metrics import rounded

#: Keeps the ends of an interval on one line. A narrow table breaks before the interval.
BLANK = "\N{NO-BREAK SPACE}"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Each score of a table and its interval in one cell.

    Args:
        table: see `evaluation.compare`; other columns, such as costs, are left out

    Examples:
        >>> from helpers.evaluation import compare
        >>> print(*readable(compare([1, 2, 3], {"median": [2, 2, 2]})).loc["median", "mae"].split())
        0.67 [0.00, 1.00]

    See: notebooks/03_model.ipynb
    """
    with_interval = [name for name, part in table.columns if part == "low"]
    return pd.DataFrame({name: table[name].apply(_interval, axis=1) for name in with_interval})


def joined(table: pd.DataFrame, value: str = "value") -> pd.DataFrame:
    """A table whose columns `value`, ``low`` and ``high`` are one, the score with its interval.

    Args:
        table: a row a number
        value: the column of the number, which keeps its place

    Examples:
        >>> row = {"bias": 0.5, "low": 0.25, "high": 0.75, "clips": 9}
        >>> joined(pd.DataFrame([row]), "bias").loc[0].tolist() == [f"0.50 [0.25,{BLANK}0.75]", 9]
        True
        >>> joined(pd.DataFrame([{"value": 0.5, "low": 0.5, "high": 0.5}])).columns.tolist()
        ['value']

    See: notebooks/05_error_analysis.ipynb
    """
    ends = table[[value, "low", "high"]].set_axis(["value", "low", "high"], axis=1)
    return table.drop(columns=["low", "high"]).assign(**{value: ends.apply(_interval, axis=1)})


def _interval(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return "–"
    if pd.isna(row["low"]):
        return rounded(row["value"])[0]
    value, low, high = rounded(row["value"], row["low"], row["high"])
    return f"{value} [{low},{BLANK}{high}]"


def plain(value: Any) -> str:
    """A value of a table as it reads: three digits that count, no brackets, no types.

    Args:
        value: a number, a text, or a sequence of them; a sequence of pairs holds sizes

    Examples:
        >>> [plain(value) for value in (13640.659, 0.00787, 8, np.float64(0.5), None, True)]
        ['13,600', '0.00787', '8', '0.5', '–', 'yes']
        >>> plain([0.3, 0.5]), plain(((12, 16), (18, 24)))
        ('0.3, 0.5', '12 × 16, 18 × 24')
        >>> plain("grid"), plain(False), plain(100.2)
        ('grid', 'no', '100')

    See: notebooks/04_tuning.ipynb
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        pairs = [each for each in value if isinstance(each, Sequence) and not isinstance(each, str)]
        return ", ".join([" × ".join(map(plain, each)) for each in pairs] or map(plain, value))
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return "–"
    if isinstance(value, Real):
        rounded = float(f"{value:.3g}")
        return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"
    return str(value)


def p_value(p: float) -> str:
    """A p-value with three decimals; below that, that it is below.

    Examples:
        >>> p_value(0.0312), p_value(0.00001), p_value(float("nan"))
        ('0.031', '< 0.001', '–')

    See: notebooks/05_error_analysis.ipynb
    """
    if pd.isna(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
