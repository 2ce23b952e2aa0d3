"""Shape arithmetic that the ops' infer rules share; a dimension is an int, or None where unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from kcore.graph.op import Shape, Spec


def canonical_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """A non-negative axis.

    Raises:
        ValueError: there is no such axis.
    """
    axis = index(axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{what} {axis} is out of range for a tensor with {ndim} dimensions")
    return axis + ndim if axis < 0 else axis


def canonical_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes; None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = [canonical_axis(a, ndim) for a in axis] if isinstance(axis, Iterable) else [canonical_axis(axis, ndim)]
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} names a dimension twice")
    return tuple(sorted(axes))


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcast of shapes; an unknown dimension against n > 1 is n.

    Raises:
        ValueError: the shapes do not fit.
    """
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    ndim = max(map(len, shapes))
    result: list[int | None] = []
    for i in range(ndim):
        dim: int | None = 1
        for shape in shapes:
            d = shape[i - ndim + len(shape)] if i - ndim + len(shape) >= 0 else 1
            if d == 1 or d == dim:
                continue
            if dim == 1 or dim is None:
                dim = d if d is not None or dim == 1 else dim
            elif d is not None:
                raise ValueError(
                    f"shapes {' and '.join(map(str, shapes))} cannot be broadcast together: {dim} against {d}"
                )
        result.append(dim)
    return tuple(result)


def size_of(shape: Sequence[int | None]) -> int | None:
    """Number of elements, None if a dimension is unknown."""
    n = 1
    for d in shape:
        if d is None:
            return None
        n *= d
    return n


def same(x: Spec, *others: Any, **attrs: Any) -> Spec:
    """Infer rule: output like the first input."""
    return x


def elementwise(*specs: Spec | None, **attrs: Any) -> Spec:
    """Infer rule: shapes broadcast, dtype of the first input."""
    present = [s for s in specs if s is not None]
    return Spec(broadcast(*[s.shape for s in present]), present[0].dtype)


def predicate(*specs: Spec, **attrs: Any) -> Spec:
    """Infer rule: shapes broadcast, dtype bool."""
    return Spec(broadcast(*[s.shape for s in specs]), "bool")


def reduced(shape: Shape, axis: tuple[int, ...], keepdims: bool) -> Shape:
    """A shape with axes summed away."""
    if keepdims:
        return tuple(1 if i in axis else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axis)
