"""Lamb."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public


@public("keras.optimizers", "Lamb")
class Lamb(Optimizer):
    """Adam whose step is scaled, per variable, to the norm of the variable; for very large batches.

    With Adam's bias-corrected moments ``s = m / (sqrt(v) + epsilon)``; ``w = w - lr * |w| / |s| * s``, where a norm of
    0 gives the factor 1. As in Keras the name ``"lamb"`` is unknown to `get`: use the class.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: discount of the first moment.
        beta_2: discount of the second moment.
        epsilon: for numerical stability.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([2.0])
        >>> Lamb(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        1.8

    Source: You et al., arXiv:1904.00962.
    """

    learning_rate: Any = argument(0.001)
    beta_1: float = argument(0.9, number)
    beta_2: float = argument(0.999, number)
    epsilon: float = argument(1e-7, number)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "momentum", "velocity"

    @per_step
    def corrections(self, learning_rate: Any) -> tuple[Any, Any]:
        """What corrects the bias of the two moments."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        return 1 / (1 - ops.power(self.beta_1, step)), 1 / (1 - ops.power(self.beta_2, step))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        first, second = self.corrections(learning_rate)
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.beta_2))
        step = m * first / (ops.sqrt(v * second) + self.epsilon)
        size = ops.sqrt(ops.sum(ops.square(variable.value)))
        length = ops.sqrt(ops.sum(ops.square(step)))
        both = ops.logical_and(size > 0, length > 0)
        ratio = ops.where(both, size / ops.where(both, length, 1.0), 1.0)
        variable.assign_sub(ratio * learning_rate * step)
