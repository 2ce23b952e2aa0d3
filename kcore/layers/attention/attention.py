"""Dot-product attention without projections, after Luong."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.declare import argument, one_of, within
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.registry import public
from kcore.runtime import KerasTensor
from kcore.runtime.seeds import SeedGenerator

#: What is taken from the score of a masked pair.
FAR = {"float16": 65504.0}
FAR_DEFAULT = 1.0e9


class BaseAttention(Layer):
    """Base of attention on a list of query, value and, if it is not the value, key.

    A subclass computes the scores of all pairs in `scores`.

    Call arguments:
        inputs: ``[query, value]`` or ``[query, value, key]``.
        mask: ``[query mask, value mask]``, each ``(batch, time)`` or None: masked values are not attended to, outputs
            at masked queries are 0.
        return_attention_scores: whether the attention weights come as a second output.
        use_causal_mask: whether a query sees only values up to its own position.
    """

    use_scale: bool
    dropout: float
    seed: int | None
    scale: Any

    supports_masking = True

    def __post_init__(self) -> None:
        if self.dropout > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def scores(self, query: Any, key: Any) -> Any:
        """How well query and key fit, ``(batch, T, S)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement scores()")

    def check_list(self, inputs: Any) -> None:
        """Raise ValueError unless it is a list of two or three (tensors or shapes)."""
        listed = isinstance(inputs, list | tuple) and not all(d is None or isinstance(d, int) for d in inputs)
        if not listed or len(inputs) not in (2, 3):
            got = f"{len(inputs)} inputs" if listed else "one input"
            raise ValueError(
                f"{describe_layer(self)}: expected a list [query, value] or [query, value, key], got {got}"
            )

    def check_mask(self, mask: Any) -> None:
        """Raise ValueError unless it is None or a list of two or three masks."""
        if mask is not None and (not isinstance(mask, list | tuple) or len(mask) not in (2, 3)):
            raise ValueError(f"{describe_layer(self)}: expected a list [query mask, value mask], got {mask!r}")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self.check_list(inputs)
        self.check_mask(mask)
        query, value, key = (*inputs, inputs[1])[:3]
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        drop = training and self.dropout > 0
        weights = None
        if return_attention_scores or drop or not self.fused(query):
            scores = self._masked(self.scores(query, key), value_mask, use_causal_mask)
            weights = ops.softmax(scores, axis=-1)
            if drop:
                weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
            outputs = ops.matmul(weights, value)
        else:
            outputs = self._one_head(query, key, value, value_mask, use_causal_mask)
        if query_mask is not None:
            outputs = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), outputs, 0.0)
        return (outputs, weights) if return_attention_scores else outputs

    def fused(self, query: Any) -> bool:
        """Whether it is what `kcore.ops.dot_product_attention` computes, which never stores the scores."""
        return False

    def _one_head(self, query: Any, key: Any, value: Any, value_mask: Any, causal: bool) -> Any:
        if self.scale is not None:
            query = query * self.scale
        mask = None if value_mask is None else ops.reshape(value_mask, (value_mask.shape[0], 1, 1, value_mask.shape[1]))
        query, key, value = (ops.expand_dims(x, 2) for x in (query, key, value))
        return ops.squeeze(ops.dot_product_attention(query, key, value, mask=mask, scale=1.0, is_causal=causal), 2)

    def _masked(self, scores: Any, value_mask: Any, causal: bool) -> Any:
        """The scores, far lower where a value must not be attended to."""
        allowed = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if causal:
            rows = ops.reshape(ops.arange(scores.shape[-2], dtype="int32"), (-1, 1))
            before = rows >= ops.reshape(ops.arange(scores.shape[-1], dtype="int32"), (1, -1))
            allowed = before if allowed is None else ops.logical_and(allowed, before)
        if allowed is None:
            return scores
        return ops.where(allowed, scores, scores - FAR.get(scores.dtype, FAR_DEFAULT))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if previous_mask is None else previous_mask[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        self.check_list(input_shape)
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        self.check_list(inputs)
        self.check_mask(mask)
        query, value, key = (*inputs, inputs[1])[:3]
        output = KerasTensor(self.compute_output_shape([query.shape, value.shape]), dtype=self.compute_dtype)
        if not kwargs.get("return_attention_scores"):
            return output
        return output, KerasTensor((*query.shape[:-1], key.shape[-2]), dtype=self.compute_dtype)


@public("keras.layers")
class Attention(BaseAttention):
    """Attention by dot products: ``softmax(query key^T) value``.

    Args:
        use_scale: whether the scores are multiplied by a learned number.
        score_mode: ``"dot"``, or ``"concat"`` for ``w * sum(tanh(query + key))`` with a learned ``w``; the scale is
            then within the tanh.
        dropout: share of the attention weights that is dropped in training.
        seed: integer that makes dropout deterministic.

    Shapes:
        list of query ``(batch, T, size)``, value ``(batch, S, features)`` and, if it is not the value, key
        ``(batch, S, size)``; output ``(batch, T, features)``, attention weights ``(batch, T, S)``. The call arguments
        are those of `BaseAttention`.

    Raises:
        ValueError: the input is no list of two or three, or the mask no list.

    Example:
        >>> import numpy as np
        >>> query, value = np.ones((1, 2, 4), "float32"), np.ones((1, 3, 4), "float32")
        >>> y, weights = Attention()([query, value], return_attention_scores=True)
        >>> y.shape, weights.shape
        ((1, 2, 4), (1, 2, 3))

    Source: Luong et al., arXiv:1508.04025; `keras.layers.Attention`.
    """

    use_scale: bool = argument(False)
    score_mode: str = argument("dot", one_of("dot", "concat"))
    dropout: float = argument(0.0, within(0.0, 1.0))
    seed: int | None = argument(None)

    def build(self, input_shape: Any) -> None:
        self.check_list(input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def fused(self, query: Any) -> bool:
        return self.score_mode == "dot" and len(query.shape) == 3

    def scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale
        sums = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        if self.scale is not None:
            sums = sums * self.scale
        return self.concat_score_weight * ops.sum(ops.tanh(sums), axis=-1)
