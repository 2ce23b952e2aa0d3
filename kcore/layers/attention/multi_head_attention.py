"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from kcore import constraints, initializers, regularizers
from kcore.declare import argument, optional, positive_int, within
from kcore.layers.attention.heads_attention import HeadsAttention, axes_kind
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.input_spec import describe_layer
from kcore.registry import public
from kcore.runtime import KerasTensor


@public("keras.layers")
class MultiHeadAttention(HeadsAttention):
    """Attention with several heads: ``concat_h softmax(Q_h K_h^T / sqrt(key_dim)) V_h`` projected to the output.

    Self-attention where query, value and key are one tensor.

    Args:
        num_heads: number of heads.
        key_dim: size of query and key per head.
        value_dim: size of value per head; `key_dim` if None.
        dropout: share of the attention weights that is dropped in training.
        use_bias: whether the projections have biases.
        output_shape: size or shape of the output beyond batch and time; that of the query if None.
        attention_axes: axes attention goes over; all but batch and features if None.
        use_gate: whether a sigmoid of a projection of the query gates the output per head.
        sliding_window: attend only to so many positions minus one on either side.
        kernel_initializer, bias_initializer: first values of the projections.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: what the weights are mapped to after an update.
        flash_attention: accepted for Keras's sake; the kernel is the backend's choice.
        seed: integer that makes dropout deterministic.

    Shapes:
        query ``(batch, T, features)``, value and key ``(batch, S, features)`` (the key is the value if None);
        attention mask ``(batch, T, S)``, True where attention is allowed; it is joined by "and" with the masks that
        query, value and (where it is another tensor than the value) key carry, and with the causal mask. Output
        ``(batch, T, features of the query)``, scores ``(batch, heads, T, S)``.

    Example:
        >>> import numpy as np
        >>> x = np.ones((2, 3, 8), "float32")
        >>> MultiHeadAttention(num_heads=2, key_dim=4)(x, x).shape
        (2, 3, 8)

    Source: Vaswani et al., arXiv:1706.03762; `keras.layers.MultiHeadAttention`.
    """

    num_heads: int = argument(kind=positive_int)
    key_dim: int = argument(kind=positive_int)
    value_dim: int = argument(None, optional(positive_int))
    dropout: float = argument(0.0, within(0.0, 1.0))
    use_bias: bool = argument(True)
    output_shape: Any = argument(
        None, optional(lambda s: (s,) if isinstance(s, int) else tuple(s)), attr="_output_shape"
    )
    attention_axes: Any = argument(None, optional(axes_kind))
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
        self.value_dim = self.value_dim or self.key_dim

    @property
    def query_size(self) -> int:
        return self.key_dim

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        rank = len(query_shape)
        heads = self.num_heads
        self._query_dense = self.projection("query", rank, 1, (heads, self.key_dim))
        self._query_dense.build(query_shape)
        self._key_dense = self.projection("key", len(key_shape), 1, (heads, self.key_dim))
        self._key_dense.build(key_shape)
        if self.use_gate:
            self._gate_dense = self.projection("gate", rank, 1, (heads, self.value_dim), activation="sigmoid")
            self._gate_dense.build(query_shape)
        self._value_dense = self.projection("value", len(value_shape), 1, (heads, self.value_dim))
        self._value_dense.build(value_shape)
        self.plan_attention(len(value_shape) + 1)
        output = self._output_shape or (query_shape[-1],)
        self._output_dense = self.projection("attention_output", rank, 2, output)
        self._output_dense.build((*query_shape[:-1], heads, self.value_dim))

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{describe_layer(self)}: value and key must have one shape but for batch and features, got value "
                f"{tuple(value_shape)} and key {tuple(key_shape)}"
            )

    @property
    def query_dense(self) -> EinsumDense:
        """The projection of the query, kernel ``(features, heads, key_dim)``."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The projection of the key, kernel ``(features, heads, key_dim)``."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The projection of the value, kernel ``(features, heads, value_dim)``."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The projection to the output, kernel ``(heads, value_dim, features)``."""
        return self._output_dense

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
        key = value if key is None else key
        mask = self.join_masks(query, value, query_mask, value_mask, key_mask, attention_mask)
        gate = self._gate_dense(query) if self.use_gate else None
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        attended, scores = self.attend(q, k, v, mask, training, use_causal_mask, return_attention_scores)
        output = self._output_dense(attended if gate is None else attended * gate)
        return (output, scores) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape) if self._output_shape is None else (*query_shape[:-1], *self._output_shape)

    def compute_output_spec(self, query: Any, value: Any, key: Any = None, **kwargs: Any) -> Any:
        shape = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        output = KerasTensor(shape, dtype=self.compute_dtype)
        if not kwargs.get("return_attention_scores"):
            return output
        return output, self.scores_spec(query, value, self.num_heads)
