"""Additive attention, after Bahdanau."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument, within
from kcore.layers.attention.attention import BaseAttention
from kcore.registry import public


@public("keras.layers")
class AdditiveAttention(BaseAttention):
    """Attention by sums: ``softmax(sum(scale * tanh(query + key))) value``, the sum over features.

    Args:
        use_scale: whether the features are weighted by a learned vector.
        dropout: share of the attention weights that is dropped in training.
        seed: integer that makes dropout deterministic.

    Shapes:
        list of query ``(batch, T, size)``, value ``(batch, S, features)`` and, if it is not the value, key
        ``(batch, S, size)``; output ``(batch, T, features)``, attention weights ``(batch, T, S)``; scale ``(size,)``.
        The call arguments are those of `BaseAttention`.

    Raises:
        ValueError: the input is no list of two or three, or the mask no list.

    Example:
        >>> import numpy as np
        >>> query, value = np.ones((1, 2, 4), "float32"), np.ones((1, 3, 4), "float32")
        >>> AdditiveAttention()([query, value]).shape
        (1, 2, 4)

    Source: Bahdanau et al., arXiv:1409.0473; `keras.layers.AdditiveAttention`.
    """

    use_scale: bool = argument(True)
    dropout: float = argument(0.0, within(0.0, 1.0))
    seed: int | None = argument(None, keyword=True)

    def build(self, input_shape: Any) -> None:
        self.check_list(input_shape)
        self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale") if self.use_scale else None

    def scores(self, query: Any, key: Any) -> Any:
        joined = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(joined if self.scale is None else joined * self.scale, axis=-1)
