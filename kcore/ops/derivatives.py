"""Derivatives as ops: `jvp`, the forward mode, and `custom_gradient`, a function with a gradient of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.dtypes import is_float
from kcore.graph.op import OPS
from kcore.ops.shape import _tensor
from kcore.runtime.tape import GradientTape
from kcore.tree import flatten, map_structure, pack_sequence_as

__all__ = ["jvp"]


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """A function's value, and how it changes as its arguments move along the tangents: the forward derivative.

    It is the derivative of the reverse derivative, which is linear in what it is seeded with.

    Args:
        fun: a function of tensors, or structures of them, that returns a tensor or a structure.
        primals: its arguments, a tuple or list.
        tangents: a direction of the same structure and shapes.
        has_aux: whether `fun` returns a pair, of which the second is not differentiated.

    Returns: ``(fun(*primals), tangents of it)``, and what `fun` returned beside if `has_aux`.

    Raises:
        ValueError: primals and tangents of different structures or shapes.

    Example:
        >>> from kcore import ops
        >>> value, slope = ops.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> float(value), float(slope)
        (9.0, 6.0)

    Source: `keras.ops.jvp`.
    """
    points, moves = [_tensor(x) for x in flatten(list(primals))], [_tensor(x) for x in flatten(list(tangents))]
    if [tuple(x.shape) for x in points] != [tuple(x.shape) for x in moves]:
        raise ValueError(
            f"jvp: expected tangents of the shapes of primals, {[tuple(x.shape) for x in points]}; "
            f"received {[tuple(x.shape) for x in moves]}"
        )
    points = [OPS["identity"](x) for x in points]
    with GradientTape() as outer:
        with GradientTape(persistent=True) as inner:
            inner.watch(points)
            result = fun(*pack_sequence_as(list(primals), points))
        value, aux = result if has_aux else (result, None)
        outputs = flatten(value)
        floats = [y for y in outputs if is_float(y.dtype)]
        seeds = [OPS["zeros_like"](y) for y in floats]
        outer.watch(seeds)
        pulled = inner.gradient(floats, points, seeds) if floats else [None] * len(points)
    pairs = [(g, t) for g, t in zip(pulled, moves, strict=True) if g is not None]
    slopes: list[Any] = [None] * len(seeds)
    if pairs:
        slopes = outer.gradient([g for g, _ in pairs], seeds, [OPS["cast"](t, dtype=g.dtype) for g, t in pairs])
    found = iter(OPS["zeros_like"](y) if s is None else s for s, y in zip(slopes, floats, strict=True))
    moved = map_structure(lambda y: next(found) if is_float(y.dtype) else OPS["zeros_like"](y), value)
    return (value, moved, aux) if has_aux else (value, moved)
