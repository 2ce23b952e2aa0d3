"""What dtype each input of an op is converted to, by the op's `promote` rule and Keras 3's promotion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.dtypes import numpy_dtype, result_type, standardize_dtype
from kcore.graph.op import Op

_SCALARS: dict[type, type] = {bool: bool, int: int, float: float}
_INEXACT = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})


def dtype_of(x: Any) -> Any:
    """The dtype an argument counts as in promotion: a name, or a Python type for a number, which is weak."""
    kind = _SCALARS.get(type(x))
    if kind is not None:
        return kind
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return standardize_dtype(np.asarray(x).dtype) if not isinstance(x, list | tuple) else _list_dtype(x)
    return dtype if type(dtype) is str else standardize_dtype(dtype)


def _list_dtype(x: Any) -> str:
    """A nested list counts as floatx, int32 or bool, as in Keras."""
    array = np.asarray(x)
    if array.dtype.kind == "f":
        return config.floatx()
    return "int32" if array.dtype.kind == "i" else standardize_dtype(array.dtype)


def promoted(op: Op, args: Sequence[Any]) -> Sequence[str | None]:
    """The dtype every input is converted to; None where it is left as it is."""
    if op.promote is None:
        return (None,) * len(args)
    chosen = range(len(args)) if op.promoted is None else op.promoted
    kinds = [dtype_of(args[i]) for i in chosen if args[i] is not None]
    first = kinds[0]
    if all(k is first or k == first for k in kinds) and type(first) is str:
        common = first
    else:
        common = result_type(*kinds)
    if op.promote == "float" and common not in _INEXACT:
        common = result_type(common, float)
    return [common if i in chosen and a is not None else None for i, a in enumerate(args)]


def on_host(x: Any) -> np.ndarray:
    """A number, list or array as a host array; by DLPack where NumPy may not read it, as from another device."""
    try:
        return np.asarray(x)
    except TypeError:  # CuPy and torch refuse what would be a copy from their devices
        if not hasattr(type(x), "__dlpack_device__"):
            raise
        return np.from_dlpack(x, device="cpu", copy=True)


def to_array(x: Any, dtype: str | None = None) -> tuple[np.ndarray, str]:
    """A host array of a number, list or array, and its dtype name.

    Raises:
        TypeError: it holds strings or other objects.
    """
    kind = type(x)
    array = on_host(x)
    if array.dtype.kind in "OUS":
        raise TypeError(f"cannot make a tensor of {kind.__name__} {str(x)[:80]!r}: its elements are no numbers")
    if dtype is None:
        dtype = (
            config.floatx() if kind is float else "int32" if kind is int else "bool" if kind is bool else dtype_of(x)
        )
    return np.array(array, dtype=numpy_dtype(dtype), order="C"), dtype
