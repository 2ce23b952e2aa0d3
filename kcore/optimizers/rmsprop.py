"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


@public("keras.optimizers", "RMSprop", "rmsprop")
class RMSprop(Optimizer):
    """Gradients divided by a running root mean square of themselves.

    ``v = rho * v + (1 - rho) * g^2; w = w - lr * g / sqrt(v + epsilon)``; epsilon is inside the root. Centered: the
    running mean of g, squared, is subtracted from v.

    Args:
        learning_rate: float, schedule or callable.
        rho: discount of the running mean of squares.
        momentum: momentum of the increments.
        epsilon: for numerical stability.
        centered: whether to normalize by the variance rather than the mean of squares.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> RMSprop(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.6838

    Source: Hinton, lecture 6e; the placing of epsilon is Keras's.
    """

    learning_rate: Any = argument(0.001)
    rho: float = argument(0.9, number)
    momentum: float = argument(0.0, number)
    epsilon: float = argument(1e-7, number)
    centered: bool = argument(False)

    def slots(self) -> Iterator[str]:
        yield "velocity"
        if self.momentum:
            yield "momentum"
        if self.centered:
            yield "average_gradient"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        velocity = self.slot(variable, "velocity")
        velocity.assign(self.rho * velocity + (1 - self.rho) * ops.square(gradient))
        denominator = velocity + self.epsilon
        if self.centered:
            average = self.slot(variable, "average_gradient")
            average.assign(self.rho * average + (1 - self.rho) * gradient)
            denominator = velocity - ops.square(average) + self.epsilon
        increment = learning_rate * gradient / ops.sqrt(denominator)
        if self.momentum:
            m = self.slot(variable, "momentum")
            m.assign(self.momentum * m + increment)
            increment = m.value
        variable.assign_sub(increment)
