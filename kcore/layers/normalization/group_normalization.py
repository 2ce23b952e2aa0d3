"""Group normalization."""

from __future__ import annotations

from typing import Any

from kcore import constraints, initializers, ops, regularizers
from kcore.declare import argument
from kcore.dtypes import result_type
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer
from kcore.layers.normalization.parameters import add_gamma_and_beta
from kcore.registry import public


def _groups(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (value <= 0 and value != -1):
        raise ValueError("expected a positive integer, or -1 for a group per channel")
    return value


@public("keras.layers")
class GroupNormalization(Layer):
    """Normalizes groups of channels of each sample: ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    Mean and (biased) variance are those of all places and the channels of one group.

    Args:
        groups: number of groups; the channels must be a multiple. One group is layer normalization over all axes, -1
            is a group per channel: instance normalization.
        axis: axis of the channels.
        epsilon: added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: what the weights are mapped to after an update.

    Shapes:
        input and output of one shape; weights ``(channels,)``.

    Raises:
        ValueError: the number of channels is not known, or no multiple of `groups`.

    Example:
        >>> import numpy as np
        >>> layer = GroupNormalization(groups=2, epsilon=0.0)
        >>> layer(np.array([[1.0, 3.0, 10.0, 30.0]], "float32")).numpy().tolist()
        [[-1.0, 1.0, -1.0, 1.0]]

    Source: Wu and He, arXiv:1803.08494; `keras.layers.GroupNormalization`.
    """

    groups: int = argument(32, _groups)
    axis: int = argument(-1, int)
    epsilon: float = argument(0.001)
    center: bool = argument(True)
    scale: bool = argument(True)
    beta_initializer: Any = argument("zeros", initializers)
    gamma_initializer: Any = argument("ones", initializers)
    beta_regularizer: Any = argument(None, regularizers)
    gamma_regularizer: Any = argument(None, regularizers)
    beta_constraint: Any = argument(None, constraints)
    gamma_constraint: Any = argument(None, constraints)

    supports_masking = True

    def __post_init__(self) -> None:
        self.autocast = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        if not -len(shape) <= self.axis < len(shape) or self.axis % len(shape) == 0:
            raise ValueError(f"{describe_layer(self)}: axis {self.axis} is no axis of channels of the input {shape}")
        channels = shape[self.axis]
        if channels is None:
            raise ValueError(
                f"{describe_layer(self)}: the number of channels, axis {self.axis} of the input {shape}, must be known"
            )
        self._count = channels if self.groups == -1 else self.groups
        if channels % self._count:
            raise ValueError(
                f"{describe_layer(self)}: {channels} channels, axis {self.axis} of the input {shape}, cannot be split "
                f"into groups={self.groups}"
            )
        add_gamma_and_beta(self, (channels,))
        self.input_spec = InputSpec(ndim=len(shape), axes={self.axis: channels})

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, result_type(inputs.dtype, "float32"))
        shape = tuple(x.shape)
        axis = self.axis % len(shape)
        each = shape[axis] // self._count
        split = (*shape[:axis], self._count, each, *shape[axis + 1 :])
        x = ops.reshape(x, split)
        others = tuple(i for i in range(1, len(split)) if i != axis)
        mean, variance = ops.moments(x, axes=others, keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon)
        per_channel = tuple(d if i in (axis, axis + 1) else 1 for i, d in enumerate(split))
        if self.gamma is not None:
            factor = factor * ops.reshape(self.gamma, per_channel)
        outputs = (x - mean) * factor
        if self.beta is not None:
            outputs = outputs + ops.reshape(self.beta, per_channel)
        return ops.cast(ops.reshape(outputs, shape), self.compute_dtype)
