"""What the layers that join inputs share."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from kcore import ops
from kcore.layers.calling import mask_of
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.tree import is_shape


class Merge(Layer):
    """Base of the layers that join a list of inputs element by element.

    Inputs of lower rank get axes of size 1 after the batch. A masked entry is masked in the output where it is masked
    in all inputs.
    """

    supports_masking = True

    def merge(self, inputs: list[Any]) -> Any:
        """The inputs, of one rank, joined."""
        raise NotImplementedError(f"{type(self).__name__} does not implement merge()")

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise ValueError(f"{describe_layer(self)}: inputs of several batch sizes cannot be merged: {input_shape}")
        reduce(self._broadcast, (tuple(shape[1:]) for shape in input_shape))

    def _check_list(self, shapes: Any) -> None:
        if not isinstance(shapes, list | tuple) or not shapes or not all(is_shape(s) for s in shapes):
            raise ValueError(f"{describe_layer(self)}: expected a list of inputs, got one of shape {shapes}")

    def _broadcast(self, a: tuple, b: tuple) -> tuple:
        """The shape of two shapes (without the batch) joined."""
        short, long = sorted((a, b), key=len)
        joined = list(long)
        for i, (m, n) in enumerate(zip(short, long[len(long) - len(short) :], strict=True), len(long) - len(short)):
            if m is not None and n is not None and m != n and 1 not in (m, n):
                raise ValueError(
                    f"{describe_layer(self)}: inputs of shapes {(None, *a)} and {(None, *b)} cannot be merged"
                )
            joined[i] = None if m is None or n is None else max(m, n)
        return tuple(joined)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, list | tuple):
            raise ValueError(f"{describe_layer(self)}: expected a list of inputs, got one of shape {inputs.shape}")
        rank = max(len(x.shape) for x in inputs)
        return self.merge([self._raise_rank(x, rank) for x in inputs])

    def _raise_rank(self, x: Any, rank: int) -> Any:
        for _ in range(rank - len(x.shape)):
            x = ops.expand_dims(x, 1)
        return x

    def reduce_unmasked(self, op: Callable[[Any, Any], Any], inputs: list[Any]) -> Any:
        """The inputs joined pairwise, where a masked entry gives way to the other one."""
        joined, kept = inputs[0], full_mask(inputs[0])
        for x in inputs[1:]:
            mask = full_mask(x)
            x = x if mask is None else ops.where(mask, x, joined)
            joined = op(joined if kept is None else ops.where(kept, joined, x), x)
            kept = None if kept is None or mask is None else ops.logical_or(kept, mask)
        return joined

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None or any(m is None for m in previous_mask):
            return None
        return reduce(ops.logical_or, previous_mask)


def full_mask(x: Any) -> Any:
    """The mask a tensor carries, in the tensor's shape, or None."""
    mask = mask_of(x)
    if mask is None:
        return None
    for _ in range(len(x.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.broadcast_to(mask, x.shape)
