"""The dense layer in Einstein's notation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from kcore import activations, ops, regularizers
from kcore.declare import argument, only
from kcore.initializers import VarianceScaling
from kcore.layers.core.kernel_layer import KernelLayer
from kcore.layers.input_spec import InputSpec
from kcore.registry import public


class Plan(NamedTuple):
    """What an equation means for inputs of one shape."""

    kernel_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None
    output_shape: tuple[int | None, ...]
    input_axes: list[int]
    output_axes: list[int]


@public("keras.layers")
class EinsumDense(KernelLayer):
    """A dense layer of any rank: ``activation(einsum(equation, inputs, kernel) + bias)``.

    Args:
        equation: such as ``"abc,cd->abd"``; axes may be left out by ``...`` on the left or the right.
        output_shape: shape of the output without the batch (and without axes left out); None where it is that of
            the input.
        activation: name or function; linear if None.
        bias_axes: output axes the bias has, e.g. ``"d"``; None is no bias.
        kernel_initializer, bias_initializer: first values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties on weights and output.
        kernel_constraint, bias_constraint: what the weights are mapped to after an update.
        quantization_config: None; Keras's files carry it.

    Shapes:
        as the equation says.

    Example:
        >>> import numpy as np
        >>> EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(np.ones((2, 3, 5), "float32")).shape
        (2, 3, 4)

    Source: `keras.layers.EinsumDense`.
    """

    equation: str = argument()
    output_shape: Any = argument(attr="partial_output_shape", kind=lambda s: (s,) if isinstance(s, int) else tuple(s))
    activation: Any = argument(None, activations)
    bias_axes: str | None = argument(None)
    activity_regularizer: Any = argument(None, regularizers, keyword=True)
    quantization_config: Any = argument(None, only(None, "kcore does not quantize"), keyword=True)
    use_bias = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        plan = self._plan(input_shape)
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and initializer.input_axes is None:
            config = initializer.get_config()
            config.update(seed=initializer.seed, input_axes=plan.input_axes, output_axes=plan.output_axes)
            initializer = type(initializer).from_config(config)
        self.make_kernel(plan.kernel_shape, plan.bias_shape, initializer)
        self.input_spec = InputSpec(ndim=len(input_shape))

    def call(self, inputs: Any) -> Any:
        return self.finish(ops.einsum(self.equation, inputs, self.kernel))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self._plan(input_shape).output_shape

    def _plan(self, input_shape: Sequence[int | None]) -> Plan:
        return analyze(self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape)


def analyze(
    equation: str, bias_axes: str | None, input_shape: tuple[int | None, ...], output_shape: tuple[int | None, ...]
) -> Plan:
    """Kernel, bias and output shapes of an equation.

    Raises:
        ValueError: the equation is of another form, or does not fit the shapes.

    Example:
        >>> analyze("ab,bc->ac", "c", (None, 3), (4,)).kernel_shape
        (3, 4)
    """
    match = re.fullmatch(
        r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", equation.replace(" ", "")
    )
    if match is None or match[1] != match[5] or match[3] != match[7] or (match[1] and match[3]):
        raise ValueError(f"equation {equation!r}: expected the form X,Y->Z, ...X,Y->...Z or X...,Y->Z...")
    left, inputs, weights, outputs = bool(match[1]), match[2], match[4], match[6]
    elided = len(input_shape) - len(inputs)
    full = [input_shape[0], *output_shape]
    if elided > 0 and left:
        full[1:1] = input_shape[1:elided]
    elif elided > 0:
        full += input_shape[len(input_shape) - elided :]
    in_at = {d: (i - len(inputs) if left else i) for i, d in enumerate(inputs)}
    out_at = {d: i + (elided if left else 0) for i, d in enumerate(outputs)}
    for d in inputs:
        if d in out_at:
            wanted = full[out_at[d]]
            if wanted is None:
                full[out_at[d]] = input_shape[in_at[d]]
            elif wanted != input_shape[in_at[d]]:
                raise ValueError(
                    f"equation {equation!r}: axis {d!r} is {input_shape[in_at[d]]} in the input and {wanted} in the "
                    "output"
                )
    for d in outputs:
        if d not in inputs and d not in weights:
            raise ValueError(f"equation {equation!r}: axis {d!r} of the output is in neither the input nor the kernel")
    shape: list[int | None] = []
    input_axes: list[int] = []
    output_axes: list[int] = []
    for i, d in enumerate(weights):
        if d not in out_at and d not in in_at:
            raise ValueError(f"equation {equation!r}: axis {d!r} of the kernel is in neither the input nor the output")
        shape.append(full[out_at[d]] if d in out_at else input_shape[in_at[d]])
        (output_axes if d in out_at else input_axes).append(i)
    bias_shape = None
    if bias_axes is not None:
        unknown = [d for d in bias_axes if d not in outputs]
        if unknown:
            raise ValueError(f"equation {equation!r}: bias axis {unknown[0]!r} is not an axis of the output")
        first = min(outputs.index(d) for d in bias_axes)
        bias_shape = tuple(full[out_at[d]] if d in bias_axes else 1 for d in outputs[first:])
        if not left:
            bias_shape += (1,) * max(elided, 0)
    return Plan(tuple(shape), bias_shape, tuple(full), input_axes, output_axes)  # type: ignore[arg-type]
