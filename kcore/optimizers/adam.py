"""Adam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public


@public("keras.optimizers", "Adam", "adam")
class Adam(Optimizer):
    """Adaptive moments.

    ``m = m + (g - m)(1 - beta_1); v = v + (g^2 - v)(1 - beta_2);``
    ``w = w - lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)``; epsilon is outside the root.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: discount of the first moment.
        beta_2: discount of the second moment.
        epsilon: for numerical stability.
        amsgrad: whether to divide by the largest v so far.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Adam(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9

    Source: Kingma and Ba, arXiv:1412.6980 (the form before section 2.1); Reddi et al. 2018 for amsgrad.
    """

    learning_rate: Any = argument(0.001)
    beta_1: float = argument(0.9, number)
    beta_2: float = argument(0.999, number)
    epsilon: float = argument(1e-7, number)
    amsgrad: bool = argument(False)

    def slots(self) -> Iterator[str | tuple[str, ...]]:
        yield "momentum", "velocity"
        if self.amsgrad:
            yield "velocity_hat"

    @per_step
    def corrected_rate(self, learning_rate: Any) -> Any:
        """The learning rate with the bias of both moments corrected."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        return learning_rate * ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.beta_2))
        if self.amsgrad:
            largest = self.slot(variable, "velocity_hat")
            largest.assign(ops.maximum(largest, v))
            v = largest
        variable.assign_sub(m * self.corrected_rate(learning_rate) / (ops.sqrt(v) + self.epsilon))
