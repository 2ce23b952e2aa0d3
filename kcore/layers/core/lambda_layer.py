"""A function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kcore import registry
from kcore.declare import argument
from kcore.layers.calling import infer_outputs
from kcore.layers.layer import Layer
from kcore.registry import public
from kcore.tree import flatten, map_shapes


class _Function:
    """Kind of an argument that may be a function: named ones are shown by name, a lambda as it is.

    So a layer with a lambda can be copied, while writing one to a file is refused.
    """

    def __init__(self, required: bool):
        self.required = required

    def get(self, value: Any) -> Any:
        value = registry.deserialize(value) if isinstance(value, dict) else value
        if self.required and not callable(value):
            raise ValueError("expected a function")
        return value

    def serialize(self, value: Any) -> Any:
        return value if getattr(value, "__name__", "") == "<lambda>" else registry.serialize(value)


def _arguments(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError("expected a dict of keyword arguments")
    return {} if value is None else dict(registry.deserialize(value))


@public("keras.layers")
class Lambda(Layer):
    """Any function of tensors as a layer: ``function(inputs, **arguments)``.

    The function is written in `kcore.ops`. It is given ``mask`` and ``training`` if it has parameters of these names.
    Weights it uses are not the layer's: a layer with weights is a subclass of `Layer`.

    A named function is saved by its name, and must be registered with `kcore.saving.register_keras_serializable` or
    passed in ``custom_objects`` to be loaded. A Python ``lambda`` works, and ``from_config(get_config())`` copies the
    layer; writing it to a file is an error, since a file never carries code here.

    Args:
        function: the function; its first parameter is the input.
        output_shape: shape of the output without the batch, or a function of the input's whole shape; found by a
            symbolic call if None.
        mask: the mask of the output: a tensor, or a function ``(inputs, mask)``; None is no mask.
        arguments: keyword arguments for the function.

    Shapes:
        whatever the function makes of them.

    Example:
        >>> import numpy as np
        >>> Lambda(lambda x, power: x**power, arguments={"power": 2})(np.array([3.0], "float32")).numpy().tolist()
        [9.0]

    Source: `keras.layers.Lambda`.
    """

    function: Callable[..., Any] = argument(kind=_Function(required=True))
    output_shape: Any = argument(None, _Function(required=False), attr="_output_shape")
    mask: Any = argument(None, _Function(required=False))
    arguments: Any = argument(None, _arguments, attr="_keywords")  # type: ignore[misc] # Keras's name

    _output_shape: Any
    _keywords: dict[str, Any]

    def __post_init__(self) -> None:
        self.supports_masking = self.mask is not None
        parameters = inspect.signature(self.function).parameters
        self._takes = {name: name in parameters for name in ("mask", "training")}
        if isinstance(self._output_shape, list) and all(d is None or isinstance(d, int) for d in self._output_shape):
            self._output_shape = tuple(self._output_shape)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **self._keywords, **{k: v for k, v in given.items() if self._takes[k]})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = flatten(input_shape)[0]
        return map_shapes(lambda shape: (batch, *shape), self._output_shape)

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return infer_outputs(self.call, (inputs,), kwargs)
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {k: v for k, v in config.items() if v is not None or k not in ("output_shape", "mask")}
