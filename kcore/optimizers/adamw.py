"""AdamW."""

from __future__ import annotations

from typing import Any

from kcore.declare import argument
from kcore.optimizers.adam import Adam
from kcore.optimizers.checks import not_negative
from kcore.registry import public


@public("keras.optimizers", "AdamW", "adamw")
class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient.

    Every step first does ``w = w - w * weight_decay * lr``, then what `Adam` does.

    Args:
        learning_rate: float, schedule or callable.
        weight_decay: the decay, a number of at least 0; it has to be given, None is refused.
        beta_1: discount of the first moment.
        beta_2: discount of the second moment.
        epsilon: for numerical stability.
        amsgrad: whether to divide by the largest v so far.
        clipnorm, ...: see `Optimizer`.

    Raises:
        ValueError: weight_decay is None or negative.

    Example:
        >>> from kcore import ops
        >>> from kcore.runtime import Variable
        >>> v = Variable([1.0])
        >>> AdamW(0.1, weight_decay=0.5).apply([ops.ones((1,))], [v]); round(v.numpy().item(), 4)
        0.85

    Source: Loshchilov and Hutter, arXiv:1711.05101.
    """

    learning_rate: Any = argument(0.001)
    weight_decay: float = argument(0.004, not_negative, after="learning_rate")
