"""Nadam."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kcore import config, ops
from kcore.declare import argument
from kcore.optimizers.checks import number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public
from kcore.runtime import Variable


@public("keras.optimizers", "Nadam", "nadam")
class Nadam(Optimizer):
    """Adam with Nesterov momentum, whose coefficient warms up.

    With ``u_t = beta_1 * (1 - 0.96^t / 2)`` and U_t the product of all u up to t:
    ``m = m + (g - m)(1 - beta_1); v = v + (g^2 - v)(1 - beta_2);``
    ``w = w - lr * (u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)``

    Args:
        learning_rate: float, schedule or callable.
        beta_1: discount of the first moment.
        beta_2: discount of the second moment.
        epsilon: for numerical stability.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Nadam(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.8937

    Source: Dozat, ICLR workshop 2016.
    """

    learning_rate: Any = argument(0.001)
    beta_1: float = argument(0.9, number)
    beta_2: float = argument(0.999, number)
    epsilon: float = argument(1e-7, number)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "momentum", "velocity"

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state: that of each variable, and the product of the momentum's coefficients."""
        if self.built:
            return
        super().build(variables)
        dtype = variables[0].dtype if variables else config.floatx()
        self._product = Variable(1.0, dtype=dtype, trainable=False)
        self.add_auxiliary(self._product)

    def _coefficient(self, ahead: int, dtype: str) -> Any:
        """u of the step that is made (1) or of the next one (2)."""
        return self.beta_1 * (1 - 0.5 * ops.power(0.96, ops.cast(self.iterations + ahead, dtype)))

    def _update(self, grads: list[Any], variables: list[Any]) -> None:
        self._product.assign(self._product * self._coefficient(1, self._product.dtype))
        super()._update(grads, variables)

    @per_step
    def factors(self, learning_rate: Any) -> tuple[Any, Any, Any]:
        """What the moment, the gradient and the second moment are multiplied by."""
        dtype = learning_rate.dtype
        now, following = self._coefficient(1, dtype), self._coefficient(2, dtype)
        product = ops.cast(self._product, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        return (
            learning_rate * following / (1 - product * following),
            learning_rate * (1 - now) / (1 - product),
            1 / (1 - ops.power(self.beta_2, step)),
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        of_moment, of_gradient, of_second = self.factors(learning_rate)
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.beta_2))
        step = (of_moment * m + of_gradient * gradient) / (ops.sqrt(v * of_second) + self.epsilon)
        variable.assign_sub(step)
