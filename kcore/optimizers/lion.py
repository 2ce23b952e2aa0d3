"""Lion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.registry import public


def _share(value: Any) -> Any:
    if not 0 < number(value) <= 1:
        raise ValueError("expected a number above 0 and up to 1; at 0 only signs of gradients would be left")
    return number(value)


@public("keras.optimizers", "Lion", "lion")
class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of an interpolated momentum.

    ``w = w - lr * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g``. Learning rates are three
    to ten times smaller than Adam's, weight decays as much larger.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: weight of the momentum in the step, above 0 and up to 1.
        beta_2: discount of the momentum.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Lion(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9

    Source: Chen et al., arXiv:2302.06675.
    """

    learning_rate: Any = argument(0.001)
    beta_1: float = argument(0.9, _share)
    beta_2: float = argument(0.99, number)

    def slots(self) -> Iterator[str]:
        yield "momentum"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m = self.slot(variable, "momentum")
        # both interpolations from one difference: they share it, so both updates are one group of elementwise work
        difference = m - gradient
        variable.assign_sub(learning_rate * ops.sign(gradient + difference * self.beta_1))
        m.assign(gradient + difference * self.beta_2)
