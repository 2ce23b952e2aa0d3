"""The op of rotary position embedding: pairs of features, as points of a plane, turned by an angle."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.graph.op import In, Spec, composite, sample


def _infer(x: Spec, cos: Spec, sin: Spec) -> Spec:
    if not x.ndim or (x.shape[-1] is not None and x.shape[-1] % 2):
        raise ValueError(f"rotate: expected an even number of features in the last dimension; received {x}")
    if cos.shape != sin.shape or not 0 < cos.ndim <= x.ndim:
        raise ValueError(
            f"rotate: expected cosines and sines of one shape, of the rank of {x} at most; received {cos}, {sin}"
        )
    half = None if x.shape[-1] is None else x.shape[-1] // 2
    wanted = (*x.shape[x.ndim - cos.ndim : -1], half)
    for i, (d, want) in enumerate(zip(cos.shape, wanted, strict=True)):
        if None not in (d, want) and d != want and (d != 1 or i == cos.ndim - 1):
            raise ValueError(f"rotate: cosines {cos} do not broadcast to half the features of {x}")
    return x


def _angles(*shape: int) -> tuple[In, In]:
    return In(shape, -1.0, 1.0), In(shape, -1.0, 1.0)


@composite(
    "rotary",
    "kcore_rotary>rotate",
    infer=_infer,
    promote="float",
    samples=[
        sample((2, 5, 8), *_angles(5, 4)),
        sample((2, 3, 2, 6), *_angles(3, 1, 3)),
        sample((4, 2), *_angles(1)),
        sample((6,), *_angles(3)),
        sample((0, 3, 4), *_angles(3, 2)),
        *(sample((3, n, 2 * n), *_angles(n, n)) for n in (15, 16, 17)),
        sample((8, 65, 4, 32), *_angles(65, 1, 16), grad=False),
    ],
)
def rotate(x: Any, cos: Any, sin: Any) -> Any:
    """Turn the pairs (first half, second half) of the last axis.

    ``(a, b) -> (a cos - b sin, b cos + a sin)``

    Args:
        x: float, ``(..., 2 * n)``.
        cos, sin: float, broadcast to ``(..., n)``.

    Returns:
        The shape and dtype of x.

    Raises:
        ValueError: an odd number of features, or cosines that do not fit.

    Example:
        >>> rotate([[1.0, 0.0]], [[0.0]], [[1.0]]).numpy().tolist()
        [[0.0, 1.0]]

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv:2104.09864, eq. 34.
    """
    a, b = _halves(x)
    return ops.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _halves(x: Any) -> tuple[Any, Any]:
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


@rotate.gradient
def _(ctx: Any, g: Any) -> tuple:
    """The gradient of a rotation is the rotation by the negative angle."""
    x, cos, sin = ctx.inputs
    dx = rotate(g, cos, ops.negative(sin)) if ctx.needs[0] else None
    if not (ctx.needs[1] or ctx.needs[2]):
        return dx, None, None
    (a, b), (ga, gb) = _halves(x), _halves(g)
    return dx, ga * a + gb * b, gb * a - ga * b
