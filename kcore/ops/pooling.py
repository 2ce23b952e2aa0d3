"""Max and average pooling, their gradients to any order, and the Keras functions made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.graph.op import In, Sample, Spec, primitive, sample
from kcore.ops.convolution import channels_first, channels_last
from kcore.ops.windows import Pairs, interior, out_sizes, padded, pairs, per_axis, taps

__all__ = ["average_pool", "max_pool"]


def _attrs(
    pool_size: tuple[int, ...], strides: tuple[int, ...] | None = None, padding: Pairs | None = None
) -> dict[str, Any]:
    return {
        "pool_size": pool_size,
        "strides": strides or pool_size,
        "padding": padding or ((0, 0),) * len(pool_size),
    }


_CASES: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 6, 4, 3), _attrs((2, 2))),
    ((2, 7, 5, 3), _attrs((2, 2))),
    ((2, 7, 5, 3), _attrs((2, 2), (2, 2), ((0, 1), (0, 1)))),
    ((1, 7, 6, 2), _attrs((3, 2), (2, 1), ((1, 1), (0, 1)))),
    ((1, 6, 6, 2), _attrs((3, 3), (1, 1), ((1, 1), (1, 1)))),
    ((2, 7, 3, 2), _attrs((1, 2), (3, 2))),
    ((2, 9, 3), _attrs((3,), (2,), ((1, 1),))),
    ((1, 4, 5, 4, 2), _attrs((2, 2, 2), (2, 1, 2))),
    ((0, 4, 4, 2), _attrs((2, 2))),
    *(((2, n, n, n), _attrs((2, 2), (2, 2), ((0, n % 2), (0, n % 2)))) for n in (15, 16, 17)),
]
_LARGE = [((4, 64, 66, 33), _attrs((2, 2))), ((3, 65, 64, 16), _attrs((3, 3), (2, 2), ((1, 0), (0, 1))))]


class _Later:
    """Sample values made when the conformance kit asks for them, not at import."""

    def __init__(self, make: Callable[[], np.ndarray]):
        self.make = make

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.make(), dtype)


def _ranks(shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    return np.random.default_rng(size).permutation(size).reshape(shape) * (4.0 / max(size, 1)) - 2.0


def _distinct(shape: tuple[int, ...]) -> In:
    """Values far enough apart that a finite difference does not change which one is largest."""
    return In(shape, value=_Later(lambda: _ranks(shape)))


def _constant(shape: tuple[int, ...], value: float) -> In:
    return In(shape, value=np.full(shape, value))


def _samples(make: Any) -> list[Sample]:
    return [make(shape, attrs, math.prod(shape) < 1000) for shape, attrs in _CASES + _LARGE]


def _out_shape(shape: tuple, attrs: dict[str, Any]) -> tuple[int, ...]:
    ones = (1,) * len(attrs["pool_size"])
    sizes = out_sizes(shape[1:-1], attrs["pool_size"], attrs["strides"], attrs["padding"], ones, "pool")
    return (shape[0], *sizes, shape[-1])


def _offsets(shape: tuple, attrs: dict[str, Any]) -> In:
    """Sample offsets inside the windows: those of the largest elements of some input, so never in the padding."""
    return In(_out_shape(shape, attrs), dtype="int32", value=_Later(lambda: _max_pool.fn(_ranks(shape), **attrs)[1]))


def _infer(op: str, x: Spec, pool_size: tuple, strides: tuple, padding: Pairs) -> tuple:
    rank = x.ndim - 2
    if rank < 1 or not len(pool_size) == len(strides) == len(padding) == rank:
        raise ValueError(
            f"{op}: expected inputs (batch, *spatial, channels) and pool_size, strides and padding for each spatial "
            f"axis; received inputs {x}, pool_size={pool_size}, strides={strides}, padding={padding}"
        )
    for size, (low, high) in zip(pool_size, padding, strict=True):
        if max(low, high) >= size:
            raise ValueError(
                f"{op}: padding {padding} leaves windows of pool_size={pool_size} with nothing but padding"
            )
    return (x.shape[0], *out_sizes(x.shape[1:-1], pool_size, strides, padding, (1,) * rank, op), x.shape[-1])


def _check_out(op: str, g: Spec, expected: tuple) -> None:
    known = [(a, b) for a, b in zip(g.shape, expected, strict=False) if None not in (a, b)]
    if g.ndim != len(expected) or any(a != b for a, b in known):
        raise ValueError(f"{op}: the pooling's output has shape {expected}; received {g}")


# -- max ---------------------------------------------------------------------------------------------------------------


def _max_pool_infer(x: Spec, *, pool_size, strides, padding):
    shape = _infer("max_pool", x, pool_size, strides, padding)
    return Spec(shape, x.dtype), Spec(shape, "int32")


@primitive(
    "pooling",
    "max_pool",
    infer=_max_pool_infer,
    residuals=1,
    samples=[
        *_samples(lambda shape, attrs, grad: sample(_distinct(shape), grad=grad, **attrs)),
        sample(
            In((1, 5, 5, 1), value=np.full((1, 5, 5, 1), -np.inf)),
            grad=False,
            **_attrs((2, 2), (1, 1), ((1, 1), (1, 1))),
        ),
        sample(In((1, 4, 4, 2), value=np.zeros((1, 4, 4, 2))), grad=False, **_attrs((2, 2))),
    ],
)
def _max_pool(x, *, pool_size, strides, padding):
    """Largest element of each window, and its offset in the window (row-major); the first one wins, padding never.

    Args:
        x: (batch, *spatial, channels).
        pool_size, strides: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.
    """
    ones = (1,) * len(pool_size)
    sizes = out_sizes(x.shape[1:-1], pool_size, strides, padding, ones, "max_pool")
    inside = padded(np.ones(x.shape, bool), padding, False)
    x = padded(x, padding)
    where = [w for _, w in taps(pool_size, sizes, strides, ones)]
    values, valid = np.stack([x[w] for w in where]), np.stack([inside[w] for w in where])
    lowest = -np.inf if x.dtype.kind not in "iub" else (np.iinfo(x.dtype).min if x.dtype.kind != "b" else False)
    y = np.max(np.where(valid, values, lowest), axis=0).astype(x.dtype)
    hits = valid & ((values == y) | ((values != values) & (y != y)))  # NaN is the largest, as everywhere in NumPy
    return y, np.argmax(hits, axis=0).astype(np.int32)


@_max_pool.gradient
def _(ctx, g, _argmax):
    return max_pool_grad(ctx.outputs[1], g, input_shape=tuple(ctx.inputs[0].shape), **ctx.attrs)


def _max_pool_grad_infer(argmax: Spec, g: Spec, *, input_shape, pool_size, strides, padding) -> Spec:
    x = Spec(tuple(input_shape), g.dtype)
    shape = _infer("max_pool_grad", x, pool_size, strides, padding)
    _check_out("max_pool_grad", g, shape)
    _check_out("max_pool_grad", argmax, shape)
    return x


@primitive(
    "pooling",
    infer=_max_pool_grad_infer,
    samples=_samples(
        lambda shape, attrs, grad: sample(
            _offsets(shape, attrs), _out_shape(shape, attrs), grad=grad, input_shape=shape, **attrs
        )
    ),
)
def max_pool_grad(argmax, g, *, input_shape, pool_size, strides, padding):
    """Gradient of `max_pool`: each g goes to the element its window took."""
    ones = (1,) * len(pool_size)
    total = padded(np.zeros(input_shape, g.dtype), padding)
    for number, (_, where) in enumerate(taps(pool_size, g.shape[1:-1], strides, ones)):
        total[where] += np.where(argmax == number, g, np.zeros((), g.dtype))
    return total[interior(padding, input_shape[1:-1])]


@max_pool_grad.gradient
def _(ctx, u):
    attrs = {k: v for k, v in ctx.attrs.items() if k != "input_shape"}
    return None, max_pool_pick(u, ctx.inputs[0], **attrs)


def _max_pool_pick_infer(u: Spec, argmax: Spec, *, pool_size, strides, padding) -> Spec:
    shape = _infer("max_pool_pick", u, pool_size, strides, padding)
    _check_out("max_pool_pick", argmax, shape)
    return Spec(shape, u.dtype)


@primitive(
    "pooling",
    infer=_max_pool_pick_infer,
    samples=_samples(lambda shape, attrs, grad: sample(shape, _offsets(shape, attrs), grad=grad, **attrs)),
)
def max_pool_pick(u, argmax, *, pool_size, strides, padding):
    """The element of u at each window's offset: the transpose of `max_pool_grad`."""
    ones = (1,) * len(pool_size)
    u = padded(u, padding)
    y = np.zeros(argmax.shape, u.dtype)
    for number, (_, where) in enumerate(taps(pool_size, argmax.shape[1:-1], strides, ones)):
        np.copyto(y, u[where], where=argmax == number)
    return y


