"""Initializers that draw nothing: zeros, ones, a constant, the identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.declare import argument
from kcore.initializers.initializer import Initializer
from kcore.registry import deserialize, public


@public("keras.initializers", "Zeros", "zeros", "zero")
class Zeros(Initializer):
    """All zeros.

    Example:
        >>> Zeros()((2,)).numpy().tolist()
        [0.0, 0.0]
    """

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.zeros(shape)


@public("keras.initializers", "Ones", "ones", "one")
class Ones(Initializer):
    """All ones.

    Example:
        >>> Ones()((2,)).numpy().tolist()
        [1.0, 1.0]
    """

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.ones(shape)


@public("keras.initializers", "Constant", "constant")
class Constant(Initializer):
    """One value everywhere.

    Args:
        value: a scalar, or an array that broadcasts to the shape.

    Example:
        >>> Constant(3.0)((2,)).numpy().tolist()
        [3.0, 3.0]
    """

    value: Any = argument(0.0)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        value = np.asarray(self.value)
        try:
            return np.broadcast_to(value, shape)
        except ValueError:
            raise ValueError(f"Constant: a value of shape {value.shape} does not broadcast to {shape}") from None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constant:
        return cls(deserialize(config["value"]))


@public("keras.initializers", "Identity", "identity", "IdentityInitializer")
class Identity(Initializer):
    """A matrix with `gain` on its diagonal.

    Args:
        gain: the value on the diagonal.

    Raises:
        ValueError: the shape is not that of a matrix.

    Example:
        >>> Identity()((2, 2)).numpy().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    gain: float = argument(1.0)

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices: expected a shape of rank 2, got {shape}")
        return self.gain * np.eye(*shape)
