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
from kcore.ops.recurrent import check_inputs, check_operands, over_time, sample_cases, sample_mask, shifted
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import concatenate, expand_dims, reshape, stack, transpose
from kcore.ops.shapes import size_of
from kcore.runtime.tape import vjp

__all__ = ["gru"]

_INPUTS = ("x", "h0", "kernel", "recurrent_kernel", "bias", "mask")


def _bias_shape(units: Any, reset_after: bool) -> tuple[Any, ...]:
    """One bias for the inputs and, behind the product, one for the state."""
    return (2, 3 * units) if reset_after else (3 * units,)


def _case(
    steps: int,
    batch: int,
    features: int,
    units: int,
    *,
    bias: bool = True,
    mask: bool = False,
    reset_after: bool = True,
    **options: Any,
):
    small: dict[str, Any] = {"low": -0.5, "high": 0.5}
    return sample(
        In((steps, batch, features), **small),
        In((batch, units), **small),
        In((features, 3 * units), **small),
        In((units, 3 * units), **small),
        In(_bias_shape(units, reset_after), **small) if bias else None,
        sample_mask(steps, batch) if mask else None,
        reset_after=reset_after,
        **options,
    )


def _infer(
    x: Spec,
    h0: Spec,
    kernel: Spec,
    recurrent_kernel: Spec,
    bias: Spec | None,
    mask: Spec | None,
    *,
    reverse: bool = False,
    reset_after: bool = True,
) -> tuple[Spec, ...]:
    check_inputs("gru", x)
    units: Any = recurrent_kernel.shape[0]
    steps, batch, features = x.shape
    expected = {
        "h0": (h0, (batch, units)),
        "kernel": (kernel, (features, 3 * units)),
        "recurrent_kernel": (recurrent_kernel, (units, 3 * units)),
        "bias": (bias, _bias_shape(units, reset_after)),
        "mask": (mask, (steps, batch)),
    }
    check_operands("gru", x, expected)
    gates = Spec((steps, batch, (4 if reset_after else 3) * units), x.dtype)
    return Spec((steps, batch, units), x.dtype), Spec((batch, units), x.dtype), gates


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
        *sample_cases(_case),
        _case(4, 3, 5, 6, reset_after=False),
        _case(3, 2, 4, 5, bias=False, reset_after=False),
        _case(4, 2, 3, 3, mask=True, reverse=True, reset_after=False),
        _case(7, 17, 15, 33, mask=True, reset_after=False, grad=False),
    ],
)
def _gru(x, h0, kernel, recurrent_kernel, bias, mask, *, reverse=False, reset_after=True):
    """Gated recurrent unit (Cho et al. 2014) over ``(time, batch, features)``, with the reset gate behind the product:

        x_z, x_r, x_g = split(x_t kernel + bias[0]);  h_z, h_r, a = split(h recurrent_kernel + bias[1])
        z = sigmoid(x_z + h_z);  r = sigmoid(x_r + h_r);  g = tanh(x_g + r a)
        h = z h + (1 - z) g

    Without `reset_after` it acts before the product: ``g = tanh(x_g + (r h) recurrent_kernel_g)``, all of the bias
    being the inputs'. A step keeps its state where the mask is false. Returns all states ``(time, batch, units)``, in
    the order of the inputs; the last ``(batch, units)``; and, for the gradient, g, z, r and a
    ``(time, batch, 4 units)``, or z, r and g ``(time, batch, 3 units)`` without `reset_after`.
    """
    through = matmul(x, kernel)
    if bias is not None:
        through = add(through, bias[0] if reset_after else bias)
    units = h0.shape[-1]

    def step_before(h_old, inputs):
        x_z, x_r, x_g = split(inputs[0], 3, axis=-1)
        h_z, h_r = split(matmul(h_old, recurrent_kernel[:, : 2 * units]), 2, axis=-1)
        z, r = sigmoid(add(x_z, h_z)), sigmoid(add(x_r, h_r))
        g = tanh(add(x_g, matmul(multiply(r, h_old), recurrent_kernel[:, 2 * units :])))
        return new_state(h_old, inputs, z, g), [z, r, g]

    def step_after(h_old, inputs):
        inner = matmul(h_old, recurrent_kernel)
        if bias is not None:
            inner = add(inner, bias[1])
        (x_z, x_r, x_g), (h_z, h_r, a) = split(inputs[0], 3, axis=-1), split(inner, 3, axis=-1)
        z, r = sigmoid(add(x_z, h_z)), sigmoid(add(x_r, h_r))
        g = tanh(add(x_g, multiply(r, a)))
        return new_state(h_old, inputs, z, g), [g, z, r, a]

    def new_state(h_old, inputs, z, g):
        h = add(multiply(z, h_old), multiply(subtract(1.0, z), g))
        return h if mask is None else where(expand_dims(inputs[1], -1), h, h_old)

    def step(h_old, inputs):
        h, gates = (step_after if reset_after else step_before)(h_old, inputs)
        return h, (h, concatenate(gates, axis=-1))

    h, (hidden, gates) = scan(step, h0, (through,) if mask is None else (through, mask), reverse=reverse)
    return hidden, h, gates


