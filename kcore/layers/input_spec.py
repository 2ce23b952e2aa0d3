"""What a layer expects of its inputs, and the errors that say what came instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore.declare import Configurable, argument
from kcore.dtypes import standardize_dtype
from kcore.registry import public
from kcore.tree import flatten


@public("keras", "InputSpec")
class InputSpec(Configurable):
    """Rank, shape and dtype an input must have.

    Args:
        dtype: its dtype.
        shape: its shape; None where any size will do.
        ndim: its rank.
        max_ndim: largest rank.
        min_ndim: smallest rank.
        axes: axis -> size it must have.
        allow_last_axis_squeeze: whether a trailing 1 may be there or not.
        name: key under which it is expected in a dict of inputs.
        optional: whether None will do.

    Example:
        >>> InputSpec(min_ndim=2, axes={-1: 8})
        InputSpec(rank of at least 2, size 8 along axis -1)
    """

    dtype: str | None = argument(None)
    shape: Sequence[int | None] | None = argument(None)
    ndim: int | None = argument(None)
    max_ndim: int | None = argument(None)
    min_ndim: int | None = argument(None)
    axes: Mapping[int, int | None] = argument(None, lambda axes: {int(k): v for k, v in (axes or {}).items()})
    allow_last_axis_squeeze: bool = argument(False, config=False)
    name: str | None = argument(None, config=False)
    optional: bool = argument(False)

    def __post_init__(self) -> None:
        self.dtype = None if self.dtype is None else standardize_dtype(self.dtype)
        if self.shape is not None:
            self.shape = tuple(self.shape)
            self.ndim = len(self.shape)

    def problem(self, shape: tuple[int | None, ...], dtype: str) -> str | None:
        """What is wrong with an input, in words, or None."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim and not self.allow_last_axis_squeeze:
            return f"expected rank {self.ndim}, got rank {rank}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected a rank of at most {self.max_ndim}, got rank {rank}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected a rank of at least {self.min_ndim}, got rank {rank}"
        if self.dtype is not None and dtype != self.dtype:
            return f"expected dtype {self.dtype}, got {dtype}"
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                return f"expected size {size} along axis {axis}, got {shape[axis]}"
        if self.shape is not None:
            wanted = tuple(self.shape)
            ways = [(wanted, shape)]
            if self.allow_last_axis_squeeze:
                ways += [(_without_last_one(wanted), shape), (wanted, _without_last_one(shape))]
            if not any(_fits(*way) for way in ways):
                return f"expected shape {tuple(self.shape)}"
        return None

    def __repr__(self) -> str:
        parts = [
            f"dtype {self.dtype}" if self.dtype else "",
            f"shape {self.shape}" if self.shape else f"rank {self.ndim}" if self.ndim is not None else "",
            f"rank of at most {self.max_ndim}" if self.max_ndim is not None else "",
            f"rank of at least {self.min_ndim}" if self.min_ndim is not None else "",
            *(f"size {size} along axis {axis}" for axis, size in self.axes.items()),
        ]
        return f"InputSpec({', '.join(p for p in parts if p)})"


def _fits(wanted: tuple, shape: tuple) -> bool:
    return len(wanted) == len(shape) and all(w in (None, d) or d is None for w, d in zip(wanted, shape, strict=True))


def _without_last_one(shape: tuple) -> tuple:
    return shape[:-1] if shape and shape[-1] == 1 else shape


def check_inputs(specs: Any, inputs: Any, layer: Any) -> None:
    """Raise ValueError, naming the layer and what came, if inputs do not fit their specs.

    Args:
        specs: an `InputSpec`, a structure of them, or None.
        inputs: the layer's first argument.
        layer: whose inputs they are.
    """
    if not specs:
        return
    flat = [specs] if isinstance(specs, InputSpec) else flatten(specs)
    names = [s.name for s in flat if s is not None]
    if isinstance(inputs, dict) and len(names) == len(flat) and all(names):
        missing = [n for n in names if n not in inputs]
        if missing:
            raise ValueError(
                f"{describe_layer(layer)}: input {missing[0]!r} is missing; expected {names}, got {list(inputs)}"
            )
        inputs = [inputs[n] for n in names]
    tensors = flatten(inputs)
    if len(tensors) != len(flat):
        raise ValueError(f"{describe_layer(layer)} expects {len(flat)} input(s), got {len(tensors)}")
    for i, (x, spec) in enumerate(zip(tensors, flat, strict=True)):
        if spec is None or (x is None and spec.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(f"{describe_layer(layer)}: inputs must be tensors, got {x!r} of type {type(x).__name__}")
        problem = spec.problem(tuple(x.shape), str(x.dtype))
        if problem:
            which = f"input {spec.name or i}" if len(flat) > 1 or spec.name else "the input"
            raise ValueError(
                f"{describe_layer(layer)}: {which} has shape {tuple(x.shape)} and dtype {x.dtype}: {problem}"
            )


def describe_layer(layer: Any) -> str:
    """A layer in an error message: its name and class."""
    return f"layer {layer.name!r} ({type(layer).__name__})"
