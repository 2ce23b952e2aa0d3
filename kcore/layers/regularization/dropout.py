"""Dropout."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.declare import argument, optional, within
from kcore.layers.layer import Layer
from kcore.layers.regularization.noise_shape import drawn_shape, noise_shape
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator


@public("keras.layers")
class Dropout(Layer):
    """In training, zeros a share of the inputs and scales the others by ``1 / (1 - rate)``.

    Args:
        rate: share that is dropped, 0 to 1.
        noise_shape: shape of the mask, which broadcasts to the input; None is the input's.
        seed: integer that makes the masks deterministic.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: a rate outside 0 to 1, or a `noise_shape` that does not broadcast to the input's shape.

    Example:
        >>> import numpy as np
        >>> Dropout(0.5)(np.ones((1, 2), "float32")).numpy().tolist()  # not in training
        [[1.0, 1.0]]

    Source: Srivastava et al., JMLR 2014; `keras.layers.Dropout`.
    """

    rate: float = argument(kind=within(0.0, 1.0))
    noise_shape: Any = argument(None, optional(noise_shape))
    seed: int | None = argument(None)

    supports_masking = True

    def __post_init__(self) -> None:
        if self.rate > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def draw_shape(self, inputs: Any) -> tuple[int, ...] | None:
        """The shape of the mask; None is the input's."""
        return None if self.noise_shape is None else drawn_shape(self, inputs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return ops.zeros_like(inputs)
        return random.dropout(inputs, self.rate, noise_shape=self.draw_shape(inputs), seed=self.seed_generator)
