"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


@public("keras.optimizers", "Adadelta", "adadelta")
class Adadelta(Optimizer):
    """Steps in the units of the weights: a running mean of steps over one of gradients.

    ``a = rho * a + (1 - rho) * g^2; s = -sqrt(d + epsilon) / sqrt(a + epsilon) * g;``
    ``d = rho * d + (1 - rho) * s^2; w = w + lr * s``

    Args:
        learning_rate: float, schedule or callable; the paper has 1.0.
        rho: discount of both means.
        epsilon: for numerical stability.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Adadelta(1.0).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9986

    Source: Zeiler, arXiv:1212.5701.
    """

    learning_rate: Any = argument(0.001)
    rho: float = argument(0.95, number)
    epsilon: float = argument(1e-7, number)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "accumulated_grad", "accumulated_delta_var"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        gradients = self.slot(variable, "accumulated_grad")
        steps = self.slot(variable, "accumulated_delta_var")
        gradients.assign(self.rho * gradients + (1 - self.rho) * ops.square(gradient))
        step = -(ops.sqrt(steps + self.epsilon) * gradient / ops.sqrt(gradients + self.epsilon))
        steps.assign(self.rho * steps + (1 - self.rho) * ops.square(step))
        variable.assign_add(learning_rate * step)
