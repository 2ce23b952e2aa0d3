"""Constraints: what a weight is mapped to after every update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore import config, ops
from kcore.declare import Configurable, argument
from kcore.registry import Namespace, public

_names = Namespace("keras.constraints", "constraint")


@public("keras.constraints")
class Constraint(Configurable):
    """Base of the constraints: a function from a weight to one of the same shape.

    Example:
        >>> class AtMost(Constraint):
        ...     limit: float = argument(1.0)
        ...     def __call__(self, w):
        ...         return ops.minimum(w, self.limit)
        >>> AtMost(2.0)(ops.ones((2,)) * 3).numpy().tolist()
        [2.0, 2.0]
    """

    def __call__(self, w: Any) -> Any:
        """The weight as it may be."""
        return w


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@public("keras.constraints", "MaxNorm", "max_norm")
class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value`: ``w * clip(norm, 0, max_value) / (epsilon + norm)``.

    Args:
        max_value: largest norm.
        axis: axes the norm is taken over; 0 for a dense kernel, (0, 1, 2) for a 2D convolution kernel.

    Example:
        >>> round(float(MaxNorm(1.0)(ops.ones((4, 1)))[0, 0]), 4)
        0.5
    """

    max_value: float = argument(2)
    axis: Any = argument(0)

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))


@public("keras.constraints", "NonNeg", "non_neg")
class NonNeg(Constraint):
    """No negative values: ``max(w, 0)``.

    Example:
        >>> NonNeg()(ops.convert_to_tensor([-1.0, 1.0])).numpy().tolist()
        [0.0, 1.0]
    """

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, 0)


@public("keras.constraints", "UnitNorm", "unit_norm")
class UnitNorm(Constraint):
    """Norms along `axis` of one: ``w / (epsilon + norm)``.

    Args:
        axis: axes the norm is taken over.

    Example:
        >>> round(float(UnitNorm()(ops.ones((4, 1)))[0, 0]), 4)
        0.5
    """

    axis: Any = argument(0)

    def __call__(self, w: Any) -> Any:
        return w / (config.epsilon() + _norms(w, self.axis))


@public("keras.constraints", "MinMaxNorm", "min_max_norm")
class MinMaxNorm(Constraint):
    """Norms along `axis` drawn into a range.

    ``w * (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (epsilon + norm)``

    Args:
        min_value: smallest norm.
        max_value: largest norm.
        rate: 1 enforces the range at once, less goes part of the way at every step.
        axis: axes the norm is taken over.

    Example:
        >>> round(float(MinMaxNorm(max_value=1.0)(ops.ones((4, 1)))[0, 0]), 4)
        0.5
    """

    min_value: float = argument(0.0)
    max_value: float = argument(1.0)
    rate: float = argument(1.0)
    axis: Any = argument(0)

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (config.epsilon() + norms))


#: Function names of the classes, as in Keras.
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(identifier: Any) -> Any:
    """The constraint of a name, configuration or callable; None stays None.

    Example:
        >>> get("non_neg")
        <NonNeg>
    """
    return _names.get(identifier)


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint."""
    return _names.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint a configuration describes."""
    return _names.deserialize(config, custom_objects)
