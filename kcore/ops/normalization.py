"""Batch, layer and root-mean-square normalization, their gradients, and the Keras functions made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore import config
from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.creation import ones, zeros
from kcore.ops.elementwise import add, cast, divide, multiply, rsqrt, square, subtract
from kcore.ops.reduction import mean as average
from kcore.ops.reduction import sum as total
from kcore.ops.shape import broadcast_to, reshape, transpose
from kcore.ops.shapes import canonical_axes

__all__ = [
    "batch_norm_train",
    "batch_normalization",
    "layer_normalization",
    "rms_normalization",
]

# Each result stands behind two reductions and a division by a deviation.
_TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (1e-10, 1e-11), "float16": (1e-2, 1e-2), "bfloat16": (6e-2, 6e-2)}

_HALVES = ("float16", "bfloat16")


def _positive(*shape: int) -> In:
    return In(shape, 0.5, 2.0)


def _check_trailing(op: str, x: Spec, **parameters: Spec) -> None:
    for name, spec in parameters.items():
        tail = x.shape[x.ndim - spec.ndim :]
        known = [(a, b) for a, b in zip(tail, spec.shape, strict=False) if None not in (a, b)]
        if not 0 < spec.ndim <= x.ndim or any(a != b for a, b in known):
            raise ValueError(f"{op}: expected {name} of the last dimensions of {x}; received {spec}")


# -- layer normalization -----------------------------------------------------------------------------------------------


def _layer_norm_infer(x: Spec, gamma: Spec, beta: Spec, *, epsilon: float = 1e-3) -> tuple[Spec, ...]:
    _check_trailing("layer_norm", x, gamma=gamma, beta=beta)
    statistics = Spec(x.shape[: x.ndim - gamma.ndim] + (1,) * gamma.ndim, x.dtype)
    return x, statistics, statistics


_LAYER_SHAPES = [
    ((4, 6), (6,)),
    ((2, 3, 5), (5,)),
    ((2, 3, 4), (3, 4)),
    ((0, 4), (4,)),
    ((3, 1), (1,)),
    *(((n, n), (n,)) for n in (15, 16, 17)),
]
_LAYER_LARGE = [((33, 31, 130), (130,)), ((257, 1025), (1025,))]


@composite(
    "normalization",
    "layer_norm",
    infer=_layer_norm_infer,
    promote="float",
    residuals=2,
    tolerance=_TOLERANCE,
    samples=[
        sample(x, _positive(*p), p, grad=x[-1] > 1 and (x, p) in _LAYER_SHAPES) for x, p in _LAYER_SHAPES + _LAYER_LARGE
    ],
)
def _layer_norm(x, gamma, beta, *, epsilon=1e-3):
    """Normalize over the trailing axes, those of gamma: ``(x - mean) * rstd * gamma + beta``.

    Args:
        x: (*batch, *features).
        gamma, beta: (*features).
        epsilon: added to the biased variance.

    Returns the result and, for the gradient, mean and 1 / deviation, both (*batch, *ones).
    """
    axes = _trailing(x, gamma)
    mean = average(x, axis=axes, keepdims=True)
    centered = subtract(x, mean)
    rstd = rsqrt(add(average(square(centered), axis=axes, keepdims=True), epsilon))
    return add(multiply(multiply(centered, rstd), gamma), beta), mean, rstd


def _trailing(x: Any, gamma: Any) -> tuple[int, ...]:
    return tuple(range(len(x.shape) - len(gamma.shape), len(x.shape)))


@_layer_norm.gradient
def _(ctx, g, g_mean, g_rstd):
    x, gamma, _ = ctx.inputs
    _, mean, rstd = ctx.outputs
    dx = dgamma = dbeta = None
    if g is not None:
        dx, dgamma, dbeta = layer_norm_grad(x, gamma, mean, rstd, g)
    # the statistics are read by layer_norm_grad, so second derivatives come through them
    count = math.prod(gamma.shape)
    if g_rstd is not None:  # d rstd / dx = -rstd ** 3 * (x - mean) / count
        cube = multiply(multiply(rstd, rstd), multiply(rstd, g_rstd))
        dx = _plus(dx, multiply(subtract(x, mean), multiply(cube, -1.0 / count)))
    if g_mean is not None:
        dx = _plus(dx, broadcast_to(multiply(g_mean, 1.0 / count), shape=tuple(x.shape)))
    return dx, dgamma, dbeta


def _layer_norm_grad_infer(x: Spec, gamma: Spec, mean: Spec, rstd: Spec, g: Spec) -> tuple[Spec, ...]:
    _check_trailing("layer_norm_grad", x, gamma=gamma, g=g)
    return x, gamma, gamma


@composite(
    "normalization",
    infer=_layer_norm_grad_infer,
    promote="float",
    tolerance={**_TOLERANCE, "float32": (3e-5, 1e-4)},
    samples=[
        sample(x, _positive(*p), _stat, _positive(*_stat), x, grad=(x, p) in _LAYER_SHAPES[:4])
        for x, p in _LAYER_SHAPES + _LAYER_LARGE
        for _stat in [x[: len(x) - len(p)] + (1,) * len(p)]
    ],
)
def layer_norm_grad(x, gamma, mean, rstd, g):
    """Gradients of `layer_norm` with respect to x, gamma and beta."""
    axes = _trailing(x, gamma)
    leading = tuple(range(axes[0]))
    normal = multiply(subtract(x, mean), rstd)
    scaled = multiply(g, gamma)
    along = average(multiply(scaled, normal), axis=axes, keepdims=True)
    dx = multiply(rstd, subtract(subtract(scaled, average(scaled, axis=axes, keepdims=True)), multiply(normal, along)))
    return dx, total(multiply(g, normal), axis=leading), total(g, axis=leading)


# -- batch normalization -----------------------------------------------------------------------------------------------


def _batch_norm_train_infer(x: Spec, gamma: Spec, beta: Spec, *, epsilon: float = 1e-3) -> tuple[Spec, ...]:
    _check_channels("batch_norm_train", x, gamma=gamma, beta=beta)
    return x, gamma, gamma, gamma


def _check_channels(op: str, x: Spec, **parameters: Spec) -> None:
    if x.ndim < 2:
        raise ValueError(f"{op}: expected inputs (batch, ..., channels); received {x}")
    for name, spec in parameters.items():
        if spec.ndim != 1 or (x.shape[-1] is not None and spec.shape != x.shape[-1:]):
            raise ValueError(f"{op}: expected {name} of shape ({x.shape[-1]},), the channels of {x}; received {spec}")


_BATCH_SHAPES = [(8, 3), (5, 1), (3, 4, 5, 2), (2, 3, 4), *((n, n) for n in (15, 16, 17))]
_BATCH_LARGE = [(9, 31, 33, 16), (5, 40, 64, 65), (4099, 3), (70, 2049)]


@composite(
    "normalization",
    "batch_norm_train",
    infer=_batch_norm_train_infer,
    promote="float",
    residuals=1,
    tolerance=_TOLERANCE,
    samples=[sample(x, _positive(x[-1]), x[-1:], grad=x in _BATCH_SHAPES) for x in _BATCH_SHAPES + _BATCH_LARGE],
)
def _batch_norm_train(x, gamma, beta, *, epsilon=1e-3):
    """Normalize each channel over the batch and all other axes: ``(x - mean) * rstd * gamma + beta``.

    Args:
        x: (batch, ..., channels).
        gamma, beta: (channels,).
        epsilon: added to the biased variance.

    Returns the result, mean and biased variance and, for the gradient, 1 / deviation, all three (channels,).
    """
    axes = tuple(range(len(x.shape) - 1))
    mean = average(x, axis=axes)
    centered = subtract(x, mean)
    variance = average(square(centered), axis=axes)
    rstd = rsqrt(add(variance, epsilon))
    return add(multiply(centered, multiply(rstd, gamma)), beta), mean, variance, rstd


@_batch_norm_train.gradient
def _(ctx, g, g_mean, g_variance, g_rstd):
    x, gamma, _ = ctx.inputs
    _, mean, _, rstd = ctx.outputs
    dx = dgamma = dbeta = None
    if g is not None:
        dx, dgamma, dbeta = batch_norm_grad(x, gamma, mean, rstd, g)
    if g_rstd is not None:  # rstd = (variance + epsilon) ** -1/2
        through = multiply(g_rstd, multiply(multiply(multiply(rstd, rstd), rstd), -0.5))
        g_variance = through if g_variance is None else add(g_variance, through)
    count = math.prod(x.shape[:-1])
    if g_mean is not None:
        dx = _plus(dx, broadcast_to(multiply(g_mean, 1.0 / count), shape=tuple(x.shape)))
    if g_variance is not None:
        dx = _plus(dx, multiply(subtract(x, mean), multiply(g_variance, 2.0 / count)))
    return dx, dgamma, dbeta


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else add(a, b)


def _batch_norm_grad_infer(x: Spec, gamma: Spec, mean: Spec, rstd: Spec, g: Spec) -> tuple[Spec, ...]:
    _check_channels("batch_norm_grad", x, gamma=gamma, mean=mean, rstd=rstd)
    return x, gamma, gamma


@composite(
    "normalization",
    infer=_batch_norm_grad_infer,
    promote="float",
    tolerance={**_TOLERANCE, "float32": (3e-5, 2e-4)},
    samples=[
        sample(x, _positive(x[-1]), x[-1:], _positive(x[-1]), x, grad=x in _BATCH_SHAPES[:4])
        for x in _BATCH_SHAPES + _BATCH_LARGE
    ],
)
def batch_norm_grad(x, gamma, mean, rstd, g):
    """Gradients of `batch_norm_train`'s result with respect to x, gamma and beta."""
    axes = tuple(range(len(x.shape) - 1))
    count = math.prod(x.shape[:-1])
    normal = multiply(subtract(x, mean), rstd)
    dgamma, dbeta = total(multiply(g, normal), axis=axes), total(g, axis=axes)
    spread = add(dbeta, multiply(normal, dgamma))
    return multiply(multiply(gamma, rstd), subtract(g, divide(spread, float(count)))), dgamma, dbeta


