"""Tensors in three kinds: with a value (eager), in a graph (traced), with a shape only (symbolic)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from kcore.errors import PACKAGE, TracingError, UnknownLengthError
from kcore.graph.core import Value
from kcore.graph.op import OPS, Spec

if TYPE_CHECKING:
    from kcore.runtime.trace import Trace

#: Operators that are more than one op, filled by the modules that define them.
_METHODS: dict[str, Callable[..., Any]] = {}


def method(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: make a public op function the meaning of a tensor operator, e.g. ``@method("__getitem__")``."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _METHODS[name] = fn
        return fn

    return register


def _binary(op: str) -> tuple[Callable, Callable]:
    def forward(self: Any, other: Any) -> Any:
        return OPS[op](self, other)

    def backward(self: Any, other: Any) -> Any:
        return OPS[op](other, self)

    return forward, backward


def _unary(op: str) -> Callable:
    return lambda self: OPS[op](self)


class Operators:
    """Arithmetic, comparison and indexing by dispatch on op names; shared by tensors and variables."""

    __slots__ = ()
    __array_priority__ = 100
    shape: Any
    dtype: Any

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("mod")
    __pow__, __rpow__ = _binary("power")
    __and__, __rand__ = _binary("logical_and")
    __or__, __ror__ = _binary("logical_or")
    __xor__, __rxor__ = _binary("logical_xor")
    __eq__, _ = _binary("equal")
    __ne__, _ = _binary("not_equal")
    __lt__, _ = _binary("less")
    __le__, _ = _binary("less_equal")
    __gt__, _ = _binary("greater")
    __ge__, _ = _binary("greater_equal")
    __neg__ = _unary("negative")
    __abs__ = _unary("abs")
    __invert__ = _unary("logical_not")
    __hash__ = object.__hash__

    def __matmul__(self, other: Any) -> Any:
        return _METHODS["__matmul__"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _METHODS["__matmul__"](other, self)

    def __getitem__(self, key: Any) -> Any:
        return _METHODS["__getitem__"](self, key)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def spec(self) -> Spec:
        return Spec(tuple(self.shape), self.dtype)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        if self.shape[0] is None:
            raise TypeError(f"len() of {self!r} is not known: use `ops.shape(x)[0]`")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a tensor without dimensions")
        if self.shape[0] is None:
            raise UnknownLengthError(f"iteration over {self!r}, whose length is not known: use `ops.scan`")
        return (self[i] for i in range(len(self)))


class Tensor(Operators):
    """Base of the three kinds of tensor. `shape` is a tuple, `dtype` a string such as ``"float32"``."""

    __slots__ = ("__weakref__", "_keras_mask", "dtype", "shape")

    def __init__(self, shape: tuple, dtype: str):
        self.shape = shape
        self.dtype = dtype
        self._keras_mask: Any = None


def as_array(x: Any, dtype: Any, copy: bool | None) -> np.ndarray:
    """What ``__array__`` of a tensor or variable answers; reading one always copies.

    Raises:
        ValueError: `copy` is False.
    """
    if copy is False:
        raise ValueError(
            f"reading a {type(x).__name__} copies it: np.array(..., copy=False) cannot be; use np.asarray or .numpy()"
        )
    array = x.numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


class EagerTensor(Tensor):
    """A tensor with a value, held in memory of a device. It never changes."""

    __slots__ = ("backend", "data", "device")

    def __init__(self, data: Any, shape: tuple[int, ...], dtype: str, backend: Any, device: Any):
        self.data = data
        self.shape = shape
        self.dtype = dtype
        self.backend = backend
        self.device = device
        self._keras_mask = None

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array of its own."""
        return self.backend.download(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return as_array(self, dtype, copy)

    @property
    def __dlpack__(self) -> Callable[..., Any]:
        """Its memory for other packages: where it lies on a device that DLPack knows, else a copy on the host."""
        return self._door().__dlpack__

    @property
    def __dlpack_device__(self) -> Callable[[], tuple[int, int]]:
        return self._door().__dlpack_device__

    def _door(self) -> Any:
        on_host = isinstance(self.data, np.ndarray) or not hasattr(self.data, "__dlpack__")
        return self.numpy() if on_host else self.data

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.data.__cuda_array_interface__

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python scalar."""
        return self.numpy().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not self.dtype.startswith(("int", "uint")):
            raise TypeError(f"a {self.dtype} tensor cannot be an index; integers can")
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __copy__(self) -> EagerTensor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> EagerTensor:
        return self  # it never changes

    def __repr__(self) -> str:
        return f"<Tensor shape={self.shape} dtype={self.dtype} device={self.device}\n{self.numpy()}>"


def user_frame() -> traceback.FrameSummary | None:
    """The innermost line of the user's own code on the stack."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(PACKAGE):
            return frame
    return None


def _refuse(what: str, instead: str) -> NoReturn:
    frame = user_frame()
    line = f"\n  {frame.filename}:{frame.lineno}: {frame.line}" if frame else ""
    raise TracingError(f"{what} has no value while a step is being traced; {instead}{line}")


class TracedTensor(Tensor):
    """A tensor in a graph that is being traced: it has a shape and a dtype, and a value only when the graph runs."""

    __slots__ = ("trace", "value")

    def __init__(self, value: Value, trace: Trace):
        self.shape = value.shape
        self.dtype = value.dtype
        self.value = value
        self.trace = trace
        self._keras_mask = None

    def __bool__(self) -> bool:
        _refuse(
            "the truth of a traced tensor (`if`, `while`, `and`)", "use `ops.cond` or `ops.where`, or run_eagerly=True."
        )

    def __float__(self) -> float:
        _refuse(
            "`float()` of a traced tensor", "keep it a tensor (`ops.cond` chooses by value), or use run_eagerly=True."
        )

    def __int__(self) -> int:
        _refuse(
            "`int()` or `range()` of a traced tensor",
            "keep it a tensor (`ops.cond` chooses by value, `ops.fori_loop` and `ops.scan` repeat), or use "
            "run_eagerly=True.",
        )

    __index__ = __int__

    def numpy(self) -> np.ndarray:
        _refuse(
            "`.numpy()` of a traced tensor",
            "use ops.* instead of NumPy (`ops.cond` chooses by value), or run_eagerly=True.",
        )

    def item(self) -> Any:
        _refuse(
            "`.item()` of a traced tensor", "keep it a tensor (`ops.cond` chooses by value), or use run_eagerly=True."
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        _refuse(
            "`np.asarray` of a traced tensor",
            "use ops.* instead of NumPy (`ops.cond` chooses by value), or run_eagerly=True.",
        )

    def __repr__(self) -> str:
        return f"<TracedTensor {self.spec} in {self.trace.graph.name}>"


@dataclass(eq=False)
class CallRecord:
    """Which layer or op made a symbolic tensor, and from what: the edge of a functional model.

    Attributes:
        operation: the layer, or the `Op`.
        args, kwargs: the call's arguments, with symbolic tensors in them.
        outputs: what the call returned.
        masks: those that the arguments carry and the call took.
    """

    operation: Any
    args: tuple
    kwargs: dict[str, Any]
    outputs: Any = None
    masks: tuple = ()


class KerasTensor(Tensor):
    """A tensor with only a shape (None where unknown) and a dtype, from which functional models are made.

    Example:
        >>> KerasTensor((None, 3)).shape
        (None, 3)
    """

    __slots__ = ("name", "record")

    def __init__(
        self,
        shape: tuple[int | None, ...],
        dtype: str = "float32",
        name: str | None = None,
        record: CallRecord | None = None,
    ):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or "keras_tensor"
        self.record = record
        self._keras_mask = None

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} has no value: it only describes a model's tensor; use `ops.cond` or `ops.where` inside a layer"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(f"{self!r} has no value: a NumPy function cannot use it; use kcore.ops or a layer")

    def __float__(self) -> float:
        raise TypeError(
            f"{self!r} has no value, so it is no number for `float()`, `int()` or `range()`: "
            "`ops.cond` chooses by value, `ops.scan` and `ops.fori_loop` repeat"
        )

    __int__ = __index__ = __float__

    def __deepcopy__(self, memo: dict[int, Any]) -> KerasTensor:
        """One like it without a history: which layers it came from is a matter of the model that is copied."""
        memo[id(self)] = new = KerasTensor(self.shape, self.dtype, self.name)
        return new

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape} dtype={self.dtype} name={self.name}>"
