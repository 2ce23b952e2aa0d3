"""Layers that join inputs element by element."""

from __future__ import annotations

from functools import reduce
from typing import Any

from kcore import ops
from kcore.layers.input_spec import describe_layer
from kcore.layers.merging.base_merge import Merge, full_mask
from kcore.registry import public


@public("keras.layers")
class Add(Merge):
    """The sum of the inputs.

    Shapes:
        inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Add()([np.ones((1, 2), "float32"), np.ones((1, 2), "float32")]).numpy().tolist()
        [[2.0, 2.0]]

    Source: `keras.layers.Add`.
    """

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs)


@public("keras.layers")
class Subtract(Merge):
    """The first input minus the second.

    Shapes:
        two inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Subtract()([np.ones((1, 2), "float32"), np.ones((1, 2), "float32")]).numpy().tolist()
        [[0.0, 0.0]]

    Source: `keras.layers.Subtract`.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"{describe_layer(self)}: expected two inputs, got {len(input_shape)}")

    def merge(self, inputs: list[Any]) -> Any:
        return ops.subtract(inputs[0], inputs[1])


@public("keras.layers")
class Multiply(Merge):
    """The product of the inputs; a masked entry does not multiply the others, and is 0 where all are masked.

    Shapes:
        inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Multiply()([np.full((1, 2), 2.0, "float32"), np.full((1, 2), 3.0, "float32")]).numpy().tolist()
        [[6.0, 6.0]]

    Source: `keras.layers.Multiply`.
    """

    def merge(self, inputs: list[Any]) -> Any:
        masks = [full_mask(x) for x in inputs]
        factors = [x if mask is None else ops.where(mask, x, 1) for x, mask in zip(inputs, masks, strict=True)]
        product = reduce(ops.multiply, factors)
        if any(mask is None for mask in masks):
            return product
        return ops.where(reduce(ops.logical_or, masks), product, 0)


@public("keras.layers")
class Average(Merge):
    """The mean of the inputs.

    Shapes:
        inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Average()([np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")]).numpy().tolist()
        [[0.5, 0.5]]

    Source: `keras.layers.Average`.
    """

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs) / len(inputs)


@public("keras.layers")
class Maximum(Merge):
    """The largest of the inputs; a masked entry gives way to the others.

    Shapes:
        inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Maximum()([np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")]).numpy().tolist()
        [[1.0, 1.0]]

    Source: `keras.layers.Maximum`.
    """

    def merge(self, inputs: list[Any]) -> Any:
        return self.reduce_unmasked(ops.maximum, inputs)


@public("keras.layers")
class Minimum(Merge):
    """The smallest of the inputs; a masked entry gives way to the others.

    Shapes:
        inputs that broadcast to each other, output of their common shape.

    Example:
        >>> import numpy as np
        >>> Minimum()([np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")]).numpy().tolist()
        [[0.0, 0.0]]

    Source: `keras.layers.Minimum`.
    """

    def merge(self, inputs: list[Any]) -> Any:
        return self.reduce_unmasked(ops.minimum, inputs)


def _function(layer: type[Merge]) -> Any:
    def join(inputs: Any, **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    join.__name__ = join.__qualname__ = layer.__name__.lower()
    join.__doc__ = f"""``{layer.__name__}(**kwargs)(inputs)``."""
    return public("keras.layers")(join)


add, subtract, multiply = _function(Add), _function(Subtract), _function(Multiply)
average, maximum, minimum = _function(Average), _function(Maximum), _function(Minimum)
