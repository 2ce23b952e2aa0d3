"""`function`: trace a Python function once per signature, compile it, and replay the Executable from then on."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kcore.backend import selection
from kcore.backend.batch import Rows
from kcore.errors import warn_user
from kcore.graph.core import Graph
from kcore.runtime.apply import convert_to_tensor
from kcore.runtime.bounds import Bounds, check, find_bounds
from kcore.runtime.interchange import tells_its_device
from kcore.runtime.promote import to_array
from kcore.runtime.tensor import EagerTensor, KerasTensor, TracedTensor
from kcore.runtime.trace import Trace, current_trace
from kcore.runtime.variable import Variable

#: Executables kept per function; the least recently used one goes first.
KEPT = 16
#: Retraces of one function after which a warning says what about which argument keeps changing.
RETRACES = 10
_ADVICE = {
    "shapes": "Each new shape costs a trace; pad it to a few fixed sizes.",
    "dtypes": "Each new dtype costs a trace; convert it to one of them.",
    "values": "A Python value is part of the signature, so each new one costs a trace; pass it as a tensor "
    "(`ops.convert_to_tensor`) or a NumPy array.",
}


class Concrete:
    """One traced signature: the executable, the structure of the result and the checks on the inputs."""

    def __init__(self, executable: Any, structure: Any, bounds: list[Bounds], outputs: int):
        self.executable = executable
        self.structure = structure
        self.bounds = bounds
        self.outputs = outputs


class _Leaf:
    """Stands for a tensor in a structure of arguments or results."""

    def __repr__(self) -> str:
        return "*"


LEAF = _Leaf()
_TENSORS = frozenset({EagerTensor, np.ndarray, Rows, TracedTensor, KerasTensor})


def flatten(x: Any, leaves: list[Any], names: list[str] | None = None, name: str = "") -> Any:
    """Collect the tensors in nested tuples, lists and dicts; returns a hashable description of the rest."""
    kind = type(x)
    if kind in _TENSORS:
        leaves.append(x)
        if names is not None:
            names.append(name)
        mask = getattr(x, "_keras_mask", None)
        if mask is not None:
            flatten(mask, leaves, names, f"{name} mask")
            return "masked"
        return LEAF
    if kind is tuple or kind is list:
        return (kind, *[flatten(e, leaves, names, f"{name}[{i}]") for i, e in enumerate(x)])
    if kind is dict:
        return (dict, *[(k, flatten(v, leaves, names, f"{name}[{k!r}]")) for k, v in x.items()])
    if isinstance(x, np.ndarray | np.generic):
        leaves.append(np.asarray(x))
        if names is not None:
            names.append(name)
        return LEAF
    if tells_its_device(x):
        return flatten(convert_to_tensor(x), leaves, names, name)
    return x


def _traits(x: Any, name: str) -> Iterator[tuple[str, str, Any]]:
    """What a signature keeps of an argument: (name, "shapes", "dtypes" or "values", which)."""
    if type(x) in _TENSORS or isinstance(x, np.ndarray | np.generic):
        yield name, "shapes", tuple(x.shape)
        yield name, "dtypes", str(x.dtype)
    elif type(x) is tuple or type(x) is list:
        for i, e in enumerate(x):
            yield from _traits(e, f"{name}[{i}]")
    elif type(x) is dict:
        for k, v in x.items():
            yield from _traits(v, f"{name}[{k!r}]")
    else:
        yield name, "values", repr(x)


def rebuild(structure: Any, leaves: Any) -> Any:
    """The arguments again, with the next leaves in place of the tensors."""
    if structure is LEAF:
        return next(leaves)
    if type(structure) is str and structure == "masked":
        tensor = next(leaves)
        tensor._keras_mask = next(leaves)
        return tensor
    if type(structure) is tuple and structure and structure[0] in (tuple, list):
        return structure[0](rebuild(e, leaves) for e in structure[1:])
    if type(structure) is tuple and structure and structure[0] is dict:
        return {k: rebuild(v, leaves) for k, v in structure[1:]}
    return structure


class Function:
    """A Python function that runs as one compiled step.

    What a trace depends on: the structure of the arguments, shapes and dtypes, presence of masks, arguments that are
    no tensors (by value), and the device. Variables are read and updated in place; anything else the function does
    in Python happens only while it is traced.

    Args:
        fn: the function; every computation in it must be made of ops.
        name: name for printed graphs.
        names: from the name of an argument or a part of it, such as ``"data[0]"``, to what messages call it.

    Example:
        >>> double = Function(lambda x: x + x)
        >>> double(np.ones(2, "float32")).numpy()
        array([2., 2.], dtype=float32)
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, names: Callable[[str], str] | None = None):
        self.fn = fn
        self._names = names or str
        self.name: str = name or getattr(fn, "__name__", None) or "function"
        self.traces = 0
        self._cache: OrderedDict[Any, Concrete] = OrderedDict()
        self._seen: dict[tuple[str, str], list[Any]] = {}
        self._warned = False
        self._lock = threading.RLock()
        self._checked: dict[tuple[int, int, int], Any] = {}
        self._parameters = list(inspect.signature(fn).parameters.values())
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            return self.fn(*args, **kwargs)
        concrete, leaves = self._find(args, kwargs)
        if concrete is None:
            return self.fn(*args, **kwargs)
        for bounds in concrete.bounds:
            self._check(bounds, leaves[bounds.index])
        executable = concrete.executable
        arrays = [x.data if type(x) is EagerTensor and x.backend is executable.backend else x for x in leaves]
        results = executable.run([x.numpy() if type(x) is EagerTensor else x for x in arrays])
        if not results and concrete.structure is None:
            return None
        values = executable.plan.graph.outputs
        backend, device = executable.backend, executable.device
        tensors = (EagerTensor(a, v.shape, v.dtype, backend, device) for a, v in zip(results, values, strict=True))
        return rebuild(concrete.structure, tensors)

    def concrete(self, *args: Any, **kwargs: Any) -> Any:
        """The `Executable` for these arguments, traced and compiled if it is not there yet; nothing runs."""
        concrete = self._find(args, kwargs)[0]
        if concrete is None:
            raise TypeError(f"{self.name}: a symbolic tensor has no values to run on; pass arrays of fixed shapes")
        return concrete.executable

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    # -- signatures --------------------------------------------------------------------------------------------------

    def _find(self, args: tuple, kwargs: dict[str, Any]) -> tuple[Concrete | None, list[Any]]:
        """The compiled signature, None for symbolic arguments, and the tensors among the arguments."""
        leaves: list[Any] = []
        structure = flatten(args, leaves)
        if kwargs:
            structure = (structure, flatten(kwargs, leaves))
        place = selection.current()
        key = (
            structure,
            tuple([(x.shape, x.dtype if type(x.dtype) is str else x.dtype.str) for x in leaves]),
            place.backend.name,
            str(place.device),
        )
        try:
            concrete = self._cache.get(key)
        except TypeError as error:
            raise TypeError(
                f"{self.name}: an argument that is no tensor must be hashable to be part of the signature: {error}"
            ) from None
        if concrete is None:
            if any(type(x) is KerasTensor for x in leaves):
                return None, leaves
            with self._lock:
                concrete = self._cache.get(key)
                if concrete is None:
                    concrete = self._trace(args, kwargs, leaves)
                    self._cache[key] = concrete
                    if len(self._cache) > KEPT:
                        self._cache.popitem(last=False)
        elif len(self._cache) > 1:
            self._cache.move_to_end(key)
        return concrete, leaves

    def _trace(self, args: tuple, kwargs: dict[str, Any], leaves: list[Any]) -> Concrete:
        names: list[str] = []
        structure = flatten((args, kwargs), [])
        for number, x in enumerate(args):
            flatten(x, [], names, self._argument(number))
        for key, x in kwargs.items():
            flatten(x, [], names, key)
        names = [self._names(n) for n in names]
        self._watch(args, kwargs)
        trace = Trace(Graph(self.name))
        tensors = []
        for x, name in zip(leaves, names, strict=True):
            dtype = x.dtype if type(x.dtype) is str else to_array(x[:0] if x.ndim else x)[1]
            tensors.append(trace.tensor(trace.graph.placeholder(tuple(x.shape), dtype, name)))
        with trace.active():
            call_args, call_kwargs = rebuild(structure, iter(tensors))
            result = self.fn(*call_args, **call_kwargs)
            outputs: list[Any] = []
            result_structure = flatten(_tensors_of(result), outputs)
            trace.graph.outputs = [trace.lift(t) for t in outputs]
        trace.graph.updates = dict(trace.assigned)
        graph = trace.graph
        place = selection.current()
        executable = place.backend.compile(graph, place.device)
        self.traces += 1
        return Concrete(executable, result_structure, find_bounds(graph), len(outputs))

    def _watch(self, args: tuple, kwargs: dict[str, Any]) -> None:
        """Remember what each argument came as; warn once if something about one of them keeps changing."""
        traits = [t for number, x in enumerate(args) for t in _traits(x, self._argument(number))]
        traits += [t for key, x in kwargs.items() for t in _traits(x, key)]
        for name, kind, what in traits:
            seen = self._seen.setdefault((self._names(name), kind), [])
            if what not in seen:
                seen.append(what)
        if self.traces < RETRACES or self._warned:
            return
        self._warned = True
        (name, kind), seen = max(self._seen.items(), key=lambda item: len(item[1]), default=(("", ""), []))
        text = f"{self.name!r} has been traced {self.traces + 1} times: "
        if len(seen) < 2:
            text += "its arguments came in ever new structures. Each new one costs a trace."
        else:
            shown = ", ".join(map(str, seen[:4]))
            text += f"its argument {name!r} came in {len(seen)} {kind} ({shown}, ...). {_ADVICE[kind]}"
        warn_user(text)

    def _argument(self, place: int) -> str:
        """The name of an argument given by position."""
        names = [p.name for p in self._parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        return names[place] if place < len(names) else str(place)

    def signature(self) -> tuple:
        """The positional arguments of the signature used last, with a symbolic tensor in place of every real one.

        Raises:
            ValueError: the function has not been called yet.
        """
        if not self._cache:
            raise ValueError(f"{self.name} has not been called yet, so it has no signature")
        (structure, *_), concrete = next(reversed(self._cache.items()))
        inputs = concrete.executable.plan.graph.inputs
        return rebuild(structure, iter([KerasTensor(value.shape, value.dtype) for value in inputs]))

    # -- checks ------------------------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Forget which data sets were found in order: they may have changed since."""
        self._checked.clear()

    def _check(self, bounds: Bounds, x: Any) -> None:
        """Raise where an integer input is out of range; a data set is looked at once, not once a batch."""
        if type(x) is Rows and x.shape[0] < len(x.array):
            key = (id(x.array), bounds.low, bounds.size)
            known = self._checked.get(key)
            if known is not None and known() is x.array:
                return
            check(bounds, x.array)
            self._checked[key] = weakref.ref(x.array)
        elif type(x) is Rows:  # all of it is one batch, and the next may come in the same array
            check(bounds, x.array)
        else:
            check(bounds, x if isinstance(x, EagerTensor) else np.asarray(x))


def _tensors_of(x: Any) -> Any:
    """A result with variables and numbers turned into tensors."""
    if isinstance(x, tuple | list):
        return type(x)(_tensors_of(e) for e in x) if not hasattr(x, "_fields") else tuple(_tensors_of(e) for e in x)
    if isinstance(x, dict):
        return {k: _tensors_of(v) for k, v in x.items()}
    if isinstance(x, Variable | np.ndarray | np.generic):
        return convert_to_tensor(x)
    return x


def function(
    fn: Callable[..., Any] | None = None, *, name: str | None = None, names: Callable[[str], str] | None = None
) -> Any:
    """Compile a function made of ops: traced once per signature, then replayed as one Executable.

    Example:
        >>> @function
        ... def affine(x, w, b):
        ...     return x @ w + b
    """
    if fn is None:
        return lambda f: Function(f, name, names)
    return Function(fn, name, names)
