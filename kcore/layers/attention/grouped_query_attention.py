"""Attention whose query heads share keys and values."""

from __future__ import annotations

from typing import Any

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument, optional, positive_int, within
from kcore.layers.attention.heads_attention import HeadsAttention
from kcore.layers.input_spec import describe_layer
from kcore.registry import public
from kcore.runtime import KerasTensor


@public("keras.layers", "GroupQueryAttention")
class GroupedQueryAttention(HeadsAttention):
    """Attention with several heads, of which groups share one key and one value.

    With as many key and value heads as query heads it is multi-head attention, with one it is multi-query attention.

    Args:
        head_dim: size of query, key and value per head.
        num_query_heads: number of query heads, a multiple of `num_key_value_heads`.
        num_key_value_heads: number of heads of key and value.
        dropout: share of the attention weights that is dropped in training.
        use_bias: whether the projections have biases.
        sliding_window: attend only to so many positions minus one on either side.
        flash_attention: accepted for Keras's sake; the kernel is the backend's choice.
        kernel_initializer, bias_initializer: first values of the projections.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: what the weights are mapped to after an update.
        use_gate: whether a sigmoid of a projection of the query gates the output per head.
        seed: integer that makes dropout deterministic.

    Shapes:
        query ``(batch, T, features)``, value and key ``(batch, S, features)`` (the key is the value if None);
        attention mask ``(batch, T, S)``, True where attention is allowed; it is joined by "and" with the masks that
        query, value and key carry, and with the causal mask. Output ``(batch, T, features)``, scores
        ``(batch, query heads, T, S)``.

    Raises:
        ValueError: the query heads are no multiple of the others, or inputs of shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> x = np.ones((2, 3, 8), "float32")
        >>> GroupedQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
        (2, 3, 8)

    Source: Ainslie et al., arXiv:2305.13245; `keras.layers.GroupQueryAttention`.
    """

    head_dim: int = argument(kind=positive_int)
    num_query_heads: int = argument(kind=positive_int)
    num_key_value_heads: int = argument(kind=positive_int)
    dropout: float = argument(0.0, within(0.0, 1.0))
    use_bias: bool = argument(True)
    sliding_window: int | None = argument(None, optional(positive_int))
    flash_attention: Any = argument(None, config=False)
    kernel_initializer: Any = argument("glorot_uniform", initializers)
    bias_initializer: Any = argument("zeros", initializers)
    kernel_regularizer: Any = argument(None, regularizers)
    bias_regularizer: Any = argument(None, regularizers)
    activity_regularizer: Any = argument(None, regularizers)
    kernel_constraint: Any = argument(None, constraints)
    bias_constraint: Any = argument(None, constraints)
    use_gate: bool = argument(False)
    seed: int | None = argument(None)

    def __post_init__(self) -> None:
        self.attention_axes = None
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{type(self).__name__}: num_query_heads={self.num_query_heads} must be a multiple of "
                f"num_key_value_heads={self.num_key_value_heads}"
            )

    @property
    def query_size(self) -> int:
        return self.head_dim

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(query_shape, value_shape, key_shape)
        many, few = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        self._query_dense = self.projection("query", 3, 1, many)
        self._query_dense.build(query_shape)
        self._key_dense = self.projection("key", 3, 1, few)
        self._key_dense.build(key_shape)
        if self.use_gate:
            self._gate_dense = self.projection("gate", 3, 1, many, activation="sigmoid")
            self._gate_dense.build(query_shape)
        self._value_dense = self.projection("value", 3, 1, few)
        self._value_dense.build(value_shape)
        self.plan_attention(4)
        self._output_dense = self.projection("attention_output", 3, 2, (query_shape[-1],))
        self._output_dense.build((None, None, *many))

    def _check_shapes(self, query_shape: Any, value_shape: Any, key_shape: Any) -> None:
        shapes = f"got query {tuple(query_shape)}, value {tuple(value_shape)}, key {tuple(key_shape)}"
        if any(len(shape) != 3 for shape in (query_shape, value_shape, key_shape)):
            raise ValueError(f"{describe_layer(self)}: expected inputs (batch, time, features), {shapes}")
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(f"{describe_layer(self)}: query and value must have equal features, {shapes}")
        if value_shape[1] != key_shape[1]:
            raise ValueError(f"{describe_layer(self)}: value and key must be of one length, {shapes}")

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        mask = self.join_masks(query, value, query_mask, value_mask, key_mask, attention_mask)
        gate = self._gate_dense(query) if self.use_gate else None
        q, k, v = self._query_dense(query), self._key_dense(value if key is None else key), self._value_dense(value)
        shared = self.num_query_heads // self.num_key_value_heads
        if shared > 1:
            k, v = ops.repeat(k, shared, axis=2), ops.repeat(v, shared, axis=2)
        attended, scores = self.attend(q, k, v, mask, training, use_causal_mask, return_attention_scores)
        output = self._output_dense(attended if gate is None else attended * gate)
        return (output, scores) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        self._check_shapes(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)

    def compute_output_spec(self, query: Any, value: Any, key: Any = None, **kwargs: Any) -> Any:
        shape = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        output = KerasTensor(shape, dtype=self.compute_dtype)
        if not kwargs.get("return_attention_scores"):
            return output
        return output, self.scores_spec(query, value, self.num_query_heads)


#: Keras's name.
GroupQueryAttention = GroupedQueryAttention
