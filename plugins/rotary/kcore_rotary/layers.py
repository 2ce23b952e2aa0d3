"""The layers: rotary position embedding, root mean square normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import ops
from kcore.declare import argument
from kcore.layers import Layer
from kcore_rotary.rotate import rotate


class RotaryEmbedding(Layer):
    """Tells positions by turning pairs of features: feature pair i at position p is turned by ``p / wavelength_i``.

    ``wavelength_i = scaling_factor * max_wavelength ** (2 i / features)``; the pairs are the first and the second half
    of the features. The product of two tensors embedded so depends on the distance of their positions only.

    Args:
        max_wavelength: the longest wavelength, in positions, divided by 2 pi.
        scaling_factor: stretches the positions, for texts longer than those trained on.
        sequence_axis: axis of the positions.
        feature_axis: axis of the features, of even size.

    Call arguments:
        inputs: float, e.g. ``(batch, positions, features)`` or ``(batch, positions, heads, features)``.
        start_index: position of the first element.
        positions: the positions themselves, 1D, instead of ``start_index`` and following.

    Returns:
        The shape and dtype of the inputs.

    Raises:
        ValueError: an odd number of features, or positions of another length.

    Example:
        >>> RotaryEmbedding()(np.ones((1, 2, 2), "float32")).numpy().round(2)
        array([[[ 1.  ,  1.  ],
                [-0.3 ,  1.38]]], dtype=float32)

    Source: Su et al., arXiv:2104.09864; `keras_hub.layers.RotaryEmbedding`.
    """

    max_wavelength: float = argument(10000.0, float)
    scaling_factor: float = argument(1.0, float)
    sequence_axis: int = argument(1, int)
    feature_axis: int = argument(-1, int)

    supports_masking = True

    def call(self, inputs: Any, start_index: Any = 0, positions: Any = None) -> Any:
        rank = len(inputs.shape)
        sequence, feature = self.sequence_axis % rank, self.feature_axis % rank
        if sequence == feature:
            raise ValueError(
                f"{self.name}: sequence_axis and feature_axis are both {feature} for inputs of rank {rank}"
            )
        length, features = inputs.shape[sequence], inputs.shape[feature]
        if positions is None:
            positions = ops.arange(length, dtype="float32") + ops.cast(start_index, "float32")
        elif tuple(positions.shape) != (length,):
            raise ValueError(f"{self.name}: expected positions of shape ({length},), received {tuple(positions.shape)}")
        angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * self._frequencies(features)
        last = feature == rank - 1
        order = [a for a in range(rank) if a != feature] + [feature]
        x = inputs if last else ops.transpose(inputs, order)
        at = order.index(sequence)
        angles = ops.reshape(angles, (length, *[1] * (rank - 2 - at), angles.shape[-1]))
        y = rotate(x, ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype))
        return y if last else ops.transpose(y, [order.index(a) for a in range(rank)])

    def _frequencies(self, features: int) -> np.ndarray:
        if features % 2:
            raise ValueError(f"{self.name}: expected an even number of features, received {features}")
        powers = np.arange(0, features, 2, dtype="float64") / features
        return (self.max_wavelength**-powers / self.scaling_factor).astype("float32")

    def compute_output_shape(self, inputs_shape: tuple) -> tuple:
        """The shape of the inputs."""
        return inputs_shape


class RMSNormalization(Layer):
    """Divides each sample by its root mean square: ``x / sqrt(mean(x ** 2) + epsilon) * scale``, the mean along `axis`.

    Args:
        axis: axis or axes that are normalized.
        epsilon: added to the mean square.

    Shapes:
        input and output of one shape; the weight ``scale`` of the shape of `axis`.

    Example:
        >>> RMSNormalization(epsilon=0.0)(np.array([[1.0, 7.0]], "float32")).numpy().round(3)
        array([[0.2, 1.4]], dtype=float32)

    Source: Zhang and Sennrich, arXiv:1910.07467; `keras.layers.RMSNormalization`.
    """

    axis: Any = argument(-1)
    epsilon: float = argument(1e-6, float)

    supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the scale."""
        axes = self.axis if isinstance(self.axis, list | tuple) else [self.axis]
        self.scale = self.add_weight(tuple(input_shape[a] for a in axes), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, self.scale, self.axis, self.epsilon)

    def compute_output_shape(self, inputs_shape: tuple) -> tuple:
        """The shape of the inputs."""
        return inputs_shape
