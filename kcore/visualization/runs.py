"""A run of training as curves, whatever keeps it: a History, a CSVLogger's file, a dict or a DataFrame."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kcore.callbacks.history import History

#: name -> (epochs from 1, values), epochs without a value left out
Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def curves_of(run: Any, name: str = "the run") -> Curves:
    """The curves of a run.

    Args:
        run: a `History`, the path of a file that a `CSVLogger` wrote, a dict of lists, or a pandas DataFrame with a
            column per name (and one called ``epoch``, or the epochs as its index).
        name: what messages call it.

    Raises:
        TypeError: something else.
        ValueError: there is nothing in it to draw.

    Example:
        >>> epochs, values = curves_of({"loss": [0.5, 0.25]})["loss"]
        >>> epochs.tolist(), values.tolist()
        ([1, 2], [0.5, 0.25])
    """
    if isinstance(run, History):
        first = run.epoch[0] if run.epoch and len(run.epoch) == max(map(len, run.history.values())) else 0
        table = {key: ([row + first for row in run.rows(key)], values) for key, values in run.history.items()}
    elif isinstance(run, str | os.PathLike):
        table = _columns(_read(Path(run)))
    elif isinstance(run, Mapping):
        table = _columns(run)
    elif hasattr(run, "columns") and hasattr(run, "to_dict"):
        columns = run.to_dict("list")
        columns.setdefault("epoch", list(run.index))
        table = _columns(columns)
    else:
        raise TypeError(
            f"{name}: expected a History, the path of a CSVLogger's file, a dict of lists or a DataFrame, "
            f"received {run!r} of type {type(run).__name__}"
        )
    curves: Curves = {}
    for key, (epochs, values) in table.items():
        numbers = _numbers(values)
        there = ~np.isnan(numbers)
        if there.any():
            curves[key] = (np.asarray(epochs, dtype="int64")[there] + 1, numbers[there])
    if not curves:
        raise ValueError(f"{name} holds no values to draw: it has not finished an epoch")
    return curves


def _columns(run: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    epochs = run.get("epoch")
    if epochs is not None:
        epochs = [int(float(epoch)) for epoch in epochs]
    return {
        str(key): (range(len(values)) if epochs is None else epochs, list(values))
        for key, values in run.items()
        if key != "epoch"
    }


def _read(path: Path) -> dict[str, list[str]]:
    """The columns of a file; what separates them is seen from its first line."""
    with path.open(newline="", encoding="utf-8") as file:
        header = file.readline()
        if not header.startswith("epoch") or len(header.strip()) <= len("epoch"):
            raise ValueError(f"{path} is no file of a CSVLogger: it begins with {header.strip()[:60]!r}")
        names, *rows = csv.reader([header, *file], delimiter=header[len("epoch")])
    whole = [row for row in rows if len(row) == len(names)]
    return {name: [row[i] for row in whole] for i, name in enumerate(names)}


def _numbers(values: Any) -> np.ndarray:
    """Values as floats, NaN for what is no single number."""

    def as_float(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return float("nan")

    return np.array([as_float(value) for value in values], dtype="float64")
