"""The simple recurrent network over a whole sequence as one op, and its gradient; both decompose into a scan."""

from __future__ import annotations

from typing import Any

from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.contraction import matmul
from kcore.ops.control import scan
from kcore.ops.creation import zeros_like
from kcore.ops.elementwise import add, multiply, square, subtract, tanh, where
from kcore.ops.halves import through_float32
from kcore.ops.recurrent import check_inputs, check_operands, over_time, sample_cases, sample_mask, shifted
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import expand_dims, reshape, transpose
from kcore.ops.shapes import size_of

__all__ = ["simple_rnn"]

_INPUTS = ("x", "h0", "kernel", "recurrent_kernel", "bias", "mask")


def _case(steps: int, batch: int, features: int, units: int, *, bias: bool = True, mask: bool = False, **options: Any):
    small: dict[str, Any] = {"low": -0.5, "high": 0.5}
    return sample(
        In((steps, batch, features), **small),
        In((batch, units), **small),
        In((features, units), **small),
        In((units, units), **small),
        In((units,), **small) if bias else None,
        sample_mask(steps, batch) if mask else None,
        **options,
    )


def _infer(
    x: Spec, h0: Spec, kernel: Spec, recurrent_kernel: Spec, bias: Spec | None, mask: Spec | None, *, reverse=False
) -> tuple[Spec, ...]:
    check_inputs("simple_rnn", x)
    units: Any = recurrent_kernel.shape[0]
    steps, batch, features = x.shape
    expected = {
        "h0": (h0, (batch, units)),
        "kernel": (kernel, (features, units)),
        "recurrent_kernel": (recurrent_kernel, (units, units)),
        "bias": (bias, (units,)),
        "mask": (mask, (steps, batch)),
    }
    check_operands("simple_rnn", x, expected)
    return Spec((steps, batch, units), x.dtype), Spec((batch, units), x.dtype)


@composite(
    "recurrent",
    "simple_rnn",
    inputs=_INPUTS,
    infer=_infer,
    promote="float",
    promoted=(0, 1, 2, 3, 4),
    tolerance={"float32": (1e-5, 1e-5)},  # a sum of features and units, carried over the steps
    samples=sample_cases(_case),
)
def _simple_rnn(x, h0, kernel, recurrent_kernel, bias, mask, *, reverse=False):
    """A recurrent network of one layer (Elman 1990) over ``(time, batch, features)``.

    ``h = tanh(x_t kernel + h recurrent_kernel + bias)``; a step keeps its state where the mask is false. Returns all
    states ``(time, batch, units)``, in the order of the inputs, and the last ``(batch, units)``.
    """
    through = matmul(x, kernel)
    if bias is not None:
        through = add(through, bias)

    def step(h_old, inputs):
        h = tanh(add(inputs[0], matmul(h_old, recurrent_kernel)))
        if mask is not None:
            h = where(expand_dims(inputs[1], -1), h, h_old)
        return h, h

    h, hidden = scan(step, h0, (through,) if mask is None else (through, mask), reverse=reverse)
    return hidden, h


@_simple_rnn.gradient
def _(ctx, g_hidden, g_h):
    x, h0, kernel, recurrent_kernel, bias, mask = ctx.inputs
    hidden = ctx.outputs[0]
    grads = simple_rnn_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, **ctx.attrs)
    return (*grads[:4], None if bias is None else grads[4], None)


def _grad_infer(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, *, reverse=False):
    return x, h0, kernel, recurrent_kernel, Spec((recurrent_kernel.shape[0],), x.dtype)


def _grad_case(steps: int, batch: int, features: int, units: int, *, given: str = "sh", mask: bool = False, **options):
    sequence, state = (steps, batch, units), (batch, units)
    return sample(
        sequence if "s" in given else None,
        state if "h" in given else None,
        (steps, batch, features),
        state,
        In((features, units), low=-0.5, high=0.5),
        In((units, units), low=-0.5, high=0.5),
        sample_mask(steps, batch) if mask else None,
        In(sequence, low=-0.9, high=0.9),
        **options,
    )


@composite(
    "recurrent",
    inputs=("g_hidden", "g_h", "x", "h0", "kernel", "recurrent_kernel", "mask", "hidden"),
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
@through_float32("simple_rnn_grad")
def simple_rnn_grad(g_hidden, g_h, x, h0, kernel, recurrent_kernel, mask, hidden, *, reverse=False):
    """The gradient of `simple_rnn` for x, h0, kernel, recurrent_kernel and bias; absent gradients are zero."""
    xs = [hidden]
    xs += [] if mask is None else [mask]
    xs += [] if g_hidden is None else [g_hidden]

    def step(dh, inputs):
        h, more = inputs[0], list(inputs[1:])
        valid = None if mask is None else expand_dims(more.pop(0), -1)
        if g_hidden is not None:
            dh = add(dh, more.pop(0))
        slopes = multiply(dh, subtract(1.0, square(h)))
        if valid is not None:
            slopes = where(valid, slopes, zeros_like(slopes))
        back = matmul(slopes, transpose(recurrent_kernel, (1, 0)))
        return (back if valid is None else where(valid, back, dh)), slopes

    dh, slopes = scan(step, zeros_like(h0) if g_h is None else g_h, tuple(xs), reverse=not reverse)
    units, rows = recurrent_kernel.shape[0], size_of(x.shape[:2])
    flat = reshape(slopes, (rows, units))
    return (
        matmul(slopes, transpose(kernel, (1, 0))),
        dh,
        matmul(transpose(reshape(x, (rows, x.shape[2])), (1, 0)), flat),
        matmul(transpose(reshape(shifted(hidden, h0, reverse), (rows, units)), (1, 0)), flat),
        reduce_sum(flat, axis=0),
    )


def simple_rnn(
    x: Any,
    h0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run ``h = tanh(x_t kernel + h recurrent_kernel + bias)`` over a sequence.

    Args:
        x: inputs `(batch, time, features)`.
        h0: initial state `(batch, units)`, or None for zeros.
        kernel: `(features, units)`.
        recurrent_kernel: `(units, units)`.
        bias: `(units,)`, or None.
        mask: bool `(batch, time)`: a step where it is false keeps the state and repeats the previous output, zeros
            before the first valid step; or None.
        reverse: whether to begin at the last step. Outputs keep the places of their inputs.

    Returns: outputs `(batch, time, units)`, last state `(batch, units)`.

    Raises:
        ValueError: if shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from kcore.ops.simple_rnn import simple_rnn
    >>> x, kernel, recurrent = np.ones((2, 3, 4), "float32"), np.ones((4, 5), "float32"), np.ones((5, 5), "float32")
    >>> outputs, h = simple_rnn(x, None, kernel, recurrent)
    >>> outputs.shape, h.shape
    ((2, 3, 5), (2, 5))

    Source: `keras.layers.SimpleRNN`; Elman (1990).
    """
    return over_time("simple_rnn", _simple_rnn, x, (h0,), kernel, recurrent_kernel, bias, mask, reverse)
