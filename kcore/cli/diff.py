"""``kcore diff A B``: what differs between two saved files, and by how much."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kcore.cli.display import print_table
from kcore.cli.files import telling_trouble

#: How much of a value is shown.
LONGEST = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", type=Path, help="a model, weights, or an architecture, in any form")
    parser.add_argument("second", type=Path, help="another")
    parser.add_argument("--tolerance", type=float, default=0.0, help="differences of weights up to this are none")
    parser.epilog = "exit status: 0 nothing differs, 1 something does, 2 a file cannot be read"


@telling_trouble
def run(args: argparse.Namespace) -> int:
    """Print layers, configurations, weights and training state that differ; 0 if nothing does, else 1."""
    from kcore.saving.inspection import comparable, contents

    a, b = comparable(contents(args.first), contents(args.second))
    rows: list[tuple[str, str, str, str]] = []
    if a.model is not None and b.model is not None:
        rows += _layers(a.layers, b.layers)
        rows += [("compile", *row) for row in _values(a.compile, b.compile)]
    pairs = _paired(a.weights, b.weights) if a.weights and b.weights else ([], [])
    rows += [("weight", *row) for row in _arrays(*pairs, args.tolerance)]
    if a.optimizer and b.optimizer:
        rows += [("training", *row) for row in _arrays(*_paired(a.optimizer, b.optimizer), args.tolerance)]
    if rows:
        print_table(("what", "where", str(args.first), str(args.second)), rows)
    for what, mine, other in (
        ("an architecture", a.model, b.model),
        ("weights", a.weights, b.weights),
        ("training state", a.optimizer, b.optimizer),
    ):
        if bool(mine) != bool(other):
            print(f"only {args.first if mine else args.second} holds {what}")
    if not rows:
        print("what both hold is the same")
    return 1 if rows else 0


def _layers(first: list[Any], second: list[Any]) -> list[tuple[str, str, str, str]]:
    a, b = ({entry.name: entry for entry in entries} for entries in (first, second))
    rows = []
    for name in [*a, *(name for name in b if name not in a)]:
        if name not in a or name not in b:
            rows.append(("layer", name, a[name].kind if name in a else "-", b[name].kind if name in b else "-"))
        elif a[name].kind != b[name].kind:
            rows.append(("layer", name, a[name].kind, b[name].kind))
        else:
            rows += [
                ("argument", f"{name}.{key}", mine, other)
                for key, mine, other in _values(a[name].config, b[name].config)
            ]
    return rows


def _values(a: Any, b: Any, where: str = "") -> list[tuple[str, str, str]]:
    """Where two structures of plain values differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        found = []
        for key in [*a, *(key for key in b if key not in a)]:
            place = f"{where}.{key}" if where else str(key)
            found += _values(a.get(key), b.get(key), place)
        return found
    same = a == b or (isinstance(a, list | tuple) and isinstance(b, list | tuple) and list(a) == list(b))
    return [] if same else [(where or "arguments", _short(a), _short(b))]


def _short(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


Arrays = list[tuple[str, np.ndarray | None]]


def _paired(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
    """Arrays side by side: by their names, or in order where two forms give no name alike.

    Raises:
        ValueError: nothing says which array belongs to which.
    """
    if not set(a) & set(b):
        if [array.shape for array in a.values()] != [array.shape for array in b.values()]:
            raise ValueError(
                "the two files give their weights different names and orders, so nothing says which belong together; "
                "load each into its model, save both as .keras, and compare those"
            )
        return list(a.items()), list(b.items())
    names = [*a, *(name for name in b if name not in a)]
    return [(name, a.get(name)) for name in names], [(name, b.get(name)) for name in names]


def _arrays(first: Arrays, second: Arrays, tolerance: float) -> list[tuple[str, str, str]]:
    rows = []
    for (name, a), (other, b) in zip(first, second, strict=True):
        where = name if name == other else f"{name} | {other}"
        if a is None or b is None:
            rows.append((where, "-" if a is None else _kind(a), "-" if b is None else _kind(b)))
        elif a.shape != b.shape or a.dtype != b.dtype:
            rows.append((where, _kind(a), _kind(b)))
        elif not np.array_equal(a, b):
            x, y = (array.astype("float64") for array in (a, b))
            apart = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
            if not float(np.max(apart)) <= tolerance:
                norm = float(np.linalg.norm(x))
                share = f", {float(np.linalg.norm(apart)) / norm:.2g} of its norm" if norm else ""
                rows.append((where, _kind(a), f"differs by up to {np.max(apart):.3g}{share}"))
    return rows


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype.name} {array.shape}"
