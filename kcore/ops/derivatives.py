"""Derivatives as ops: `jvp`, the forward mode, and `custom_gradient`, a function with a gradient of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kcore.dtypes import is_float
from kcore.errors import GradientError
from kcore.graph.op import OPS, composite, sample
from kcore.ops.shape import _tensor
from kcore.runtime.tape import GradientTape
from kcore.tree import flatten, map_structure, pack_sequence_as

__all__ = ["custom_gradient", "jvp"]


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """A function's value, and how it changes as its arguments move along the tangents: the forward derivative.

    It is the derivative of the reverse derivative, which is linear in what it is seeded with.

    Args:
        fun: a function of tensors, or structures of them, that returns a tensor or a structure.
        primals: its arguments, a tuple or list.
        tangents: a direction of the same structure and shapes.
        has_aux: whether `fun` returns a pair, of which the second is not differentiated.

    Returns: ``(fun(*primals), tangents of it)``, and what `fun` returned beside if `has_aux`.

    Raises:
        ValueError: primals and tangents of different structures or shapes.

    Example:
        >>> from kcore import ops
        >>> value, slope = ops.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> float(value), float(slope)
        (9.0, 6.0)

    Source: `keras.ops.jvp`.
    """
    points, moves = [_tensor(x) for x in flatten(list(primals))], [_tensor(x) for x in flatten(list(tangents))]
    if [tuple(x.shape) for x in points] != [tuple(x.shape) for x in moves]:
        raise ValueError(
            f"jvp: expected tangents of the shapes of primals, {[tuple(x.shape) for x in points]}; "
            f"received {[tuple(x.shape) for x in moves]}"
        )
    points = [OPS["identity"](x) for x in points]
    with GradientTape() as outer:
        with GradientTape(persistent=True) as inner:
            inner.watch(points)
            result = fun(*pack_sequence_as(list(primals), points))
        value, aux = result if has_aux else (result, None)
        outputs = flatten(value)
        floats = [y for y in outputs if is_float(y.dtype)]
        seeds = [OPS["zeros_like"](y) for y in floats]
        outer.watch(seeds)
        pulled = inner.gradient(floats, points, seeds) if floats else [None] * len(points)
    pairs = [(g, t) for g, t in zip(pulled, moves, strict=True) if g is not None]
    slopes: list[Any] = [None] * len(seeds)
    if pairs:
        slopes = outer.gradient([g for g, _ in pairs], seeds, [OPS["cast"](t, dtype=g.dtype) for g, t in pairs])
    found = iter(OPS["zeros_like"](y) if s is None else s for s, y in zip(slopes, floats, strict=True))
    moved = map_structure(lambda y: next(found) if is_float(y.dtype) else OPS["zeros_like"](y), value)
    return (value, moved, aux) if has_aux else (value, moved)


class _Pull:
    """The gradient of one call of a function; not hashable, so that nothing keeps the call and its tensors by it."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: dict[str, Any], count: int):
        self.f, self.args, self.kwargs, self.count = f, map_structure(lambda _: None, args), kwargs, count

    def __call__(self, inputs: Sequence[Any], upstream: Sequence[Any]) -> list[Any]:
        _, grad = self.f(*pack_sequence_as(self.args, list(inputs)), **self.kwargs)
        gradients = flatten(grad(*upstream))
        if len(gradients) != self.count:
            raise GradientError(
                f"custom_gradient: the gradient of {getattr(self.f, '__name__', self.f)!r} returned {len(gradients)} "
                f"gradients for {self.count} arguments"
            )
        return gradients


def _through(function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    return function(*inputs)


@composite(
    "control",
    infer=lambda *values, count, function: values[count:],
    inputs=("*values",),
    # what an op of two inputs says of the second holds only for what the function computes from the first
    samples=[sample((3, 4), (3, 4), count=1, function=_through, grad=False)],
)
def with_gradient(*values, count, function):
    """The values behind the first `count`, whose gradient is what `function` says it is for the first `count`."""
    results = tuple(OPS["identity"](v) for v in values[count:])
    return results if len(results) > 1 else results[0]


@with_gradient.gradient
def _(ctx, *gs):
    count, function = ctx.attrs["count"], ctx.attrs["function"]
    upstream = [OPS["zeros_like"](y) if g is None else g for g, y in zip(gs, ctx.outputs, strict=True)]
    pulled = function(ctx.inputs[:count], upstream)
    return (*pulled, *[None] * (len(ctx.inputs) - count))


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function whose gradient it tells itself.

    Args:
        f: a function of tensors, or structures of them, that returns its result and a function ``grad``. That one is
            called with a gradient for each tensor of the result, in order, and returns one for each tensor among the
            arguments, in order, or None. It is run again where a gradient is asked for, so it should depend on its
            arguments alone, and on variables.

    Returns: a function of the same arguments that returns the result.

    Raises:
        GradientError: `grad` returns another number of gradients than there are arguments.

    Example:
        >>> from kcore import ops
        >>> from kcore.runtime import GradientTape, convert_to_tensor
        >>> @ops.custom_gradient
        ... def clipped(x):
        ...     return x * 1.0, lambda upstream: ops.clip(upstream, -1.0, 1.0)
        >>> x = convert_to_tensor(2.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = clipped(x) * 5.0
        >>> float(tape.gradient(y, x))
        1.0

    Source: `keras.ops.custom_gradient`.
    """

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = [_tensor(x) for x in flatten(list(args))]
        held = [OPS["stop_gradient"](x) for x in tensors]
        result, _ = f(*pack_sequence_as(list(args), held), **kwargs)
        outputs = [_tensor(y) for y in flatten(result)]

        pull = _Pull(f, list(args), kwargs, len(tensors))
        values = with_gradient(*tensors, *outputs, count=len(tensors), function=pull)
        return pack_sequence_as(result, list(values) if isinstance(values, tuple) else [values])

    return call
