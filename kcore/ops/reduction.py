"""Reductions over axes, running sums, and what is made of them: mean, variance, softmax, logsumexp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.dtypes import is_float, result_type
from kcore.graph.op import OPS, Op, Spec, composite, primitive, sample
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import cast, equal, exp, isfinite, log, sqrt, square, stop_gradient, where
from kcore.ops.shape import broadcast_to, expand_dims, flip, reshape, transpose
from kcore.ops.shapes import canonical_axes, canonical_axis, reduced, same, size_of

_AXES = [
    ((3, 4), (0,)),
    ((3, 4), (1,)),
    ((2, 3, 5), (0, 2)),
    ((33, 17), (0,)),
    ((4, 31), (0, 1)),
    ((2, 0), (0,)),
    ((5, 16, 3), (0, 1)),
]


def _reduce_infer(x: Spec, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
    return Spec(reduced(x.shape, axis, keepdims), x.dtype)


def reduction(
    name: str,
    reference: Callable[..., Any],
    *,
    infer: Callable[..., Spec] = _reduce_infer,
    empty: bool = True,
    grad: bool = True,
) -> Op:
    """Declare a reduction primitive with attributes `axis` (sorted tuple) and `keepdims`."""

    def fn(x: Any, *, axis: Any, keepdims: Any) -> Any:
        return reference(x, axis=axis, keepdims=keepdims)

    fn.__doc__ = f"{name} over axes."
    cases = [sample(s, axis=a, keepdims=k, grad=grad) for s, a in _AXES for k in (False, True) if empty or 0 not in s]
    # a float32 sum of n numbers in [-2, 2) may drift by n roundings of a partial sum; the samples have n <= 124
    op = Op(
        name,
        fn,
        primitive=True,
        family="reduction",
        infer=infer,
        samples=cases,
        tolerance={"float32": (1e-5, 1e-5)},
        differentiable=grad,
    )
    op.__module__ = __name__
    return OPS.add(op)


def _spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced tensor's gradient, broadcast back to the shape of what was reduced."""
    if not keepdims:
        g = reshape(g, tuple(1 if i in axis else d for i, d in enumerate(x.shape)))
    return broadcast_to(g, x.shape)


_sum = reduction("sum", np.sum)
_sum.gradient(lambda ctx, g: _spread(g, ctx.inputs[0], **ctx.attrs))
_prod = reduction("prod", np.prod)
_max = reduction("max", np.max, empty=False)
_min = reduction("min", np.min, empty=False)


@_max.gradient
@_min.gradient
def _(ctx: Any, g: Any) -> Any:
    """Shared equally among the elements that reach the extreme, as in Keras."""
    x, y = ctx.inputs[0], ctx.outputs[0]
    axis, keepdims = ctx.attrs["axis"], ctx.attrs["keepdims"]
    chosen = cast(equal(x, _spread(y, x, axis, keepdims)), g.dtype)
    return (
        chosen * _spread(g, x, axis, keepdims) / _spread(_sum(chosen, axis=axis, keepdims=keepdims), x, axis, keepdims)
    )


@_prod.gradient
def _(ctx: Any, g: Any) -> Any:
    """Product of all the others: exclusive running products from both ends, so that zeros are exact."""
    x = ctx.inputs[0]
    axis = ctx.attrs["axis"]
    rest = tuple(i for i in range(len(x.shape)) if i not in axis)
    n = size_of([x.shape[i] for i in axis]) or 0
    order = rest + axis
    flat = reshape(transpose(x, order), (*[x.shape[i] for i in rest], n))
    before = OPS["cumprod_exclusive"](flat)
    last = len(flat.shape) - 1
    after = flip(OPS["cumprod_exclusive"](flip(flat, last)), last)
    others = reshape(before * after, [x.shape[i] for i in order])
    back = tuple(int(i) for i in np.argsort(order))
    return transpose(others, back) * _spread(g, x, axis, ctx.attrs["keepdims"])


@primitive("reduction", infer=same, samples=[sample((3, 5)), sample((17,))], tolerance={"float32": (1e-5, 1e-5)})
def cumprod_exclusive(x):
    """Product of the elements before each one, along the last axis."""
    shifted = np.concatenate([np.ones_like(x[..., :1]), x[..., :-1]], axis=-1)
    return np.cumprod(shifted, axis=-1, dtype=x.dtype)


@cumprod_exclusive.gradient
def _(ctx, g):
    """Product of the elements before x[j], times those between x[j] and each later place: exact with zeros."""
    x, y = ctx.inputs[0], ctx.outputs[0]
    n = x.shape[-1]
    later = np.triu(np.ones((n, n), bool), 1)
    between = cumprod_exclusive(where(later, expand_dims(x, -2), 1.0))  # [j, i]: product of x[k], j < k < i
    weights = where(later, between * expand_dims(g, -2), 0.0)
    return y * _sum(weights, axis=(len(x.shape),), keepdims=False)


