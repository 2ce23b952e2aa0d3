"""Layers of strings and hashes, which the host computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.runtime import KerasTensor, Tensor, TracedTensor, convert_to_tensor
from kcore.tree import leaves


class HostLayer(Layer):
    """Base of the layers that look at strings: NumPy arrays, lists or strings in, tensors out.

    No device computes with strings, so these layers stand before a model, in the pipeline of its data, and not in it.
    """

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The layer's tensor for an array, a list, a string or a tensor of integers.

        Raises:
            ValueError: a symbolic or traced tensor: the layer is part of a model, or of a compiled function.
        """
        if any(isinstance(x, (KerasTensor, TracedTensor)) for x in leaves(inputs)):
            raise ValueError(
                f"{describe_layer(self)} is computed by the host and cannot be part of a model or a compiled function: "
                "call it on arrays, and give the model what it returns, or let a generator or a PyDataset do so"
            )
        self.built = True
        outputs = self.call(inputs, *args, **kwargs)
        return (
            outputs if isinstance(outputs, (Tensor, np.ndarray)) and _is_text(outputs) else convert_to_tensor(outputs)
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{describe_layer(self)} is computed by the host and has no symbolic outputs")


def _is_text(x: Any) -> bool:
    return isinstance(x, Tensor) or x.dtype.kind in "OUST"


def host_array(value: Any, encoding: str = "utf-8") -> np.ndarray:
    """Numbers as they are, and strings as an array of Python's."""
    if hasattr(value, "numpy"):
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind in "USOT":
        decoded = np.frompyfunc(lambda x: x.decode(encoding) if isinstance(x, bytes) else str(x), 1, 1)(array)
        return np.asarray(decoded, dtype=object)
    return array
