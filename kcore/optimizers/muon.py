"""Muon."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from kcore import ops
from kcore.declare import argument, optional, positive_int
from kcore.optimizers.checks import not_negative, number
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.step import per_step
from kcore.registry import public
from kcore.runtime import Variable


@public("keras.optimizers", "Muon", "muon")
class Muon(Optimizer):
    """Momentum made orthogonal, for the matrices inside a network; AdamW for everything else.

    For a matrix ``m = momentum * m + g``, ``u = g + momentum * m`` (Nesterov) or m, and
    ``w = w - lr * rms_rate * sqrt(max(rows, columns)) * orthogonal(u)``, by `ns_steps` Newton-Schulz iterations
    ``X = a X + (b A + c A A) X, A = X X^T``, which begin at u over its norm. Variables of other ranks, embeddings, and
    layers named in `exclude_layers` (the output layer should be) are moved by AdamW.

    Args:
        learning_rate: float, schedule or callable.
        adam_beta_1: AdamW's discount of the first moment.
        adam_beta_2: AdamW's discount of the second moment.
        adam_weight_decay: weight decay of variables moved by AdamW; None is none.
        epsilon: AdamW's epsilon.
        weight_decay: weight decay of the matrices; None is none.
        exclude_layers: regular expressions; variables whose path one of them is found in are moved by AdamW.
        exclude_embeddings: whether variables with ``embedding`` in their path are.
        muon_a, muon_b, muon_c: coefficients of the iteration.
        adam_lr_ratio: learning rate of AdamW over that of Muon.
        momentum: discount of the momentum.
        ns_steps: number of iterations.
        nesterov: whether to look ahead.
        rms_rate: size of an element of the step; None leaves out this factor and the root.
        clipnorm, ...: see `Optimizer`.

    Example:
        >>> from kcore.runtime import Variable
        >>> v = Variable([[1.0, 0.0], [0.0, 1.0]])
        >>> Muon(0.1, weight_decay=None).apply([ops.eye(2)], [v]); v.numpy().round(2)
        array([[0.97, 0.  ],
               [0.  , 0.97]], dtype=float32)

    Source: Jordan et al. 2024, https://github.com/KellerJordan/Muon; Liu et al., arXiv:2502.16982.
    """

    learning_rate: Any = argument(0.001)
    adam_beta_1: float = argument(0.9, number)
    adam_beta_2: float = argument(0.999, number)
    adam_weight_decay: float | None = argument(0.004, optional(not_negative))
    epsilon: float = argument(1e-7, number)
    weight_decay: float | None = argument(0.004, optional(not_negative))
    exclude_layers: list[str] = argument(None, lambda value: list(value or ()), keyword=True)
    exclude_embeddings: bool = argument(True, keyword=True)
    muon_a: float = argument(3.4445, number, keyword=True)
    muon_b: float = argument(-4.7750, number, keyword=True)
    muon_c: float = argument(2.0315, number, keyword=True)
    adam_lr_ratio: float = argument(1, number, keyword=True)
    momentum: float = argument(0.95, number, keyword=True)
    ns_steps: int = argument(5, positive_int, keyword=True)
    nesterov: bool = argument(True, keyword=True)
    rms_rate: float | None = argument(0.2, optional(number), keyword=True)

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state: a momentum of each variable, and a second moment of those that AdamW moves."""
        if self.built:
            return
        super().build(variables)
        self._slots.update(momentum=[], velocity=[])
        for variable in variables:
            self._slots["momentum"].append(self.add_variable_from_reference(variable, "momentum"))
            adam = self._by_adam(variable)
            self._slots["velocity"].append(self.add_variable_from_reference(variable, "velocity") if adam else None)

    def _by_adam(self, variable: Variable) -> bool:
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    @per_step
    def corrected_rate(self, learning_rate: Any) -> Any:
        """AdamW's learning rate with the bias of both moments corrected."""
        step = ops.cast(self.iterations + 1, learning_rate.dtype)
        corrected = ops.sqrt(1 - ops.power(self.adam_beta_2, step)) / (1 - ops.power(self.adam_beta_1, step))
        return learning_rate * self.adam_lr_ratio * corrected

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        if v is None:
            m.assign(gradient + m * self.momentum)
            ahead = gradient + self.momentum * m if self.nesterov else m.value
            scale = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(variable.shape))
            variable.assign_sub(learning_rate * scale * self._orthogonal(ahead))
            return
        m.assign_add((gradient - m) * (1 - self.adam_beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.adam_beta_2))
        variable.assign_sub(m * self.corrected_rate(learning_rate) / (ops.sqrt(v) + self.epsilon))

    def _orthogonal(self, x: Any) -> Any:
        """A matrix near x whose singular values are all near 1; worked on with its smaller side first."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * square + self.muon_c * ops.matmul(square, square), x)
        return ops.transpose(x) if tall else x
