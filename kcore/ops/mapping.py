"""Functions applied to parts of tensors: one of several, each step, pairs of a running combination, every element."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.ops.control import _flat, _leaves, _tensors, cond, scan
from kcore.ops.elementwise import cast, less_equal
from kcore.ops.shape import _tensor, broadcast_to, concatenate, expand_dims, flip, reshape, stack
from kcore.ops.shapes import broadcast, canonical_axis
from kcore.runtime.function import rebuild
from kcore.runtime.tensor import EagerTensor, Tensor
from kcore.runtime.variable import Variable

__all__ = ["associative_scan", "map", "switch", "vectorize", "vectorized_map"]


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """What one of several functions returns for the operands; only that one runs.

    Args:
        index: which one, an integer or an integer scalar tensor; one that is out of range means the first or the last.
        branches: functions of the operands that return tensors of one structure, with equal shapes and dtypes.
        *operands: what the function is called with.

    Raises:
        ValueError: there are no branches, or they return different structures, shapes or dtypes.

    Example:
        >>> from kcore import ops
        >>> float(ops.switch(1, [ops.add, ops.subtract], 5.0, 3.0))
        2.0

    Source: `keras.ops.switch`.
    """
    if not branches:
        raise ValueError("switch: expected one branch or more; received none")
    last = len(branches) - 1
    if hasattr(index, "__index__") and not isinstance(index, Tensor | Variable):
        index = int(index)
    elif isinstance(index, EagerTensor | Variable | np.ndarray):
        traced = any(isinstance(x, Tensor) and type(x) is not EagerTensor for x in _leaves(operands))
        if isinstance(index, EagerTensor | np.ndarray) and not traced:
            index = int(np.asarray(index))
    if isinstance(index, int):
        return branches[min(max(index, 0), last)](*operands)
    at = cast(index, "int32")

    def choose(i: int) -> Any:
        if i == last:
            return branches[i](*operands)
        return cond(less_equal(at, np.int32(i)), lambda: branches[i](*operands), lambda: choose(i + 1))

    return choose(0)


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """A function of each step of tensors, its results stacked; a compiled step has the function once.

    Args:
        f: a function of a tensor, or of a structure of tensors like `xs`, that returns tensors.
        xs: tensors (steps, ...), or a structure of them.

    Returns: tensors (steps, ...), in the structure that `f` returns.

    Raises:
        ValueError: a scalar, or numbers of steps that differ.

    Example:
        >>> from kcore import ops
        >>> ops.map(lambda x: x * x, ops.arange(4)).numpy().tolist()
        [0, 1, 4, 9]

    Source: `keras.ops.map`.
    """

    def step(carry: Any, x: Any) -> Any:
        return carry, f(x)

    return scan(step, (), xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """A function of each row of tensors, of all rows at once where nothing in it is in the way.

    Compiled, what the steps do is done for all of them together (see ``docs/architecture.md``, loops).

    Args:
        function: a function of one row: of a tensor, or of a list of tensors if `elements` is one.
        elements: (rows, ...), or a list or tuple of such tensors.

    Returns: (rows, ...).

    Raises:
        ValueError: a scalar, or numbers of rows that differ.

    Example:
        >>> from kcore import ops
        >>> ops.vectorized_map(lambda x: ops.sum(x * x), ops.ones((3, 4))).numpy().tolist()
        [4.0, 4.0, 4.0]

    Source: `keras.ops.vectorized_map`.
    """
    if isinstance(elements, list | tuple):
        return map(function, list(elements))
    return map(function, elements)


# -- running combinations --------------------------------------------------------------------------------------------


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All the beginnings of a sequence, combined: ``[a, f(a, b), f(f(a, b), c), ...]``.

    `f` is called about 2 log2(n) times, each time on many pairs at once (Blelloch 1990, "Prefix sums and their
    applications").

    Args:
        f: an associative function of two tensors, or of two structures like `elems`, elementwise along `axis`.
        elems: tensors with n elements along `axis`, or a structure of them.
        reverse: whether to combine from the end.
        axis: the axis of the sequence.

    Returns: tensors of the shapes and structure of `elems`.

    Raises:
        TypeError: `f` cannot be called.
        ValueError: tensors with different numbers of elements.

    Example:
        >>> from kcore import ops
        >>> ops.associative_scan(lambda a, b: a + b, ops.arange(5)).numpy().tolist()
        [0, 1, 3, 6, 10]

    Source: `keras.ops.associative_scan`.
    """
    if not callable(f):
        raise TypeError(f"associative_scan: expected f to be a function; received {f!r}")
    structure, leaves = _flat(elems)
    axes = [canonical_axis(axis, len(x.shape), "associative_scan: axis") for x in leaves]
    lengths = {x.shape[a] for x, a in zip(leaves, axes, strict=True)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            f"associative_scan: expected tensors with one known number of elements along axis {axis}; "
            f"received shapes {[tuple(x.shape) for x in leaves]}"
        )

    def part(xs: list[Any], *key: int | None) -> list[Any]:
        return [x[(slice(None),) * a + (slice(*key),)] for x, a in zip(xs, axes, strict=True)]

    def joined(first: list[Any], second: list[Any]) -> list[Any]:
        return [concatenate([x, y], axis=a) for x, y, a in zip(first, second, axes, strict=True)]

    def combine(first: list[Any], second: list[Any]) -> list[Any]:
        return _flat(f(rebuild(structure, iter(first)), rebuild(structure, iter(second))))[1]

    def running(xs: list[Any], n: int) -> list[Any]:
        if n < 2:
            return xs
        odd = running(combine(part(xs, 0, n - 1, 2), part(xs, 1, None, 2)), n // 2)
        later = part(xs, 2, None, 2)
        if not (n - 1) // 2:
            return joined(part(xs, 0, 1), odd)
        even = joined(part(xs, 0, 1), combine(part(odd, 0, (n - 1) // 2), later))
        paired = []
        for x, y, a in zip(part(even, 0, n // 2), odd, axes, strict=True):
            both = stack([x, y], axis=a + 1)
            paired.append(reshape(both, (*x.shape[:a], 2 * (n // 2), *x.shape[a + 1 :])))
        return joined(paired, part(even, n // 2, None)) if n % 2 else paired

    def turned(xs: list[Any]) -> list[Any]:
        return [flip(x, axis=a) for x, a in zip(xs, axes, strict=True)] if reverse else xs

    return rebuild(structure, iter(turned(running(turned(leaves), lengths.pop()))))


# -- every element ---------------------------------------------------------------------------------------------------

_SIGNATURE = re.compile(r"^(\((\w+(,\w+)*)?\)(,\((\w+(,\w+)*)?\))*)->(\((\w+(,\w+)*)?\)(,\((\w+(,\w+)*)?\))*)$")


def _core(side: str) -> list[list[str]]:
    return [[name for name in group.split(",") if name] for group in re.findall(r"\(([\w,]*)\)", side)]


def vectorize(pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None) -> Callable[..., Any]:
    """A function of scalars as one of tensors that are broadcast against each other.

    Args:
        pyfunc: a function of scalar tensors, or of tensors as the signature says.
        excluded: positions of arguments that are handed on as they are.
        signature: shapes that `pyfunc` takes and returns, such as ``"(m,n),(n)->(m)"``; the axes before those are
            looped over.

    Returns: the function of tensors.

    Raises:
        ValueError: `pyfunc` cannot be called, or a signature that cannot be read.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> larger = ops.vectorize(lambda a, b: ops.maximum(a, b))
        >>> larger(np.array([1, 5]), np.array([[2], [4]])).numpy().tolist()
        [[2, 5], [4, 5]]
        >>> times = ops.vectorize(ops.matmul, signature="(m,n),(n)->(m)")
        >>> times(np.ones((2, 3)), np.ones((5, 3))).shape
        (5, 2)

    Source: `keras.ops.vectorize`.
    """
    if not callable(pyfunc):
        raise ValueError(f"vectorize: expected pyfunc to be a function; received {pyfunc!r}")
    left_out = set(excluded or ())
    takes: list[list[str]] | None = None
    if signature is not None:
        text = signature.replace(" ", "")
        if not _SIGNATURE.match(text):
            raise ValueError(f"vectorize: expected a signature such as '(m,n),(n)->(m)'; received {signature!r}")
        takes = _core(text.partition("->")[0])

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        given = [_tensor(x) for i, x in enumerate(args) if i not in left_out]
        if takes is not None and len(takes) != len(given):
            raise ValueError(f"vectorize: signature {signature!r} takes {len(takes)} arguments; received {len(given)}")
        ranks = [0] * len(given) if takes is None else [len(names) for names in takes]
        if any(len(x.shape) < rank for x, rank in zip(given, ranks, strict=True)):
            raise ValueError(
                f"vectorize: signature {signature!r} does not fit arguments of shapes {[tuple(x.shape) for x in given]}"
            )
        _check_sizes(signature, takes, given)
        split = [len(x.shape) - rank for x, rank in zip(given, ranks, strict=True)]
        loop = broadcast(*[tuple(x.shape[:at]) for x, at in zip(given, split, strict=True)]) if given else ()

        def call(values: Sequence[Any]) -> Any:
            rest = iter(values)
            whole = [x if i in left_out else next(rest) for i, x in enumerate(args)]
            return _tensors(pyfunc(*whole, **kwargs))

        if not loop:
            return call(given)
        count = math.prod(loop)  # type: ignore[arg-type]
        rows = [
            reshape(broadcast_to(_wide(x, at, len(loop)), (*loop, *x.shape[at:])), (count, *x.shape[at:]))
            for x, at in zip(given, split, strict=True)
        ]
        structure, leaves = _flat(map(call, rows))
        return rebuild(structure, iter([reshape(y, (*loop, *y.shape[1:])) for y in leaves]))

    return vectorized


def _wide(x: Any, at: int, rank: int) -> Any:
    """The tensor with as many axes before its core as the loop has."""
    return expand_dims(x, tuple(range(rank - at))) if rank > at else x


def _check_sizes(signature: str | None, takes: list[list[str]] | None, given: list[Any]) -> None:
    sizes: dict[str, int] = {}
    for names, x in zip(takes or [], given, strict=False):
        for name, size in zip(names, x.shape[len(x.shape) - len(names) :], strict=True):
            if size is not None and sizes.setdefault(name, size) != size:
                raise ValueError(
                    f"vectorize: {name} of signature {signature!r} is {sizes[name]} and {size} in arguments of shapes "
                    f"{[tuple(y.shape) for y in given]}"
                )
