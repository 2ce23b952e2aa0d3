"""An embedding that also goes back from vectors to logits."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.dtypes import standardize_dtype
from kcore.layers.core.embedding import Embedding
from kcore.registry import public


def _dtype(value: Any) -> str | None:
    return None if value is None else standardize_dtype(value)


def _soft_cap(value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
        raise ValueError("expected a positive number or None")
    return value


@public("keras.layers")
class ReversibleEmbedding(Embedding):
    """A vector per integer; called with ``reverse=True``, a logit per integer: ``outputs = inputs @ embeddings^T``.

    Args:
        input_dim: number of vectors; integers are from 0 to ``input_dim - 1``.
        output_dim: size of a vector.
        tie_weights: whether the way back uses the same weights; if not it has its own, ``(output_dim, input_dim)``.
        embeddings_initializer: first values.
        embeddings_regularizer: penalty on the vectors.
        embeddings_constraint: what they are mapped to after an update.
        mask_zero: whether 0 is padding: later layers see a mask that is False there.
        reverse_dtype: dtype of the way back; the compute dtype if None.
        logit_soft_cap: the logits become ``cap * tanh(logits / cap)``.

    Shapes:
        input ``(batch, ...)`` of integers, output ``(batch, ..., output_dim)``; with ``reverse=True`` input
        ``(batch, ..., output_dim)``, output ``(batch, ..., input_dim)``.

    Example:
        >>> import numpy as np
        >>> layer = ReversibleEmbedding(10, 4)
        >>> vectors = layer(np.array([[1, 2, 3]]))
        >>> vectors.shape, layer(vectors, reverse=True).shape
        ((1, 3, 4), (1, 3, 10))

    Source: Press and Wolf, arXiv:1608.05859; `keras.layers.ReversibleEmbedding`.
    """

    tie_weights: bool = argument(True, after="output_dim")
    reverse_dtype: Any = argument(None, _dtype, after="mask_zero")
    logit_soft_cap: float | None = argument(None, _soft_cap, after="reverse_dtype")

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim), self.embeddings_initializer, name="reverse_embeddings"
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            outputs = super().call(inputs)
            outputs._keras_mask = super().compute_mask(inputs)
            return outputs
        dtype = self.reverse_dtype or self.compute_dtype
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        logits = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        if self.logit_soft_cap is not None:
            logits = ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap
        return logits

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None  # `call` sets it: integers have one, vectors have not
