"""Dropout that keeps mean and variance."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.declare import argument, optional
from kcore.layers.layer import Layer
from kcore.layers.regularization.noise_shape import drawn_shape, noise_shape
from kcore.layers.regularization.rates import below_one
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator

#: What SELU tends to far below 0: minus its alpha times its scale.
SATURATION = -1.6732632423543772 * 1.0507009873554805


@public("keras.layers")
class AlphaDropout(Layer):
    """In training, sets a share of the inputs to SELU's lowest value, then restores mean 0 and variance 1.

    ``a * (x where kept, else s) + b`` with ``s`` = -1.7581, ``a = ((1 - rate) (1 + rate s^2))^(-1/2)`` and
    ``b = -a * s * rate``.

    Args:
        rate: share that is dropped, from 0 to below 1.
        noise_shape: shape of the mask, which broadcasts to the input; None is the input's.
        seed: integer that makes the masks deterministic.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: a rate below 0, or of 1 or more; a `noise_shape` that does not broadcast to the input's shape.

    Example:
        >>> import numpy as np
        >>> AlphaDropout(0.5)(np.ones((1, 2), "float32")).numpy().tolist()  # not in training
        [[1.0, 1.0]]

    Source: Klambauer et al., arXiv:1706.02515; `keras.layers.AlphaDropout`.
    """

    rate: float = argument(kind=below_one)
    noise_shape: Any = argument(None, optional(noise_shape))
    seed: int | None = argument(None)

    supports_masking = True

    def __post_init__(self) -> None:
        if self.rate > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        kept = random.uniform(drawn_shape(self, inputs), seed=self.seed_generator) >= self.rate
        a = ((1 - self.rate) * (1 + self.rate * SATURATION**2)) ** -0.5
        return ops.where(kept, inputs, SATURATION) * a - a * SATURATION * self.rate

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
