"""Gaussian noise, added or multiplied."""

from __future__ import annotations

import math
from typing import Any

from kcore import random
from kcore.declare import argument, within
from kcore.layers.layer import Layer
from kcore.layers.regularization.rates import below_one
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator


@public("keras.layers")
class GaussianNoise(Layer):
    """In training, adds draws from a normal distribution of mean 0.

    Args:
        stddev: standard deviation of the noise, 0 to 1.
        seed: integer that makes the noise deterministic.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: a standard deviation outside 0 to 1.

    Example:
        >>> import numpy as np
        >>> GaussianNoise(0.5)(np.ones((1, 2), "float32")).numpy().tolist()  # not in training
        [[1.0, 1.0]]

    Source: `keras.layers.GaussianNoise`.
    """

    stddev: float = argument(kind=within(0.0, 1.0))
    seed: int | None = argument(None)

    supports_masking = True

    def __post_init__(self) -> None:
        if self.stddev > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        noise = random.normal(inputs.shape, stddev=self.stddev, dtype=self.compute_dtype, seed=self.seed_generator)
        return inputs + noise

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@public("keras.layers")
class GaussianDropout(Layer):
    """In training, multiplies by draws from a normal distribution of mean 1 and variance ``rate / (1 - rate)``.

    Args:
        rate: share a dropout of the same variance would drop; from 0 to below 1.
        seed: integer that makes the noise deterministic.

    Shapes:
        input and output of one shape.

    Raises:
        ValueError: a rate below 0, or of 1 or more, for which there is no variance.

    Example:
        >>> import numpy as np
        >>> GaussianDropout(0.5)(np.ones((1, 2), "float32")).numpy().tolist()  # not in training
        [[1.0, 1.0]]

    Source: Srivastava et al., JMLR 2014; `keras.layers.GaussianDropout`.
    """

    rate: float = argument(kind=below_one)
    seed: int | None = argument(None)

    supports_masking = True

    def __post_init__(self) -> None:
        if self.rate > 0:
            self.seed_generator = SeedGenerator(self.seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        spread = math.sqrt(self.rate / (1.0 - self.rate))
        noise = random.normal(inputs.shape, mean=1.0, stddev=spread, dtype=self.compute_dtype, seed=self.seed_generator)
        return inputs * noise

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