def _batch_norm_infer(
    x: Spec, mean: Spec, variance: Spec, gamma: Spec | None, beta: Spec | None, *, epsilon=1e-3
) -> Spec:
    given = {k: v for k, v in {"gamma": gamma, "beta": beta}.items() if v is not None}
    _check_channels("batch_norm", x, mean=mean, variance=variance, **given)
    return x


@composite(
    "normalization",
    "batch_norm",
    infer=_batch_norm_infer,
    inputs=("x", "mean", "variance", "gamma", "beta"),
    promote="float",
    tolerance={"float32": (4e-6, 8e-6)},
    samples=[
        *(sample(x, x[-1:], _positive(x[-1]), x[-1:], x[-1:]) for x in [*_BATCH_SHAPES, (0, 4)]),
        sample((3, 4), (4,), _positive(4), None, (4,)),
        sample((3, 4), (4,), _positive(4), None, None),
        *(sample(x, x[-1:], _positive(x[-1]), x[-1:], x[-1:], grad=False) for x in _BATCH_LARGE),
    ],
)
def _batch_norm(x, mean, variance, gamma=None, beta=None, *, epsilon=1e-3):
    """Normalize each channel by statistics that are given: ``(x - mean) * rsqrt(variance + epsilon) * gamma + beta``.

    Args:
        x: (batch, ..., channels).
        mean, variance: (channels,).
        gamma, beta: (channels,) or None.
    """
    scale = rsqrt(add(variance, epsilon))
    if gamma is not None:
        scale = multiply(scale, gamma)
    y = multiply(subtract(x, mean), scale)
    return y if beta is None else add(y, beta)


