"""Metrics that sum or average: `Sum`, `Mean`, and the mean of any function of labels and predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kcore import ops
from kcore.declare import argument
from kcore.losses.loss import align_ranks, safe_divide, weight_by_mask
from kcore.metrics.metric import Metric
from kcore.naming import to_snake_case
from kcore.registry import deserialize, public, serialize
from kcore.runtime import convert_to_tensor


def samplewise(values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    """One value and one weight per sample: weighted, and reduced over all axes but the first."""
    mask = getattr(values, "_keras_mask", None)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = weight_by_mask(convert_to_tensor(sample_weight, dtype=dtype), mask, dtype, "sum")
        values, sample_weight = align_ranks(values, sample_weight)
        rank = len(sample_weight.shape)
        if len(values.shape) > rank:
            values = reduce(values, axis=tuple(range(rank, len(values.shape))))
        sample_weight = ops.broadcast_to(sample_weight, values.shape)
        values = values * sample_weight
        if rank > 1:
            sample_weight = reduce(sample_weight, axis=tuple(range(1, rank)))
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Declared(Metric):
    """A metric whose ``__init__`` is generated; said for type checkers."""

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def _given(self, values: Any) -> Any:
        if values is None:
            raise ValueError(f"metric {self.name!r} ({type(self).__name__}): values is None, expected numbers")
        return values


@public("keras.metrics")
class Sum(Declared):
    """Weighted sum of all values.

    Args:
        name: its name.
        dtype: dtype it is computed in.

    Example:
        >>> metric = Sum()
        >>> metric.update_state([1.0, 3.0], sample_weight=[1.0, 0.5])
        >>> float(metric.result())
        2.5
    """

    name: Any = argument("sum")
    dtype: Any = argument(None)

    def __post_init__(self) -> None:
        self.total = self.add_variable(dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values ``(batch, ...)`` with weights that broadcast to them."""
        values, _ = samplewise(self._given(values), sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        return self.total.value


@public("keras.metrics")
class Mean(Declared):
    """Weighted mean of all values: total / count.

    Args:
        name: its name.
        dtype: dtype it is computed in.

    Example:
        >>> metric = Mean()
        >>> metric.update_state([1.0, 3.0]); metric.update_state([8.0])
        >>> float(metric.result())
        4.0
    """

    name: Any = argument("mean")
    dtype: Any = argument(None)

    def __post_init__(self) -> None:
        self.total = self.add_variable(dtype=self.dtype, name="total")
        self.count = self.add_variable(dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values ``(batch, ...)`` with weights that broadcast to them."""
        values, weight = samplewise(self._given(values), sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.sum(values))
        if weight is not None:
            self.count.assign_add(ops.sum(weight))
        else:
            self.count.assign_add(float(values.shape[0]) if values.shape else 1.0)

    def result(self) -> Any:
        return safe_divide(self.total.value, self.count.value)


class FunctionMetric(Mean):
    """The mean of a function `fn` of labels and predictions, which takes the declared arguments by name."""

    #: (y_true, y_pred, **arguments) -> values.
    fn: ClassVar[Callable[..., Any]]

    name: Any = argument(None)

    _options: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._options = tuple(n for n in cls.arguments if n not in ("name", "dtype"))

    @classmethod
    def default_name(cls) -> str:
        return to_snake_case(cls.__name__)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch.

        Args:
            y_true: labels ``(batch, ...)``.
            y_pred: predictions; a mask they carry takes part.
            sample_weight: weight per sample or value.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._values(y_true, y_pred)
        super().update_state(values, weight_by_mask(sample_weight, mask, self.dtype, "sum"))

    def _values(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).fn(y_true, y_pred, **{name: getattr(self, name) for name in self._options})


@public("keras.metrics")
class MeanMetricWrapper(FunctionMetric):
    """The mean of any function of ``(y_true, y_pred)``.

    Args:
        fn: function to values per sample.
        name, dtype: see `Metric`.
        **kwargs: passed on to `fn`.

    Example:
        >>> metric = MeanMetricWrapper(lambda a, b: ops.abs(a - b), name="distance")
        >>> float(metric(ops.ones((2,)), ops.zeros((2,))))
        1.0
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name or Metric.default_name.__func__(type(self)), dtype=dtype)  # type: ignore[attr-defined]
        self._fn = fn
        self._fn_kwargs = kwargs

    def _values(self, y_true: Any, y_pred: Any) -> Any:
        return self._fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": serialize(self._fn), **serialize(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**deserialize(config))
