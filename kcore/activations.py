"""Activation functions: plain functions of a tensor, by name for layers."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

from kcore import ops
from kcore.registry import REGISTRY, Namespace, public, register_serializable

_names = Namespace("keras.activations", "activation", instances=False)


@public("keras.activations")
def linear(x: Any) -> Any:
    """The identity: ``linear(x) = x``.

    Example:
        >>> linear(3.0)
        3.0
    """
    return x


@public("keras.activations")
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Rectified linear unit.

    ``x`` above `threshold`, ``negative_slope * (x - threshold)`` below it, and never more than `max_value`.

    Args:
        x: tensor of any shape.
        negative_slope: slope below the threshold.
        max_value: upper limit; None is none.
        threshold: value at or below which the input is damped.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:
        >>> relu([-1.0, 0.0, 2.0], max_value=1.0).numpy().tolist()
        [0.0, 0.0, 1.0]

    Source: Nair and Hinton 2010; arguments as in Keras 3.
    """
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return ops.relu(x)
    x = ops.convert_to_tensor(x)
    if negative_slope != 0.0 and max_value is None and threshold == 0.0:
        return ops.leaky_relu(x, negative_slope=negative_slope)
    capped = threshold == 0.0 and max_value == 6
    positive = ops.where(x > threshold, x, 0) if threshold != 0.0 else ops.relu6(x) if capped else ops.relu(x)
    if max_value is not None and not capped:
        positive = ops.clip(positive, 0.0, float(max_value))
    if negative_slope == 0.0:
        return positive
    return positive - negative_slope * ops.relu(threshold - x)


@public("keras.activations")
def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax: ``exp(x) / sum(exp(x))`` along `axis`.

    Args:
        x: floating tensor, e.g. logits ``(batch, classes)``.
        axis: axis of the classes.

    Returns:
        Tensor of the shape of `x`, non-negative and summing to 1 along `axis`.

    Example:
        >>> softmax([[0.0, 0.0]]).numpy().tolist()
        [[0.5, 0.5]]
    """
    return ops.softmax(x, axis=axis)


@public("keras.activations")
def sigmoid(x: Any) -> Any:
    """Logistic function: ``1 / (1 + exp(-x))``.

    Example:
        >>> sigmoid([0.0]).numpy().tolist()
        [0.5]
    """
    return ops.sigmoid(x)


@public("keras.activations")
def tanh(x: Any) -> Any:
    """Hyperbolic tangent.

    Example:
        >>> tanh([0.0]).numpy().tolist()
        [0.0]
    """
    return ops.tanh(x)


@public("keras.activations")
def exponential(x: Any) -> Any:
    """Exponential: ``exp(x)``.

    Example:
        >>> exponential([0.0]).numpy().tolist()
        [1.0]
    """
    return ops.exp(x)


@public("keras.activations")
def gelu(x: Any, approximate: bool = False) -> Any:
    """Gaussian error linear unit: ``x * Phi(x)`` with the normal distribution function Phi.

    Args:
        x: floating tensor.
        approximate: use the tanh approximation; exact by default (`ops.gelu` is approximate by default).

    Returns:
        Tensor of the shape of `x`.

    Example:
        >>> round(gelu([1.0]).numpy().item(), 4)
        0.8413

    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """
    return ops.gelu(x, approximate=approximate)


@public("keras.activations", "silu", "swish")
def silu(x: Any) -> Any:
    """Swish: ``x * sigmoid(x)``.

    Example:
        >>> silu([0.0]).numpy().tolist()
        [0.0]

    Source: Ramachandran et al., arXiv:1710.05941.
    """
    return ops.silu(x)


@public("keras.activations")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Exponential linear unit: ``x`` above 0, ``alpha * (exp(x) - 1)`` below.

    Example:
        >>> elu([0.0, 2.0]).numpy().tolist()
        [0.0, 2.0]

    Source: Clevert et al., arXiv:1511.07289.
    """
    return ops.elu(x, alpha=alpha)


@public("keras.activations")
def selu(x: Any) -> Any:
    """Scaled exponential linear unit, with the constants of self-normalizing networks.

    Example:
        >>> round(selu([1.0]).numpy().item(), 4)
        1.0507

    Source: Klambauer et al., arXiv:1706.02515.
    """
    return ops.selu(x)


