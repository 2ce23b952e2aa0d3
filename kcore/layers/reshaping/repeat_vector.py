"""A vector at every step of a sequence."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument, positive_int
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.registry import public


@public("keras.layers")
class RepeatVector(Layer):
    """Repeats every sample `n` times, as a sequence of equal steps.

    Args:
        n: number of steps.

    Shapes:
        input ``(batch, features)``, output ``(batch, n, features)``.

    Example:
        >>> import numpy as np
        >>> RepeatVector(3)(np.array([[1.0, 2.0]], "float32")).numpy().tolist()
        [[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]]

    Source: `keras.layers.RepeatVector`.
    """

    n: int = argument(kind=positive_int)

    input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (batch, self.n, features))
