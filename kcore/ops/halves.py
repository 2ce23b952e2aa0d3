"""Short floats in composites whose decomposition would lose too many of their digits: computed in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from kcore.graph.op import OPS
from kcore.ops.elementwise import cast

#: The dtypes that are computed in float32.
HALVES = frozenset(("float16", "bfloat16"))


def through_float32(name: str, keep: tuple[int, ...] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a decomposition: for short floats it is the op itself on float32, rounded once at the end.

    Args:
        name: of the op.
        keep: outputs that stay float32, as `residual_dtype` says to `infer`.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fn)
        def decomposition(*inputs: Any, **attrs: Any) -> Any:
            short = next((x.dtype for x in inputs if x is not None and x.dtype in HALVES), None)
            if short is None:
                return fn(*inputs, **attrs)
            result = OPS[name](*[cast(x, "float32") if _is_short(x) else x for x in inputs], **attrs)
            if not isinstance(result, tuple):
                return cast(result, short)
            return tuple(cast(r, short) if r.dtype == "float32" and i not in keep else r for i, r in enumerate(result))

        return decomposition

    return decorate


def residual_dtype(dtype: str) -> str:
    """The dtype of what is kept for the gradient of inputs of a dtype."""
    return "float32" if dtype in HALVES else dtype


def _is_short(x: Any) -> bool:
    return x is not None and x.dtype in HALVES