# -- root mean square --------------------------------------------------------------------------------------------------


def _rms_norm_infer(x: Spec, scale: Spec, *, epsilon: float = 1e-6) -> Spec:
    _check_trailing("rms_norm", x, scale=scale)
    return x


@composite(
    "normalization",
    "rms_norm",
    infer=_rms_norm_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=[sample(x, p, grad=x[-1] > 1 and (x, p) in _LAYER_SHAPES) for x, p in _LAYER_SHAPES + _LAYER_LARGE],
)
def _rms_norm(x, scale, *, epsilon=1e-6):
    """Divide by the root mean square over the trailing axes, those of scale."""
    mean_square = average(square(x), axis=_trailing(x, scale), keepdims=True)
    return multiply(multiply(x, rsqrt(add(mean_square, epsilon))), scale)


# -- the Keras functions -----------------------------------------------------------------------------------------------


def _last(x: Any, axes: tuple[int, ...]) -> tuple[Any, tuple[int, ...] | None]:
    """The tensor with these axes moved to the end, and the permutation that moves them back (None: they were there)."""
    rank = len(x.shape)
    if axes == tuple(range(rank - len(axes), rank)):
        return x, None
    order = (*(a for a in range(rank) if a not in axes), *axes)
    return transpose(x, order), tuple(order.index(a) for a in range(rank))


def _working(x: Any) -> tuple[Any, str | None]:
    """Half-precision inputs are normalized in float32: the dtype to return to, if any."""
    dtype = str(x.dtype)
    return (cast(x, "float32"), dtype) if dtype in _HALVES else (x, None)


def _back(y: Any, order: tuple[int, ...] | None, dtype: str | None) -> Any:
    if order is not None:
        y = transpose(y, order)
    return y if dtype is None else cast(y, dtype)


