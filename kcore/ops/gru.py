"""GRU over a whole sequence as one op, and its gradient; both decompose into a scan over the steps."""

from __future__ import annotations

from functools import partial
from typing import Any

from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.control import scan
from kcore.ops.creation import zeros_like
from kcore.ops.elementwise import add, multiply, sigmoid, square, subtract, tanh, where
from kcore.ops.getitem import split
from kcore.ops.recurrent import check_inputs, check_operands, over_time, sample_mask, shifted
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import concatenate, expand_dims, reshape, stack, transpose
from kcore.ops.shapes import size_of
from kcore.runtime.tape import vjp

__all__ = ["gru"]

_INPUTS = ("x", "h0", "kernel", "recurrent_kernel", "bias", "mask")


def _case(steps: int, batch: int, features: int, units: int, *, bias: bool = True, mask: bool = False, **options: Any):
    small: dict[str, Any] = {"low": -0.5, "high": 0.5}
    return sample(
        In((steps, batch, features), **small),
        In((batch, units), **small),
        In((features, 3 * units), **small),
        In((units, 3 * units), **small),
        In((2, 3 * units), **small) if bias else None,
        sample_mask(steps, batch) if mask else None,
        **options,
    )


def _infer(
    x: Spec, h0: Spec, kernel: Spec, recurrent_kernel: Spec, bias: Spec | None, mask: Spec | None, *, reverse=False
) -> tuple[Spec, ...]:
    check_inputs("gru", x)
    units: Any = recurrent_kernel.shape[0]
    steps, batch, features = x.shape
    expected = {
        "h0": (h0, (batch, units)),
        "kernel": (kernel, (features, 3 * units)),
        "recurrent_kernel": (recurrent_kernel, (units, 3 * units)),
        "bias": (bias, (2, 3 * units)),
        "mask": (mask, (steps, batch)),
    }
    check_operands("gru", x, expected)
    sequence, gates = Spec((steps, batch, units), x.dtype), Spec((steps, batch, 4 * units), x.dtype)
    return sequence, Spec((batch, units), x.dtype), gates


@composite(
    "recurrent",
    "gru",
    inputs=_INPUTS,
    infer=_infer,
    promote="float",
    promoted=(0, 1, 2, 3, 4),
    residuals=1,
    tolerance={"float32": (1e-5, 1e-5)},  # a sum of features and units per gate, carried over the steps
    samples=[
        _case(4, 3, 5, 6),
        _case(3, 2, 4, 5, bias=False),
        _case(5, 3, 4, 2, mask=True),
        _case(3, 1, 1, 1, reverse=True),
        _case(4, 2, 3, 3, mask=True, reverse=True),
        _case(1, 4, 3, 2),
        _case(7, 17, 15, 33, grad=False),
        _case(5, 33, 31, 16, mask=True, grad=False),
    ],
)
def _gru(x, h0, kernel, recurrent_kernel, bias, mask, *, reverse=False):
    """Gated recurrent unit (Cho et al. 2014, with the reset gate behind the product) over ``(time, batch, features)``.

        x_z, x_r, x_g = split(x_t kernel + bias[0]);  h_z, h_r, a = split(h recurrent_kernel + bias[1])
        z = sigmoid(x_z + h_z);  r = sigmoid(x_r + h_r);  g = tanh(x_g + r a)
        h = z h + (1 - z) g

    A step keeps its state where the mask is false. Returns all states ``(time, batch, units)``, in the order of the
    inputs; the last ``(batch, units)``; and, for the gradient, g, z, r and a ``(time, batch, 4 units)``.
    """
    through = matmul(x, kernel)
    if bias is not None:
        through = add(through, bias[0])

    def step(h_old, inputs):
        inner = matmul(h_old, recurrent_kernel)
        if bias is not None:
            inner = add(inner, bias[1])
        (x_z, x_r, x_g), (h_z, h_r, a) = split(inputs[0], 3, axis=-1), split(inner, 3, axis=-1)
        z, r = sigmoid(add(x_z, h_z)), sigmoid(add(x_r, h_r))
        g = tanh(add(x_g, multiply(r, a)))
        h = add(multiply(z, h_old), multiply(subtract(1.0, z), g))
        if mask is not None:
            h = where(expand_dims(inputs[1], -1), h, h_old)
        return h, (h, concatenate([g, z, r, a], axis=-1))

    h, (hidden, gates) = scan(step, h0, (through,) if mask is None else (through, mask), reverse=reverse)
    return hidden, h, gates


@_gru.gradient
def _(ctx, g_hidden, g_h, g_gates):
    if g_gates is not None:  # a gradient of the gradient
        return vjp(partial(_gru.fn, **ctx.attrs), ctx.inputs, (g_hidden, g_h, g_gates))
    x, h0, kernel, recurrent_kernel, bias, mask = ctx.inputs
    hidden, _, gates = ctx.outputs
    grads = gru_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, reverse=ctx.attrs["reverse"])
    return (*grads[:4], None if bias is None else grads[4], None)


def _grad_infer(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, *, reverse=False):
    return x, h0, kernel, recurrent_kernel, Spec((2, 3 * recurrent_kernel.shape[0]), x.dtype)


