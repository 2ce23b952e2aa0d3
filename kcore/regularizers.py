"""Regularizers: scalar penalties on a weight or an output, added to the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kcore import ops
from kcore.declare import Configurable, argument, one_of
from kcore.registry import Namespace, public

_names = Namespace("keras.regularizers", "regularizer")


def _factor(value: Any) -> float:
    """A finite factor of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("expected a non-negative float")
    return float(value)


@public("keras.regularizers")
class Regularizer(Configurable):
    """Base of the regularizers: a function of a tensor to a scalar penalty.

    Example:
        >>> class Spread(Regularizer):
        ...     factor: float = argument(0.1)
        ...     def __call__(self, x):
        ...         return self.factor * ops.var(x)
        >>> Spread().get_config()
        {'factor': 0.1}
    """

    def __call__(self, x: Any) -> Any:
        """The penalty on a tensor, a scalar."""
        return 0.0


@public("keras.regularizers", "L1L2")
class L1L2(Regularizer):
    """Penalty ``l1 * sum(|x|) + l2 * sum(x^2)``.

    Args:
        l1: factor of the absolute values, at least 0.
        l2: factor of the squares, at least 0.

    Example:
        >>> float(L1L2(l1=1.0, l2=2.0)(ops.ones((3,))))
        9.0
    """

    l1: float = argument(0.0, lambda value: _factor(value or 0.0))
    l2: float = argument(0.0, lambda value: _factor(value or 0.0))

    def __call__(self, x: Any) -> Any:
        if not (self.l1 or self.l2):
            return ops.zeros((), x.dtype)
        penalty: Any = 0.0
        if self.l1:
            penalty = self.l1 * ops.sum(ops.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty


@public("keras.regularizers", "L1", "l1")
class L1(Regularizer):
    """Penalty ``l1 * sum(|x|)``.

    Args:
        l1: factor, at least 0.

    Example:
        >>> float(L1(2.0)(ops.ones((3,))))
        6.0
    """

    l1: float = argument(0.01, lambda value: _factor(0.01 if value is None else value))

    def __call__(self, x: Any) -> Any:
        return self.l1 * ops.sum(ops.abs(x))


@public("keras.regularizers", "L2", "l2")
class L2(Regularizer):
    """Penalty ``l2 * sum(x^2)``.

    Args:
        l2: factor, at least 0.

    Example:
        >>> float(L2(2.0)(ops.ones((3,))))
        6.0
    """

    l2: float = argument(0.01, lambda value: _factor(0.01 if value is None else value))

    def __call__(self, x: Any) -> Any:
        return self.l2 * ops.sum(ops.square(x))


@public("keras.regularizers", "OrthogonalRegularizer", "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Penalty ``factor`` times the mean of ``|a . b|`` over all pairs of normalized rows (or columns) of a matrix.

    Args:
        factor: factor, at least 0.
        mode: ``"rows"`` or ``"columns"``: which are drawn towards being orthogonal. Of a dense kernel
            ``(inputs, units)`` the rows belong to features, the columns to units.

    Raises:
        ValueError: at the call, a tensor that is no matrix, or has one row (column) alone.

    Example:
        >>> round(float(OrthogonalRegularizer(1.0)(ops.ones((3, 4)))), 4)
        1.0

    Source: `keras.regularizers.OrthogonalRegularizer`.
    """

    factor: float = argument(0.01, _factor)
    mode: str = argument("rows", one_of("rows", "columns"))

    def __call__(self, inputs: Any) -> Any:
        x = ops.convert_to_tensor(inputs)
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: expected a tensor of rank 2, got the shape {tuple(x.shape)}")
        x = x if self.mode == "rows" else ops.transpose(x)
        count = x.shape[0]
        if count == 1:
            raise ValueError(f"OrthogonalRegularizer: one of the {self.mode} alone has no other to be orthogonal to")
        x = x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-12))
        products = ops.abs(ops.matmul(x, ops.transpose(x))) * (1.0 - ops.eye(count, dtype=x.dtype))
        return self.factor * 0.5 * ops.sum(products) / (count * (count - 1.0) / 2.0)


#: Function names of the classes, as in Keras; of them ``get`` does not know "l1_l2".
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer of a name, configuration or callable; None stays None.

    Example:
        >>> get("l2").get_config()
        {'l2': 0.01}
    """
    return _names.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    return _names.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer a configuration describes."""
    return _names.deserialize(config, custom_objects)