@public("keras.activations")
def softplus(x: Any) -> Any:
    """Softplus: ``log(1 + exp(x))``.

    Example:
        >>> round(softplus([0.0]).numpy().item(), 4)
        0.6931
    """
    return ops.softplus(x)


@public("keras.activations")
def softsign(x: Any) -> Any:
    """Softsign: ``x / (1 + |x|)``.

    Example:
        >>> softsign([1.0]).numpy().tolist()
        [0.5]
    """
    return ops.softsign(x)


@public("keras.activations")
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Leaky ReLU: ``x`` above 0, ``negative_slope * x`` below.

    Example:
        >>> leaky_relu([-1.0], negative_slope=0.5).numpy().tolist()
        [-0.5]
    """
    return ops.leaky_relu(x, negative_slope=negative_slope)


@public("keras.activations")
def relu6(x: Any) -> Any:
    """ReLU capped at 6: ``min(max(x, 0), 6)``.

    Example:
        >>> relu6([9.0]).numpy().tolist()
        [6.0]
    """
    return ops.relu6(x)


@public("keras.activations")
def hard_sigmoid(x: Any) -> Any:
    """Piecewise linear sigmoid: ``relu6(x + 3) / 6``.

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).numpy().tolist()
        [0.0, 0.5, 1.0]

    Source: Keras 3 (Keras 2 used ``clip(0.2 x + 0.5, 0, 1)``).
    """
    return ops.hard_sigmoid(x)


@register_serializable("kcore")
def legacy_hard_sigmoid(x: Any) -> Any:
    """The hard sigmoid of Keras 1 and 2, which their files are loaded with: ``clip(0.2 x + 0.5, 0, 1)``.

    Example:
        >>> legacy_hard_sigmoid([-2.5, 0.0, 1.0]).numpy().tolist()
        [0.0, 0.5, 0.699999988079071]
    """
    return ops.clip(0.2 * ops.convert_to_tensor(x) + 0.5, 0.0, 1.0)


@public("keras.activations")
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Continuously differentiable exponential linear unit: ``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below.

    Args:
        x: floating tensor.
        alpha: scale of the exponential part; not 0.

    Example:
        >>> celu([0.0, 2.0], alpha=0.5).numpy().tolist()
        [0.0, 2.0]

    Source: Barron, arXiv:1704.07483.
    """
    return ops.celu(x, alpha=alpha)


@public("keras.activations")
def glu(x: Any, axis: int = -1) -> Any:
    """Gated linear unit: the first half of `x` along `axis`, times the sigmoid of the second.

    Args:
        x: floating tensor; its size along `axis` is even.
        axis: the axis that is cut in half.

    Returns:
        Tensor of half the size along `axis`.

    Raises:
        ValueError: the size is odd.

    Example:
        >>> glu([1.0, 2.0, 0.0, 0.0]).numpy().tolist()
        [0.5, 1.0]

    Source: Dauphin et al., arXiv:1612.08083.
    """
    return ops.glu(x, axis=axis)


@public("keras.activations")
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Hard shrinkage: ``x`` where ``|x| > threshold``, else 0.

    Example:
        >>> hard_shrink([-1.0, 0.5, 1.0]).numpy().tolist()
        [-1.0, 0.0, 1.0]
    """
    return ops.hard_shrink(x, threshold=threshold)


@public("keras.activations", "hard_silu", "hard_swish")
def hard_silu(x: Any) -> Any:
    """Piecewise swish: ``x * relu6(x + 3) / 6``.

    Example:
        >>> hard_silu([-1.5, 0.0, 3.0]).numpy().tolist()
        [-0.375, 0.0, 3.0]

    Source: Howard et al., arXiv:1905.02244.
    """
    return ops.hard_silu(x)


@public("keras.activations")
def hard_tanh(x: Any) -> Any:
    """Piecewise tanh: ``x`` limited to [-1, 1].

    Example:
        >>> hard_tanh([-2.0, 0.5, 2.0]).numpy().tolist()
        [-1.0, 0.5, 1.0]
    """
    return ops.hard_tanh(x)


@public("keras.activations")
def log_sigmoid(x: Any) -> Any:
    """Logarithm of the sigmoid: ``-log(1 + exp(-x))``.

    Example:
        >>> round(log_sigmoid([0.0]).numpy().item(), 4)
        -0.6931
    """
    return ops.log_sigmoid(x)


@public("keras.activations")
def mish(x: Any) -> Any:
    """Mish: ``x * tanh(softplus(x))``.

    Example:
        >>> round(mish([1.0]).numpy().item(), 4)
        0.8651

    Source: Misra, arXiv:1908.08681.
    """
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(ops.softplus(x))


@public("keras.activations")
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Soft shrinkage: ``x`` moved towards 0 by `threshold`, and 0 where it would cross it.

    Example:
        >>> soft_shrink([-1.0, 0.5, 1.0]).numpy().tolist()
        [-0.5, 0.0, 0.5]
    """
    return ops.soft_shrink(x, threshold=threshold)


