"""Values in buckets, by a hash of them: no vocabulary, at the price of collisions."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config
from kcore.declare import argument, positive_int
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.encoding import dense_only, encode_on_host, mode_of
from kcore.layers.preprocessing.hashes import buckets, each, fingerprint, joined
from kcore.layers.preprocessing.host_layer import HostLayer, host_array
from kcore.registry import public

#: What the fingerprints of a cross begin with.
_CROSS = 0xDECAFCAFFE


def hash_key(value: Any) -> list[int] | None:
    """Kind of the argument: two integers, or one for both."""
    if value is None:
        return None
    pair = [value, value] if hasattr(value, "__index__") else list(value)
    if len(pair) != 2 or any(not hasattr(x, "__index__") for x in pair):
        raise ValueError("expected an integer or two integers")
    return pair


@public("keras.layers")
class Hashing(HostLayer):
    """Puts strings and integers into buckets, by FarmHash's fingerprint, or by SipHash where a salt is given.
    given.

    The buckets are those of Keras. The host computes them, so the layer stands before a model, not in it.

    Args:
        num_bins: number of buckets, with that of `mask_value`.
        mask_value: what goes to bucket 0, alone.
        salt: an integer, or two: the key of SipHash.
        output_mode: ``"int"``; or ``"one_hot"``, ``"multi_hot"`` or ``"count"`` as in `CategoryEncoding`.
        sparse: False.

    Shapes:
        input strings or integers of any shape; output of the same shape, int64, or vectors as in `CategoryEncoding`.

    Raises:
        ValueError: a dtype that is no integer's with ``output_mode="int"``; a call within a model.

    Example:
        >>> Hashing(3)([["A"], ["B"], ["C"], ["D"], ["E"]]).numpy().ravel().tolist()
        [1, 0, 1, 1, 2]

    Source: `keras.layers.Hashing`.
    """

    num_bins: int = argument(kind=positive_int)
    mask_value: Any = argument(None)
    salt: Any = argument(None, hash_key)
    output_mode: str = argument("int", mode_of("int", "one_hot", "multi_hot", "count"))
    sparse: bool = argument(False, dense_only)

    def __post_init__(self) -> None:
        if self._given[1].get("dtype") is None:
            self.dtype_policy = "int64" if self.output_mode == "int" else config.floatx()
        if self.output_mode == "int" and self.compute_dtype not in ("int32", "int64"):
            raise ValueError(
                f"{describe_layer(self)}: with output_mode='int' dtype is int32 or int64, got {self.dtype}"
            )

    def call(self, inputs: Any) -> Any:
        values = host_array(inputs)
        masked = self.mask_value is not None and self.num_bins > 1
        found = buckets(values, self.num_bins - masked, self.salt and tuple(self.salt))
        if masked:
            found = np.where(values == self.mask_value, 0, found + 1)
        return encode_on_host(found, self.output_mode, self.num_bins, self.compute_dtype)


@public("keras.layers")
class HashedCrossing(HostLayer):
    """Puts combinations of features into a fixed number of buckets.

    The buckets are those of Keras. The host computes them, so the layer stands before a model, not in it.

    Args:
        num_bins: number of buckets.
        output_mode: ``"int"`` or ``"one_hot"``.
        sparse: False.

    Shapes:
        input a list of two or more arrays of strings or integers, all ``()``, ``(batch,)`` or ``(batch, 1)``; output of
        their shape, int64; with ``"one_hot"`` ``(batch, num_bins)``.

    Raises:
        ValueError: fewer than two inputs, or other shapes; floats; a call within a model.

    Example:
        >>> HashedCrossing(5)((["A", "B", "A"], [101, 101, 102])).numpy().tolist()
        [1, 4, 3]

    Source: `keras.layers.HashedCrossing`.
    """

    num_bins: int = argument(kind=positive_int)
    output_mode: str = argument("int", mode_of("int", "one_hot"))
    sparse: bool = argument(False, dense_only)
    name: str = argument(None, config=False)
    dtype: Any = argument(None, config=False)

    def __post_init__(self) -> None:
        if self.output_mode == "int" and "dtype" not in self._given[1] and len(self._given[0]) < 5:
            self.dtype_policy = "int64"

    def call(self, inputs: Any) -> Any:
        who = describe_layer(self)
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"{who}: expected a list of two or more inputs, got {inputs!r:.80}")
        features = [host_array(x) for x in inputs]
        shape = features[0].shape
        if any(x.shape != shape for x in features) or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise ValueError(
                f"{who}: inputs are all of one shape (), (batch,) or (batch, 1), got {[x.shape for x in features]}"
            )
        if any(x.dtype.kind not in "iuO" for x in features):
            raise ValueError(f"{who}: inputs are strings or integers, got {[str(x.dtype) for x in features]}")
        crossed = np.full(shape, _CROSS, object)
        for x in features:
            prints = each(fingerprint, x) if x.dtype == object else x.astype("int64").view("uint64").astype(object)
            crossed = np.frompyfunc(joined, 2, 1)(crossed, prints)
        found = np.asarray(crossed % self.num_bins).astype("int64")
        return encode_on_host(found, self.output_mode, self.num_bins, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        shown = ("num_bins", "output_mode", "sparse", "name")
        return {**{key: full[key] for key in shown}, "dtype": self.dtype_policy.name}
