"""Ops that move elements without computing: reshape, transpose, slice, concatenate, pad."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from kcore.graph.op import OPS, Op, Spec, primitive, sample
from kcore.ops.shapes import canonical_axes, canonical_axis, same, size_of


def _tensor(x: Any) -> Any:
    return x if hasattr(x, "shape") and isinstance(getattr(x, "dtype", None), str) else OPS["identity"](x)


def _ints(shape: Any) -> tuple:
    if isinstance(shape, int | np.integer):
        return (int(shape),)
    return tuple(d if d is None else index(d) for d in shape)


# -- aliasing and views ----------------------------------------------------------------------------------------------


def _reshape_unknown(x: Spec, shape: tuple) -> tuple:
    """The shape with what is known of -1, where sizes of x are not: if both lack the same ones, the rest must fit."""
    unknown = [i for i, d in enumerate(x.shape) if d is None]
    if unknown != [i for i, d in enumerate(shape) if d is None]:
        return tuple(None if d == -1 else d for d in shape)
    n = math.prod(d for d in x.shape if d is not None)
    rest = math.prod(d for d in shape if d not in (None, -1))
    fits = rest == n if -1 not in shape else shape.count(-1) == 1 and rest and n % rest == 0
    if not fits:
        raise ValueError(f"reshape: cannot reshape {x} into {shape}")
    return tuple(n // rest if d == -1 else d for d in shape)


def _reshape_infer(x: Spec, *, shape: tuple) -> Spec:
    n = size_of(x.shape)
    if n is None:
        return Spec(_reshape_unknown(x, shape), x.dtype)
    if None in shape:  # a model's unknown sizes, known now
        if shape.count(None) == 1 and -1 not in shape:
            shape = tuple(-1 if d is None else d for d in shape)
        else:
            shape = tuple(x.shape[i] if d is None and i < x.ndim else d for i, d in enumerate(shape))
        if None in shape:
            raise ValueError(f"reshape: cannot tell the unknown sizes of {shape} for {x}")
    if -1 in shape:
        rest = math.prod(d for d in shape if d != -1)
        if shape.count(-1) > 1 or (rest and n % rest) or (not rest and n):
            raise ValueError(f"reshape: cannot reshape {x} into {shape}")
        missing = n // rest if rest else 0
        return Spec(tuple(missing if d == -1 else d for d in shape), x.dtype)
    if math.prod(shape) != n:
        raise ValueError(f"reshape: cannot reshape {x} ({n} elements) into {shape} ({math.prod(shape)} elements)")
    return Spec(shape, x.dtype)


@primitive(
    "shape",
    "reshape",
    infer=_reshape_infer,
    aliases=True,
    samples=[
        sample((3, 4), shape=(2, 6)),
        sample((2, 3, 5), shape=(30,)),
        sample((0, 3), shape=(3, 0)),
        sample((1,), shape=()),
    ],
)
def _reshape(x, *, shape):
    """The same elements in another shape."""
    return np.reshape(x, shape)


_reshape.gradient(lambda ctx, g: _reshape(g, shape=tuple(ctx.inputs[0].shape)))


def reshape(x: Any, newshape: Any) -> Any:
    """The same elements in row-major order in another shape; one dimension may be -1."""
    x = _tensor(x)
    shape = _ints(newshape)
    if -1 in shape and None not in shape and None not in x.shape:
        shape = tuple(_reshape_infer(Spec(tuple(x.shape), x.dtype), shape=shape).shape)
    return _reshape(x, shape=shape)


def expand_dims(x: Any, axis: Any) -> Any:
    """The tensor with new dimensions of size 1 at `axis` of the result."""
    x = _tensor(x)
    axes: list[Any] = [axis] if isinstance(axis, int | np.integer) else list(axis)
    ndim = len(x.shape) + len(axes)
    places = {canonical_axis(a, ndim) for a in axes}
    rest = iter(x.shape)
    return _reshape(x, shape=tuple(1 if i in places else next(rest) for i in range(ndim)))


def squeeze(x: Any, axis: Any = None) -> Any:
    """The tensor without its dimensions of size 1, or without those at `axis`."""
    x = _tensor(x)
    if axis is None:
        places = tuple(i for i, d in enumerate(x.shape) if d == 1)
    else:
        places = canonical_axes(axis, len(x.shape))
        for i in places:
            if x.shape[i] not in (1, None):
                raise ValueError(f"squeeze: dimension {i} of shape {tuple(x.shape)} is {x.shape[i]}, not 1")
    return _reshape(x, shape=tuple(d for i, d in enumerate(x.shape) if i not in places))


@primitive(
    "shape",
    "transpose",
    infer=lambda x, axes: Spec(tuple(x.shape[a] for a in axes), x.dtype),
    samples=[
        sample((3, 4), axes=(1, 0)),
        sample((2, 3, 5), axes=(2, 0, 1)),
        sample((17, 33), axes=(1, 0)),
        sample((0, 3), axes=(1, 0)),
    ],
)
def _transpose(x, *, axes):
    """Axes in another order: axis i of the result is axis axes[i] of the input."""
    return np.transpose(x, axes)


_transpose.gradient(lambda ctx, g: _transpose(g, axes=tuple(int(i) for i in np.argsort(ctx.attrs["axes"]))))


def transpose(x: Any, axes: Any = None) -> Any:
    """Axes in another order, reversed if `axes` is None."""
    x = _tensor(x)
    ndim = len(x.shape)
    order = tuple(range(ndim))[::-1] if axes is None else tuple(canonical_axis(a, ndim) for a in axes)
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"transpose: axes {axes} are no permutation of the {ndim} axes of shape {tuple(x.shape)}")
    return x if order == tuple(range(ndim)) else _transpose(x, axes=order)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = _tensor(x)
    order = list(range(len(x.shape)))
    a, b = canonical_axis(axis1, len(order)), canonical_axis(axis2, len(order))
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the rest keep their order."""
    x = _tensor(x)
    ndim = len(x.shape)
    sources = [canonical_axis(a, ndim) for a in ([source] if isinstance(source, int) else source)]
    targets = [canonical_axis(a, ndim) for a in ([destination] if isinstance(destination, int) else destination)]
    order = [i for i in range(ndim) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(x, order)


def _broadcast_infer(x: Spec, *, shape: tuple) -> Spec:
    for d, want in zip(x.shape[::-1], shape[::-1], strict=False):
        if d not in (1, want, None) and want is not None:
            raise ValueError(f"broadcast_to: cannot broadcast {x} to {shape}")
    if len(shape) < x.ndim:
        raise ValueError(f"broadcast_to: cannot broadcast {x} to {shape}, which has fewer dimensions")
    known = (None,) * (len(shape) - x.ndim) + tuple(x.shape)
    shape = tuple(d if want is None else want for d, want in zip(known, shape, strict=True))
    return Spec(shape, x.dtype)


@primitive(
    "shape",
    "broadcast_to",
    infer=_broadcast_infer,
    samples=[
        sample((4,), shape=(3, 4)),
        sample((2, 1, 3), shape=(2, 5, 3)),
        sample((), shape=(4,)),
        sample((1, 3), shape=(0, 3)),
    ],
)
def _broadcast_to(x, *, shape):
    """The elements repeated along dimensions of size 1 and new leading ones."""
    return np.broadcast_to(x, shape)


_broadcast_to.gradient(lambda ctx, g: OPS["sum_to"](g, shape=tuple(ctx.inputs[0].shape)))


def broadcast_to(x: Any, shape: Any) -> Any:
    """The elements repeated to `shape` by NumPy's broadcasting."""
    x = _tensor(x)
    return x if tuple(x.shape) == tuple(shape) else _broadcast_to(x, shape=_ints(shape))


def _slice_length(start: int, stop: int, step: int) -> int:
    return builtins.max(0, -(-(stop - start) // step))


def _slice_infer(x: Spec, *, start: tuple, stop: tuple, step: tuple) -> Spec:
    shape: list[int | None] = []
    for d, a, b, s in zip(x.shape, start, stop, step, strict=True):
        if b is None or (d is None and b == -1):
            shape.append(None if d is None or b is not None else _slice_length(a, d, s))
        elif d is not None and b > d:
            raise ValueError(f"slice: [{a}:{b}] is outside a dimension of {d} in {x}")
        else:
            shape.append(_slice_length(a, b, s))
    return Spec(tuple(shape), x.dtype)


@primitive(
    "shape",
    "slice",
    infer=_slice_infer,
    samples=[
        sample((5, 6), start=(1, 2), stop=(4, 6), step=(1, 1)),
        sample((17, 33), start=(0, 1), stop=(17, 33), step=(2, 3)),
        sample((4,), start=(2,), stop=(2,), step=(1,)),
    ],
)
def _slice(x, *, start, stop, step):
    """Every `step`-th element from `start` to before `stop`, per axis."""
    return x[tuple(map(builtins.slice, start, stop, step))]


@_slice.gradient
def _(ctx: Any, g: Any) -> Any:
    return unslice(g, shape=tuple(ctx.inputs[0].shape), **ctx.attrs)


@primitive(
    "shape", infer=lambda x, shape, start, stop, step: Spec(shape, x.dtype),
    samples=[
        sample((3, 4), shape=(5, 6), start=(1, 2), stop=(4, 6), step=(1, 1)),
        sample((9, 11), shape=(17, 33), start=(0, 1), stop=(17, 33), step=(2, 3)),
    ],
)  # fmt: skip
def unslice(x, *, shape, start, stop, step):
    """Zeros with `x` where the slice would have read."""
    y = np.zeros(shape, x.dtype)
    y[tuple(map(builtins.slice, start, stop, step))] = x
    return y


unslice.gradient(lambda ctx, g: _slice(g, **{k: ctx.attrs[k] for k in ("start", "stop", "step")}))


def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """A block of `shape` that begins at `start_indices`, as `keras.ops.slice`; -1 in shape means all that remain."""
    x = _tensor(inputs)
    start = _ints(start_indices)
    sizes = _ints(shape)
    stop = tuple(x.shape[i] if n == -1 else a + n for i, (a, n) in enumerate(zip(start, sizes, strict=True)))
    return _slice(x, start=start, stop=stop, step=(1,) * len(start))


@primitive(
    "shape",
    "flip",
    infer=lambda x, axes: x,
    samples=[sample((3, 4), axes=(0,)), sample((2, 3, 5), axes=(1, 2)), sample((17,), axes=(0,))],
)
def _flip(x, *, axes):
    """The elements in reverse order along axes."""
    return np.flip(x, axes)


_flip.gradient(lambda ctx, g: _flip(g, axes=ctx.attrs["axes"]))


def flip(x: Any, axis: Any = None) -> Any:
    """The elements in reverse order along axes, all of them if `axis` is None."""
    x = _tensor(x)
    return _flip(x, axes=canonical_axes(axis, len(x.shape)))


# -- joining and padding ---------------------------------------------------------------------------------------------


def _concatenate_infer(*xs: Spec, axis: int) -> Spec:
    first = xs[0]
    total: int | None = 0
    for x in xs:
        if x.ndim != first.ndim or any(
            i != axis and a != b and None not in (a, b)
            for i, (a, b) in enumerate(zip(x.shape, first.shape, strict=True))
        ):
            raise ValueError(f"concatenate: shapes {', '.join(str(s.shape) for s in xs)} differ beside axis {axis}")
        d = x.shape[axis]
        total = None if d is None or total is None else total + d
    return Spec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


@primitive(
    "shape",
    "concatenate",
    infer=_concatenate_infer,
    promote="common",
    samples=[sample((2, 3), (4, 3), axis=0), sample((2, 3), (2, 1), (2, 17), axis=1), sample((0, 3), (2, 3), axis=0)],
)
def _concatenate(*xs, axis):
    """Tensors joined along an axis."""
    return np.concatenate(xs, axis)


@_concatenate.gradient
def _(ctx: Any, g: Any) -> Any:
    axis, at, grads = ctx.attrs["axis"], 0, []
    for x in ctx.inputs:
        start, stop = [0] * len(g.shape), list(g.shape)
        start[axis], stop[axis] = at, at + x.shape[axis]
        at = stop[axis]
        grads.append(_slice(g, start=tuple(start), stop=tuple(stop), step=(1,) * len(start)))
    return grads


def concatenate(xs: Sequence[Any], axis: int = -1) -> Any:
    """Tensors joined along an axis."""
    xs = [_tensor(x) for x in xs]
    return _concatenate(*xs, axis=canonical_axis(axis, len(xs[0].shape)))


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape joined along a new axis."""
    xs = [_tensor(e) for e in x]
    axis = canonical_axis(axis, len(xs[0].shape) + 1)
    return _concatenate(*[expand_dims(e, axis) for e in xs], axis=axis)


def _pad_infer(x: Spec, *, pads: tuple, value: float) -> Spec:
    return Spec(tuple(None if d is None else d + a + b for d, (a, b) in zip(x.shape, pads, strict=True)), x.dtype)


@primitive(
    "shape",
    "pad",
    infer=_pad_infer,
    samples=[
        sample((3, 4), pads=((1, 2), (0, 3)), value=0.0),
        sample((5,), pads=((2, 0),), value=1.5),
        sample((0, 2), pads=((1, 1), (0, 0)), value=0.0),
    ],
)
def _pad(x, *, pads, value):
    """The tensor with a border of one value."""
    return np.pad(x, pads, constant_values=np.asarray(value).astype(x.dtype))


@_pad.gradient
def _(ctx: Any, g: Any) -> Any:
    x, pads = ctx.inputs[0], ctx.attrs["pads"]
    start = tuple(a for a, _ in pads)
    return _slice(
        g, start=start, stop=tuple(a + d for a, d in zip(start, x.shape, strict=True)), step=(1,) * len(start)
    )


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """The tensor with a border: of one value, or reflected, symmetric or edge values.

    Args:
        pad_width: ``(before, after)`` per axis, one pair for all axes, or one number for all sides.
        mode: ``"constant"``, ``"reflect"``, ``"symmetric"`` or ``"edge"``.
    """
    x = _tensor(x)
    ndim = len(x.shape)
    widths = np.broadcast_to(np.asarray(pad_width, dtype=int), (ndim, 2))
    pads = tuple((int(a), int(b)) for a, b in widths)
    if mode == "constant":
        return _pad(x, pads=pads, value=0.0 if constant_values is None else float(constant_values))
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'symmetric' or 'edge', got {mode!r}")
    for axis, (a, b) in enumerate(pads):
        if a or b:
            rows = np.pad(np.arange(x.shape[axis]), (a, b), mode=mode).astype("int32")  # type: ignore[call-overload]
            x = OPS["gather"](x, rows, axis=axis)
    return x


def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Each element `repeats` times along an axis."""
    x = _tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = canonical_axis(axis, len(x.shape))
    wide = expand_dims(x, axis + 1)
    shape = [*x.shape[: axis + 1], int(repeats), *x.shape[axis + 1 :]]
    d = x.shape[axis]
    return reshape(
        broadcast_to(wide, shape), [*x.shape[:axis], None if d is None else d * int(repeats), *x.shape[axis + 1 :]]
    )


def tile(x: Any, repeats: Any) -> Any:
    """The whole tensor repeated along each axis."""
    x = _tensor(x)
    reps = list(_ints(repeats))
    ndim = builtins.max(len(reps), len(x.shape))
    reps = [1] * (ndim - len(reps)) + reps
    shape = [1] * (ndim - len(x.shape)) + list(x.shape)
    wide = reshape(x, [n for d in shape for n in (1, d)])
    wide = broadcast_to(wide, [n for r, d in zip(reps, shape, strict=True) for n in (r, d)])
    return reshape(wide, [None if d is None else r * d for r, d in zip(reps, shape, strict=True)])


copy = OPS.add(
    Op(
        "copy",
        lambda x: np.array(x),
        primitive=True,
        family="copy",
        infer=same,
        inputs=("x",),
        samples=[sample((3, 4)), sample((0, 2))],
    )
)
copy.gradient(lambda ctx, g: g)


def shape(x: Any) -> tuple:
    """The shape as a tuple of ints (None where unknown)."""
    return tuple(_tensor(x).shape)


def ndim(x: Any) -> int:
    """Number of dimensions."""
    return len(_tensor(x).shape)


def size(x: Any) -> int | None:
    """Number of elements, None if a dimension is unknown."""
    return size_of(_tensor(x).shape)


__all__ = [
    "broadcast_to", "concatenate", "copy", "expand_dims", "flip", "moveaxis", "ndim", "pad", "repeat",
    "reshape", "shape", "size", "slice", "squeeze", "stack", "swapaxes", "tile", "transpose",
]  # fmt: skip