@public("keras.activations")
def sparse_plus(x: Any) -> Any:
    """Piecewise softplus: 0 up to -1, ``x`` from 1 on, ``(x + 1)^2 / 4`` between them.

    Example:
        >>> sparse_plus([-1.0, 0.0, 2.0]).numpy().tolist()
        [0.0, 0.25, 2.0]
    """
    return ops.sparse_plus(x)


@public("keras.activations")
def sparse_sigmoid(x: Any) -> Any:
    """Piecewise sigmoid: ``(x + 1) / 2`` limited to [0, 1].

    Example:
        >>> sparse_sigmoid([-1.0, 0.0, 2.0]).numpy().tolist()
        [0.0, 0.5, 1.0]

    Source: Martins and Astudillo, arXiv:1602.02068.
    """
    return ops.sparse_sigmoid(x)


@public("keras.activations")
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Sparsemax: ``max(x - tau, 0)`` along `axis`, with exact zeros; tau is Keras's, see `ops.sparsemax`.

    Args:
        x: floating tensor, e.g. logits ``(batch, classes)``.
        axis: axis of the classes.

    Returns:
        Tensor of the shape of `x`.

    Example:
        >>> sparsemax([[2.0, 0.5, 0.1]]).numpy().tolist()
        [[1.0, 0.0, 0.0]]

    Source: Martins and Astudillo, arXiv:1602.02068; the threshold is that of Keras.
    """
    return ops.sparsemax(x, axis=axis)


@public("keras.activations")
def squareplus(x: Any, b: float = 4) -> Any:
    """Softplus without exponentials: ``(x + sqrt(x^2 + b)) / 2``.

    Example:
        >>> squareplus([0.0]).numpy().tolist()
        [1.0]

    Source: Barron, arXiv:2112.11687.
    """
    return ops.squareplus(x, b=b)


@public("keras.activations")
def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``.

    Example:
        >>> round(tanh_shrink([1.0]).numpy().item(), 4)
        0.2384
    """
    return ops.tanh_shrink(x)


@public("keras.activations")
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """``x`` where it is above `threshold`, else `default_value`.

    Example:
        >>> threshold([-1.0, 2.0], 0.0, 9.0).numpy().tolist()
        [9.0, 2.0]
    """
    return ops.threshold(x, threshold, default_value)


@public("keras.activations")
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Logarithm of `softmax` along `axis`.

    Example:
        >>> [round(v, 4) for v in log_softmax([[0.0, 0.0]]).numpy()[0].tolist()]
        [-0.6931, -0.6931]
    """
    return ops.log_softmax(x, axis=axis)


#: Keras's other names.
swish, hard_swish = silu, hard_silu


def get(identifier: Any) -> Callable[..., Any]:
    """The activation of a name, configuration or callable; None is `linear`.

    Raises:
        ValueError: an unknown name; near names are shown.

    Example:
        >>> get("relu") is relu, get(None) is linear
        (True, True)
    """
    return linear if identifier is None else _names.get(identifier)


def serialize(activation: Callable[..., Any]) -> Any:
    """A built-in as its name; another function or object as its configuration.

    Example:
        >>> serialize(tanh)
        'tanh'
    """
    if isinstance(activation, types.FunctionType) and (REGISTRY.address(activation) or "").startswith(
        "keras.activations."
    ):
        return activation.__name__
    return _names.serialize(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation a name or configuration describes."""
    return _names.deserialize(config, custom_objects)
