"""The axes of every sample in another order."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.registry import public


def _dims(value: Any) -> tuple[int, ...]:
    dims = tuple(value) if isinstance(value, list | tuple) else ()
    if not dims or sorted(dims) != list(range(1, len(dims) + 1)):
        raise ValueError("expected an order of the axes 1, 2, ..., each of them once")
    return dims


@public("keras.layers")
class Permute(Layer):
    """Puts the axes of every sample into another order.

    Args:
        dims: for each axis of the output the one of the input, counted from 1: the batch, axis 0, stays.

    Shapes:
        input ``(batch, d1, d2, ...)``, output ``(batch, d[dims[0]], d[dims[1]], ...)``.

    Raises:
        ValueError: `dims` is no permutation of 1, 2, ..., or the input has another rank.

    Example:
        >>> import numpy as np
        >>> Permute((2, 1))(np.ones((2, 3, 4), "float32")).shape
        (2, 4, 3)

    Source: `keras.layers.Permute`.
    """

    dims: tuple[int, ...] = argument(kind=_dims)

    def __post_init__(self) -> None:
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))