@max_pool_pick.gradient
def _(ctx, g):
    u, argmax = ctx.inputs
    return max_pool_grad(argmax, g, input_shape=tuple(u.shape), **ctx.attrs), None


# -- average -----------------------------------------------------------------------------------------------------------


def window_counts(sizes: Sequence[int], pool_size, strides, padding: Pairs) -> np.ndarray:
    """How many elements that are not padding each window holds, shaped (*out, 1)."""
    counts = np.ones((1, 1))
    outs = out_sizes(sizes, pool_size, strides, padding, (1,) * len(sizes), "average_pool")
    for size, out, window, step, (low, _) in zip(sizes, outs, pool_size, strides, padding, strict=True):
        start = np.arange(out) * step - low
        inside = np.minimum(start + window, size) - np.maximum(start, 0)
        counts = counts[..., None, :] * inside[:, None]
    return counts[0]


@primitive(
    "pooling",
    "average_pool",
    infer=lambda x, *, pool_size, strides, padding: Spec(
        _infer("average_pool", x, pool_size, strides, padding), x.dtype
    ),
    promote="float",
    samples=_samples(lambda shape, attrs, grad: sample(shape, grad=grad, **attrs)),
    tolerance={"float32": (4e-6, 4e-6)},
)
def _average_pool(x, *, pool_size, strides, padding):
    """Mean over each window, padding not counted.

    Args:
        x: (batch, *spatial, channels).
        pool_size, strides: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.
    """
    ones = (1,) * len(pool_size)
    counts = window_counts(x.shape[1:-1], pool_size, strides, padding).astype(x.dtype)
    x = padded(x, padding)
    return sum(x[where] for _, where in taps(pool_size, counts.shape[:-1], strides, ones)) / counts


