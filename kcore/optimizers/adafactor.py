"""Adafactor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import ops
from kcore.declare import argument
from kcore.optimizers.checks import number, positive
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public
from kcore.runtime import Variable


@public("keras.optimizers", "Adafactor", "adafactor")
class Adafactor(Optimizer):
    """Second moments of matrices kept as row and column means; steps relative to the size of the weights.

    With ``b = 1 - t^beta_2_decay`` and ``q = g^2 + epsilon_1``, for two and more dimensions:
    ``r = b r + (1 - b) mean(q, -1); c = b c + (1 - b) mean(q, -2); v = r / mean(r) * c``, else ``v = b v + (1 - b) q``.
    ``u = g / sqrt(v); w = w - max(epsilon_2, rms(w)) * min(lr, 1 / sqrt(t)) * u / max(1, rms(u) / clip_threshold)``

    Args:
        learning_rate: float, schedule or callable.
        beta_2_decay: exponent of the decay of b.
        epsilon_1: added to squared gradients.
        epsilon_2: smallest size of weights that a step is made relative to.
        clip_threshold: largest root mean square of u, above 0.
        relative_step: accepted as in Keras, where steps are limited by ``1 / sqrt(t)`` either way.
        weight_decay, clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> Adafactor(0.1).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.9

    Source: Shazeer and Stern, arXiv:1804.04235.
    """

    learning_rate: Any = argument(0.001)
    beta_2_decay: float = argument(-0.8, number)
    epsilon_1: float = argument(1e-30, number)
    epsilon_2: float = argument(1e-3, number)
    clip_threshold: float = argument(1.0, positive)
    relative_step: bool = argument(True)

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state: row means, column means and second moment of each variable.

        Variables of fewer than two dimensions have a number of no use in place of the means, as in Keras, whose files
        count them.
        """
        if self.built:
            return
        super().build(variables)
        for variable in variables:
            shape = tuple(variable.shape)
            if len(shape) < 2:
                for _ in range(2):
                    self.add_auxiliary(Variable(0, dtype="int32", trainable=False, name=variable.name))
                means: list[Variable | None] = [None, None]
            else:
                means = [
                    self.add_variable(part, dtype=variable.dtype, name=variable.name)
                    for part in (shape[:-1], (*shape[:-2], shape[-1]))
                ]
            moment = self.add_variable_from_reference(variable, "velocity")
            for name, made in zip(("row", "column", "velocity"), (*means, moment), strict=True):
                self._slots.setdefault(name, []).append(made)

    @per_step
    def factors(self, learning_rate: Any) -> tuple[Any, Any]:
        """The limited rate, and the discount b."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        return ops.minimum(learning_rate, 1 / ops.sqrt(step)), 1 - ops.power(step, self.beta_2_decay)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, discount = self.factors(learning_rate)
        rate = ops.maximum(_rms(variable.value), self.epsilon_2) * rate
        squares = ops.square(gradient) + self.epsilon_1
        row, column = self.slot(variable, "row"), self.slot(variable, "column")
        moment = self.slot(variable, "velocity")
        if row is None:
            moment.assign(discount * moment + (1 - discount) * squares)
        else:
            row.assign(discount * row + (1 - discount) * ops.mean(squares, axis=-1))
            column.assign(discount * column + (1 - discount) * ops.mean(squares, axis=-2))
            shares = row / ops.mean(row.value, axis=-1, keepdims=True)
            moment.assign(ops.expand_dims(shares, -1) * ops.expand_dims(column.value, -2))
        step = gradient / ops.sqrt(moment)
        variable.assign_sub(rate * step / ops.maximum(_rms(step) / self.clip_threshold, 1.0))


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
