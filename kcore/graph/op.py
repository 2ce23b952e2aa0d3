"""What an op is: name, attributes, shape rule, gradient rule, decomposition or NumPy reference, in one place."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kcore.errors import DuplicateOpError, UnknownOpError

Shape = tuple[int | None, ...]
#: A message that says which op it is about.
_NAMED = re.compile(r"[\w>.]+(\(\))?: ")


class Spec(NamedTuple):
    """Shape and dtype of one tensor; a dimension is an int, or None where it is not known yet."""

    shape: Shape
    dtype: str

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"


@dataclass(frozen=True)
class In:
    """One input of a conformance sample: values drawn uniformly from [low, high), or given outright."""

    shape: tuple[int, ...] = ()
    low: float = -2.0
    high: float = 2.0
    dtype: str | None = None  # None: the dtype under test
    value: Any = None


@dataclass(frozen=True)
class Sample:
    """One call of an op that the conformance kit makes on every backend.

    Args:
        inputs: one entry per tensor input: a shape (drawn from [-2, 2)), an `In`, or None for an absent optional input.
        attrs: the op's attributes.
        grad: whether the gradient rule is checked against finite differences on this sample.
    """

    inputs: tuple[tuple[int, ...] | In | None, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    grad: bool = True


def sample(*inputs: tuple[int, ...] | In | None, grad: bool = True, **attrs: Any) -> Sample:
    """Write a `Sample` in one line: ``sample((3, 4), (4,), axis=1)``."""
    return Sample(inputs, attrs, grad)


#: Relative and absolute tolerance by dtype, against the float64 reference, for an op that does one rounding per
#: element. Reductions and contractions scale theirs with the length of the sum (see `Op.tolerance`).
TOLERANCE: dict[str, tuple[float, float]] = {
    "float64": (1e-12, 1e-13),
    "float32": (2e-6, 2e-6),
    "float16": (2e-3, 2e-3),
    "bfloat16": (1.6e-2, 1.6e-2),
}


class Op:
    """One operation, written down once.

    An op is called like a function; what happens depends on its arguments: symbolic tensors are only shaped,
    traced tensors append a node to the graph, eager tensors run the kernel now.

    Attributes:
        name: unique name; a plugin's ops are called ``"package>name"``.
        family: the room its kernels live in (``"elementwise"``, ``"reduction"``, ...).
        fn: for a composite, the decomposition into simpler ops; for a primitive, the NumPy reference.
        primitive: whether `fn` is a reference (True) or a decomposition (False).
        inputs: names of the tensor inputs, in order; the last one starts with ``*`` if there may be many.
        defaults: attributes and their default values.
        promote: ``None``, ``"common"`` (all inputs to their common dtype) or ``"float"`` (the same, never an integer).
        residuals: how many trailing outputs exist only for the gradient rule.
        aliases: the output is the first input's buffer in another shape (reshape).
        expr: for an elementwise op, its C expression with ``{0}``, ``{1}`` for the inputs.
        effect: the op must not be merged with an equal one or folded.
        bounds: ``input name -> f(input specs, attrs) -> size``: integer inputs which must lie in [0, size).
    """

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *,
        primitive: bool,
        family: str,
        infer: Callable[..., Any] | None = None,
        promote: str | None = None,
        promoted: tuple[int, ...] | None = None,
        residuals: int = 0,
        aliases: bool = False,
        expr: str | None = None,
        effect: bool = False,
        samples: Sequence[Sample] = (),
        tolerance: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, Callable[..., int]] | None = None,
        inputs: Iterable[str] | None = None,
        differentiable: bool = True,
    ):
        self.name = name
        self.fn = fn
        self.primitive = primitive
        self.family = family
        self.promote = promote
        self.promoted = promoted
        self.residuals = residuals
        self.aliases = aliases
        self.expr = expr
        self.effect = effect
        self.samples = tuple(samples)
        self.tolerance = {**TOLERANCE, **(tolerance or {})}
        self.bounds = dict(bounds or {})
        self.differentiable = differentiable
        self.rule: Callable[..., Any] | None = None
        self.__doc__ = fn.__doc__
        self.__name__ = name
        self.__module__ = fn.__module__
        parameters = inspect.signature(fn).parameters
        if inputs is None:
            inputs = [
                ("*" if p.kind is p.VAR_POSITIONAL else "") + p.name
                for p in parameters.values()
                if p.default is p.empty and p.kind is not p.KEYWORD_ONLY
            ]
        self.inputs = tuple(inputs)
        self.variadic = bool(self.inputs) and self.inputs[-1].startswith("*")
        names = {i.lstrip("*") for i in self.inputs}
        self.attributes = tuple(p for p in parameters if p not in names)
        self.defaults = {
            p: parameters[p].default for p in self.attributes if parameters[p].default is not inspect.Parameter.empty
        }
        self._infer = infer
        self.__signature__ = inspect.signature(fn)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @property
    def elementwise(self) -> bool:
        return self.family == "elementwise"

    # -- calling -----------------------------------------------------------------------------------------------

    #: Set by `kcore.runtime`: runs, traces or shapes an op according to its arguments.
    evaluator: Callable[[Op, tuple, dict], Any]

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        count = len(self.inputs)
        if not self.variadic and len(args) != count:
            args, attrs = self._bind(args, attrs)
        return Op.evaluator(self, args, {**self.defaults, **attrs} if self.defaults else attrs)

    def _bind(self, args: tuple, attrs: dict) -> tuple[tuple, dict]:
        """Sort positional attributes and keyword inputs into place."""
        count = len(self.inputs)
        if len(args) > count + len(self.attributes):
            raise TypeError(
                f"{self.name}() takes {count} tensors and {len(self.attributes)} attributes, got {len(args)} arguments"
            )
        extra = dict(zip(self.attributes, args[count:], strict=False))
        args, attrs = args[:count], {**extra, **attrs}
        while len(args) < count:
            wanted = self.inputs[len(args)]
            if wanted not in attrs:
                raise TypeError(f"{self.name}() misses its input {wanted!r} (inputs: {', '.join(self.inputs)})")
            args += (attrs.pop(wanted),)
        return args, attrs

    # -- the parts ---------------------------------------------------------------------------------------------

    #: Set by `kcore.runtime`: traces a node's decomposition, (node, inputs) -> (nodes, output values).
    decomposer: Callable[[Any, tuple], tuple[list[Any], list[Any]]]

    #: Set by `kcore.runtime`: shapes of a composite's outputs, found by tracing its decomposition.
    shaper: Callable[[Op, tuple, dict], tuple[Spec, ...]]

    def infer(self, *specs: Spec | None, **attrs: Any) -> tuple[Spec, ...]:
        """Shapes and dtypes of the outputs from those of the inputs; raises ValueError on inputs that do not fit."""
        if self._infer is None:
            return Op.shaper(self, specs, attrs)
        try:
            result = self._infer(*specs, **attrs)
        except ValueError as error:
            if not _NAMED.match(str(error)):
                error.args = (f"{self.name}: {error}",)
            raise
        return (result,) if isinstance(result, Spec) else tuple(result)

    def gradient(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: register the gradient rule ``rule(ctx, *output_gradients) -> input gradient or tuple of them``.

        `ctx` is a `GradContext`. A gradient is None where there is none. A rule need not undo broadcasting: the
        reverse pass sums a gradient back to the shape of its input and casts it to the input's dtype.
        """
        self.rule = rule
        return rule


