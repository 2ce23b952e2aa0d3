"""Sums of products of two inputs."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.merging.base_merge import Merge
from kcore.registry import public

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _axes(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        raise TypeError("expected an integer or a pair of integers")
    if len(value) != 2 or not all(isinstance(a, int) for a in value):
        raise ValueError("expected an integer or a pair of integers")
    return value


@public("keras.layers")
class Dot(Merge):
    """The dot products of two inputs along an axis of each, sample by sample.

    Args:
        axes: the axis of both inputs, or one of the first and one of the second; not the batch.
        normalize: whether the inputs are first divided by their length along the axis, which gives the cosine of
            their angle.

    Shapes:
        inputs ``(batch, ...)`` of equal size along the axes; output: the batch, then the other axes of the first and
        those of the second input; ``(batch, 1)`` if there are none.

    Raises:
        ValueError: not two inputs, an axis that is the batch or is not there, or two different sizes.

    Example:
        >>> import numpy as np
        >>> Dot(axes=(1, 2))([np.ones((2, 3, 5), "float32"), np.ones((2, 10, 3), "float32")]).shape
        (2, 5, 10)

    Source: `keras.layers.Dot`.
    """

    axes: Any = argument(kind=_axes)
    normalize: bool = argument(False)

    def _checked_axes(self, first: Any, second: Any) -> tuple[int, int]:
        """The axis of each input, counted from the start."""
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else tuple(self.axes)
        shapes = f"inputs of shapes {tuple(first)} and {tuple(second)}"
        found = []
        for axis, shape in zip(pair, (first, second), strict=True):
            place = axis + len(shape) if axis < 0 else axis
            if not 1 <= place < len(shape):
                raise ValueError(
                    f"{describe_layer(self)}: axes={self.axes}: expected for each input one of its axes beside the "
                    f"batch, axis 0; got {shapes}"
                )
            found.append(place)
        i, j = found
        if None not in (first[i], second[j]) and first[i] != second[j]:
            raise ValueError(
                f"{describe_layer(self)}: axes={self.axes}: axis {i} of the first input is {first[i]}, axis {j} of "
                f"the second {second[j]}: expected equal sizes; got {shapes}"
            )
        return i, j

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"{describe_layer(self)}: expected two inputs, got {len(input_shape)}")
        self._checked_axes(*input_shape)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, list | tuple) or len(inputs) != 2:
            raise ValueError(f"{describe_layer(self)}: expected a list of two inputs, got {inputs!r}")
        x, y = inputs
        i, j = self._checked_axes(x.shape, y.shape)
        if self.normalize:
            x, y = ops.normalize(x, axis=i), ops.normalize(y, axis=j)
        left = list(_LETTERS[: len(x.shape)])
        right = [left[0], *_LETTERS[len(x.shape) : len(x.shape) + len(y.shape) - 1]]
        right[j] = left[i]
        free = [c for c in left[1:] if c != left[i]] + [c for c in right[1:] if c != left[i]]
        outputs = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join([left[0], *free])}", x, y)
        return outputs if free else ops.expand_dims(outputs, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@public("keras.layers")
def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes, **kwargs)(inputs)
