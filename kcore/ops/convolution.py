"""Convolution in one to three dimensions, its two gradients, and the Keras functions made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.graph.op import Sample, Spec, primitive, sample
from kcore.ops.shape import reshape, transpose
from kcore.ops.windows import Pairs, interior, out_sizes, padded, pairs, per_axis, taps

__all__ = ["conv", "conv_input_grad", "conv_kernel_grad", "conv_transpose", "depthwise_conv", "separable_conv"]

# A sum of a thousand products: the error of an element grows with the root of the sum's length.
_TOLERANCE = {"float32": (2e-5, 3e-5), "float64": (1e-11, 1e-12), "float16": (1e-2, 2e-2), "bfloat16": (6e-2, 1e-1)}

_ONES = (1, 1)
_NONE = ((0, 0), (0, 0))


def _attrs(
    strides: tuple[int, ...] = _ONES, padding: Pairs = _NONE, dilation: tuple[int, ...] = _ONES, groups: int = 1
) -> dict[str, Any]:
    return {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}


#: (x shape, kernel shape, attributes): rank, strides, dilation, groups, tile edges, empty batches.
_CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 6, 5, 3), (3, 3, 3, 4), _attrs()),
    ((2, 7, 6, 2), (3, 2, 2, 3), _attrs(strides=(2, 1), padding=((1, 1), (0, 1)))),
    ((1, 9, 8, 2), (3, 3, 2, 2), _attrs(dilation=(2, 3), padding=((2, 2), (3, 3)))),
    ((2, 6, 6, 3), (1, 1, 3, 5), _attrs()),
    ((2, 7, 7, 4), (1, 1, 4, 3), _attrs(strides=(2, 2))),
    ((2, 5, 5, 4), (3, 3, 2, 6), _attrs(groups=2, padding=((1, 1), (1, 1)))),
    ((2, 6, 5, 3), (3, 3, 1, 6), _attrs(groups=3, strides=(2, 2), padding=((0, 1), (1, 1)))),
    ((1, 5, 5, 4), (3, 3, 1, 4), _attrs(groups=4, padding=((1, 1), (1, 1)))),
    ((2, 9, 3), (3, 3, 4), _attrs((2,), ((1, 2),), (1,))),
    ((2, 11, 2), (3, 2, 3), _attrs((1,), ((4, 0),), (2,))),
    ((1, 4, 5, 4, 2), (2, 3, 2, 2, 3), _attrs((1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2))),
    ((0, 5, 5, 2), (3, 3, 2, 3), _attrs(padding=((1, 1), (1, 1)))),
    ((1, 3, 3, 1), (3, 3, 1, 2), _attrs(padding=((5, 4), (4, 5)))),
]
_LARGE: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    *(((3, n, n, n), (3, 3, n, n), _attrs(padding=((1, 1), (1, 1)))) for n in (15, 16, 17)),
    *(((2, n, 33, 3), (3, 3, 3, 16), _attrs(strides=(2, 2), padding=((0, 1), (1, 1)))) for n in (31, 32, 33)),
    ((5, 28, 28, 1), (3, 3, 1, 32), _attrs()),
    ((1, 120, 100, 8), (5, 5, 8, 8), _attrs(padding=((2, 2), (2, 2)))),
    ((2, 40, 40, 33), (3, 3, 1, 33), _attrs(groups=33, padding=((1, 1), (1, 1)))),
    ((3, 19, 18, 16), (3, 3, 16, 32), _attrs(padding=((1, 1), (1, 1)))),
]


def _out_shape(case: tuple) -> tuple[int, ...]:
    x, kernel, attrs = case
    sizes = out_sizes(x[1:-1], kernel[:-2], attrs["strides"], attrs["padding"], attrs["dilation"], "conv")
    return (x[0], *sizes, kernel[-1])


def _samples(make: Any) -> list[Sample]:
    return [make(c, True) for c in _CASES] + [make(c, False) for c in _LARGE]


def _check(op: str, x: Spec, kernel: Spec, strides: tuple, padding: Pairs, dilation: tuple, groups: int) -> None:
    rank = x.ndim - 2
    if rank < 1 or kernel.ndim != x.ndim:
        raise ValueError(
            f"{op}: expected inputs (batch, *spatial, channels) and a kernel (*window, channels in, channels out) "
            f"of one rank of at least 3; received inputs {x} and kernel {kernel}"
        )
    if not len(strides) == len(padding) == len(dilation) == rank:
        raise ValueError(
            f"{op}: expected strides, padding and dilation for {rank} spatial axes; "
            f"received {strides}, {padding}, {dilation}"
        )
    channels, inner, outer = x.shape[-1], kernel.shape[-2], kernel.shape[-1]
    if channels is not None and channels != inner * groups:  # type: ignore[operator]
        raise ValueError(
            f"{op}: the kernel {kernel} with groups={groups} takes {inner * groups} input channels; "  # type: ignore[operator]
            f"received inputs {x} with {channels}"
        )
    if outer % groups:  # type: ignore[operator]
        raise ValueError(f"{op}: {outer} output channels cannot be divided into groups={groups}")


def _conv_infer(x: Spec, kernel: Spec, *, strides: tuple, padding: Pairs, dilation: tuple, groups: int) -> Spec:
    _check("conv", x, kernel, strides, padding, dilation, groups)
    sizes = out_sizes(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation, "conv")  # type: ignore[arg-type]
    return Spec((x.shape[0], *sizes, kernel.shape[-1]), x.dtype)


@primitive(
    "convolution",
    "conv",
    infer=_conv_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=_samples(lambda c, grad: sample(c[0], c[1], grad=grad, **c[2])),
)
def _conv(x, kernel, *, strides, padding, dilation, groups):
    """Slide the kernel over x: ``y[n, o, f] = sum over t, c of x[n, o*stride + t*dilation, c] kernel[t, c, f]``.

    Args:
        x: (batch, *spatial, channels in).
        kernel: (*window, channels in / groups, channels out).
        strides, dilation: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.
        groups: channels are cut into this many groups that do not see each other.
    """
    *window, inner, outer = kernel.shape
    sizes = out_sizes(x.shape[1:-1], window, strides, padding, dilation, "conv")
    x = padded(x, padding)
    y = np.zeros((x.shape[0], *sizes, outer), x.dtype)
    for tap, where in taps(window, sizes, strides, dilation):
        for i, o in _group_slices(groups, inner, outer // groups):
            y[..., o] += x[where][..., i] @ kernel[tap][:, o]
    return y


def _group_slices(groups: int, inner: int, outer: int) -> list[tuple[slice, slice]]:
    """Input and output channels of each group."""
    return [(slice(g * inner, (g + 1) * inner), slice(g * outer, (g + 1) * outer)) for g in range(groups)]


@_conv.gradient
def _(ctx, g):
    x, kernel = ctx.inputs
    return (
        conv_input_grad(g, kernel, input_shape=tuple(x.shape), **ctx.attrs) if ctx.needs[0] else None,
        conv_kernel_grad(x, g, kernel_shape=tuple(kernel.shape), **ctx.attrs) if ctx.needs[1] else None,
    )


def _input_grad_infer(g: Spec, kernel: Spec, *, input_shape: tuple, strides, padding, dilation, groups) -> Spec:
    x = Spec(tuple(input_shape), g.dtype)
    _check("conv_input_grad", x, kernel, strides, padding, dilation, groups)
    _check_out(
        "conv_input_grad", g, _conv_infer(x, kernel, strides=strides, padding=padding, dilation=dilation, groups=groups)
    )
    return x


def _check_out(op: str, g: Spec, expected: Spec) -> None:
    known = [(a, b) for a, b in zip(g.shape, expected.shape, strict=False) if None not in (a, b)]
    if g.ndim != expected.ndim or any(a != b for a, b in known):
        raise ValueError(f"{op}: the convolution's output is {expected}; received a gradient {g}")


@primitive(
    "convolution",
    infer=_input_grad_infer,
    promote="float",
    tolerance=_TOLERANCE,
    samples=_samples(lambda c, grad: sample(_out_shape(c), c[1], grad=grad, input_shape=c[0], **c[2])),
)
def conv_input_grad(g, kernel, *, input_shape, strides, padding, dilation, groups):
    """Gradient of `conv` with respect to its input of shape `input_shape`; a transposed convolution of g."""
    *window, inner, outer = kernel.shape
    sizes = g.shape[1:-1]
    total = padded(np.zeros(input_shape, g.dtype), padding)
    for tap, where in taps(window, sizes, strides, dilation):
        for i, o in _group_slices(groups, inner, outer // groups):
            total[where][..., i] += g[..., o] @ kernel[tap][:, o].T
    return total[interior(padding, input_shape[1:-1])]


@conv_input_grad.gradient
def _(ctx, u):
    g, kernel = ctx.inputs
    attrs = {k: v for k, v in ctx.attrs.items() if k != "input_shape"}
    return (
        _conv(u, kernel, **attrs) if ctx.needs[0] else None,
        conv_kernel_grad(u, g, kernel_shape=tuple(kernel.shape), **attrs) if ctx.needs[1] else None,
    )


def _kernel_grad_infer(x: Spec, g: Spec, *, kernel_shape: tuple, strides, padding, dilation, groups) -> Spec:
    kernel = Spec(tuple(kernel_shape), x.dtype)
    _check("conv_kernel_grad", x, kernel, strides, padding, dilation, groups)
    _check_out(
        "conv_kernel_grad",
        g,
        _conv_infer(x, kernel, strides=strides, padding=padding, dilation=dilation, groups=groups),
    )
    return kernel


@primitive(
    "convolution",
    infer=_kernel_grad_infer,
    promote="float",
    # One element sums over all positions of all images.
    tolerance={**_TOLERANCE, "float32": (3e-5, 2e-4)},
    samples=_samples(lambda c, grad: sample(c[0], _out_shape(c), grad=grad, kernel_shape=c[1], **c[2])),
)
def conv_kernel_grad(x, g, *, kernel_shape, strides, padding, dilation, groups):
    """Gradient of `conv` with respect to its kernel of shape `kernel_shape`: inputs correlated with gradients."""
    *window, inner, outer = kernel_shape
    x = padded(x, padding)
    total = np.zeros(kernel_shape, x.dtype)
    for tap, where in taps(window, g.shape[1:-1], strides, dilation):
        for i, o in _group_slices(groups, inner, outer // groups):
            total[tap][:, o] = x[where][..., i].reshape(-1, inner).T @ g[..., o].reshape(-1, outer // groups)
    return total


@conv_kernel_grad.gradient
def _(ctx, u):
    x, g = ctx.inputs
    attrs = {k: v for k, v in ctx.attrs.items() if k != "kernel_shape"}
    return (
        conv_input_grad(g, u, input_shape=tuple(x.shape), **attrs) if ctx.needs[0] else None,
        _conv(x, u, **attrs) if ctx.needs[1] else None,
    )


# -- the Keras functions -----------------------------------------------------------------------------------------------


def conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Convolution in one to three dimensions (cross-correlation: the kernel is not flipped).

    ``y[n, o, f] = sum over t, c of x[n, o * strides + t * dilation_rate, c] * kernel[t, c, f]``

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        kernel: float, (*window, channels / groups, filters); fewer kernel channels than input channels mean groups.
        strides: one integer, or one for each spatial axis.
        padding: ``"valid"``, ``"same"`` (an odd element goes to the end), or a (before, after) pair for each axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.
        dilation_rate: distance of the kernel's taps; one integer, or one for each spatial axis.

    Returns:
        float, (batch, *out, filters), channels where the inputs have them.

    Raises:
        ValueError: ranks or channels that do not fit, or a window larger than the padded input.

    Example:
        >>> from kcore import ops
        >>> x = ops.reshape(ops.arange(9, dtype="float32"), (1, 3, 3, 1))
        >>> ops.convert_to_numpy(ops.conv(x, ops.ones((2, 2, 1, 1))))[0, :, :, 0]
        array([[ 8., 12.],
               [20., 24.]], dtype=float32)

    Source: `keras.ops.conv`.
    """
    rank = len(kernel.shape) - 2
    if rank < 1 or len(inputs.shape) != rank + 2:
        raise ValueError(
            f"conv: expected inputs and a kernel of one rank of at least 3; "
            f"received inputs of shape {tuple(inputs.shape)} and a kernel of shape {tuple(kernel.shape)}"
        )
    first = config.standardize_data_format(data_format) == "channels_first"
    if first:
        inputs = channels_last(inputs)
    window, inner = tuple(kernel.shape[:-2]), kernel.shape[-2]
    channels = inputs.shape[-1]
    if channels is None or inner == 0 or channels % inner:
        raise ValueError(
            f"conv: the number of input channels must be a multiple of the kernel's; received inputs of shape "
            f"{tuple(inputs.shape)} (channels last) and a kernel of shape {tuple(kernel.shape)}"
        )
    strides = per_axis(strides, rank, "strides", "conv")
    dilation = per_axis(dilation_rate, rank, "dilation_rate", "conv")
    y = _conv(
        inputs,
        kernel,
        strides=strides,
        padding=pairs(padding, inputs.shape[1:-1], window, strides, dilation, "conv"),
        dilation=dilation,
        groups=channels // inner,
    )
    return channels_first(y) if first else y


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Convolution of each input channel by itself, with `multiplier` kernels each.

    ``y[n, o, c * multiplier + m] = sum over t of x[n, o * strides + t * dilation_rate, c] * kernel[t, c, m]``

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        kernel: float, (*window, channels, multiplier).
        strides, padding, data_format, dilation_rate: as in `conv`.

    Returns:
        float, (batch, *out, channels * multiplier), channels where the inputs have them.

    Raises:
        ValueError: ranks or channels that do not fit, or a window larger than the padded input.

    Example:
        >>> from kcore import ops
        >>> ops.depthwise_conv(ops.ones((1, 5, 5, 3)), ops.ones((3, 3, 3, 2))).shape
        (1, 3, 3, 6)

    Source: `keras.ops.depthwise_conv`.
    """
    if len(kernel.shape) != len(inputs.shape):
        raise ValueError(
            f"depthwise_conv: expected inputs and a kernel of one rank; received inputs of shape "
            f"{tuple(inputs.shape)} and a kernel of shape {tuple(kernel.shape)}"
        )
    *window, channels, multiplier = kernel.shape
    kernel = reshape(kernel, (*window, 1, channels * multiplier))
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """A depthwise convolution, then a convolution over the channels at each position.

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        depthwise_kernel: float, (*window, channels, multiplier).
        pointwise_kernel: float, (*ones, channels * multiplier, filters).
        strides, padding, data_format, dilation_rate: as in `conv`, for the depthwise convolution.

    Returns:
        float, (batch, *out, filters), channels where the inputs have them.

    Raises:
        ValueError: ranks or channels that do not fit, or a window larger than the padded input.

    Example:
        >>> from kcore import ops
        >>> ops.separable_conv(ops.ones((1, 5, 5, 3)), ops.ones((3, 3, 3, 2)), ops.ones((1, 1, 6, 4))).shape
        (1, 3, 3, 4)

    Source: `keras.ops.separable_conv`.
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Transposed convolution: the gradient of `conv` for its input, so that sizes grow by `strides`.

    ``y[n, i * strides + t * dilation_rate - low, f] += x[n, i, c] * kernel[t, f, c]``, where `low` is what the padding
    cuts off at the start.

    Args:
        inputs: float, (batch, *spatial, channels), or (batch, channels, *spatial) for ``"channels_first"``.
        kernel: float, (*window, filters, channels).
        strides: one integer, or one for each spatial axis.
        padding: ``"valid"``, or ``"same"``, for which sizes are exactly those of the input times `strides`.
        output_padding: how much longer the output is than the shortest there is; below `strides`. None: as `padding`
            says.
        data_format: ``"channels_last"`` or ``"channels_first"``; None means `config.image_data_format()`.
        dilation_rate: distance of the kernel's taps; one integer, or one for each spatial axis.

    Returns:
        float, (batch, *out, filters), channels where the inputs have them.

    Raises:
        ValueError: ranks or channels that do not fit, an unknown padding, or an output padding of `strides` or more.

    Example:
        >>> from kcore import ops
        >>> y = ops.conv_transpose(ops.ones((1, 2, 1)), ops.ones((2, 1, 1)), strides=2)
        >>> ops.convert_to_numpy(y).ravel()
        array([1., 1., 1., 1.], dtype=float32)

    Source: `keras.ops.conv_transpose`.
    """
    rank = len(kernel.shape) - 2
    if rank < 1 or len(inputs.shape) != rank + 2:
        raise ValueError(
            f"conv_transpose: expected inputs and a kernel of one rank of at least 3; "
            f"received inputs of shape {tuple(inputs.shape)} and a kernel of shape {tuple(kernel.shape)}"
        )
    first = config.standardize_data_format(data_format) == "channels_first"
    if first:
        inputs = channels_last(inputs)
    *window, filters, channels = kernel.shape
    if inputs.shape[-1] not in (channels, None):
        raise ValueError(
            f"conv_transpose: the kernel {tuple(kernel.shape)} takes {channels} input channels; received inputs of "
            f"shape {tuple(inputs.shape)} (channels last)"
        )
    strides = per_axis(strides, rank, "strides", "conv_transpose")
    dilation = per_axis(dilation_rate, rank, "dilation_rate", "conv_transpose")
    sizes, margins = transposed_sizes(inputs.shape[1:-1], window, strides, padding, output_padding, dilation)
    y = conv_input_grad(
        inputs,
        kernel,
        input_shape=(inputs.shape[0], *sizes, filters),
        strides=strides,
        padding=margins,
        dilation=dilation,
        groups=1,
    )
    return channels_first(y) if first else y


def transposed_sizes(
    sizes: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
    output_padding: int | Sequence[int] | None,
    dilation: Sequence[int],
) -> tuple[tuple[int | None, ...], Pairs]:
    """Output sizes of a transposed convolution, and the padding of the convolution it is the gradient of.

    Raises:
        ValueError: an unknown padding, or an output padding that is not from 0 to below the strides.
    """
    kind = padding.lower() if isinstance(padding, str) else padding
    if kind not in ("valid", "same"):
        raise ValueError(f"conv_transpose: expected padding 'valid' or 'same'; received {padding!r}")
    rank = len(sizes)
    extra = (output_padding,) * rank if output_padding is None or isinstance(output_padding, int) else output_padding
    if len(extra) != rank or any(e is not None and not 0 <= e < s for e, s in zip(extra, strides, strict=True)):
        raise ValueError(
            f"conv_transpose: expected output_padding to be from 0 to below strides={tuple(strides)}; "
            f"received {output_padding!r}"
        )
    found: list[int | None] = []
    margins: list[tuple[int, int]] = []
    for size, width, step, more, spread in zip(sizes, window, strides, extra, dilation, strict=True):
        reach = (width - 1) * spread + 1
        if kind == "valid":
            total, low = reach + (max(step - reach, 0) if more is None else more), 0
        else:
            total = step if more is None else reach % 2 + more
            around = total + reach - 2
            low = max(reach - 1 - (around + 1) // 2, 0)
        # the output is (size - 1) * step + total long; the window at its last place ends at (size - 1) * step + reach
        margins.append((low, max(reach - low - total, 0)))
        found.append(None if size is None else (size - 1) * step + total)
    return tuple(found), tuple(margins)


def channels_last(x: Any) -> Any:
    """(batch, channels, *spatial) -> (batch, *spatial, channels)."""
    return transpose(x, (0, *range(2, len(x.shape)), 1))


def channels_first(x: Any) -> Any:
    """(batch, *spatial, channels) -> (batch, channels, *spatial)."""
    return transpose(x, (0, len(x.shape) - 1, *range(1, len(x.shape) - 1)))
