"""Adamax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public


@public("keras.optimizers", "Adamax", "adamax")
class Adamax(Optimizer):
    """Adam with the infinity norm in place of the second moment.

    ``m = m + (g - m)(1 - beta_1); u = max(beta_2 * u, |g|); w = w - lr / (1 - beta_1^t) * m / (u + epsilon)``

    Args:
        learning_rate: float, schedule or callable.
        beta_1: discount of the first moment.
        beta_2: discount of the norm.
        epsilon: for numerical stability.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Adamax(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9

    Source: Kingma and Ba, arXiv:1412.6980, section 7.1.
    """

    learning_rate: Any = argument(0.001)
    beta_1: float = argument(0.9, number)
    beta_2: float = argument(0.999, number)
    epsilon: float = argument(1e-7, number)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "momentum", "norm"

    @per_step
    def corrected_rate(self, learning_rate: Any) -> Any:
        """The learning rate with the bias of the first moment corrected."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        return learning_rate / (1 - ops.power(self.beta_1, step))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, norm = self.slot(variable, "momentum"), self.slot(variable, "norm")
        m.assign_add((gradient - m) * (1 - self.beta_1))
        norm.assign(ops.maximum(self.beta_2 * norm, ops.abs(gradient)))
        variable.assign_sub(self.corrected_rate(learning_rate) * m / (norm + self.epsilon))