def _bool_infer(x: Spec, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
    return Spec(reduced(x.shape, axis, keepdims), "bool")


_any = reduction("any", np.any, infer=_bool_infer, grad=False)
_all = reduction("all", np.all, infer=_bool_infer, grad=False)


def _arg_infer(x: Spec, *, axis: int, keepdims: bool) -> Spec:
    return Spec(reduced(x.shape, (axis,), keepdims), "int32")


_ARG = [
    sample(s, axis=a, keepdims=k, grad=False)
    for s, a in [((3, 4), 0), ((3, 4), 1), ((2, 33, 5), 1), ((128, 10), 1)]
    for k in (False, True)
]


@primitive("reduction", "argmax", infer=_arg_infer, samples=_ARG, differentiable=False)
def _argmax(x, *, axis, keepdims):
    """Index of the first largest element along an axis, int32."""
    return np.argmax(x, axis=axis, keepdims=keepdims).astype(np.int32)


@primitive("reduction", "argmin", infer=_arg_infer, samples=_ARG, differentiable=False)
def _argmin(x, *, axis, keepdims):
    """Index of the first smallest element along an axis, int32."""
    return np.argmin(x, axis=axis, keepdims=keepdims).astype(np.int32)


@primitive(
    "reduction",
    "cumsum",
    infer=lambda x, axis: x,
    samples=[sample((3, 5), axis=0), sample((17,), axis=0), sample((2, 33), axis=1)],
    tolerance={"float32": (1e-5, 1e-5)},
)
def _cumsum(x, *, axis):
    """Running sum along an axis."""
    return np.cumsum(x, axis=axis, dtype=x.dtype)


_cumsum.gradient(lambda ctx, g: flip(_cumsum(flip(g, ctx.attrs["axis"]), axis=ctx.attrs["axis"]), ctx.attrs["axis"]))


@composite(
    "reduction",
    infer=lambda x, shape: Spec(shape, x.dtype),
    samples=[sample((3, 4), shape=(4,)), sample((2, 3, 4), shape=(3, 1)), sample((5, 3), shape=())],
)
def sum_to(x, *, shape):
    """Sum away what broadcasting had added, down to `shape`."""
    extra = len(x.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, d in enumerate(shape) if d == 1 and x.shape[i + extra] != 1)
    return reshape(_sum(x, axis=axes, keepdims=False), shape) if axes else reshape(x, shape)


sum_to.gradient(lambda ctx, g: broadcast_to(g, ctx.inputs[0].shape))


# -- public functions ------------------------------------------------------------------------------------------------


def _tensor(x: Any) -> Any:
    return x if hasattr(x, "shape") and hasattr(x, "dtype") and isinstance(x.dtype, str) else OPS["identity"](x)


def _summable(x: Any) -> Any:
    """Small integers and booleans are summed as int32, as in Keras."""
    x = _tensor(x)
    if x.dtype in ("bool", "int8", "int16"):
        return cast(x, "int32")
    return cast(x, "uint32") if x.dtype in ("uint8", "uint16") else x


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes; all of them if `axis` is None."""
    x = _summable(x)
    return _sum(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))


def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Product over axes."""
    x = _summable(x) if dtype is None else cast(x, dtype)
    return _prod(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))


def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Largest element over axes; `initial` is the least it can be."""
    x = _tensor(x)
    y = _max(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))
    return y if initial is None else OPS["maximum"](y, initial)


def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Smallest element over axes; `initial` is the most it can be."""
    x = _tensor(x)
    y = _min(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))
    return y if initial is None else OPS["minimum"](y, initial)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element is true."""
    x = cast(_tensor(x), "bool")
    return _any(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every element is true."""
    x = cast(_tensor(x), "bool")
    return _all(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))