def _parameter(value: Any, shape: tuple[int, ...], default: Any, dtype: Any) -> Any:
    if value is None:
        return default(shape, dtype=str(dtype))
    return value if tuple(value.shape) == shape else reshape(value, shape)


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Any:
    """Normalize each example by its own mean and variance.

    ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, statistics over `axis`, variance biased.

    Args:
        x: float, any rank of at least 1; half precision is normalized in float32.
        gamma, beta: float, of the shape of `axis`; None means ones and zeros.
        axis: one axis or several.
        epsilon: added to the variance; None means `config.epsilon()`.

    Returns:
        The shape and dtype of x.

    Raises:
        ValueError: an axis x has not, or parameters of another shape.

    Example:
        >>> from kcore import ops
        >>> ops.convert_to_numpy(ops.layer_normalization(ops.convert_to_tensor([[1.0, 3.0]]))).round(3)
        array([[-1.,  1.]], dtype=float32)

    Source: Ba, Kiros, Hinton, "Layer Normalization" (2016); `keras.ops.layer_normalization`.
    """
    axes = canonical_axes(axis, len(x.shape))
    x, dtype = _working(x)
    x, order = _last(x, axes)
    shape = tuple(x.shape[len(x.shape) - len(axes) :])
    gamma, beta = _parameter(gamma, shape, ones, x.dtype), _parameter(beta, shape, zeros, x.dtype)
    y = _layer_norm(x, gamma, beta, epsilon=float(config.epsilon() if epsilon is None else epsilon))[0]
    return _back(y, order, dtype)


def rms_normalization(x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None) -> Any:
    """Divide by the root mean square: ``x / sqrt(mean(x ** 2) + epsilon) * scale``, the mean over `axis`.

    Args:
        x: float, any rank of at least 1; half precision is normalized in float32.
        scale: float, of the shape of `axis`; None means ones.
        axis: one axis or several.
        epsilon: added to the mean square; None means `config.epsilon()`.

    Returns:
        The shape and dtype of x.

    Raises:
        ValueError: an axis x has not, or a scale of another shape.

    Example:
        >>> from kcore import ops
        >>> ops.convert_to_numpy(ops.rms_normalization(ops.convert_to_tensor([[1.0, 7.0]]))).round(3)
        array([[0.2, 1.4]], dtype=float32)

    Source: Zhang, Sennrich, "Root Mean Square Layer Normalization" (2019); `keras.ops.rms_normalization`.
    """
    axes = canonical_axes(axis, len(x.shape))
    x, dtype = _working(x)
    x, order = _last(x, axes)
    scale = _parameter(scale, tuple(x.shape[len(x.shape) - len(axes) :]), ones, x.dtype)
    y = _rms_norm(x, scale, epsilon=float(config.epsilon() if epsilon is None else epsilon))
    return _back(y, order, dtype)


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """Normalize each channel by a mean and variance that are given.

    ``(x - mean) / sqrt(variance + epsilon) * scale + offset``

    Args:
        x: float, any rank of at least 2; half precision is normalized in float32.
        mean, variance: float, (channels,).
        axis: the axis of the channels.
        offset, scale: float, (channels,); None means zeros and ones.
        epsilon: added to the variance.

    Returns:
        The shape and dtype of x.

    Raises:
        ValueError: an axis x has not, or vectors of another length.

    Example:
        >>> from kcore import ops
        >>> one = ops.ones((2,))
        >>> ops.convert_to_numpy(ops.batch_normalization(ops.zeros((1, 2)), one, one, -1, epsilon=0.0))
        array([[-1., -1.]], dtype=float32)

    Source: `keras.ops.batch_normalization`.
    """
    x, dtype = _working(x)
    x, order = _last(x, canonical_axes(axis, len(x.shape)))
    return _back(_batch_norm(x, mean, variance, scale, offset, epsilon=float(epsilon)), order, dtype)


def batch_norm_train(
    x: Any, gamma: Any = None, beta: Any = None, axis: int = -1, epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Normalize each channel by its mean and biased variance over all other axes, and return these as well.

    Args:
        x: float, any rank of at least 2; half precision is normalized in float32.
        gamma, beta: float, (channels,); None means ones and zeros.
        axis: the axis of the channels.
        epsilon: added to the variance.

    Returns:
        The result, of the shape and dtype of x, and mean and variance, (channels,), float32 for half precision.

    Raises:
        ValueError: an axis x has not, or vectors of another length.

    Example:
        >>> from kcore import ops
        >>> y, mean, variance = ops.batch_norm_train(ops.convert_to_tensor([[1.0], [3.0]]), epsilon=0.0)
        >>> ops.convert_to_numpy(y).ravel(), float(mean[0]), float(variance[0])
        (array([-1.,  1.], dtype=float32), 2.0, 1.0)

    Source: Ioffe, Szegedy, "Batch Normalization" (2015).
    """
    x, dtype = _working(x)
    x, order = _last(x, canonical_axes(axis, len(x.shape)))
    shape = tuple(x.shape[-1:])
    gamma, beta = _parameter(gamma, shape, ones, x.dtype), _parameter(beta, shape, zeros, x.dtype)
    y, mean, variance, _ = _batch_norm_train(x, gamma, beta, epsilon=float(epsilon))
    return _back(y, order, dtype), mean, variance
