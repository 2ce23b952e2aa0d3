"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import initializers, ops
from kcore.declare import argument
from kcore.optimizers.checks import not_negative, number
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


@public("keras.optimizers", "Adagrad", "adagrad")
class Adagrad(Optimizer):
    """Steps that shrink where gradients have been large.

    ``a = a + g^2; w = w - lr * g / sqrt(a + epsilon)``; epsilon is inside the root.

    Args:
        learning_rate: float, schedule or callable.
        initial_accumulator_value: what a starts at, at least 0.
        epsilon: for numerical stability.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Adagrad(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9047

    Source: Duchi et al., JMLR 12 (2011); the accumulator's start is Keras's.
    """

    learning_rate: Any = argument(0.001)
    initial_accumulator_value: float = argument(0.1, not_negative)
    epsilon: float = argument(1e-7, number)

    def slots(self) -> Iterator[str]:
        yield "accumulator"

    def slot_initializer(self, name: str, variable: Any) -> Any:
        return initializers.Constant(self.initial_accumulator_value)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        accumulator = self.slot(variable, "accumulator")
        accumulator.assign_add(ops.square(gradient))
        variable.assign_sub(learning_rate * gradient / ops.sqrt(accumulator + self.epsilon))