@_gru.gradient
def _(ctx, g_hidden, g_h, g_gates):
    if g_gates is not None:  # a gradient of the gradient
        return vjp(partial(_gru.fn, **ctx.attrs), ctx.inputs, (g_hidden, g_h, g_gates))
    x, h0, kernel, recurrent_kernel, bias, mask = ctx.inputs
    hidden, _, gates = ctx.outputs
    grads = gru_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, **ctx.attrs)
    return (*grads[:4], None if bias is None else grads[4], None)


def _grad_infer(
    g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, *, reverse=False, reset_after=True
):
    bias = _bias_shape(recurrent_kernel.shape[0], reset_after)
    return x, h0, kernel, recurrent_kernel, Spec(bias, x.dtype)


def _grad_case(
    steps: int,
    batch: int,
    features: int,
    units: int,
    *,
    given: str = "sh",
    mask: bool = False,
    reset_after: bool = True,
    **options: Any,
):
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
        In((steps, batch, (4 if reset_after else 3) * units), low=0.1, high=0.9),
        reset_after=reset_after,
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
        _grad_case(3, 2, 4, 3, reset_after=False),
        _grad_case(3, 2, 2, 3, given="s", mask=True, reset_after=False),
        _grad_case(4, 3, 2, 2, given="h", reverse=True, reset_after=False),
        _grad_case(3, 5, 18, 33, mask=True, reset_after=False, grad=False),
    ],
)
def gru_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, gates, *, reverse=False, reset_after=True):
    """The gradient of `gru` for x, h0, kernel, recurrent_kernel and bias; absent incoming gradients are zero."""
    units, rows = recurrent_kernel.shape[0], size_of(x.shape[:2])
    turned = transpose(recurrent_kernel, (1, 0))
    before = shifted(hidden, h0, reverse)
    xs = [gates, before]
    xs += [] if mask is None else [mask]
    xs += [] if g_hidden is None else [g_hidden]

    def slopes_after(dh, gate, h_old):
        g, z, r, a = split(gate, 4, axis=-1)
        to_g = multiply(multiply(dh, subtract(1.0, z)), subtract(1.0, square(g)))
        to_z = multiply(multiply(dh, subtract(h_old, g)), multiply(z, subtract(1.0, z)))
        to_r = multiply(multiply(to_g, a), multiply(r, subtract(1.0, r)))
        by_state = [to_z, to_r, multiply(to_g, r)]
        dh = add(multiply(dh, z), matmul(concatenate(by_state, axis=-1), turned))
        return dh, [to_g, *by_state]

    def slopes_before(dh, gate, h_old):
        z, r, g = split(gate, 3, axis=-1)
        to_g = multiply(multiply(dh, subtract(1.0, z)), subtract(1.0, square(g)))
        to_z = multiply(multiply(dh, subtract(h_old, g)), multiply(z, subtract(1.0, z)))
        to_kept = matmul(to_g, turned[2 * units :])
        to_r = multiply(multiply(to_kept, h_old), multiply(r, subtract(1.0, r)))
        through = matmul(concatenate([to_z, to_r], axis=-1), turned[: 2 * units])
        return add(add(multiply(dh, z), multiply(to_kept, r)), through), [to_z, to_r, to_g]

    def step(dh, inputs):
        (gate, h_old), more = inputs[:2], list(inputs[2:])
        valid = None if mask is None else expand_dims(more.pop(0), -1)
        if g_hidden is not None:
            dh = add(dh, more.pop(0))
        kept = dh
        dh, parts = (slopes_after if reset_after else slopes_before)(dh, gate, h_old)
        slopes = concatenate(parts, axis=-1)
        if valid is not None:
            slopes = where(valid, slopes, zeros_like(slopes))
        if valid is not None:
            dh = where(valid, dh, kept)
        return dh, slopes

    dh, slopes = scan(step, zeros_like(h0) if g_h is None else g_h, tuple(xs), reverse=not reverse)
    flat = reshape(slopes, (rows, slopes.shape[-1]))
    states = transpose(reshape(before, (rows, units)), (1, 0))
    if reset_after:
        to_g, to_z, to_r, to_a = split(flat, 4, axis=-1)
        by_inputs, by_state = concatenate([to_z, to_r, to_g], axis=-1), concatenate([to_z, to_r, to_a], axis=-1)
        d_recurrent = matmul(states, by_state)
        d_bias = stack([reduce_sum(by_inputs, axis=0), reduce_sum(by_state, axis=0)], axis=0)
    else:
        by_inputs, resets = flat, reshape(gates, (rows, 3 * units))[:, units : 2 * units]
        kept = multiply(states, transpose(resets, (1, 0)))
        parts = [matmul(states, flat[:, : 2 * units]), matmul(kept, flat[:, 2 * units :])]
        d_recurrent, d_bias = concatenate(parts, axis=-1), reduce_sum(flat, axis=0)
    d_kernel = matmul(transpose(reshape(x, (rows, x.shape[2])), (1, 0)), by_inputs)
    return reshape(matmul(by_inputs, transpose(kernel, (1, 0))), x.shape), dh, d_kernel, d_recurrent, d_bias


