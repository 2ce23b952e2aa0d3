"""The base of layers that hold one other layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.registry import deserialize, public


def a_layer(value: Any) -> Layer:
    """A layer, not its class or anything else."""
    if not isinstance(value, Layer):
        hint = f": make one, {value.__name__}(...)" if isinstance(value, type) and issubclass(value, Layer) else ""
        raise ValueError(f"expected a layer, got {value!r} of type {type(value).__name__}{hint}")
    return value


@public("keras.layers")
class Wrapper(Layer):
    """Base of layers that hold another layer and add something to it.

    A subclass says in `call` what it does with `self.layer`; configuration, weights and building are handled here.

    Args:
        layer: the layer that is held.

    Raises:
        ValueError: something that is no layer.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> class Twice(Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> Twice(layers.Dense(3))(np.ones((2, 3), "float32")).shape
        (2, 3)

    Source: `keras.layers.Wrapper`.
    """

    layer: Layer = argument(kind=a_layer)

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return super().from_config({**config, "layer": deserialize(config["layer"], module="keras.layers")})
