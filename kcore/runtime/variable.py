"""Variables: the state of a model, each the owner of one device buffer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import config
from kcore.backend import selection
from kcore.backend.compile import Moves
from kcore.dtypes import FLOATS, numpy_dtype, standardize_dtype
from kcore.graph.op import OPS
from kcore.runtime.loading import current_loading
from kcore.runtime.scope import autocast_dtype, autocasting, current_path, in_shaping
from kcore.runtime.tensor import EagerTensor, KerasTensor, Operators, TracedTensor, as_array

_anonymous = 0
_lock = threading.Lock()


class Variable(Operators):
    """A tensor that can be assigned, with a buffer of its own on the current device.

    Inside a traced function reading a variable is an input and assigning it an output of the compiled step.

    Args:
        initializer: a value, or a callable ``(shape, dtype=...) -> array``.
        shape: shape; needed with a callable.
        dtype: dtype name; that of the value, or floatx, if not given.
        trainable: whether `fit` may train it.
        name: its name; the layer path is put before it.

    Example:
        >>> v = Variable([1.0, 2.0], name="scale")
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initializer: Any,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        aggregation: str = "none",
        synchronization: str = "auto",
        autocast: bool = True,
    ):
        global _anonymous
        if name is None:
            with _lock:
                _anonymous += 1
                name = "variable" if _anonymous == 1 else f"variable_{_anonymous - 1}"
        if "/" in name:
            raise ValueError(f"a variable's name may not contain '/', got {name!r}")
        from kcore.runtime.trace import no_trace

        with no_trace():
            self._init_value(initializer, shape, dtype, name)
        self.name = name
        path = current_path()
        self.path = f"{path}/{name}" if path else name
        self._trainable = bool(trainable)
        self.initializer = initializer if callable(initializer) else None
        self.regularizer: Callable | None = None
        self.constraint: Callable | None = None
        self.aggregation = aggregation
        self.synchronization = synchronization
        self.autocast = autocast
        self.overwrite_with_gradient = False

    def _init_value(self, initializer: Any, shape: tuple[int, ...] | None, dtype: Any, name: str) -> None:
        if callable(initializer):
            if shape is None:
                raise ValueError(f"variable {name!r} has a callable initializer, so it needs a shape")
            if any(not isinstance(d, int | np.integer) or d < 0 for d in shape):
                raise ValueError(f"variable {name!r} needs a shape of known dimensions, got {tuple(shape)}")
            dtype = standardize_dtype(dtype) if dtype is not None else config.floatx()
            limits = current_loading()
            if limits is not None:
                limits.charge(shape, name)
            value = initializer(tuple(shape), dtype=dtype)
        else:
            value = initializer
            if dtype is None:
                dtype = _value_dtype(value)
        self.dtype = standardize_dtype(dtype)
        array = np.asarray(value, dtype=numpy_dtype(self.dtype))  # copied below
        if shape is not None and tuple(shape) != array.shape:
            raise ValueError(f"variable {name!r} should have shape {tuple(shape)}, its initial value has {array.shape}")
        self.shape = array.shape
        place = selection.current()
        self._backend, self._device = place.backend, place.device
        if array.size and not any(array.strides) and not array.flat[0]:  # one zero for all, as while a file is loaded
            self._array = self._backend.zeros(self.shape, self.dtype, self._device)
        else:
            self._array = self._backend.empty(self.shape, self.dtype, self._device)
            self._backend.upload(self._array, np.asarray(array, order="C"))

    # -- memory --------------------------------------------------------------------------------------------------

    def buffer(self, backend: Any, device: Any) -> Any:
        """The device array that holds the content; it moves here if it lay on another device."""
        if backend is not self._backend or device != self._device:
            values = self._backend.download(self._array)
            array = backend.empty(self.shape, self.dtype, device)
            backend.upload(array, values)
            self._array, self._backend, self._device = array, backend, device
            Moves.count += 1
        return self._array

    @property
    def data(self) -> Any:
        """The device array on the current device."""
        place = selection.current()
        return self.buffer(place.backend, place.device)

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """The content as a tensor: a snapshot, or a graph value while tracing.

        In the call of a layer with a mixed policy it comes in the layer's compute dtype.
        """
        dtype = autocast_dtype()
        return self._in_stored_dtype() if dtype is None else self.autocasted(dtype)

    def autocasted(self, dtype: str) -> Any:
        """The content in the compute dtype of the layer that reads it, where it takes part in that."""
        if not self.autocast or self.dtype == dtype or self.dtype not in FLOATS:
            return self._in_stored_dtype()
        if in_shaping():
            return KerasTensor(self.shape, dtype)
        with autocasting(None):
            return OPS["cast"](self, dtype=dtype)

    def _in_stored_dtype(self) -> Any:
        from kcore.runtime.trace import current_trace

        trace = current_trace()
        if trace is not None:
            return trace.tensor(trace.read(self))
        return self.snapshot()

    def snapshot(self) -> EagerTensor:
        """The content now, as an eager tensor of its own memory."""
        data = self.data
        copy = self._backend.empty(self.shape, self.dtype, self._device)
        self._backend.copy(copy, data)
        return EagerTensor(copy, self.shape, self.dtype, self._backend, self._device)

    def numpy(self) -> np.ndarray:
        """The content as a NumPy array of its own."""
        return self._backend.download(self._array)

    def held(self) -> np.ndarray:
        """The content, to be read before it changes: the memory it lies in, where that is the host's, else a copy."""
        memory = self._backend.memory(self._array)
        return self.numpy() if memory is None else memory

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return as_array(self, dtype, copy)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    # -- writing -------------------------------------------------------------------------------------------------

    def assign(self, value: Any) -> Any:
        """Set the content.

        Raises:
            ValueError: the value's shape is another one.
        """
        if in_shaping():
            return self
        from kcore.runtime.tape import forget
        from kcore.runtime.trace import current_trace

        shape = tuple(getattr(value, "shape", None) or np.shape(value))
        if shape != self.shape:
            raise ValueError(f"cannot assign a value of shape {shape} to variable {self.path!r} of shape {self.shape}")
        trace = current_trace()
        if trace is not None:
            if not hasattr(value, "dtype") or value.dtype != self.dtype:
                value = OPS["cast"](value, dtype=self.dtype)
            trace.assign(self, value)
            return self.value
        if isinstance(value, TracedTensor):
            raise TypeError(f"variable {self.path!r} was assigned a tensor of a trace that has ended")
        forget(self)
        data = self.data
        if (
            isinstance(value, EagerTensor)
            and value.backend is self._backend
            and value.dtype == self.dtype
            and value.device == self._device
        ):
            self._backend.copy(data, value.data)
        else:
            self._backend.upload(data, np.asarray(np.asarray(value), dtype=numpy_dtype(self.dtype), order="C"))
        return self

    def fill(self, write: Callable[[np.ndarray], None]) -> None:
        """Let a function write the content, outside of any trace.

        Args:
            write: gets an array of the variable's shape and dtype, in one piece: the memory that the content lies in,
                where that is the host's. If it raises, the content may be half written.
        """
        from kcore.runtime.tape import forget

        forget(self)
        memory = self._backend.memory(self.data)
        if memory is not None:
            write(memory)
            return
        values = np.empty(self.shape, numpy_dtype(self.dtype))
        write(values)
        self._backend.upload(self.data, values)

    def assign_add(self, value: Any) -> Any:
        """Add a value to the content."""
        return self.assign(self._in_stored_dtype() + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract a value from the content."""
        return self.assign(self._in_stored_dtype() - value)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def __copy__(self) -> Variable:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        """A variable of the same content in a buffer of its own; initializer, regularizer and constraint are shared."""
        new = object.__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update(self.__dict__)
        new._array = self._backend.empty(self.shape, self.dtype, self._device)
        self._backend.copy(new._array, self._array)
        return new

    @property
    def handle(self) -> Variable:
        return self

    def __repr__(self) -> str:
        value = np.array2string(self.numpy(), threshold=6)
        return f"<Variable path={self.path} shape={self.shape} dtype={self.dtype} value={value}>"


def _value_dtype(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        return standardize_dtype(dtype)
    kind = np.asarray(value).dtype.kind
    return config.floatx() if kind == "f" else "int32" if kind in "iu" else "bool" if kind == "b" else config.floatx()