def gru(
    x: Any,
    h0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    reverse: bool = False,
    reset_after: bool = True,
) -> tuple[Any, Any]:
    """Run a GRU with tanh and sigmoid over a sequence, the reset gate behind the product with the state or before it.

        x_z, x_r, x_g = split(x_t kernel + bias[0]);  h_z, h_r, a = split(h recurrent_kernel + bias[1])
        z = sigmoid(x_z + h_z);  r = sigmoid(x_r + h_r);  g = tanh(x_g + r a)
        h = z h + (1 - z) g

    Without `reset_after`: ``g = tanh(x_g + (r h) recurrent_kernel_g)``, with one bias, that of the inputs.

    Args:
        x: inputs `(batch, time, features)`.
        h0: initial state `(batch, units)`, or None for zeros.
        kernel: `(features, 3 * units)`, gates in the order z, r, h.
        recurrent_kernel: `(units, 3 * units)`.
        bias: `(2, 3 * units)`, for the inputs and for the state, or `(3 * units,)` without `reset_after`; or None.
        mask: bool `(batch, time)`: a step where it is false keeps the state and repeats the previous output, zeros
            before the first valid step; or None.
        reverse: whether to begin at the last step. Outputs keep the places of their inputs.
        reset_after: whether the reset gate acts behind the product with the state, as on GPUs,
            or before it.

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

    Source: `keras.layers.GRU`; Cho et al. (2014).
    """
    op = partial(_gru, reset_after=bool(reset_after))
    return over_time("gru", op, x, (h0,), kernel, recurrent_kernel, bias, mask, reverse)
