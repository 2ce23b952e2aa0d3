"""Integers from 0 to a number of categories as vectors."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from kcore import ops
from kcore.declare import argument, positive_int
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.data_layer import DataLayer, batches_of
from kcore.layers.preprocessing.encoding import dense_only, encode, encoded_shape, mode_of
from kcore.registry import public
from kcore.runtime import EagerTensor, KerasTensor


@public("keras.layers")
class CategoryEncoding(DataLayer):
    """Encodes integers below a known number of categories as vectors.

    Args:
        num_tokens: number of categories; integers of the input are in [0, num_tokens).
        output_mode: ``"multi_hot"``: 1 where a category is in the row; ``"count"``: how many times it is;
            ``"one_hot"``: a vector for every integer.
        sparse: False.

    Shapes:
        input ``(batch, n)``, integers; output ``(batch, num_tokens)``, with ``"one_hot"`` ``(batch, n, num_tokens)``
        and ``(batch, num_tokens)`` for n = 1.

    Raises:
        ValueError: `count_weights` in another mode than ``"count"``; an integer that is no category, where the input is
            an array and not computed by a layer before (then it counts for nothing).

    Example:
        >>> CategoryEncoding(4, "count")(np.array([[0, 1], [2, 2]])).numpy().tolist()
        [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]

    Source: `keras.layers.CategoryEncoding`.
    """

    num_tokens: int = argument(None, positive_int)
    output_mode: str = argument("multi_hot", mode_of("multi_hot", "one_hot", "count"))
    sparse: bool = argument(False, dense_only, config=False)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"{describe_layer(self)}: count_weights is for output_mode='count', not {self.output_mode!r}"
            )
        if isinstance(inputs, EagerTensor):
            given = inputs.numpy()
            wrong = given[(given < 0) | (given >= self.num_tokens)]
            if wrong.size:
                raise ValueError(
                    f"{describe_layer(self)}: {wrong.flat[0]} is none of the categories 0 to {self.num_tokens - 1}"
                )
        return encode(inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_spec(self, inputs: Any, count_weights: Any = None) -> Any:
        return KerasTensor(encoded_shape(inputs.shape, self.output_mode, self.num_tokens), dtype=self.compute_dtype)

    def __post_init__(self) -> None:
        self.autocast = False


@public("keras.layers")
class Discretization(DataLayer):
    """Numbers as the numbers of the intervals they lie in.

    The boundaries are given, or learned by `adapt` so that each interval gets the same share of the data. Interval i
    holds numbers from boundary i - 1 (included) to boundary i; the first and the last are open.

    Args:
        bin_boundaries: ascending numbers.
        num_bins: how many intervals `adapt` makes; instead of `bin_boundaries`.
        epsilon: error of the quantiles that `adapt` estimates; smaller is slower.
        output_mode: ``"int"``; or ``"one_hot"``, ``"multi_hot"`` or ``"count"`` as in `CategoryEncoding`.
        sparse: False.

    Shapes:
        input numbers of any shape; output int32 of the same shape, or vectors as in `CategoryEncoding`.

    Raises:
        ValueError: both of `bin_boundaries` and `num_bins`, or none; a call before there are boundaries.

    Example:
        >>> Discretization(bin_boundaries=[0.0, 1.0])([[-1.5, 1.0, 3.4, 0.5]]).numpy().tolist()
        [[0, 2, 2, 1]]

    Source: `keras.layers.Discretization`.
    """

    bin_boundaries: Any = argument(None, lambda value: None if value is None else np.asarray(value, float).tolist())
    num_bins: int | None = argument(None)
    epsilon: float = argument(0.01)
    output_mode: str = argument("int", mode_of("int", "one_hot", "multi_hot", "count"))
    sparse: bool = argument(False, dense_only)
    dtype: Any = argument(None, config=False)
    name: str = argument(None, config=False)

    def __post_init__(self) -> None:
        self.autocast = False
        if (self.bin_boundaries is None) == (self.num_bins is None):
            raise ValueError(
                f"{describe_layer(self)}: give either bin_boundaries or num_bins, got {self.bin_boundaries} and "
                f"{self.num_bins}"
            )
        if self.num_bins is not None and self.num_bins < 1:
            raise ValueError(f"{describe_layer(self)}: num_bins={self.num_bins}: expected a positive integer")

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn boundaries from data, in place of those known before.

        Args:
            data: an array or tensor, or batches of them, as for `Normalization.adapt`.
            steps: batches to look at; all if None.

        Raises:
            ValueError: the boundaries were given.
        """
        if self.num_bins is None:
            raise ValueError(f"{describe_layer(self)}: adapt() has nothing to learn: bin_boundaries were given")
        summary = np.zeros((2, 0), "float32")
        for batch in islice(batches_of(self, data, chunked=False), steps):
            summary = _merged(_summary(batch.astype("float32"), self.epsilon), summary, self.epsilon)
        self.bin_boundaries = _compressed(summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(
                f"{describe_layer(self)} has no boundaries yet: call adapt() first, or give bin_boundaries"
            )
        bins = np.asarray(self.bin_boundaries, "float32")
        indices = ops.searchsorted(bins, ops.cast(inputs, "float32"), side="right")
        return encode(indices, self.output_mode, len(bins) + 1, self._output_dtype)

    @property
    def _output_dtype(self) -> str:
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def compute_output_spec(self, inputs: Any) -> Any:
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return KerasTensor(encoded_shape(inputs.shape, self.output_mode, depth), dtype=self._output_dtype)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        return {**{k: full[k] for k in (*self._shown, "name")}, "dtype": self.dtype_policy.name}

    _shown = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse")

    @classmethod
    def from_config(cls, config: Any) -> Any:
        learned = None
        if config.get("num_bins") is not None and config.get("bin_boundaries") is not None:
            config = dict(config)
            learned = config.pop("bin_boundaries")
        layer = super().from_config(config)
        if learned is not None:
            layer.bin_boundaries = learned
        return layer

    def load_own_variables(self, store: Any) -> None:
        """Make the boundaries of the summary that archives of Keras 2 hold; others have them in the configuration."""
        if self.bin_boundaries is None and self.num_bins is not None and "0" in store:
            self.bin_boundaries = _compressed(np.asarray(store["0"]), 1.0 / self.num_bins)[0, :-1].tolist()


# -- quantiles: a summary is a row of values in order and a row of how many numbers each stands for ------------------


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    values = np.sort(values.ravel())
    step = max(values.size * epsilon, 1)
    kept = values[int(step - 1) :: int(step)]
    return np.stack([kept, np.ones_like(kept) * step])


def _merged(one: np.ndarray, other: np.ndarray, epsilon: float) -> np.ndarray:
    both = np.concatenate((one, other), axis=1)
    return _compressed(both[:, np.argsort(both[0])], epsilon)


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    total = summary[1].cumsum()
    values = np.interp(shares, total / total[-1], summary[0])
    weights = np.interp(shares, total / total[-1], total)
    return np.stack((values, np.diff(weights, prepend=0))).astype("float32")
