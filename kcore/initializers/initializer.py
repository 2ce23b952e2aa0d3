"""What an initializer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.declare import Configurable
from kcore.dtypes import numpy_dtype, standardize_dtype
from kcore.registry import public


@public("keras.initializers", "Initializer", "initializer")
class Initializer(Configurable):
    """Base of the initializers: ``initializer(shape, dtype=None)`` gives a tensor.

    A subclass says how in `array`, on the host; or it overrides ``__call__`` and writes it in ops, as in Keras.

    Example:
        >>> class Steps(Initializer):
        ...     def array(self, shape, dtype):
        ...         return np.arange(np.prod(shape)).reshape(shape)
        >>> Steps()((2, 2)).numpy().tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """The values on the host, of the given shape; they are cast to `dtype` afterwards."""
        raise NotImplementedError(f"{type(self).__name__} implements neither array() nor __call__()")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A tensor of the given shape and dtype (`kcore.config.floatx()` by default)."""
        from kcore.runtime import convert_to_tensor

        dtype = standardize_dtype(dtype or config.floatx())
        return convert_to_tensor(draw(self, shape, dtype), dtype=dtype)

    def clone(self) -> Any:
        """Another initializer of the same configuration."""
        return type(self).from_config(self.get_config())


def draw(initializer: Callable[..., Any], shape: Sequence[int], dtype: str) -> np.ndarray:
    """The values any initializer gives, as an array on the host, so that making a weight is never part of a trace.

    Args:
        initializer: an `Initializer`, or any callable of shape and dtype.
        shape: ints.
        dtype: name of the dtype.
    """
    shape = tuple(int(d) for d in shape)
    if isinstance(initializer, Initializer) and type(initializer).__call__ is Initializer.__call__:
        values = initializer.array(shape, dtype)
    else:
        values = np.asarray(initializer(shape, dtype=dtype))
    if values.shape != shape:
        raise ValueError(f"{initializer!r} gave values of shape {values.shape}, expected {shape}")
    return values.astype(numpy_dtype(dtype), copy=False)
