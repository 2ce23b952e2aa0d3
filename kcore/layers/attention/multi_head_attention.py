"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument, optional, positive_int, within
from kcore.layers.activation.softmax import Softmax
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.regularization.dropout import Dropout
from kcore.registry import public
from kcore.runtime import KerasTensor

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _axes(value: Any) -> Any:
    if isinstance(value, int):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError("expected an integer or a list of integers")
    return tuple(value)


@public("keras.layers")
class MultiHeadAttention(Layer):
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
    attention_axes: Any = argument(None, optional(_axes))
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

    supports_masking = True

    def __post_init__(self) -> None:
        self.value_dim = self.value_dim or self.key_dim

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        rank = len(query_shape)
        heads = self.num_heads
        self._query_dense = self._projection("query", rank, 1, (heads, self.key_dim))
        self._query_dense.build(query_shape)
        self._key_dense = self._projection("key", len(key_shape), 1, (heads, self.key_dim))
        self._key_dense.build(key_shape)
        if self.use_gate:
            self._gate_dense = self._projection("gate", rank, 1, (heads, self.value_dim), activation="sigmoid")
            self._gate_dense.build(query_shape)
        self._value_dense = self._projection("value", len(value_shape), 1, (heads, self.value_dim))
        self._value_dense.build(value_shape)
        self._plan_attention(len(value_shape) + 1)
        output = self._output_shape or (query_shape[-1],)
        self._output_dense = self._projection("attention_output", rank, 2, output)
        self._output_dense.build((*query_shape[:-1], heads, self.value_dim))

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{describe_layer(self)}: value and key must have one shape but for batch and features, got value "
                f"{tuple(value_shape)} and key {tuple(key_shape)}"
            )

    def _projection(self, name: str, rank: int, bound: int, output: tuple, activation: Any = None) -> EinsumDense:
        """A dense layer from the last `bound` axes of an input of the given rank (heads apart) to `output`."""
        free = _LETTERS[: rank - 1]
        summed = _LETTERS[rank - 1 : rank - 1 + bound]
        made = _LETTERS[rank - 1 + bound : rank - 1 + bound + len(output)]
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

    def _plan_attention(self, rank: int) -> None:
        """The equations of the scores and of their use, for projected tensors of the given rank."""
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 2))
        else:
            self.attention_axes = tuple(a if a >= 0 else rank - 1 + a for a in self.attention_axes)
        axes = self.attention_axes
        target = _LETTERS[:rank]
        others = iter(_LETTERS[rank:])
        source = "".join(next(others) if i in axes else target[i] for i in range(rank))
        batch = [i for i in range(rank) if i not in axes and i != rank - 1]
        product = "".join([*(target[i] for i in batch), *(target[i] for i in axes), *(source[i] for i in axes)])
        self._dot_product_equation = f"{source},{target}->{product}"
        self._combine_equation = f"{product},{source}->{target}"
        self._softmax = Softmax(axis=tuple(range(len(product) - len(axes), len(product))), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)

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
        mask = self._join_masks(query, value, query_mask, value_mask, key_mask, attention_mask)
        gate = self._gate_dense(query) if self.use_gate else None
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        if return_attention_scores or self.dropout > 0 or len(q.shape) != 4:
            attended, scores = self._attend(q, k, v, mask, training, use_causal_mask)
        else:
            scores = None
            attended = ops.dot_product_attention(
                q,
                k,
                v,
                mask=self._with_head_axis(mask, 4),
                scale=1.0 / math.sqrt(self.key_dim),
                is_causal=use_causal_mask,
            )
        output = self._output_dense(attended if gate is None else attended * gate)
        return (output, scores) if return_attention_scores else output

    def _attend(self, q: Any, k: Any, v: Any, mask: Any, training: Any, causal: bool) -> tuple[Any, Any]:
        """Attention with the scores at hand."""
        if causal:
            mask = _and(mask, self._positions(q, k, lambda rows, columns: rows >= columns))
        scores = ops.einsum(self._dot_product_equation, k, q * (1.0 / math.sqrt(self.key_dim)))
        scores = self._softmax(scores, mask=self._with_head_axis(mask, len(scores.shape)))
        dropped = self._dropout_layer(scores, training=training) if self.dropout > 0 else scores
        return ops.einsum(self._combine_equation, dropped, v), scores

    def _with_head_axis(self, mask: Any, rank: int) -> Any:
        if mask is None:
            return None
        for _ in range(rank - len(mask.shape)):
            mask = ops.expand_dims(mask, -2 * len(self.attention_axes) - 1)
        return mask

    def _join_masks(self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, mask: Any) -> Any:
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

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape) if self._output_shape is None else (*query_shape[:-1], *self._output_shape)

    def compute_output_spec(self, query: Any, value: Any, key: Any = None, **kwargs: Any) -> Any:
        shape = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        output = KerasTensor(shape, dtype=self.compute_dtype)
        if not kwargs.get("return_attention_scores"):
            return output
        axes = self.attention_axes
        scores = (query.shape[0], self.num_heads, *(query.shape[a] for a in axes), *(value.shape[a] for a in axes))
        return output, KerasTensor(scores, dtype=self.compute_dtype)


def _and(a: Any, b: Any) -> Any:
    return b if a is None else ops.logical_and(a, b)