def _arg(op: Op, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = _tensor(x)
    if axis is None:
        flat = op(reshape(x, (-1,)), axis=0, keepdims=False)
        return reshape(flat, (1,) * len(x.shape)) if keepdims else flat
    return op(x, axis=canonical_axis(axis, len(x.shape)), keepdims=bool(keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first largest element, int32; of the flat tensor if `axis` is None."""
    return _arg(_argmax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first smallest element, int32; of the flat tensor if `axis` is None."""
    return _arg(_argmin, x, axis, keepdims)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sum along an axis, or of the flat tensor."""
    x = _summable(x) if dtype is None else cast(x, dtype)
    if axis is None:
        return _cumsum(reshape(x, (-1,)), axis=0)
    return _cumsum(x, axis=canonical_axis(axis, len(x.shape)))


def _floating(x: Any) -> Any:
    x = _tensor(x)
    return x if is_float(x.dtype) else cast(x, result_type(x.dtype, float))


@composite(
    "reduction",
    "mean",
    infer=_reduce_infer,
    promote="float",
    samples=[sample(s, axis=a, keepdims=True) for s, a in _AXES if 0 not in s],
    tolerance={"float32": (1e-5, 1e-5)},
)
def _mean(x, *, axis, keepdims):
    """Arithmetic mean over axes."""
    n = size_of([x.shape[i] for i in axis])
    if n is None:
        return _sum(x, axis=axis, keepdims=keepdims)
    return _sum(x, axis=axis, keepdims=keepdims) * (1.0 / n if n else float("nan"))


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over axes; integers become floatx."""
    x = _floating(x)
    return _mean(x, axis=canonical_axes(axis, len(x.shape)), keepdims=bool(keepdims))


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Biased variance over axes."""
    x = _floating(x)
    axes = canonical_axes(axis, len(x.shape))
    return _mean(square(x - _mean(x, axis=axes, keepdims=True)), axis=axes, keepdims=bool(keepdims))


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Biased standard deviation over axes."""
    return sqrt(var(x, axis, keepdims))


def count_nonzero(x: Any, axis: Any = None) -> Any:
    """Number of elements that are not zero, int32."""
    return sum(cast(_tensor(x) != 0, "int32"), axis)


# -- softmax and its kin ---------------------------------------------------------------------------------------------

_ROWS = [
    sample((3, 5), axis=(1,)),
    sample((2, 4, 33), axis=(2,)),
    sample((6, 7), axis=(0,)),
    sample((128, 10), axis=(1,)),
    sample((2, 3, 4), axis=(1, 2)),
]


@composite("reduction", "softmax", infer=same, promote="float", samples=_ROWS)
def _softmax(x, *, axis):
    """exp(x) / sum(exp(x)) over axes, shifted by the maximum."""
    e = exp(x - stop_gradient(_max(x, axis=axis, keepdims=True)))
    return e / _sum(e, axis=axis, keepdims=True)


@_softmax.gradient
def _(ctx, g):
    return softmax_grad(ctx.outputs[0], g, axis=ctx.attrs["axis"])


@composite(
    "reduction",
    infer=lambda y, g, axis: y,
    samples=[
        sample((3, 5), (3, 5), axis=(1,)),
        sample((2, 4, 33), (2, 4, 33), axis=(2,)),
        sample((6, 7), (6, 7), axis=(0,)),
    ],
)
def softmax_grad(y, g, *, axis):
    """Gradient of softmax from its output: y * (g - sum(g * y))."""
    return y * (g - _sum(g * y, axis=axis, keepdims=True))


@composite("reduction", "log_softmax", infer=same, promote="float", samples=_ROWS)
def _log_softmax(x, *, axis):
    """x - log(sum(exp(x))) over axes, shifted by the maximum."""
    shifted = x - stop_gradient(_max(x, axis=axis, keepdims=True))
    return shifted - log(_sum(exp(shifted), axis=axis, keepdims=True))


_log_softmax.gradient(lambda ctx, g: g - exp(ctx.outputs[0]) * _sum(g, axis=ctx.attrs["axis"], keepdims=True))


def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / sum(exp(x)) over an axis, or several."""
    x = _floating(x)
    return _softmax(x, axis=canonical_axes(axis, len(x.shape)))


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Logarithm of softmax, computed without underflow."""
    x = _floating(x)
    return _log_softmax(x, axis=canonical_axes(axis, len(x.shape)))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    x = _floating(x)
    axes = canonical_axes(axis, len(x.shape))
    top = stop_gradient(_max(x, axis=axes, keepdims=True))
    top = where(isfinite(top), top, 0.0)
    y = log(_sum(exp(x - top), axis=axes, keepdims=True)) + top
    return y if keepdims else reshape(y, reduced(x.shape, axes, False))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Euclidean norm over axes (`ord` None or 2), sum of magnitudes (1) or largest magnitude (inf)."""
    x = _floating(x)
    if ord in (None, 2, "euclidean", "fro"):
        return sqrt(sum(square(x), axis, keepdims))
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord == float("inf"):
        return max(absolute(x), axis, keepdims)
    raise ValueError(f"norm: ord must be None, 1, 2, 'fro' or inf, got {ord!r}")


amax, amin = max, min

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "cumsum", "log_softmax", "logsumexp", "max",
    "mean", "min", "norm", "prod", "softmax", "std", "sum", "var",
]  # fmt: skip
