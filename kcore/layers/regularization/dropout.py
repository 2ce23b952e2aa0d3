"""Dropout."""

from __future__ import annotations

from typing import Any

from kcore import random
from kcore.declare import argument, optional, within
from kcore.layers.layer import Layer
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator


def _noise_shape(value: Any) -> tuple[int | None, ...]:
    shape = tuple(value) if isinstance(value, list | tuple) else None
    if shape is None or any(d is not None and (not hasattr(d, "__index__") or d <= 0) for d in shape):
        raise ValueError("expected positive integers, or None where the size is that of the input")
    return shape


@public("keras.layers")
class Dropout(Layer):
    """In training, zeros a share of the inputs and scales the others by ``1 / (1 - rate)``.

    Args:
        rate: share that is dropped, 0 to 1.
        noise_shape: shape of the mask, which broadcasts to the input; None is the input's.
        seed: integer that makes the masks deterministic.

    Shapes:
        input and output of one shape.

    Example:
        >>> import numpy as np
        >>> Dropout(0.5)(np.ones((1, 2), "float32")).numpy().tolist()  # not in training
        [[1.0, 1.0]]

    Source: Srivastava et al., JMLR 2014; `keras.layers.Dropout`.
    """

    rate: float = argument(kind=within(0.0, 1.0))
    noise_shape: Any = argument(None, optional(_noise_shape))
    seed: int | None = argument(None)

    supports_masking = True

    def __post_init__(self) -> None:
        if self.rate > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training and self.rate > 0:
            return random.dropout(inputs, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator)
        return inputs
