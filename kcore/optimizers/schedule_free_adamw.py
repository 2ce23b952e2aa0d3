"""Schedule-free AdamW."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import not_negative, number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public


@public("keras.optimizers", "ScheduleFreeAdamW", "schedulefreeadamw")
class ScheduleFreeAdamW(Optimizer):
    """Adam that averages instead of lowering its learning rate.

    Gradients are taken at ``w = (1 - beta_1) * z + beta_1 * x``, steps are made by z, and x is the mean of all z:
    ``v = v + (g^2 - v)(1 - beta_2); z' = z - lr * g / (sqrt(v / (1 - beta_2^t)) + epsilon);``
    ``x = (w - (1 - beta_1) * z) / beta_1; x' = (1 - 1/t) x + z' / t; w = (1 - beta_1) * z' + beta_1 * x'``

    Args:
        learning_rate: float, schedule or callable.
        beta_1: weight of the mean in the weights, above 0.
        beta_2: discount of the second moment.
        epsilon: for numerical stability.
        warmup_steps: steps in which the learning rate grows linearly to its value; 0 is none.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> ScheduleFreeAdamW(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9

    Source: Defazio et al., arXiv:2405.15682, with the equal weights of Keras.
    """

    learning_rate: Any = argument(0.0025)
    beta_1: float = argument(0.9, number)
    beta_2: float = argument(0.999, number)
    epsilon: float = argument(1e-8, number)
    warmup_steps: int = argument(0, not_negative)

    def slots(self) -> Iterator[tuple[str, ...]]:
        yield "momentum", "velocity"

    def slot_initializer(self, name: str, variable: Any) -> Any:
        if name == "momentum":  # z starts where the weights do
            return lambda shape, dtype: variable.numpy()
        return "zeros"

    @per_step
    def factors(self, learning_rate: Any) -> tuple[Any, Any, Any]:
        """The learning rate after warm-up, what corrects the second moment, and the weight 1/t."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        if self.warmup_steps:
            learning_rate = learning_rate * ops.minimum(step / self.warmup_steps, 1.0)
        return learning_rate, 1 / (1 - ops.power(self.beta_2, step)), 1 / step

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        z, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        rate, correction, weight = self.factors(learning_rate)
        v.assign_add((ops.square(gradient) - v) * (1 - self.beta_2))
        mean = (variable - (1 - self.beta_1) * z) / self.beta_1
        z.assign_sub(rate * gradient / (ops.sqrt(v * correction) + self.epsilon))
        mean = (1 - weight) * mean + weight * z
        variable.assign((1 - self.beta_1) * z + self.beta_1 * mean)
