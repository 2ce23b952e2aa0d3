"""What a loss is: values per sample, weighted and masked, then reduced to what training minimizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kcore import config, ops
from kcore.declare import Configurable, argument, one_of
from kcore.dtype_policies import get as get_policy
from kcore.naming import auto_name, to_snake_case
from kcore.registry import deserialize, public, serialize
from kcore.runtime import convert_to_tensor, name_scope
from kcore.runtime.scope import current_path
from kcore.tree import is_nested, leaves, map_structure

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


@public("keras.losses", "Loss")
class Loss(Configurable):
    """Base of the losses.

    A subclass implements `call`; arguments are declared with `kcore.declare.argument`.

    Args:
        name: its name; made from the class name if None.
        reduction: ``"sum_over_batch_size"`` (alias ``"mean"``) divides the sum by the number of values,
            ``"mean_with_sample_weight"`` by the sum of the weights; ``"sum"`` does not divide; ``"none"`` or None
            gives the values themselves.
        dtype: dtype or policy it is computed in; `kcore.config.floatx()` if None.

    Example:
        >>> class Cubic(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)
        >>> float(Cubic()([[0.0]], [[2.0]]))
        8.0

    Source: `keras.losses.Loss`.
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        self.name = name or self.default_name()
        try:
            self.reduction = one_of(*REDUCTIONS)(reduction)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: argument reduction={reduction!r}: {error}") from None
        self._dtype_policy = get_policy(dtype or config.floatx())

    @classmethod
    def default_name(cls) -> str:
        """The name it gets when it is given none."""
        return auto_name(cls.__name__)

    @property
    def dtype(self) -> str:
        """The dtype it is computed in."""
        return self._dtype_policy.compute_dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Args:
            y_true: labels, ``(batch, ...)``.
            y_pred: predictions; a mask they carry (``_keras_mask``) takes part.
            sample_weight: weight per sample ``(batch,)`` or per value.

        Returns:
            A scalar, or the values where the reduction is none.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        with name_scope(self.name):
            y_pred, y_true = tensors(y_pred, self.dtype), tensors(y_true, self.dtype)
            losses = self.call(y_true, y_pred)
            inner = getattr(losses, "_keras_mask", None)
            if inner is not None:
                mask = inner if mask is None else ops.logical_and(mask, inner)
            return reduce_weighted(losses, sample_weight, mask, self.reduction, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values to be reduced, usually one per sample."""
        raise NotImplementedError(f"{type(self).__name__} does not implement call()")

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction, **super().get_config()}


class FunctionLoss(Loss):
    """A loss made of its function `fn`, which takes the declared arguments by name."""

    #: (y_true, y_pred, **arguments) -> values.
    fn: ClassVar[Callable[..., Any]]

    reduction: Any = argument("sum_over_batch_size")
    name: Any = argument(None)
    dtype: Any = argument(None, config=False)

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._options = tuple(n for n in cls.arguments if n not in ("reduction", "name", "dtype"))

    _options: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def default_name(cls) -> str:
        return to_snake_case(cls.__name__)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = align_ranks(y_true, y_pred)
        return type(self).fn(y_true, y_pred, **{name: getattr(self, name) for name in self._options})


@public("keras.losses")
class LossFunctionWrapper(Loss):
    """Any function of ``(y_true, y_pred)`` as a loss.

    Args:
        fn: function to values per sample.
        reduction, name, dtype: see `Loss`.
        **kwargs: passed on to `fn`.

    Example:
        >>> float(LossFunctionWrapper(lambda a, b: ops.abs(a - b))([1.0], [3.0]))
        2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not is_nested(y_true) and not is_nested(y_pred):
            y_true, y_pred = align_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": serialize(self.fn), **serialize(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**deserialize(config))


def tensors(structure: Any, dtype: str) -> Any:
    """A structure of arrays as one of tensors; lists of numbers are arrays."""
    if all(isinstance(x, int | float) for x in leaves(structure)):
        return convert_to_tensor(structure, dtype=dtype)
    return map_structure(lambda x: convert_to_tensor(x, dtype=dtype), structure)


def align_ranks(x: Any, y: Any) -> tuple[Any, Any]:
    """Bring two tensors whose ranks differ by one to one rank, as Keras does.

    (N,) with (N, 1) becomes (N, 1) on both sides; otherwise a trailing 1 of the longer one is dropped.
    """
    if len(y.shape) == len(x.shape) + 1:
        y, x = align_ranks(y, x)
    elif len(x.shape) == len(y.shape) + 1 and x.shape[-1] == 1:
        if len(y.shape) == 1:
            y = ops.expand_dims(y, -1)
        else:
            x = ops.squeeze(x, -1)
    return x, y


def same_shape(a: tuple, b: tuple) -> bool:
    """Whether two shapes are or may be equal."""
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def pair(name: str, y_true: Any, y_pred: Any, equal: bool = False) -> tuple[Any, Any]:
    """Labels and predictions as tensors of the predictions' dtype and of one rank.

    Args:
        name: the loss or metric they are for.
        y_true: labels.
        y_pred: predictions.
        equal: whether the shapes must be equal; else they must broadcast.

    Raises:
        ValueError: the shapes do not fit.
    """
    y_pred = convert_to_tensor(y_pred)
    y_true = convert_to_tensor(y_true, dtype=y_pred.dtype)
    given = tuple(y_true.shape), tuple(y_pred.shape)
    y_true, y_pred = align_ranks(y_true, y_pred)
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    if not (same_shape(a, b) if equal else broadcasts(a, b)):
        raise ValueError(f"{name}: y_true of shape {given[0]} does not fit y_pred of shape {given[1]}")
    return y_true, y_pred


def broadcasts(a: tuple, b: tuple) -> bool:
    """Whether two shapes broadcast."""
    return all(m == n or 1 in (m, n) or None in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def check_smoothing(name: str, label_smoothing: float) -> None:
    """Raise ValueError where label smoothing is not a share."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie between 0 and 1, got {label_smoothing}")


def safe_divide(x: Any, y: Any) -> Any:
    """``x / y``, and 0 where y is 0."""
    zero = ops.equal(y, 0)
    return ops.where(zero, 0.0, x / ops.where(zero, 1.0, y))


def size(x: Any) -> Any:
    """Number of elements, as an int where the shape is known."""
    total: Any = 1
    for d in ops.shape(x):
        total = total * d
    return total


def fit_weight(values: Any, weight: Any, name: str, what: str) -> tuple[Any, Any]:
    """Values and their weight, brought to one rank.

    Raises:
        ValueError: the weight does not broadcast to the values.
    """
    given = tuple(weight.shape), tuple(values.shape)
    values, weight = align_ranks(values, weight)
    if not broadcasts(tuple(values.shape), tuple(weight.shape)):
        where = f"{current_path()}: " if current_path() else ""
        raise ValueError(f"{where}{name} of shape {given[0]} does not fit {what}, of shape {given[1]}")
    return values, weight


def weight_by_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """One weight of a sample weight and a mask.

    For the mean reductions a valid entry weighs total/valid, so that the mean is over valid entries; otherwise 1.
    """
    if mask is None:
        return sample_weight
    weight = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        weight = weight * safe_divide(ops.cast(float(size(mask)), dtype), ops.sum(weight))
    if sample_weight is None:
        return weight
    weight, sample_weight = fit_weight(weight, ops.cast(sample_weight, dtype), "sample_weight", "the mask")
    return sample_weight * weight


def reduce_weighted(values: Any, sample_weight: Any, mask: Any, reduction: str | None, dtype: str) -> Any:
    """Weight the values, mask them, and reduce them."""
    values = convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = convert_to_tensor(sample_weight, dtype=dtype)
    weight = weight_by_mask(sample_weight, mask, dtype, reduction)
    if weight is not None:
        values, weight = fit_weight(values, weight, "sample_weight" if mask is None else "the mask", "the values")
        values = values * weight
    if reduction in (None, "none") or tuple(values.shape) in ((), (0,)):
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return safe_divide(total, ops.sum(weight))
    count = size(values)
    if count == 0:
        return total
    return ops.mean(values) if weight is None else total / float(count)
