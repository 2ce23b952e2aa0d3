"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore.declare import argument, within
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


@public("keras.optimizers", "SGD", "sgd")
class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Plain: ``w = w - lr * g``. With momentum: ``m = momentum * m - lr * g; w = w + m``; Nesterov:
    ``w = w + momentum * m - lr * g``.

    Args:
        learning_rate: float, schedule or callable.
        momentum: between 0 and 1.
        nesterov: whether to use Nesterov's form.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore import ops
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> SGD(0.5).apply([ops.ones((1,))], [v]); v.numpy().tolist()
        [0.5]
    """

    learning_rate: Any = argument(0.01)
    momentum: float = argument(0.0, within(0.0, 1.0))
    nesterov: bool = argument(False)

    def slots(self) -> Iterator[str]:
        if self.momentum:
            yield "momentum"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum:
            variable.assign_sub(gradient * learning_rate)
            return
        m = self.slot(variable, "momentum")
        step = gradient * learning_rate
        m.assign(m * self.momentum - step)
        variable.assign_add(m * self.momentum - step if self.nesterov else m.value)