def _grad_case(steps: int, batch: int, features: int, units: int, *, given: str = "sh", mask: bool = False, **options):
    sequence, state = (steps, batch, units), (batch, units)
    return sample(
        sequence if "s" in given else None,
        state if "h" in given else None,
        (steps, batch, features),
        state,
        In((features, 3 * units), low=-0.5, high=0.5),
        In((units, 3 * units), low=-0.5, high=0.5),
        sample_mask(steps, batch) if mask else None,
        sequence,
        In((steps, batch, 4 * units), low=0.1, high=0.9),
        **options,
    )


@composite(
    "recurrent",
    inputs=("g_hidden", "g_h", "x", "h0", "kernel", "recurrent_kernel", "mask", "hidden", "gates"),
    infer=_grad_infer,
    tolerance={"float32": (2e-5, 2e-5)},  # sums over steps and batch, of products carried over the steps
    samples=[
        _grad_case(3, 2, 4, 3),
        _grad_case(3, 2, 2, 3, given="s", mask=True),
        _grad_case(4, 3, 2, 2, given="h", reverse=True),
        _grad_case(2, 3, 2, 2, mask=True, reverse=True),
        _grad_case(5, 17, 15, 16, grad=False),
        _grad_case(3, 5, 18, 33, grad=False),
    ],
)
def gru_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, *, reverse=False):
    """The gradient of `gru` for x, h0, kernel, recurrent_kernel and bias; absent incoming gradients are zero."""
    before = shifted(hidden, h0, reverse)
    xs = [gates, before]
    xs += [] if mask is None else [mask]
    xs += [] if g_hidden is None else [g_hidden]

    def step(dh, inputs):
        (gate, h_old), more = inputs[:2], list(inputs[2:])
        valid = None if mask is None else expand_dims(more.pop(0), -1)
        if g_hidden is not None:
            dh = add(dh, more.pop(0))
        kept = dh
        g, z, r, a = split(gate, 4, axis=-1)
        to_g = multiply(multiply(dh, subtract(1.0, z)), subtract(1.0, square(g)))
        to_z = multiply(multiply(dh, subtract(h_old, g)), multiply(z, subtract(1.0, z)))
        to_r = multiply(multiply(to_g, a), multiply(r, subtract(1.0, r)))
        slopes = concatenate([to_g, to_z, to_r, multiply(to_g, r)], axis=-1)
        if valid is not None:
            slopes = where(valid, slopes, zeros_like(slopes))
        units = h0.shape[-1]
        dh = add(multiply(dh, z), matmul(slopes[:, units:], transpose(recurrent_kernel, (1, 0))))
        if valid is not None:
            dh = where(valid, dh, kept)
        return dh, slopes

    dh, slopes = scan(step, zeros_like(h0) if g_h is None else g_h, tuple(xs), reverse=not reverse)
    units, rows = recurrent_kernel.shape[0], size_of(x.shape[:2])
    flat = reshape(slopes, (rows, 4 * units))
    to_g, to_z, to_r, to_a = split(flat, 4, axis=-1)
    by_inputs, by_state = concatenate([to_z, to_r, to_g], axis=-1), concatenate([to_z, to_r, to_a], axis=-1)
    return (
        reshape(matmul(by_inputs, transpose(kernel, (1, 0))), x.shape),
        dh,
        matmul(transpose(reshape(x, (rows, x.shape[2])), (1, 0)), by_inputs),
        matmul(transpose(reshape(before, (rows, units)), (1, 0)), by_state),
        stack([reduce_sum(by_inputs, axis=0), reduce_sum(by_state, axis=0)], axis=0),
    )


def gru(
    x: Any,
    h0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run a GRU with tanh and sigmoid over a sequence, the reset gate behind the product with the state.

        x_z, x_r, x_g = split(x_t kernel + bias[0]);  h_z, h_r, a = split(h recurrent_kernel + bias[1])
        z = sigmoid(x_z + h_z);  r = sigmoid(x_r + h_r);  g = tanh(x_g + r a)
        h = z h + (1 - z) g

    Args:
        x: inputs `(batch, time, features)`.
        h0: initial state `(batch, units)`, or None for zeros.
        kernel: `(features, 3 * units)`, gates in the order z, r, h.
        recurrent_kernel: `(units, 3 * units)`.
        bias: `(2, 3 * units)`, for the inputs and for the state; or None.
        mask: bool `(batch, time)`: a step where it is false keeps the state and repeats the previous output, zeros
            before the first valid step; or None.
        reverse: whether to begin at the last step. Outputs keep the places of their inputs.

    Returns: outputs `(batch, time, units)`, last state `(batch, units)`.

    Raises:
        ValueError: if shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from kcore.ops.gru import gru
    >>> x, kernel, recurrent = np.ones((2, 3, 4), "float32"), np.ones((4, 15), "float32"), np.ones((5, 15), "float32")
    >>> outputs, h = gru(x, None, kernel, recurrent)
    >>> outputs.shape, h.shape
    ((2, 3, 5), (2, 5))

    Source: `keras.layers.GRU` with `reset_after=True`; Cho et al. (2014).
    """
    return over_time("gru", _gru, x, (h0,), kernel, recurrent_kernel, bias, mask, reverse)
