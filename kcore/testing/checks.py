"""The checks of one case on one backend: values eager and compiled, memory, gradients.

A check has two halves: it yields the executables it is about to run, so that the kernels of many cases can be built
together, then runs and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kcore.backend import selection
from kcore.backend.compile import Executable, choose
from kcore.dtypes import FLOATS
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, Op
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.promote import promoted
from kcore.testing.cases import Case
from kcore.testing.compare import ConformanceError, check_outputs, difference
from kcore.testing.guarded import BufferError, run_guarded

#: Where finite differences are compared: the error of a central difference with this step is far below the tolerance.
STEP = 1e-5
FD_TOLERANCE = 2e-5
#: Directions in which each gradient is compared.
DIRECTIONS = 2

Check = Callable[[Case], Iterator[list[Any]]]


def has_dtype(dtype: str) -> bool:
    """Whether the backend in use computes in a dtype at all."""
    value = Value((2,), dtype)
    return choose(selection.current().backend, Node(OPS["add"], (value, value), {}, [value.spec])) is not None


def rerun(case: Case, check: str) -> str:
    """The command that runs one case alone."""
    from kcore.testing import options

    extra = " --primitives-only" if options.primitives_only else ""
    return f'pytest --pyargs kcore.testing --backend {selection.current().name}{extra} -k {check} --case "{case.id}"'


def fail(case: Case, check: str, complaints: Sequence[str]) -> None:
    """Raise with the op, the sample, the dtype, what is wrong, and how to run it alone."""
    if complaints:
        lines = "\n".join(f"  {c}" for c in complaints)
        raise ConformanceError(
            f"op {case.op.name!r}, sample {case.index}, dtype {case.dtype}, on {selection.current()} ({check}):\n"
            f"  {case.describe()}\n{lines}\n  run it alone: {rerun(case, check)}"
        )


def _tuple(result: Any) -> tuple:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _call(case: Case, inputs: Sequence[Any]) -> tuple:
    return _tuple(case.op(*inputs, **case.sample.attrs))


# -- values ----------------------------------------------------------------------------------------------------------


def check_eager(case: Case) -> Iterator[list[Any]]:
    """The op run by itself agrees with its reference, and leaves its inputs as they were."""
    yield []
    arrays = case.arrays()
    tensors = [None if a is None else convert_to_tensor(a) for a in arrays]
    with np.errstate(all="ignore"):
        results = [t.numpy() for t in _call(case, tensors)]
    complaints = check_outputs(case.op, arrays, results, case.specs(), case.reference())
    for i, (array, tensor) in enumerate(zip(arrays, tensors, strict=True)):
        if array is None or tensor is None:
            continue
        if not np.array_equal(tensor.numpy(), array, equal_nan=array.dtype.kind == "f"):
            complaints.append(f"input {i} was changed by the call")
    fail(case, "eager", complaints)


def check_compiled(case: Case) -> Iterator[list[Any]]:
    """The op in a compiled function: contiguous and strided inputs, guards, memory reuse, no aliasing of results."""
    arrays = case.arrays()
    wanted, specs = case.reference(), case.specs()
    present = [a for a in arrays if a is not None]
    complaints: list[str] = []
    layouts: dict[str, tuple[list[np.ndarray], Callable | None]] = {"contiguous": (present, None)}
    if any(a.ndim for a in present):
        layouts["strided"] = _strided(present)
    functions = {layout: _compiled(case, restore) for layout, (_, restore) in layouts.items()}
    yield [compiled.concrete(*layouts[layout][0]) for layout, compiled in functions.items()]
    for layout, compiled in functions.items():
        results = _run_compiled(compiled, layouts[layout][0], complaints, layout)
        found = check_outputs(case.op, arrays, results, specs, wanted)
        complaints += [f"compiled, {layout} inputs: {c}" for c in found]
    fail(case, "compiled", complaints)


def _compiled(case: Case, restore: Callable | None) -> Any:
    def call(*given: Any) -> tuple:
        values = iter(given if restore is None else restore(given))
        return _call(case, [None if i is None else next(values) for i in case.sample.inputs])

    return function(call, name=case.op.name)


def _run_compiled(compiled: Any, hosts: list[np.ndarray], complaints: list[str], layout: str) -> list[np.ndarray]:
    originals = [h.tobytes() for h in hosts]
    first = compiled(*hosts)
    results = [t.numpy() for t in first]
    executable = compiled.concrete(*hosts)
    if [h.tobytes() for h in hosts] != originals:
        complaints.append(f"compiled, {layout} inputs: the caller's arrays were changed")
    if type(executable) is Executable:  # a backend with an executable of its own has no list of kernels to watch
        try:
            alone = run_guarded(executable.program, hosts)
        except BufferError as error:
            complaints.append(f"compiled, {layout} inputs: {error}")
        else:
            for i, (a, b) in enumerate(zip(results, alone, strict=True)):
                if a.tobytes() != b.tobytes() and (message := difference(a, b, 0.0, 0.0)):
                    complaints.append(
                        f"compiled, {layout} inputs: output {i} depends on where it lies in memory: {message}"
                    )
    compiled(*[_other(h) for h in hosts])
    if any(t.numpy().tobytes() != r.tobytes() for t, r in zip(first, results, strict=True)):
        complaints.append(f"compiled, {layout} inputs: a result changed when the function ran again")
    return results


def _other(array: np.ndarray) -> np.ndarray:
    """Values of the same kind that any op takes: the array backwards."""
    return np.ascontiguousarray(array.reshape(-1)[::-1].reshape(array.shape))


def _strided(arrays: list[np.ndarray]) -> tuple[list[np.ndarray], Callable]:
    """Arrays from which transposing and slicing inside the function make the given ones."""
    hosts = []
    for array in arrays:
        if array.ndim:
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            array = np.ascontiguousarray(wide.T)
        hosts.append(array)

    def restore(tensors: Sequence[Any]) -> list[Any]:
        restored = []
        for tensor, array in zip(tensors, arrays, strict=True):
            if array.ndim:
                axes = tuple(range(array.ndim))[::-1]
                turned = OPS["transpose"](tensor, axes=axes)
                stop, step = turned.shape, (1,) * (array.ndim - 1) + (2,)
                tensor = OPS["slice"](turned, start=(0,) * array.ndim, stop=stop, step=step)
            restored.append(tensor)
        return restored

    return hosts, restore


# -- gradients -------------------------------------------------------------------------------------------------------


def gradient_inputs(case: Case) -> list[int]:
    """Inputs with respect to which a case is differentiated: those of the dtype under test."""
    targets = promoted(case.op, case.arrays())
    return [
        i
        for i, (a, t) in enumerate(zip(case.arrays(), targets, strict=True))
        if a is not None and (t or a.dtype.name) in FLOATS and a.dtype.name in FLOATS
    ]


def _gradient_function(case: Case, wrt: list[int], seeds: list[np.ndarray | None]) -> Callable:
    """``f(*wrt arrays) -> gradients`` of the sum of outputs times seeds."""
    arrays = case.arrays()

    def gradients(*xs: Any) -> list[Any]:
        inputs: list[Any] = [None if a is None else convert_to_tensor(a) for a in arrays]
        for i, x in zip(wrt, xs, strict=True):
            inputs[i] = OPS["identity"](x)
        with GradientTape() as tape:
            tape.watch([inputs[i] for i in wrt])
            outputs = _call(case, inputs)
        pairs = [(o, s) for o, s in zip(outputs, seeds, strict=True) if s is not None]
        grads = tape.gradient([o for o, _ in pairs], [inputs[i] for i in wrt], [convert_to_tensor(s) for _, s in pairs])
        return [OPS["zeros_like"](inputs[i]) if g is None else g for i, g in zip(wrt, grads, strict=True)]

    return gradients


def _weighted_sum(run: Callable, seeds: list[np.ndarray | None]) -> Callable[..., float]:
    """The function whose gradient is checked."""

    def total(*xs: np.ndarray) -> float:
        results = [t.numpy() for t in run(*xs)]
        return float(sum(np.vdot(r, s) for r, s in zip(results, seeds, strict=True) if s is not None))

    return total


def _filled(arrays: Sequence[Any], wrt: list[int], xs: Sequence[Any]) -> list[Any]:
    inputs = list(arrays)
    for i, x in zip(wrt, xs, strict=True):
        inputs[i] = x
    return inputs


def _seeds(op: Op, specs: Sequence[Any], dtype: str) -> list[np.ndarray | None]:
    rng = np.random.Generator(np.random.Philox(key=17))
    visible = len(specs) - op.residuals
    return [
        np.asarray(rng.uniform(0.5, 1.5, s.shape), dtype=s.dtype) if i < visible and s.dtype in FLOATS else None
        for i, s in enumerate(specs)
    ]


def check_gradient(case: Case) -> Iterator[list[Any]]:
    """The gradient agrees with finite differences in float64, compiled and on the tape."""
    wrt = gradient_inputs(case)
    seeds = _seeds(case.op, case.specs(), case.dtype)
    arrays = case.arrays()
    xs = [arrays[i] for i in wrt]
    if not wrt or all(s is None for s in seeds) or not all(x.size for x in xs if x is not None):
        return
    gradients = _gradient_function(case, wrt, seeds)
    run_gradients = function(gradients, name=f"{case.op.name}_gradient")
    run = function(lambda *xs: _call(case, _filled(arrays, wrt, xs)))
    yield [run_gradients.concrete(*xs), run.concrete(*xs)]
    compiled = [t.numpy() for t in run_gradients(*xs)]
    eager = [t.numpy() for t in gradients(*[convert_to_tensor(x) for x in xs])]
    complaints = []
    for i, a, b in zip(wrt, compiled, eager, strict=True):
        message = difference(a, b, 1e-10, 1e-10)
        if message:
            complaints.append(f"gradient of input {i}, compiled against the tape: {message}")
    complaints += _against_differences(_weighted_sum(run, seeds), xs, compiled, wrt)
    fail(case, "gradient", complaints)


def check_second_gradient(case: Case) -> Iterator[list[Any]]:
    """The gradient of the gradient agrees with finite differences of the gradient."""
    wrt = gradient_inputs(case)
    seeds = _seeds(case.op, case.specs(), case.dtype)
    arrays = case.arrays()
    xs = [arrays[i] for i in wrt]
    if not wrt or all(s is None for s in seeds) or not all(x.size for x in xs if x is not None):
        return
    first = _gradient_function(case, wrt, seeds)
    rng = np.random.Generator(np.random.Philox(key=19))
    weights = [rng.uniform(0.5, 1.5, x.shape) for x in xs]  # type: ignore[union-attr]

    def second(*given: Any) -> list[Any]:
        inputs = [OPS["identity"](x) for x in given]
        with GradientTape() as tape:
            tape.watch(inputs)
            grads = first(*inputs)
        result = tape.gradient(grads, inputs, [convert_to_tensor(w) for w in weights])
        return [OPS["zeros_like"](x) if g is None else g for x, g in zip(inputs, result, strict=True)]

    run_first, run_second = function(first), function(second, name=f"{case.op.name}_second_gradient")
    yield [run_first.concrete(*xs), run_second.concrete(*xs)]
    compiled = [t.numpy() for t in run_second(*xs)]

    def total(*given: np.ndarray) -> float:
        return float(sum(np.vdot(g.numpy(), w) for g, w in zip(run_first(*given), weights, strict=True)))

    fail(case, "second_gradient", _against_differences(total, xs, compiled, wrt))


def _against_differences(
    total: Callable[..., float], xs: Sequence[Any], gradients: Sequence[np.ndarray], wrt: Sequence[int]
) -> list[str]:
    """Compare directional derivatives in random directions of each input."""
    rng = np.random.Generator(np.random.Philox(key=23))
    complaints = []
    for k, (x, gradient) in enumerate(zip(xs, gradients, strict=True)):
        for _ in range(DIRECTIONS):
            direction = rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1.0, x.shape)
            sides = []
            for sign in (1.0, -1.0):
                moved = [np.array(v) for v in xs]
                moved[k] = np.asarray(x + sign * STEP * direction)
                sides.append(total(*moved))
            numeric = (sides[0] - sides[1]) / (2 * STEP)
            analytic = float(np.vdot(gradient, direction))
            scale = float(np.sum(np.abs(gradient * direction))) + abs(numeric) + 1e-3
            if not abs(numeric - analytic) <= FD_TOLERANCE * scale:
                complaints.append(
                    f"gradient of input {wrt[k]} along a random direction is {analytic:.9g}, finite differences give "
                    f"{numeric:.9g}: error {abs(numeric - analytic):.3g}"
                )
                break
    return complaints
