"""``kcore summary FILE``: what a saved file holds, in any form, without making the model."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kcore.cli.display import print_table
from kcore.cli.files import telling_trouble


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", type=Path, help="a model, weights, or an architecture: .keras, .h5, .json, .yaml, ...")


@telling_trouble
def run(args: argparse.Namespace) -> int:
    """Print the file's form and writer, its layers or weights, the number of parameters, the optimizer's step."""
    from kcore.saving.inspection import contents

    found = contents(args.file)
    print(f"{args.file}: {found.form}")
    print(f"written by: {found.writer}")
    if found.model is not None:
        print(f"model: {found.model}, {len(found.layers)} layers")
        print()
        print_table(("layer", "class", "arguments"), [(e.name, e.kind, arguments(e.config)) for e in found.layers])
    if found.weights:
        print()
        rows = [(name, str(a.shape), a.dtype.name, f"{a.size:,}") for name, a in found.weights.items()]
        print_table(("weight", "shape", "dtype", "parameters"), rows)
        total = sum(array.nbytes for array in found.weights.values())
        print(f"\nparameters: {count(found.weights):,} ({_bytes(total)})")
    print(f"compiled: {_compiled(found.compile)}")
    if found.optimizer:
        step = "" if found.step is None else f", step {found.step}"
        print(f"training state: {len(found.optimizer)} arrays{step}")
    return 0


def count(arrays: Mapping[str, np.ndarray]) -> int:
    """Numbers in some arrays."""
    return sum(math.prod(array.shape) for array in arrays.values())


#: Arguments that say nothing about a layer, or are shown elsewhere.
_DULL = ("name", "trainable", "dtype", "kernel_initializer", "bias_initializer", "seed")


def arguments(config: Mapping[str, Any]) -> str:
    """The arguments of a layer that are plain values and not the obvious ones.

    Example:
        >>> arguments({"name": "a", "units": 3, "activation": "relu", "use_bias": True, "kernel_regularizer": None})
        'units=3, activation=relu'
    """
    shown = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            value = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
        if key not in _DULL and "initializer" not in key and not isinstance(value, bool) and value is not None:
            shown[key] = value
    listed = ", ".join(f"{key}={value}" for key, value in shown.items())
    return listed if len(listed) <= 90 else f"{listed[:87]}..."


def _compiled(config: Any) -> str:
    if not isinstance(config, Mapping):
        return "no"
    optimizer = config.get("optimizer") or config.get("optimizer_config") or {}
    name = optimizer.get("class_name") if isinstance(optimizer, Mapping) else optimizer
    loss = config.get("loss")
    loss = loss.get("class_name") if isinstance(loss, Mapping) and "class_name" in loss else loss
    return f"{name}, loss {loss}"


def _bytes(nbytes: int) -> str:
    from kcore.models.summary import readable_size

    return readable_size(nbytes)
