"""Ftrl."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import initializers, ops
from kcore.declare import argument
from kcore.optimizers.checks import not_negative, number
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


def _not_positive(value: Any) -> Any:
    if not number(value) <= 0:
        raise ValueError("expected a number of at most 0")
    return number(value)


@public("keras.optimizers", "Ftrl", "ftrl")
class Ftrl(Optimizer):
    """Follow the regularized leader: sparse weights for large, sparse features.

    With ``p = -learning_rate_power`` and ``l2 = l2_regularization_strength + beta / (2 lr)``:
    ``g' = g + 2 * l2_shrinkage * w; n' = n + g^2; z = z + g' - (n'^p - n^p) / lr * w; n = n';``
    ``w = (clip(z, -l1, l1) - z) / (n^p / lr + 2 * l2)``

    Args:
        learning_rate: float, schedule or callable.
        learning_rate_power: at most 0; -0.5 lets steps shrink with the root of n, 0 keeps them.
        initial_accumulator_value: what n starts at, at least 0.
        l1_regularization_strength: l1, at least 0.
        l2_regularization_strength: at least 0.
        l2_shrinkage_regularization_strength: at least 0; a penalty on the size of the weights, felt by z only.
        beta: the paper's beta.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Ftrl(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.6031

    Source: McMahan et al., KDD 2013; the shrinkage is TensorFlow's.
    """

    learning_rate: Any = argument(0.001)
    learning_rate_power: float = argument(-0.5, _not_positive)
    initial_accumulator_value: float = argument(0.1, not_negative)
    l1_regularization_strength: float = argument(0.0, not_negative)
    l2_regularization_strength: float = argument(0.0, not_negative)
    l2_shrinkage_regularization_strength: float = argument(0.0, not_negative)
    beta: float = argument(0.0, number)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "accumulator", "linear"

    def slot_initializer(self, name: str, variable: Any) -> Any:
        return initializers.Constant(self.initial_accumulator_value) if name == "accumulator" else "zeros"

    def _root(self, accumulator: Any) -> Any:
        if self.learning_rate_power == -0.5:
            return ops.sqrt(accumulator)
        return ops.power(accumulator, -self.learning_rate_power)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        accumulator, linear = self.slot(variable, "accumulator"), self.slot(variable, "linear")
        before, after = accumulator.value, accumulator + ops.square(gradient)
        root = self._root(after)
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * variable
        linear.assign_add(shrunk - (root - self._root(before)) / learning_rate * variable)
        penalty = 2 * (self.l2_regularization_strength + self.beta / (2 * learning_rate))
        limit = self.l1_regularization_strength
        variable.assign((ops.clip(linear, -limit, limit) - linear) / (root / learning_rate + penalty))
        accumulator.assign(after)