@dataclass
class GradContext:
    """What a gradient rule sees of the forward call: its inputs and outputs as tensors, and its attributes.

    `needs[i]` is False where nobody asked for the gradient of input i.
    """

    op: Op
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    attrs: dict[str, Any]
    needs: tuple[bool, ...]


class Registry:
    """The ops by name, filled by the ops themselves."""

    def __init__(self) -> None:
        self._ops: dict[str, Op] = {}

    def add(self, op: Op) -> Op:
        other = self._ops.get(op.name)
        if other is not None:
            raise DuplicateOpError(f"two ops are called {op.name!r}: one in {other.__module__}, one in {op.__module__}")
        self._ops[op.name] = op
        return op

    def __getitem__(self, name: str) -> Op:
        try:
            return self._ops[name]
        except KeyError:
            raise UnknownOpError(f"there is no op {name!r}; {len(self._ops)} ops are registered") from None

    def __contains__(self, name: object) -> bool:
        return name in self._ops

    def __iter__(self):
        return iter(self._ops.values())

    def __len__(self) -> int:
        return len(self._ops)


#: Every op there is.
OPS = Registry()


def primitive(family: str, name: str | None = None, **parts: Any) -> Callable[[Callable[..., Any]], Op]:
    """Declare a primitive: the decorated function is its NumPy reference.

    Example: ``@primitive("reduction", infer=...)`` above ``def cumsum(x, *, axis): return np.cumsum(x, axis)``.
    """
    return lambda fn: OPS.add(Op(name or fn.__name__, fn, primitive=True, family=family, **parts))


def composite(family: str, name: str | None = None, **parts: Any) -> Callable[[Callable[..., Any]], Op]:
    """Declare a composite: the decorated function is its decomposition, written in other ops.

    Without an `infer` its shapes, and without a gradient rule its gradient, come from the decomposition.
    """
    return lambda fn: OPS.add(Op(name or fn.__name__, fn, primitive=False, family=family, **parts))
