"""LSTM over a whole sequence as one op, and its gradient; both decompose into a scan over the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.control import scan
from kcore.ops.creation import zeros, zeros_like
from kcore.ops.elementwise import add, cast, greater, multiply, sigmoid, square, subtract, tanh, where
from kcore.ops.getitem import split
from kcore.ops.reduction import cumsum
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import concatenate, expand_dims, flip, reshape, transpose
from kcore.ops.shapes import size_of
from kcore.runtime.tape import vjp

__all__ = ["lstm"]

_INPUTS = ("x", "h0", "c0", "kernel", "recurrent_kernel", "bias", "mask")


def sample_mask(steps: int, batch: int) -> In:
    """A mask for samples, some of it false."""
    values = (np.arange(steps * batch).reshape(steps, batch) * 7 % 5) > 1
    return In((steps, batch), dtype="bool", value=values)


def _case(steps: int, batch: int, features: int, units: int, *, bias: bool = True, mask: bool = False, **options: Any):
    small: dict[str, Any] = {"low": -0.5, "high": 0.5}
    return sample(
        In((steps, batch, features), **small),
        In((batch, units), **small),
        In((batch, units), **small),
        In((features, 4 * units), **small),
        In((units, 4 * units), **small),
        In((4 * units,), **small) if bias else None,
        sample_mask(steps, batch) if mask else None,
        **options,
    )


def sample_cases(case: Callable[..., Any]) -> list[Any]:
    """The samples of a recurrent op; `case` makes one of steps, batch, features, units and what else is named."""
    return [
        case(4, 3, 5, 6),
        case(3, 2, 4, 5, bias=False),
        case(5, 3, 4, 2, mask=True),
        case(3, 1, 1, 1, reverse=True),
        case(4, 2, 3, 3, mask=True, reverse=True),
        case(1, 4, 3, 2),
        case(7, 17, 15, 33, grad=False),
        case(5, 33, 31, 16, mask=True, grad=False),
    ]


def check_inputs(op: str, x: Spec) -> None:
    """Raise unless the inputs are a sequence."""
    if x.ndim != 3:
        raise ValueError(f"{op}: expected inputs (time, batch, features); received {x}")


def check_operands(op: str, x: Spec, expected: Mapping[str, tuple[Spec | None, tuple]]) -> None:
    """Raise if an operand that is there has not the expected shape; sizes may be unknown."""
    for name, (spec, shape) in expected.items():
        if spec is None:
            continue
        fits = len(spec.shape) == len(shape) and all(
            None in (a, b) or a == b for a, b in zip(spec.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{op}: expected {name} of shape {shape} for inputs {x}; received {spec}")


def _infer(
    x: Spec,
    h0: Spec,
    c0: Spec,
    kernel: Spec,
    recurrent_kernel: Spec,
    bias: Spec | None,
    mask: Spec | None,
    *,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    units: Any = recurrent_kernel.shape[0]
    check_inputs("lstm", x)
    steps, batch, features = x.shape
    expected = {
        "h0": (h0, (batch, units)),
        "c0": (c0, (batch, units)),
        "kernel": (kernel, (features, 4 * units)),
        "recurrent_kernel": (recurrent_kernel, (units, 4 * units)),
        "bias": (bias, (4 * units,)),
        "mask": (mask, (steps, batch)),
    }
    check_operands("lstm", x, expected)
    state, sequence = Spec((batch, units), x.dtype), Spec((steps, batch, units), x.dtype)
    return sequence, state, state, sequence, Spec((steps, batch, 4 * units), x.dtype)


@composite(
    "recurrent",
    "lstm",
    inputs=_INPUTS,
    infer=_infer,
    promote="float",
    promoted=(0, 1, 2, 3, 4, 5),
    residuals=2,
    tolerance={"float32": (1e-5, 1e-5)},  # a sum of features and units per gate, carried over the steps
    samples=sample_cases(_case),
)
def _lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask, *, reverse=False):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) over ``(time, batch, features)``.

        i, f, g, o = split(x_t kernel + h recurrent_kernel + bias)
        c = sigmoid(f) c + sigmoid(i) tanh(g)
        h = sigmoid(o) tanh(c)

    A step keeps its state where the mask is false. Returns all states h ``(time, batch, units)``, in the order of the
    inputs; the last h and c ``(batch, units)``; and, for the gradient, all c and the activated gates i, f, g, o
    ``(time, batch, 4 units)``.
    """
    z = matmul(x, kernel)
    if bias is not None:
        z = add(z, bias)

    def step(carry, inputs):
        h_old, c_old = carry
        i, f, g, o = split(add(inputs[0], matmul(h_old, recurrent_kernel)), 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = add(multiply(f, c_old), multiply(i, g))
        h = multiply(o, tanh(c))
        if mask is not None:
            valid = expand_dims(inputs[1], -1)
            h, c = where(valid, h, h_old), where(valid, c, c_old)
        return (h, c), (h, c, concatenate([i, f, g, o], axis=-1))

    (h, c), (hidden, cells, gates) = scan(step, (h0, c0), (z,) if mask is None else (z, mask), reverse=reverse)
    return hidden, h, c, cells, gates


@_lstm.gradient
def _(ctx, g_hidden, g_h, g_c, g_cells, g_gates):
    if g_cells is not None or g_gates is not None:  # a gradient of the gradient
        return vjp(partial(_lstm.fn, **ctx.attrs), ctx.inputs, (g_hidden, g_h, g_c, g_cells, g_gates))
    x, h0, c0, kernel, recurrent_kernel, bias, mask = ctx.inputs
    hidden, _, _, cells, gates = ctx.outputs
    grads = lstm_grad(
        g_hidden,
        g_h,
        g_c,
        x,
        h0,
        c0,
        kernel,
        recurrent_kernel,
        mask,
        hidden,
        cells,
        gates,
        reverse=ctx.attrs["reverse"],
    )
    return (*grads[:5], None if bias is None else grads[5], None)


def _grad_infer(g_hidden, g_h, g_c, x, h0, c0, kernel, recurrent_kernel, mask, hidden, cells, gates, *, reverse=False):
    return x, h0, c0, kernel, recurrent_kernel, Spec((4 * recurrent_kernel.shape[0],), x.dtype)


def _grad_case(steps: int, batch: int, features: int, units: int, *, given: str = "shc", mask: bool = False, **options):
    sequence, state = (steps, batch, units), (batch, units)
    gate = In((steps, batch, 4 * units), low=0.1, high=0.9)
    return sample(
        sequence if "s" in given else None,
        state if "h" in given else None,
        state if "c" in given else None,
        (steps, batch, features),
        state,
        state,
        In((features, 4 * units), low=-0.5, high=0.5),
        In((units, 4 * units), low=-0.5, high=0.5),
        sample_mask(steps, batch) if mask else None,
        sequence,
        sequence,
        gate,
        **options,
    )


@composite(
    "recurrent",
    inputs=(
        "g_hidden",
        "g_h",
        "g_c",
        "x",
        "h0",
        "c0",
        "kernel",
        "recurrent_kernel",
        "mask",
        "hidden",
        "cells",
        "gates",
    ),
    infer=_grad_infer,
    tolerance={"float32": (2e-5, 2e-5)},  # sums over steps and batch, of products carried over the steps
    samples=[
        _grad_case(3, 2, 4, 3),
        _grad_case(3, 2, 2, 3, given="s", mask=True),
        _grad_case(4, 3, 2, 2, given="h", reverse=True),
        _grad_case(2, 3, 2, 2, given="c", mask=True, reverse=True),
        _grad_case(5, 17, 15, 16, grad=False),
    ],
)
def lstm_grad(g_hidden, g_h, g_c, x, h0, c0, kernel, recurrent_kernel, mask, hidden, cells, gates, *, reverse=False):
    """The gradient of `lstm` for x, h0, c0, kernel, recurrent_kernel and bias; absent incoming gradients are zero."""
    before_h = shifted(hidden, h0, reverse)
    before_c = shifted(cells, c0, reverse)
    xs = [gates, cells, before_c]
    xs += [] if mask is None else [mask]
    xs += [] if g_hidden is None else [g_hidden]

    def step(carry, inputs):
        dh, dc = carry
        (gate, c, c_old), more = inputs[:3], list(inputs[3:])
        valid = None if mask is None else expand_dims(more.pop(0), -1)
        if g_hidden is not None:
            dh = add(dh, more.pop(0))
        kept_h, kept_c = dh, dc
        i, f, g, o = split(gate, 4, axis=-1)
        flat = tanh(c)
        dc = add(dc, multiply(multiply(dh, o), subtract(1.0, square(flat))))
        slopes = concatenate(
            [
                multiply(multiply(dc, g), multiply(i, subtract(1.0, i))),
                multiply(multiply(dc, c_old), multiply(f, subtract(1.0, f))),
                multiply(multiply(dc, i), subtract(1.0, square(g))),
                multiply(multiply(dh, flat), multiply(o, subtract(1.0, o))),
            ],
            axis=-1,
        )
        dc = multiply(dc, f)
        if valid is not None:
            slopes = where(valid, slopes, zeros_like(slopes))
        dh = matmul(slopes, transpose(recurrent_kernel, (1, 0)))
        if valid is not None:
            dh, dc = where(valid, dh, kept_h), where(valid, dc, kept_c)
        return (dh, dc), slopes

    start = (zeros_like(h0) if g_h is None else g_h, zeros_like(c0) if g_c is None else g_c)
    (dh, dc), slopes = scan(step, start, tuple(xs), reverse=not reverse)
    units = recurrent_kernel.shape[0]
    rows = size_of(x.shape[:2])
    flat = reshape(slopes, (rows, 4 * units))
    return (
        matmul(slopes, transpose(kernel, (1, 0))),
        dh,
        dc,
        matmul(transpose(reshape(x, (rows, x.shape[2])), (1, 0)), flat),
        matmul(transpose(reshape(before_h, (rows, units)), (1, 0)), flat),
        reduce_sum(flat, axis=0),
    )


def shifted(sequence: Any, start: Any, reverse: bool) -> Any:
    """What each step found: the sequence moved by one step, with the initial state before it."""
    begin = expand_dims(start, 0)
    return concatenate([sequence[1:], begin] if reverse else [begin, sequence[:-1]], axis=0)


def lstm(
    x: Any,
    h0: Any,
    c0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    reverse: bool = False,
) -> tuple[Any, Any, Any]:
    """Run an LSTM with tanh and sigmoid over a sequence.

        i, f, g, o = split(x_t kernel + h recurrent_kernel + bias)
        c = sigmoid(f) c + sigmoid(i) tanh(g)
        h = sigmoid(o) tanh(c)

    Args:
        x: inputs `(batch, time, features)`.
        h0: initial state `(batch, units)`, or None for zeros.
        c0: initial cell `(batch, units)`, or None for zeros.
        kernel: `(features, 4 * units)`, gates in the order i, f, c, o.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`, or None.
        mask: bool `(batch, time)`: a step where it is false keeps the state and repeats the previous output, zeros
            before the first valid step; or None.
        reverse: whether to begin at the last step. Outputs keep the places of their inputs.

    Returns: outputs `(batch, time, units)`, last state `(batch, units)`, last cell `(batch, units)`.

    Raises:
        ValueError: if shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from kcore.ops.recurrent import lstm
    >>> x, kernel, recurrent = np.ones((2, 3, 4), "float32"), np.ones((4, 20), "float32"), np.ones((5, 20), "float32")
    >>> outputs, h, c = lstm(x, None, None, kernel, recurrent)
    >>> outputs.shape, h.shape, c.shape
    ((2, 3, 5), (2, 5), (2, 5))

    Source: `keras.layers.LSTM`; Hochreiter and Schmidhuber (1997).
    """
    return over_time("lstm", _lstm, x, (h0, c0), kernel, recurrent_kernel, bias, mask, reverse)


def over_time(
    name: str,
    op: Callable[..., Any],
    x: Any,
    states: tuple[Any, ...],
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    mask: Any,
    reverse: bool,
) -> tuple[Any, ...]:
    """Run an op over ``(time, batch, features)`` on ``(batch, time, features)``: outputs, then the last states."""
    if len(x.shape) != 3:
        raise ValueError(f"{name}: expected inputs (batch, time, features); received shape {tuple(x.shape)}")
    given = states[0] is not None
    units = recurrent_kernel.shape[0]
    starts = [_zero_state(x, units) if state is None else state for state in states]
    turned = None if mask is None else transpose(cast(mask, "bool"), (1, 0))
    results = op(transpose(x, (1, 0, 2)), *starts, kernel, recurrent_kernel, bias, turned, reverse=bool(reverse))
    hidden = results[0]
    if given and turned is not None:
        # The state before the first valid step is h0, but the output there is zero.
        count = cast(turned, "int32")
        begun = flip(cumsum(flip(count, 0), axis=0), 0) if reverse else cumsum(count, axis=0)
        hidden = where(expand_dims(greater(begun, 0), -1), hidden, zeros_like(hidden))
    return transpose(hidden, (1, 0, 2)), *results[1 : 1 + len(states)]


def _zero_state(x: Any, units: int) -> Any:
    batch = x.shape[0]
    if batch is not None:
        return zeros((batch, units), dtype=x.dtype)
    # A batch of unknown size: a column of the inputs has it.
    return zeros_like(matmul(x[:, 0, :], zeros((x.shape[2], units), dtype=x.dtype)))
