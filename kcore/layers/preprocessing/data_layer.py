"""What layers for raw data share: they take plain lists, too, and learn from arrays or batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from kcore.layers.calling import is_tensor_like
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer

#: Numbers of an array that `batches_of` gives at once, at most; so a large file is never in memory as a whole.
CHUNK = 1 << 20


def plain_array(value: Any) -> Any:
    """A number or string, or nested lists of them, as an array; anything else as it is."""
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    return np.asarray(value) if isinstance(first, (list, tuple, int, float, str)) else value


class DataLayer(Layer):
    """Base of the layers for raw data: one input, which may be an array, a tensor, a number or a list of numbers."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(plain_array(inputs), *args, **kwargs)


def batches_of(layer: Any, data: Any, chunked: bool = True) -> Iterator[np.ndarray]:
    """What ``adapt`` was given, as arrays in order.

    Args:
        layer: whose ``adapt`` it is, for messages.
        data: an array, a tensor or anything with a shape that is cut by rows; a list of numbers or strings; a
            `PyDataset`, a ``tf.data.Dataset`` or any iterable of batches, of which ``(x, y)`` counts for x.
        chunked: whether an array may be given in parts, cut along its first axis.

    Raises:
        ValueError: no data, or data without end.
        TypeError: something else.
    """
    data = data if isinstance(data, str) else plain_array(data)
    if hasattr(data, "shape") and hasattr(data, "__getitem__"):
        yield from _chunks(data, chunked)
        return
    if isinstance(data, (str, bytes, dict)) or not hasattr(data, "__iter__"):
        raise TypeError(
            f"{describe_layer(layer)}: adapt() takes an array, tensor, list, PyDataset or an iterable of batches; "
            f"got a {type(data).__name__}"
        )
    if getattr(data, "num_batches", 0) is None:
        raise ValueError(f"{describe_layer(layer)}: adapt() needs an end of data; this {type(data).__name__} has none")
    if hasattr(data, "element_spec") and len(getattr(_features(data.element_spec), "shape", (0, 0))) < 2:
        data = data.batch(128)  # of TensorFlow, one sample at a time
    count = 0
    known = getattr(data, "num_batches", None)  # a `PyDataset` may go on for ever where it is not asked by number
    for item in data if known is None else (data[i] for i in range(known)):
        batch = plain_array(_features(item))
        if not hasattr(batch, "shape"):
            raise TypeError(
                f"{describe_layer(layer)}: adapt() takes batches that are arrays; got a batch of type "
                f"{type(batch).__name__}"
            )
        count += 1
        yield np.asarray(batch.numpy() if hasattr(batch, "numpy") else batch)
    if not count:
        raise ValueError(f"{describe_layer(layer)}: adapt() got no data: the {type(data).__name__} is empty")


def _chunks(data: Any, chunked: bool) -> Iterator[np.ndarray]:
    """An array, whole or in parts of `CHUNK` numbers."""
    if is_tensor_like(data) or not chunked or not data.shape:
        yield np.asarray(data.numpy() if hasattr(data, "numpy") else data[...])
        return
    rows = max(1, CHUNK // max(1, int(np.prod(data.shape[1:]))))
    for at in itertools.chain([0], range(rows, data.shape[0], rows)):
        yield np.asarray(data[at : at + rows])


def _features(item: Any) -> Any:
    """The x of a batch ``(x, y)``, as a tuple or as loaders of torch give it."""
    if isinstance(item, tuple) or (isinstance(item, list) and item and hasattr(item[0], "shape")):
        return item[0]
    return item