@_average_pool.gradient
def _(ctx, g):
    return average_pool_grad(g, input_shape=tuple(ctx.inputs[0].shape), **ctx.attrs)


def _average_pool_grad_infer(g: Spec, *, input_shape, pool_size, strides, padding) -> Spec:
    x = Spec(tuple(input_shape), g.dtype)
    _check_out("average_pool_grad", g, _infer("average_pool_grad", x, pool_size, strides, padding))
    return x


@primitive(
    "pooling",
    infer=_average_pool_grad_infer,
    promote="float",
    samples=_samples(
        lambda shape, attrs, grad: sample(_out_shape(shape, attrs), grad=grad, input_shape=shape, **attrs)
    ),
    tolerance={"float32": (4e-6, 4e-6)},
)
def average_pool_grad(g, *, input_shape, pool_size, strides, padding):
    """Gradient of `average_pool`: each g is spread evenly over the elements of its window."""
    ones = (1,) * len(pool_size)
    share = g / window_counts(input_shape[1:-1], pool_size, strides, padding).astype(g.dtype)
    total = padded(np.zeros(input_shape, g.dtype), padding)
    for _, where in taps(pool_size, g.shape[1:-1], strides, ones):
        total[where] += share
    return total[interior(padding, input_shape[1:-1])]


@average_pool_grad.gradient
def _(ctx, u):
    return _average_pool(u, **{k: v for k, v in ctx.attrs.items() if k != "input_shape"})


# -- the Keras functions -----------------------------------------------------------------------------------------------


def _pool(op: Any, inputs: Any, pool_size: Any, strides: Any, padding: Any, data_format: str | None) -> Any:
    rank = len(inputs.shape) - 2
    if rank < 1:
        raise ValueError(f"{op.name}: expected inputs of rank 3 or more; received shape {tuple(inputs.shape)}")
    first = config.standardize_data_format(data_format) == "channels_first"
    if first:
        inputs = channels_last(inputs)
    pool_size = per_axis(pool_size, rank, "pool_size", op.name)
    strides = pool_size if strides is None else per_axis(strides, rank, "strides", op.name)
    padding = pairs(padding, inputs.shape[1:-1], pool_size, strides, (1,) * rank, op.name)
    y = op(inputs, pool_size=pool_size, strides=strides, padding=padding)
    if op.residuals:
        y = y[0]
    return channels_first(y) if first else y


def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
) -> Any:
    """The largest element of each window.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        pool_size: size of the window; one integer, or one for each spatial axis.
        strides: distance of the windows; None means `pool_size`.
        padding: ``"valid"``, ``"same"`` (an odd element goes to the end), or a (before, after) pair for each axis.
            Padding is never the largest.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.

    Returns:
        The inputs' dtype, (batch, *out, channels), channels where the inputs have them.

    Raises:
        ValueError: arguments that do not fit the inputs' rank, or a window larger than the padded input.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(16, dtype="float32"), (1, 4, 4, 1))
        >>> ops.convert_to_numpy(ops.max_pool(x, 2))[0, :, :, 0]
        array([[ 5.,  7.],
               [13., 15.]], dtype=float32)

    Source: `keras.ops.max_pool`.
    """
    return _pool(_max_pool, inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
) -> Any:
    """The mean over each window; padding is not counted.

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        pool_size, strides, padding, data_format: as in `max_pool`.

    Returns:
        float, (batch, *out, channels), channels where the inputs have them.

    Raises:
        ValueError: arguments that do not fit the inputs' rank, or a window larger than the padded input.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(9, dtype="float32"), (1, 3, 3, 1))
        >>> ops.convert_to_numpy(ops.average_pool(x, 2, padding="same"))[0, :, :, 0]
        array([[2. , 3.5],
               [6.5, 8. ]], dtype=float32)

    Source: `keras.ops.average_pool`.
    """
    return _pool(_average_pool, inputs, pool_size, strides, padding, data_format)
