"""The embedding of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument, only, positive_int
from kcore.layers.layer import Layer
from kcore.ops.indexing import gather
from kcore.registry import public


@public("keras.layers")
class Embedding(Layer):
    """A vector per integer: ``outputs[...] = embeddings[inputs[...]]``.

    Args:
        input_dim: number of vectors; inputs are from 0 to ``input_dim - 1``.
        output_dim: size of a vector.
        embeddings_initializer: first values.
        embeddings_regularizer: penalty on the vectors.
        embeddings_constraint: what they are mapped to after an update.
        mask_zero: whether 0 is padding: later layers see a mask that is False there.
        weights: first values as an array ``(input_dim, output_dim)``.
        quantization_config: None; Keras's files carry it.

    Shapes:
        input ``(batch, ...)`` of integers, output ``(batch, ..., output_dim)``.

    Raises:
        ValueError: an input is below 0 or beyond ``input_dim - 1``; a compiled step looks at its arguments.

    Example:
        >>> import numpy as np
        >>> Embedding(10, 4, mask_zero=True)(np.array([[1, 2, 0]])).shape
        (1, 3, 4)

    Source: `keras.layers.Embedding`.
    """

    input_dim: int = argument(kind=positive_int)
    output_dim: int = argument(kind=positive_int)
    embeddings_initializer: Any = argument("uniform", initializers)
    embeddings_regularizer: Any = argument(None, regularizers)
    embeddings_constraint: Any = argument(None, constraints)
    mask_zero: bool = argument(False)
    weights: Any = argument(None, config=False, attr="_first_values")
    activity_regularizer: Any = argument(None, regularizers, keyword=True)
    quantization_config: Any = argument(None, only(None, "kcore does not quantize"), keyword=True)

    _first_values: Any

    def __post_init__(self) -> None:
        self.supports_masking = self.mask_zero
        self.autocast = False
        first, self._first_values = self._first_values, None
        if first is not None:
            self.build()
            self.set_weights([np.asarray(first[0] if isinstance(first, list) and len(first) == 1 else first)])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        # not `take`, where a negative index counts from the end: here it is a mistake, found on the host
        return ops.cast(gather(self.embeddings, inputs, axis=0), self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None
