"""Cross-entropies: the fused ops on logits and on probabilities, and Keras' functions on top of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.config import epsilon as config_epsilon
from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import (
    add,
    cast,
    clip,
    divide,
    equal,
    exp,
    greater_equal,
    less_equal,
    log,
    log1p,
    logical_and,
    maximum,
    multiply,
    negative,
    subtract,
    where,
)
from kcore.ops.halves import through_float32
from kcore.ops.indexing import _take_along_axis
from kcore.ops.reduction import logsumexp
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import expand_dims, reshape, squeeze, transpose
from kcore.runtime.bounds import check_numbers
from kcore.runtime.tape import vjp

__all__ = ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]


def _labels(*values: Any) -> In:
    array = np.asarray(values, dtype=np.int32)
    return In(array.shape, dtype="int32", value=array)


def _share(shape: tuple[int, ...]) -> In:
    """Sample probabilities, well inside the clipping range."""
    return In(shape, low=0.1, high=1.0)


def _pair_infer(op: str, first: str, second: str):
    def infer(a: Spec, b: Spec, **_: Any) -> tuple[Spec, ...]:
        if (
            not a.ndim
            or a.ndim != b.ndim
            or any(None not in (m, n) and m != n for m, n in zip(a.shape, b.shape, strict=True))
        ):
            raise ValueError(
                f"{op}: {first} and {second} must have the same shape, of rank 1 or more; received {a} and {b}"
            )
        row = Spec(a.shape[:-1], a.dtype)
        return row, row

    return infer


def _sparse_infer(op: str, name: str):
    def infer(a: Spec, labels: Spec, **_: Any) -> tuple[Spec, ...]:
        if not a.ndim or a.ndim != labels.ndim + 1:
            raise ValueError(f"{op}: expected labels of shape {a.shape[:-1]} for {name} {a}; received {labels}")
        if any(None not in (m, n) and m != n for m, n in zip(a.shape[:-1], labels.shape, strict=True)):
            raise ValueError(f"{op}: expected labels of shape {a.shape[:-1]} for {name} {a}; received {labels}")
        if "int" not in labels.dtype:
            raise ValueError(f"{op}: labels must be integers; received {labels}")
        row = Spec(a.shape[:-1], a.dtype)
        return row, row

    return infer


def _classes(specs: Any, attrs: Any) -> int:
    return specs[0].shape[-1]


def _hot(labels: Any, classes: int) -> Any:
    """A boolean mask (..., classes), true at the label."""
    return equal(expand_dims(labels, -1), np.arange(classes, dtype=labels.dtype))


def _picked(x: Any, labels: Any) -> Any:
    """``x[..., label]``."""
    return squeeze(_take_along_axis(x, expand_dims(labels, -1), axis=len(x.shape) - 1), -1)


# -- from logits -----------------------------------------------------------------------------------------------------


@composite(
    "losses",
    infer=_pair_infer("softmax_cross_entropy", "logits", "target"),
    promote="float",
    residuals=1,
    samples=[
        sample((4, 10), _share((4, 10))),
        sample((2, 3, 17), _share((2, 3, 17))),
        sample(In((33, 31), low=-60, high=60), _share((33, 31)), grad=False),
        sample((5, 1), _share((5, 1))),
        sample((0, 4), _share((0, 4))),
    ],
)
def softmax_cross_entropy(logits, target):
    """Cross-entropy of softmax(logits) against a distribution: ``sum(target * (logsumexp(logits) - logits))``.

    Both are ``(..., classes)``. Returns the losses ``(...)`` and, for the gradient, the logsumexp ``(...)``.
    """
    normalizer = logsumexp(logits, axis=-1)
    return reduce_sum(multiply(target, subtract(expand_dims(normalizer, -1), logits)), axis=-1), normalizer


@softmax_cross_entropy.gradient
def _(ctx, g, g_normalizer):
    logits, target = ctx.inputs
    if g_normalizer is not None:  # a gradient of the gradient
        return vjp(softmax_cross_entropy.fn, ctx.inputs, (g, g_normalizer))
    normalizer = expand_dims(ctx.outputs[1], -1)
    to_logits = softmax_cross_entropy_grad(g, logits, target, ctx.outputs[1]) if ctx.needs[0] else None
    return to_logits, multiply(expand_dims(g, -1), subtract(normalizer, logits)) if ctx.needs[1] else None


@composite(
    "losses",
    infer=lambda g, logits, target, normalizer: logits,
    samples=[
        sample((4,), (4, 10), _share((4, 10)), In((4,), low=3, high=4)),
        sample((0,), (0, 4), _share((0, 4)), (0,)),
        sample((2, 3), (2, 3, 17), _share((2, 3, 17)), In((2, 3), low=3, high=4)),
    ],
)
def softmax_cross_entropy_grad(g, logits, target, normalizer):
    """``g * (softmax(logits) * sum(target) - target)``, with the softmax from the logsumexp kept."""
    softmax = exp(subtract(logits, expand_dims(normalizer, -1)))
    total = reduce_sum(target, axis=-1, keepdims=True)
    return multiply(expand_dims(g, -1), subtract(multiply(softmax, total), target))


@composite(
    "losses",
    infer=_sparse_infer("sparse_softmax_cross_entropy", "logits"),
    promote="float",
    promoted=(0,),
    residuals=1,
    bounds={"labels": _classes},
    samples=[
        sample((4, 10), _labels(3, 9, 0, 3)),
        sample((2, 3, 17), _labels([16, 1, 0], [4, 4, 5])),
        sample(In((3, 31), low=-60, high=60), _labels(30, 0, 7), grad=False),
        sample((2, 1), _labels(0, 0)),
        sample((0, 4), In((0,), dtype="int32", value=np.zeros(0, np.int32))),
    ],
)
def sparse_softmax_cross_entropy(logits, labels):
    """Cross-entropy of softmax(logits) against integer labels: ``logsumexp(logits) - logits[label]``.

    Logits ``(..., classes)``, labels ``(...)``. Returns the losses ``(...)`` and, for the gradient, the logsumexp.
    """
    normalizer = logsumexp(logits, axis=-1)
    return subtract(normalizer, _picked(logits, labels)), normalizer


@sparse_softmax_cross_entropy.gradient
def _(ctx, g, g_normalizer):
    if g_normalizer is not None:  # a gradient of the gradient
        return vjp(sparse_softmax_cross_entropy.fn, ctx.inputs, (g, g_normalizer))
    return sparse_softmax_cross_entropy_grad(g, *ctx.inputs, ctx.outputs[1]), None


@composite(
    "losses",
    infer=lambda g, logits, labels, normalizer: logits,
    samples=[
        sample((4,), (4, 10), _labels(3, 9, 0, 3), In((4,), low=3, high=4)),
        sample((2, 3), (2, 3, 17), _labels([16, 1, 0], [4, 4, 5]), In((2, 3), low=3, high=4)),
    ],
)
def sparse_softmax_cross_entropy_grad(g, logits, labels, normalizer):
    """``g * (softmax(logits) - one_hot(labels))``, with the softmax from the logsumexp kept."""
    softmax = exp(subtract(logits, expand_dims(normalizer, -1)))
    hot = cast(_hot(labels, logits.shape[-1]), dtype=logits.dtype)
    return multiply(expand_dims(g, -1), subtract(softmax, hot))


# -- from probabilities ----------------------------------------------------------------------------------------------


@composite(
    "losses",
    infer=lambda probabilities, target, **attrs: _pair_infer("cross_entropy", "probabilities", "target")(
        probabilities, target
    )[:1],
    promote="float",
    samples=[
        sample(_share((4, 10)), _share((4, 10)), epsilon=1e-7),
        sample(_share((2, 3, 17)), _share((2, 3, 17)), epsilon=1e-7),
        sample(In((1, 4), value=np.array([[0.0, 1.0, 0.0, 0.0]])), _share((1, 4)), epsilon=1e-7, grad=False),
        sample(_share((0, 4)), _share((0, 4)), epsilon=1e-7),
    ],
)
@through_float32("cross_entropy")
def cross_entropy(probabilities, target, *, epsilon):
    """``-sum(target * log(clip(p / sum(p), epsilon, 1 - epsilon)))`` over the last axis; the losses ``(...)``."""
    share = divide(probabilities, reduce_sum(probabilities, axis=-1, keepdims=True))
    return negative(reduce_sum(multiply(target, log(clip(share, epsilon, 1.0 - epsilon))), axis=-1))


@cross_entropy.gradient
def _(ctx, g):
    probabilities, target = ctx.inputs
    epsilon = ctx.attrs["epsilon"]
    to_target = None
    if ctx.needs[1]:
        share = divide(probabilities, reduce_sum(probabilities, axis=-1, keepdims=True))
        to_target = multiply(expand_dims(g, -1), negative(log(clip(share, epsilon, 1.0 - epsilon))))
    to_probabilities = cross_entropy_grad(g, probabilities, target, epsilon=epsilon) if ctx.needs[0] else None
    return to_probabilities, to_target


@composite(
    "losses",
    infer=lambda g, probabilities, target, *, epsilon: probabilities,
    samples=[
        sample((4,), _share((4, 10)), _share((4, 10)), epsilon=1e-7),
        sample((2, 3), _share((2, 3, 17)), _share((2, 3, 17)), epsilon=1e-7),
        sample((1,), In((1, 4), value=np.array([[0.0, 1.0, 0.0, 0.0]])), _share((1, 4)), epsilon=1e-7, grad=False),
    ],
)
@through_float32("cross_entropy_grad")
def cross_entropy_grad(g, probabilities, target, *, epsilon):
    """The gradient of `cross_entropy` for the probabilities: zero where clipped, projected by the normalisation."""
    total = reduce_sum(probabilities, axis=-1, keepdims=True)
    share = divide(probabilities, total)
    slope = multiply(expand_dims(g, -1), negative(divide(target, clip(share, epsilon, 1.0 - epsilon))))
    slope = where(_inside(share, epsilon), slope, np.zeros((), dtype=share.dtype))
    return divide(subtract(slope, reduce_sum(multiply(slope, share), axis=-1, keepdims=True)), total)


def _inside(share: Any, epsilon: float) -> Any:
    low, high = np.asarray(epsilon, share.dtype), np.asarray(1.0 - epsilon, share.dtype)
    return logical_and(greater_equal(share, low), less_equal(share, high))


@composite(
    "losses",
    infer=lambda probabilities, labels, **attrs: _sparse_infer("sparse_cross_entropy", "probabilities")(
        probabilities, labels
    )[:1],
    promote="float",
    promoted=(0,),
    bounds={"labels": _classes},
    samples=[
        sample(_share((4, 10)), _labels(3, 9, 0, 3), epsilon=1e-7),
        sample(_share((2, 3, 17)), _labels([16, 1, 0], [4, 4, 5]), epsilon=1e-7),
        sample(In((2, 4), value=np.array([[0.0, 1.0, 0.0, 0.0]] * 2)), _labels(0, 1), epsilon=1e-7, grad=False),
        sample(_share((0, 4)), In((0,), dtype="int32", value=np.zeros(0, np.int32)), epsilon=1e-7),
    ],
)
@through_float32("sparse_cross_entropy")
def sparse_cross_entropy(probabilities, labels, *, epsilon):
    """``-log(clip(p[label] / sum(p), epsilon, 1 - epsilon))`` over the last axis; the losses ``(...)``."""
    share = divide(_picked(probabilities, labels), reduce_sum(probabilities, axis=-1))
    return negative(log(clip(share, epsilon, 1.0 - epsilon)))


@sparse_cross_entropy.gradient
def _(ctx, g):
    return sparse_cross_entropy_grad(g, *ctx.inputs, epsilon=ctx.attrs["epsilon"]), None


@composite(
    "losses",
    infer=lambda g, probabilities, labels, *, epsilon: probabilities,
    samples=[
        sample((4,), _share((4, 10)), _labels(3, 9, 0, 3), epsilon=1e-7),
        sample((2, 3), _share((2, 3, 17)), _labels([16, 1, 0], [4, 4, 5]), epsilon=1e-7),
        sample((2,), In((2, 4), value=np.array([[0.0, 1.0, 0.0, 0.0]] * 2)), _labels(0, 1), epsilon=1e-7, grad=False),
    ],
)
@through_float32("sparse_cross_entropy_grad")
def sparse_cross_entropy_grad(g, probabilities, labels, *, epsilon):
    """The gradient of `sparse_cross_entropy` for the probabilities: zero where clipped."""
    total = reduce_sum(probabilities, axis=-1)
    share = divide(_picked(probabilities, labels), total)
    zero = np.zeros((), dtype=share.dtype)
    slope = where(
        _inside(share, epsilon), negative(divide(g, multiply(clip(share, epsilon, 1.0 - epsilon), total))), zero
    )
    hot = cast(_hot(labels, probabilities.shape[-1]), dtype=probabilities.dtype)
    return multiply(expand_dims(slope, -1), subtract(hot, expand_dims(share, -1)))


@composite(
    "losses",
    infer=lambda x, labels: _sparse_infer("class_value", "predictions")(x, labels)[0],
    bounds={"labels": _classes},
    samples=[sample((4, 10), _labels(3, 9, 0, 3)), sample((2, 3, 17), _labels([16, 1, 0], [4, 4, 5]))],
)
def class_value(x, labels):
    """``x[..., label]``, the value of the right class; `x` is ``(..., classes)``, labels are ``(...)``."""
    return _picked(x, labels)


# -- the functions ---------------------------------------------------------------------------------------------------


def _to_last(x: Any, axis: int) -> Any:
    ndim = len(x.shape)
    if axis in (-1, ndim - 1):
        return x
    axis %= ndim
    return transpose(x, (*range(axis), *range(axis + 1, ndim), axis))


def _known(x: Any) -> Any:
    return x if hasattr(x, "shape") else np.asarray(x)


def _check_equal(target: Any, output: Any) -> None:
    shapes = tuple(target.shape), tuple(output.shape)
    if len(shapes[0]) != len(shapes[1]) or any(None not in (m, n) and m != n for m, n in zip(*shapes, strict=True)):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape. "
            f"Received: target.shape={shapes[0]}, output.shape={shapes[1]}"
        )


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy between distributions: ``-sum(target * log(p))`` along an axis.

    Probabilities are divided by their sum and clipped to [epsilon, 1 - epsilon] (1e-7); logits go through softmax.

    Args:
        target: probabilities `(..., classes)`.
        output: probabilities, or logits, of the same shape.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.

    Returns: losses `(...)`.

    Raises:
        ValueError: if the shapes differ or have no axis.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> target = np.array([[0.0, 1.0]], "float32")
    >>> loss = ops.categorical_crossentropy(target, np.array([[0.5, 0.5]], "float32"))
    >>> round(float(loss[0]), 4)
    0.6931

    Source: `keras.ops.categorical_crossentropy`.
    """
    target, output = _known(target), _known(output)
    _check_equal(target, output)
    if len(target.shape) < 1:
        raise ValueError(
            "Arguments `target` and `output` must be at least rank 1. "
            f"Received: target.shape={target.shape}, output.shape={output.shape}"
        )
    target, output = _to_last(target, axis), _to_last(output, axis)
    if from_logits:
        return softmax_cross_entropy(output, target)[0]
    return cross_entropy(output, target, epsilon=config_epsilon())


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy against integer labels: ``-log(p[label])``.

    Probabilities are divided by their sum and clipped to [epsilon, 1 - epsilon] (1e-7); logits go through softmax.

    Args:
        target: labels in [0, classes), of shape `(...)` or `(..., 1)`.
        output: probabilities, or logits, `(..., classes)`.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.

    Returns: losses `(...)`.

    Raises:
        ValueError: if the shapes do not match, or a label is out of range.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> loss = ops.sparse_categorical_crossentropy(np.array([1]), np.array([[0.5, 0.5]], "float32"))
    >>> round(float(loss[0]), 4)
    0.6931

    Source: `keras.ops.sparse_categorical_crossentropy`.
    """
    target, output = _known(target), _known(output)
    if len(output.shape) < 1:
        raise ValueError(f"Argument `output` must be at least rank 1. Received: output.shape={output.shape}")
    output = _to_last(output, axis)
    rows = tuple(output.shape[:-1])
    if len(target.shape) == len(output.shape) and target.shape[-1] == 1:
        target = reshape(target, tuple(target.shape[:-1])) if None not in target.shape else squeeze(target, -1)
    if len(target.shape) != len(rows) or any(
        None not in (m, n) and m != n for m, n in zip(target.shape, rows, strict=True)
    ):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape up until the last dimension: "
            f"target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
        )
    if "int" not in str(target.dtype):
        check_numbers("labels", target)
        target = cast(target, dtype="int32")
    if from_logits:
        return sparse_softmax_cross_entropy(output, target)[0]
    return sparse_cross_entropy(output, target, epsilon=config_epsilon())


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of independent yes-or-no outcomes: ``-(t log(p) + (1 - t) log(1 - p))``, element by element.

    Probabilities are clipped to [epsilon, 1 - epsilon] (1e-7). Logits x give the same in the form that neither
    overflows nor loses digits: ``max(x, 0) - x t + log(1 + exp(-|x|))``.

    Args:
        target: probabilities of any shape.
        output: probabilities, or logits, of the same shape.
        from_logits: whether `output` holds logits.

    Returns: losses of that shape.

    Raises:
        ValueError: if the shapes differ.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> one = np.array([1.0], "float32")
    >>> loss = ops.binary_crossentropy(one, np.array([0.5], "float32"))
    >>> round(float(loss[0]), 4)
    0.6931

    Source: `keras.ops.binary_crossentropy`.
    """
    target, output = _known(target), _known(output)
    _check_equal(target, output)
    if str(target.dtype) != str(output.dtype):
        target = cast(target, dtype=str(output.dtype))
    zero, one = (np.asarray(v, dtype=str(output.dtype)) for v in (0.0, 1.0))
    if from_logits:
        return add(subtract(maximum(output, zero), multiply(output, target)), log1p(exp(negative(absolute(output)))))
    epsilon = config_epsilon()
    inside = clip(output, epsilon, 1.0 - epsilon)
    hit = multiply(target, log(inside))
    miss = multiply(subtract(one, target), log(subtract(one, inside)))
    return negative(add(hit, miss))
