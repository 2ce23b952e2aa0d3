"""What the attention layers with projections and several heads share."""

from __future__ import annotations

import math
from typing import Any

from kcore import initializers, ops
from kcore.layers.activation.softmax import Softmax
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.layer import Layer
from kcore.layers.regularization.dropout import Dropout
from kcore.runtime import KerasTensor

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def axes_kind(value: Any) -> Any:
    """Kind of an argument that is an axis or a list of axes."""
    if isinstance(value, int):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError("expected an integer or a list of integers")
    return tuple(value)


class HeadsAttention(Layer):
    """Base of the attention with several heads: projections, masks, scores.

    A subclass makes the projections in `build`, calls `plan_attention`, and `attend` in `call`.
    """

    dropout: float
    use_bias: bool
    seed: int | None
    sliding_window: int | None
    attention_axes: Any
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    supports_masking = True

    @property
    def query_size(self) -> int:
        """Size of query and key per head."""
        raise NotImplementedError(f"{type(self).__name__} does not say query_size")

    def projection(self, name: str, rank: int, bound: int, output: tuple, activation: Any = None) -> EinsumDense:
        """A dense layer from the last `bound` axes of an input of the given rank (heads apart) to `output`."""
        free = LETTERS[: rank - 1]
        summed = LETTERS[rank - 1 : rank - 1 + bound]
        made = LETTERS[rank - 1 + bound : rank - 1 + bound + len(output)]
        layer = EinsumDense(
            f"{free}{summed},{summed}{made}->{free}{made}",
            output_shape=(None,) * (rank - 2) + tuple(output),
            bias_axes=made if self.use_bias else None,
            activation=activation,
            kernel_initializer=initializers.clone(self.kernel_initializer),
            bias_initializer=initializers.clone(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.supports_masking = True  # attention minds the masks
        return layer

    def plan_attention(self, rank: int) -> None:
        """The equations of the scores and of their use, for projected tensors of the given rank."""
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 2))
        else:
            self.attention_axes = tuple(a if a >= 0 else rank - 1 + a for a in self.attention_axes)
        axes = self.attention_axes
        target = LETTERS[:rank]
        others = iter(LETTERS[rank:])
        source = "".join(next(others) if i in axes else target[i] for i in range(rank))
        batch = [i for i in range(rank) if i not in axes and i != rank - 1]
        product = "".join([*(target[i] for i in batch), *(target[i] for i in axes), *(source[i] for i in axes)])
        self._dot_product_equation = f"{source},{target}->{product}"
        self._combine_equation = f"{product},{source}->{target}"
        self._softmax = Softmax(axis=tuple(range(len(product) - len(axes), len(product))), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)

    def attend(
        self, q: Any, k: Any, v: Any, mask: Any, training: Any, causal: bool, with_scores: bool
    ) -> tuple[Any, Any]:
        """Projected queries, keys and values to what is attended to, and the scores where they are asked for."""
        if with_scores or self.dropout > 0 or len(q.shape) != 4:
            return self._attend_with_scores(q, k, v, mask, training, causal)
        mask = self._with_head_axis(mask, 4)
        scale = 1.0 / math.sqrt(self.query_size)
        return ops.dot_product_attention(q, k, v, mask=mask, scale=scale, is_causal=causal), None

    def _attend_with_scores(self, q: Any, k: Any, v: Any, mask: Any, training: Any, causal: bool) -> tuple[Any, Any]:
        """Attention with the scores at hand."""
        if causal:
            mask = _and(mask, self._positions(q, k, lambda rows, columns: rows >= columns))
        scores = ops.einsum(self._dot_product_equation, k, q * (1.0 / math.sqrt(self.query_size)))
        scores = self._softmax(scores, mask=self._with_head_axis(mask, len(scores.shape)))
        dropped = self._dropout_layer(scores, training=training) if self.dropout > 0 else scores
        return ops.einsum(self._combine_equation, dropped, v), scores

    def _with_head_axis(self, mask: Any, rank: int) -> Any:
        if mask is None:
            return None
        for _ in range(rank - len(mask.shape)):
            mask = ops.expand_dims(mask, -2 * len(self.attention_axes) - 1)
        return mask

    def join_masks(self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, mask: Any) -> Any:
        """All masks joined, ``(batch, T, S)``, or None."""
        joined = None if mask is None else ops.cast(mask, "bool")
        if query_mask is not None:
            joined = _and(joined, ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        for side in (value_mask, key_mask):
            if side is not None:
                joined = _and(joined, ops.expand_dims(ops.cast(side, "bool"), -2))
        if self.sliding_window is not None:
            window = self.sliding_window
            joined = _and(joined, self._positions(query, value, lambda rows, columns: ops.abs(rows - columns) < window))
        return joined

    def _positions(self, query: Any, value: Any, allowed: Any) -> Any:
        """A mask ``(1, T, S)`` by the positions of query and value."""
        rows = ops.reshape(ops.arange(query.shape[1], dtype="int32"), (1, -1, 1))
        columns = ops.reshape(ops.arange(value.shape[1], dtype="int32"), (1, 1, -1))
        return allowed(rows, columns)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask  # that of the query

    def scores_spec(self, query: Any, value: Any, heads: int) -> KerasTensor:
        """The scores as a symbolic tensor."""
        axes = self.attention_axes
        shape = (query.shape[0], heads, *(query.shape[a] for a in axes), *(value.shape[a] for a in axes))
        return KerasTensor(shape, dtype=self.compute_dtype)


def _and(a: Any, b: Any) -> Any:
    return b if a is None else ops.logical_and(a, b)
