"""What functions that only compose ops do to their arguments: tensors of one dtype, values that must be known."""

from __future__ import annotations

from typing import Any

from kcore.dtypes import is_float, result_type
from kcore.errors import TracingError
from kcore.runtime.apply import convert_to_tensor
from kcore.runtime.promote import dtype_of
from kcore.runtime.tensor import EagerTensor


def together(*xs: Any, promote: Any = None) -> list[Any]:
    """Tensors of the dtype that all of them promote to, with a number's type in `promote` as one more operand."""
    dtype = result_type(*map(dtype_of, xs), *(() if promote is None else (promote,)))
    return [convert_to_tensor(x, dtype) for x in xs]


def floating(x: Any) -> Any:
    """The tensor, integers and truth values as floatx."""
    x = convert_to_tensor(x)
    return x if is_float(x.dtype) else convert_to_tensor(x, result_type(x.dtype, float))


def whole(function: str, **xs: Any) -> list[Any]:
    """Tensors of the integer dtype (or bool) that all of them promote to.

    Raises:
        TypeError: one holds floats.
    """
    for name, x in xs.items():
        dtype = result_type(dtype_of(x))
        if is_float(dtype):
            raise TypeError(f"{function}: expected {name} to hold integers or truth values; received {dtype}")
    return together(*xs.values())


def known(function: str, x: Any, advice: str) -> EagerTensor:
    """A tensor whose values can be read.

    Raises:
        TracingError: it belongs to a trace or a symbolic call.
    """
    x = convert_to_tensor(x)
    if isinstance(x, EagerTensor):
        return x
    raise TracingError(
        f"{function}: the shape of the result depends on values, which {x!r} does not have yet: {advice}, or call it "
        "outside of the compiled function"
    )
