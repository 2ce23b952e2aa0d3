"""Applying an op: symbolic, traced or eager, according to its arguments. No layer ever asks which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from kcore.backend import compile as backend_compile
from kcore.backend import selection
from kcore.backend.batch import Rows
from kcore.backend.kernel import Site
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, Op, Spec
from kcore.runtime import tape
from kcore.runtime.bounds import check_eager
from kcore.runtime.interchange import gathered, on_device, owned
from kcore.runtime.promote import promoted, to_array
from kcore.runtime.scope import _autocast, current_path
from kcore.runtime.tensor import CallRecord, EagerTensor, KerasTensor, Tensor, TracedTensor
from kcore.runtime.trace import _current, decompose, no_trace
from kcore.runtime.variable import Variable


def evaluate(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Apply an op to tensors, variables, arrays and numbers."""
    dtype = _autocast.get()
    if dtype is not None:
        args = [x.autocasted(dtype) if isinstance(x, Variable) else x for x in args]
    for x in args:
        if type(x) is KerasTensor:
            return _symbolic(op, args, attrs)
    trace = _current.get()
    if trace is not None:
        return trace.apply(op, args, attrs)
    return _eager(op, args, attrs)


# -- symbolic --------------------------------------------------------------------------------------------------------


def _symbolic(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
    targets = promoted(op, args)
    specs: list[Spec | None] = []
    for x, target in zip(args, targets, strict=True):
        if x is None:
            specs.append(None)
        elif isinstance(x, Tensor | Variable):
            specs.append(Spec(tuple(x.shape), target or x.dtype))
        else:
            array, dtype = to_array(x, target)
            specs.append(Spec(array.shape, dtype))
    outs = op.infer(*specs, **attrs)
    record = CallRecord(op, tuple(args), attrs)
    tensors = tuple(KerasTensor(s.shape, s.dtype, name=op.name, record=record) for s in outs)
    record.outputs = tensors[0] if len(tensors) == 1 else tensors
    return record.outputs


@lru_cache(maxsize=4096)
def _shaped(op: Op, specs: tuple, attrs: tuple) -> tuple[Spec, ...]:
    tensors = [None if s is None else KerasTensor(s.shape, s.dtype) for s in specs]
    with no_trace():
        result = op.fn(*tensors, **dict(attrs))
    results = result if isinstance(result, tuple | list) else (result,)
    return tuple(Spec(tuple(r.shape), r.dtype) for r in results)


def shaper(op: Op, specs: tuple, attrs: dict[str, Any]) -> tuple[Spec, ...]:
    """Output specs of a composite, from its decomposition run on symbolic tensors."""
    return _shaped(op, tuple(specs), tuple(attrs.items()))


# -- eager -----------------------------------------------------------------------------------------------------------


class _Call:
    """A prepared eager call of one op for one set of input shapes, dtypes and attributes."""

    __slots__ = ("casts", "kernel", "node", "scratch", "specs", "version")

    def __init__(
        self, op: Op, specs: list[Spec | None], targets: Sequence[str | None], attrs: dict[str, Any], backend: Any
    ):
        self.version = backend.kernels.version
        wanted = [None if s is None else Spec(s.shape, t or s.dtype) for s, t in zip(specs, targets, strict=True)]
        self.casts = [
            t if s is not None and t is not None and t != s.dtype else None for s, t in zip(specs, targets, strict=True)
        ]
        if not any(self.casts):
            self.casts = None  # type: ignore[assignment]
        self.specs = op.infer(*wanted, **attrs)
        values = [None if s is None else Value(s.shape, s.dtype) for s in wanted]  # type: ignore[arg-type]
        self.node = Node(op, values, attrs, self.specs)
        kernel = backend_compile.choose(backend, self.node)
        if kernel is None and op.primitive:
            kernel = backend_compile.host_kernel(backend, self.node)
        self.kernel = kernel
        self.scratch = int(kernel.scratch(self.node)) if kernel is not None and kernel.scratch is not None else 0


_calls: dict[tuple, _Call] = {}
_CALLS_KEPT = 8192


def _eager(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
    place = selection.current()
    backend, device = place.backend, place.device
    tensors: list[Any] = []
    key: list[Any] = [op, backend]
    for x in args:
        kind = type(x)
        if kind is EagerTensor:
            if x.backend is not backend or (x.device is not device and x.device != device):
                x = moved(x, backend, device)
            key.append(x.shape)
            key.append(x.dtype)
        elif kind is int or kind is float or kind is bool:
            key.append(kind)
        elif x is None:
            key.append(None)
        elif isinstance(x, Variable):
            key.append(x.shape)
            key.append(x.dtype)
        elif kind is TracedTensor:
            from kcore.errors import TracingError

            raise TracingError(f"{op.name}() got a tensor of the trace {x.trace.graph.name!r}, which has ended")
        else:
            x = convert_to_tensor(x)
            key.append(x.shape)
            key.append(x.dtype)
        tensors.append(x)
    if attrs:
        key.extend(attrs.items())
    full_key = tuple(key)
    try:
        call = _calls.get(full_key)
    except TypeError:
        call, full_key = None, ()
    if call is None or call.version != backend.kernels.version:
        call = _prepare(op, tensors, attrs, backend)
        if full_key:
            if len(_calls) >= _CALLS_KEPT:
                _calls.clear()
            _calls[full_key] = call
    arrays = []
    values = call.node.inputs
    for i, x in enumerate(tensors):
        kind = type(x)
        if kind is EagerTensor:
            arrays.append(x.data)
        elif x is None:
            arrays.append(None)
        elif kind is float or kind is int or kind is bool:
            arrays.append(_scalar(x, values[i].dtype, backend, device))  # type: ignore[union-attr]
        else:
            arrays.append(x.buffer(backend, device))
    taping = tape.recording()
    if call.casts is not None:
        for i, dtype in enumerate(call.casts):
            if dtype is not None and type(tensors[i]) not in (int, float, bool):
                tensors[i] = OPS["cast"](tensors[i], dtype=dtype)
                arrays[i] = tensors[i].data
    if taping:
        # a number is recorded in the dtype it took part in, not in the one it would have alone
        tensors = [
            EagerTensor(a, (), v.dtype, backend, device) if type(x) in (int, float, bool) else x  # type: ignore[union-attr]
            for x, a, v in zip(tensors, arrays, values, strict=True)
        ]
        tensors = tape.watchable(tensors)
        arrays = [t.data if type(t) is EagerTensor else a for t, a in zip(tensors, arrays, strict=True)]
    if op.bounds:
        check_eager(call.node, arrays, backend)
    if call.kernel is None:
        return _run_decomposed(op, tensors, attrs, taping)
    outputs = _launch(call, arrays, backend, device, aliasing=any(isinstance(x, Variable) for x in tensors))
    results = [EagerTensor(a, s.shape, s.dtype, backend, device) for a, s in zip(outputs, call.specs, strict=True)]  # type: ignore[arg-type]
    if taping:
        tape.record(op, tensors, attrs, results)
    return results[0] if len(results) == 1 else tuple(results)


def _prepare(op: Op, tensors: list[Any], attrs: dict[str, Any], backend: Any) -> _Call:
    targets = promoted(op, tensors)
    specs: list[Spec | None] = []
    for x, target in zip(tensors, targets, strict=True):
        if x is None:
            specs.append(None)
        elif type(x) in (int, float, bool):
            specs.append(Spec((), target or to_array(x)[1]))
        else:
            specs.append(Spec(x.shape, x.dtype))
    try:
        return _Call(op, specs, targets, attrs, backend)
    except (ValueError, TypeError) as error:
        if current_path():
            error.add_note(f"in op {op.name!r} of layer {current_path()!r}")
        raise


def _launch(call: _Call, arrays: list[Any], backend: Any, device: Any, aliasing: bool) -> Sequence[Any]:
    kernel, node = call.kernel, call.node
    assert kernel is not None
    if kernel.view is not None and not aliasing and (backend.strided_views or node.op.aliases):
        viewed = kernel.view(arrays[0], **backend_compile._view_attrs(node))
        if backend.contiguous(viewed):
            return (viewed,)
    if not kernel.strided:
        arrays = [
            a if a is None or backend.contiguous(a) else _compact(a, v, backend, device)
            for a, v in zip(arrays, node.inputs, strict=True)
        ]
    try:
        outputs = tuple(backend.empty(s.shape, s.dtype, device) for s in call.specs)
        storage = backend.allocate(call.scratch, device) if call.scratch else None
    except MemoryError as error:
        wanted = " and ".join(map(str, call.specs))
        raise MemoryError(f"{node.op.name}: no room on {device} for its result {wanted}: {error}") from error
    scratch = backend.view(storage, 0, (call.scratch,), "uint8") if call.scratch else None
    backend.launch(kernel, Site(node, tuple(arrays), outputs, scratch, device, (backend, storage, 0)))
    return outputs


def _compact(array: Any, value: Any, backend: Any, device: Any) -> Any:
    copy = backend.empty(value.shape, value.dtype, device)
    backend.copy(copy, array)
    return copy


def _run_decomposed(op: Op, tensors: list[Any], attrs: dict[str, Any], taping: bool) -> Any:
    if not (taping and op.rule is not None):
        return op.fn(*tensors, **attrs)
    with tape.paused():
        result = op.fn(*tensors, **attrs)
    results = list(result) if isinstance(result, tuple | list) else [result]
    tape.record(op, tensors, attrs, results)
    return results[0] if len(results) == 1 else tuple(results)


@lru_cache(maxsize=2048)
def _typed_scalar(kind: type, x: Any, dtype: str, backend: Any, device: Any) -> Any:
    array = backend.empty((), dtype, device)
    backend.upload(array, np.array(x, dtype=numpy_dtype(dtype)))
    return array


def _scalar(x: Any, dtype: str, backend: Any, device: Any) -> Any:
    # the type is part of the key: 1, 1.0 and True are equal; so is the sign of zero
    if x == 0 and type(x) is float:
        array = backend.empty((), dtype, device)
        backend.upload(array, np.array(x, dtype=numpy_dtype(dtype)))
        return array
    kind: Any = type(x)
    return _typed_scalar(kind, x, dtype, backend, device)


def moved(x: EagerTensor, backend: Any, device: Any) -> EagerTensor:
    """The tensor on another device."""
    data = backend.empty(x.shape, x.dtype, device)
    backend.upload(data, x.numpy())
    return EagerTensor(data, x.shape, x.dtype, backend, device)


def from_host(array: np.ndarray, dtype: str) -> EagerTensor:
    """An eager tensor with a copy of host values."""
    place = selection.current()
    data = place.backend.empty(array.shape, dtype, place.device)
    place.backend.upload(data, array)
    return EagerTensor(data, array.shape, dtype, place.backend, place.device)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a kcore tensor (not a Variable)."""
    return isinstance(x, Tensor)


def convert_to_tensor(x: Any, dtype: Any = None) -> Any:
    """A tensor of a number, list, array, variable or tensor; host values are copied.

    Args:
        x: the values.
        dtype: dtype of the result; kept, or by Keras's defaults for Python numbers, if not given.
    """
    from kcore.dtypes import standardize_dtype

    name = standardize_dtype(dtype) if dtype is not None else None
    if isinstance(x, Variable):
        x = x.value
    if type(x) is Rows:
        x = gathered(x)
    if isinstance(x, Tensor):
        return x if name is None or x.dtype == name else OPS["cast"](x, dtype=name)
    if isinstance(x, list | tuple) and any(isinstance(e, Tensor | Variable) for e in x):
        stacked = [OPS["reshape"](e, shape=(1, *e.shape)) for e in (convert_to_tensor(e, name) for e in x)]
        return OPS["concatenate"](*stacked, axis=0)
    trace = _current.get()
    lying = on_device(x) if trace is None else None
    if lying is not None:
        return owned(lying) if name is None or name == lying.dtype else OPS["cast"](lying, dtype=name)
    array, actual = to_array(x, name)
    if trace is not None:
        return trace.tensor(trace.graph.constant(array, actual))
    return from_host(array, actual)


Op.evaluator = staticmethod(evaluate)
Op.shaper = staticmethod(shaper)
Op.decomposer = staticmethod(decompose)
