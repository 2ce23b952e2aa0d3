"""What the functions of linear algebra share: checked matrices, half precision, and what cannot be computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.graph.op import Shape, Spec
from kcore.ops.elementwise import cast
from kcore.ops.shape import _tensor, swapaxes
from kcore.runtime.tensor import EagerTensor

#: Sums over a matrix, several times over: errors are those of a product, and the condition of the samples.
TOLERANCE = {"float32": (1e-4, 1e-4), "float64": (1e-10, 1e-10)}


def turned(x: Any) -> Any:
    """The matrices transposed."""
    return swapaxes(x, -1, -2)


def check_matrices(function: str, x: Any, square: bool = False) -> None:
    """Refuse what is no matrix or stack of them.

    Raises:
        ValueError: a rank below 2, or a matrix that is not square where it has to be.
    """
    said = f"{function}: " if function else ""  # in an infer rule, the op adds its own name
    if len(x.shape) < 2:
        raise ValueError(f"{said}expected a matrix or a stack of them (rank 2 or more); received shape {x.shape}")
    rows, columns = x.shape[-2:]
    if square and rows != columns and rows is not None and columns is not None:
        raise ValueError(f"{said}expected square matrices; received shape {tuple(x.shape)}")


def square(x: Spec) -> Shape:
    """The shape of square matrices, for the infer rules."""
    check_matrices("", x, square=True)
    n = x.shape[-1] if x.shape[-2] is None else x.shape[-2]
    return (*x.shape[:-2], n, n)


def matrices(function: str, x: Any, square: bool = False) -> tuple[Any, Callable[[Any], Any]]:
    """Matrices in a dtype that is computed in, and what gives a result the dtype it should have.

    float16 and bfloat16 are computed in float32; integers become float32 as everywhere.
    """
    x = _tensor(x)
    check_matrices(function, x, square)
    if x.dtype in ("float16", "bfloat16"):
        dtype = x.dtype
        return cast(x, "float32"), lambda y: cast(y, dtype)
    if "float" not in x.dtype:
        x = cast(x, "float32")
    return x, lambda y: y


def checked(message: str, result: Any, *inputs: Any) -> Any:
    """A result that is NaN where it does not exist; run eagerly, that is an error, as in NumPy.

    Raises:
        numpy.linalg.LinAlgError: there are NaNs that no input had. It is a ValueError.
    """
    if type(result) is EagerTensor and np.isnan(result.numpy()).any():
        if all(np.isfinite(x.numpy()).all() for x in inputs if type(x) is EagerTensor):
            raise np.linalg.LinAlgError(message)
    return result
