"""Control flow: `cond`, `scan`, `while_loop`, `fori_loop`; loops in the graph when traced, plain Python when eager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.errors import GradientError
from kcore.graph.core import Graph
from kcore.graph.op import OPS, Spec, composite, primitive, sample
from kcore.ops.creation import zeros_like as zeros_like_op
from kcore.ops.getitem import getitem
from kcore.ops.shape import concatenate, reshape, stack
from kcore.runtime.apply import convert_to_tensor
from kcore.runtime.function import flatten, rebuild
from kcore.runtime.reference import run_graph
from kcore.runtime.tape import vjp
from kcore.runtime.tensor import EagerTensor, KerasTensor, Tensor, TracedTensor
from kcore.runtime.trace import current_trace, inline, trace_body
from kcore.runtime.variable import Variable


def _said(specs: Any) -> str:
    """Specs for an error message."""
    return ", ".join(map(str, specs)) or "nothing"


def _specs(values: Any) -> tuple[Spec, ...]:
    return tuple(Spec(v.shape, v.dtype) for v in values)


# -- the ops ---------------------------------------------------------------------------------------------------------


@primitive("control", "cond", infer=lambda *inputs, true, false: _specs(true.outputs), inputs=("*inputs",))
def _cond(*inputs, true, false):
    """Outputs of graph `true` if the first input holds, else of `false`; both take the other inputs."""
    return tuple(run_graph(true if bool(inputs[0]) else false, inputs[1:]))


@_cond.gradient
def _(ctx: Any, *gs: Any) -> Any:
    predicate, *inputs = ctx.inputs
    wanted = [i for i, g in enumerate(gs) if g is not None]
    count = len(inputs)

    def backward(graph: Graph) -> Graph:
        def body(*values: Any) -> Any:
            grads: list[Any] = [None] * len(gs)
            for i, g in zip(wanted, values[count:], strict=True):
                grads[i] = g
            return _dense(vjp(lambda *xs: tuple(inline(graph, xs)), values[:count], grads), values[:count])

        return _body(graph.name + "_grad", body, [x.spec for x in inputs] + [gs[i].spec for i in wanted])

    grads = _cond(
        predicate,
        *inputs,
        *[gs[i] for i in wanted],
        true=backward(ctx.attrs["true"]),
        false=backward(ctx.attrs["false"]),
    )
    return (None, *_tuple(grads))


def _scan_infer(*inputs: Spec, body: Graph, carried: int, scanned: int, length: int, reverse: bool) -> tuple[Spec, ...]:
    outs = _specs(body.outputs)
    return (*outs[:carried], *[Spec((length, *s.shape), s.dtype) for s in outs[carried:]])


@primitive("control", "scan", infer=_scan_infer, inputs=("*inputs",))
def _scan(*inputs, body, carried, scanned, length, reverse):
    """Run `body` once per step: inputs are the carry, the scanned tensors (step first), then what every step shares."""
    carry, xs, shared = list(inputs[:carried]), inputs[carried : carried + scanned], inputs[carried + scanned :]
    outs = body.outputs[carried:]
    ys = [np.zeros((length, *v.shape), numpy_dtype(v.dtype)) for v in outs]
    for i in range(length)[:: -1 if reverse else 1]:
        result = run_graph(body, [*carry, *[x[i] for x in xs], *shared])
        carry = result[:carried]
        for y, value in zip(ys, result[carried:], strict=True):
            y[i] = value
    return (*carry, *ys)


@_scan.gradient
def _(ctx: Any, *gs: Any) -> Any:
    """A scan in the other direction over the carries of all steps, each of which computes its forward body again.

    Nothing of that needs the step before, so that most of it is computed for all steps at once (`kcore.graph.loops`);
    and what is dear of it was kept.
    """
    body, carried, scanned = ctx.attrs["body"], ctx.attrs["carried"], ctx.attrs["scanned"]
    length, reverse = ctx.attrs["length"], ctx.attrs["reverse"]
    carry, xs, shared = ctx.inputs[:carried], ctx.inputs[carried : carried + scanned], ctx.inputs[carried + scanned :]

    carries = [
        _before(ctx.outputs[body.outputs.index(v, carried)], x, reverse)
        for v, x in zip(body.outputs[:carried], carry, strict=True)
    ]
    floats = [i for i, x in enumerate(carry) if _is_float(x)]
    shared_floats = [i for i, x in enumerate(shared) if _is_float(x)]
    g_carry = [gs[i] if gs[i] is not None else zeros_like_op(carry[i]) for i in floats]
    stacked = [i for i in range(carried, len(body.outputs)) if gs[i] is not None]
    kept = _dear(body, carried)
    steps = [
        *carries,
        *xs,
        *[gs[i] for i in stacked],
        *[ctx.outputs[body.outputs.index(v, carried)] for v in kept],
    ]

    def backward(*values: Any) -> Any:
        at = len(floats)
        g_now, g_shared = list(values[:at]), values[at : at + len(shared_floats)]
        at += len(shared_floats)
        old, x, g_ys = (
            values[at : at + carried],
            values[at + carried : at + carried + scanned],
            values[at + carried + scanned : at + len(steps) - len(kept)],
        )
        known = dict(zip(kept, values[at + len(steps) - len(kept) : at + len(steps)], strict=True))
        common = values[at + len(steps) :]
        grads: list[Any] = [None] * len(body.outputs)
        for i, g in zip(floats, g_now, strict=True):
            grads[i] = g
        for i, g in zip(stacked, g_ys, strict=True):
            grads[i] = g
        primal = [*old, *x, *common]
        pulled = _dense(vjp(lambda *v: tuple(inline(body, v, known)), primal, grads), primal)
        summed = [a + pulled[carried + scanned + i] for a, i in zip(g_shared, shared_floats, strict=True)]
        return (*[pulled[i] for i in floats], *summed, *pulled[carried : carried + scanned])

    begin = [*g_carry, *[zeros_like_op(shared[i]) for i in shared_floats]]
    inner = [t.spec for t in begin] + [Spec(t.shape[1:], t.dtype) for t in steps] + [t.spec for t in shared]
    graph = _body(body.name + "_grad", backward, inner)
    result = _run_scan([*begin, *steps, *shared], graph, len(begin), len(steps), length, not reverse)
    grads: list[Any] = [None] * len(ctx.inputs)
    for i, g in zip(floats, result, strict=False):
        grads[i] = g
    for i, g in zip(shared_floats, result[len(floats) :], strict=False):
        grads[carried + scanned + i] = g
    for i, g in enumerate(result[len(begin) :]):
        grads[carried + i] = g if _is_float(xs[i]) else None
    return grads


@primitive(
    "control",
    "while",
    infer=lambda *inputs, test, body, carried, limit: _specs(body.outputs),
    inputs=("*inputs",),
)
def _while(*inputs, test, body, carried, limit):
    """Run `body` on the carry while `test` holds, at most `limit` times if that is not None."""
    carry, shared = list(inputs[:carried]), inputs[carried:]
    count = 0
    while (limit is None or count < limit) and bool(run_graph(test, [*carry, *shared])[0]):
        carry = run_graph(body, [*carry, *shared])
        count += 1
    return tuple(carry)


@_while.gradient
def _(ctx: Any, *gs: Any) -> Any:
    """That of a scan of as many steps as there may be, which keep the state once the test fails."""
    test, body, carried, limit = (ctx.attrs[k] for k in ("test", "body", "carried", "limit"))
    if limit is None:
        raise GradientError(
            "the gradient of a while_loop needs to know how many steps there are at most; "
            "pass maximum_iterations to while_loop"
        )

    def bounded(*values: Any) -> tuple:
        shared = values[carried:]

        def step(state: tuple, _: Any) -> Any:
            (holds,) = inline(test, [*state, *shared])
            return cond(holds, lambda: tuple(inline(body, [*state, *shared])), lambda: state), ()

        return scan(step, tuple(values[:carried]), length=limit)[0]

    return vjp(bounded, ctx.inputs, gs)


@composite(
    "control",
    infer=lambda x, value: value,
    inputs=("x", "value"),
    samples=[sample((3, 4), (3, 4), grad=False)],  # what they say of each other holds only for the gradient
)
def known_as(x, value):
    """`value`, which is known to be what `x` would be computed as; its gradient is that of `x`."""
    return OPS["identity"](value)


known_as.gradient(lambda ctx, g: (g, None))


def _is_float(x: Any) -> bool:
    return x.dtype in ("float16", "bfloat16", "float32", "float64")


def _tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)


def _dense(grads: list[Any], like: Any) -> tuple:
    return tuple(zeros_like_op(x) if g is None else g for g, x in zip(grads, like, strict=True))


def _dear(body: Graph, carried: int) -> list[Any]:
    """The products in a step that depend on the carry: better kept for the gradient than computed again."""
    depends, found = set(body.inputs[:carried]), []
    for node in body.nodes:
        if any(v in depends for v in node.sources):
            depends.update(node.outputs)
            if node.op.family in ("contraction", "convolution") and len(node.outputs) == 1:
                found.append(node.outputs[0])
    return found


def _run_scan(inputs: Sequence[Any], body: Graph, carried: int, scanned: int, length: int, reverse: bool) -> tuple:
    """The outputs of a scan that hands out, behind those of its body, what its gradient asks for of all steps."""
    count = len(body.outputs)
    body.outputs += [v for v in body.outputs[:carried] + _dear(body, carried) if v not in body.outputs[carried:]]
    outs = _scan(*inputs, body=body, carried=carried, scanned=scanned, length=length, reverse=reverse)
    return _tuple(outs)[:count]


def _before(stack: Any, start: Any, reverse: bool) -> Any:
    """What each step found: what each step left, moved by one step, with the start before it."""
    if not stack.shape[0]:
        return stack
    begin = reshape(start, (1, *start.shape))
    return concatenate([stack[1:], begin] if reverse else [begin, stack[:-1]], axis=0)


def _body(name: str, fn: Callable[..., Any], specs: list[Spec]) -> Graph:
    """A closed body graph of a function of tensors."""
    graph, captured, result = trace_body(name, fn, specs)
    if captured:
        raise ValueError(f"{name}: a derived body captured {captured}")
    graph.outputs = [_value(graph, t) for t in result]
    return graph


def _value(graph: Graph, t: Any) -> Any:
    if type(t) is TracedTensor and t.trace.graph is graph:
        return t.value
    array = np.asarray(t)
    return graph.constant(array, t.dtype if isinstance(getattr(t, "dtype", None), str) else array.dtype.name)


# -- public functions ------------------------------------------------------------------------------------------------


def _flat(x: Any) -> tuple[Any, list[Any]]:
    leaves: list[Any] = []
    return flatten(_tensors(x), leaves), leaves


def _tensors(x: Any) -> Any:
    """Numbers, arrays and variables in a structure become tensors."""
    if isinstance(x, tuple | list):
        return type(x)(map(_tensors, x))
    if isinstance(x, dict):
        return {k: _tensors(v) for k, v in x.items()}
    if x is None or isinstance(x, Tensor):
        return x
    return convert_to_tensor(x.value if isinstance(x, Variable) else x)


def _traced(name: str, fn: Callable[..., Any], specs: list[Spec]) -> tuple[Graph, list[Any], Any]:
    """Trace a user's body; its result's tensors become the graph's outputs."""
    found: list[Any] = []

    def run(*args: Any) -> Any:
        structure, leaves = _flat(fn(*args))
        found.append(structure)
        return leaves

    graph, captured, leaves = trace_body(name, run, specs)
    graph.outputs = [t.trace.lift(t) if t.trace.graph is graph else _foreign(graph, captured, t) for t in leaves]
    return graph, captured, found[0]


def _foreign(graph: Graph, captured: list[Any], t: Any) -> Any:
    """A body that returns an outer tensor as it is: that tensor becomes an input of the body."""
    for i, c in enumerate(captured):
        if c is t:
            return graph.inputs[len(graph.inputs) - len(captured) + i]
    captured.append(t)
    return graph.placeholder(tuple(t.shape), t.dtype, f"captured{len(captured)}")


def _with_captures(graphs: list[Graph], captures: list[list[Any]], own: int) -> list[Any]:
    """Give several bodies the same captured inputs, in one order."""
    merged: list[Any] = []
    for tensors in captures:
        merged += [t for t in tensors if not any(t is m for m in merged)]
    for graph, tensors in zip(graphs, captures, strict=True):
        held = {id(t): v for t, v in zip(tensors, graph.inputs[own:], strict=True)}
        graph.inputs = graph.inputs[:own]
        for t in merged:
            if id(t) in held:
                graph.inputs.append(held[id(t)])
            else:
                graph.placeholder(tuple(t.shape), t.dtype)
    return merged


def _symbolic(*structures: Any) -> bool:
    return any(type(t) is KerasTensor for s in structures for t in _leaves(s))


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, tuple | list):
        return [t for e in x for t in _leaves(e)]
    return [t for e in x.values() for t in _leaves(e)] if isinstance(x, dict) else [x]


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """What `true_fn()` returns if `pred` holds, else what `false_fn()` does; only one of them runs.

    Args:
        pred: bool scalar tensor.
        true_fn, false_fn: functions without arguments; they return tensors of one structure, with equal shapes and
            dtypes.

    Raises:
        ValueError: the branches return different structures, shapes or dtypes.
    """
    if isinstance(pred, bool | np.bool_ | EagerTensor) or (isinstance(pred, Variable) and current_trace() is None):
        return true_fn() if bool(pred) else false_fn()
    if type(pred) is KerasTensor:
        return _symbolic_cond(true_fn, false_fn)
    true, captured_true, structure = _traced("true_branch", true_fn, [])
    false, captured_false, other = _traced("false_branch", false_fn, [])
    if structure != other or _specs(true.outputs) != _specs(false.outputs):
        raise ValueError(
            "cond: the branches must return the same structure, shapes and dtypes; "
            f"true_fn returns {_said(_specs(true.outputs))}, false_fn {_said(_specs(false.outputs))}"
        )
    inputs = _with_captures([true, false], [captured_true, captured_false], 0)
    return rebuild(structure, iter(_tuple(_cond(pred, *inputs, true=true, false=false))))


def _unknown(x: Any, lead: tuple = ()) -> Any:
    """Symbolic tensors of the same shapes with nothing known of how they came about.

    What one step or one branch made must not be taken for what the loop or the choice makes.
    """
    structure, leaves = _flat(x)
    return rebuild(structure, iter([KerasTensor((*lead, *t.shape), t.dtype) for t in leaves]))


def _symbolic_cond(true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """The shapes of both branches; layers in either are built."""
    true, false = _unknown(true_fn()), _unknown(false_fn())
    (structure, mine), (other, theirs) = _flat(true), _flat(false)
    same = [a.dtype == b.dtype and _may_equal(a.shape, b.shape) for a, b in zip(mine, theirs, strict=False)]
    if structure != other or not all(same):
        raise ValueError(
            "cond: the branches must return the same structure, shapes and dtypes; "
            f"true_fn returns {_said(_specs(mine))}, false_fn {_said(_specs(theirs))}"
        )
    return true


def _may_equal(a: tuple, b: tuple) -> bool:
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Run ``carry, y = f(carry, x)`` over the leading axis of `xs`; returns the last carry and the stacked y.

    Args:
        f: one step; its carry keeps structure, shapes and dtypes.
        init: first carry.
        xs: tensors with one leading size, or None together with `length`.
        reverse: whether to go from the last step to the first; y keep their places.
        unroll: accepted for compatibility; the loop body is compiled once whatever it says.

    Raises:
        ValueError: sizes differ, or the carry changes shape or dtype.
    """
    carry_structure, carry = _flat(init)
    xs_structure, sequence = _flat(xs)
    scalar = next((x for x in sequence if not x.shape), None)
    if scalar is not None:
        raise ValueError(f"scan: xs must have a leading axis to run over, got {scalar.spec}")
    lengths = {x.shape[0] for x in sequence} | ({length} if length is not None else set())
    if len(lengths) > 1:
        lengths.discard(None)  # a size not known yet may be the other one
    if len(lengths) != 1:
        raise ValueError(f"scan: xs and length must agree on one number of steps, got {sorted(map(str, lengths))}")
    steps = lengths.pop()
    if _symbolic(init, xs):
        return _symbolic_scan(f, init, xs_structure, sequence, steps)
    if current_trace() is None:
        return _eager_scan(f, init, xs_structure, sequence, int(steps), reverse)

    def body(*values: Any) -> Any:
        new, y = f(
            rebuild(carry_structure, iter(values[: len(carry)])), rebuild(xs_structure, iter(values[len(carry) :]))
        )
        return (new, y)

    specs = [t.spec for t in carry] + [Spec(x.shape[1:], x.dtype) for x in sequence]
    graph, captured, structure = _traced(getattr(f, "__name__", "scan"), body, specs)
    new = _specs(graph.outputs[: len(carry)])
    if structure[1] != carry_structure or list(new) != [t.spec for t in carry]:
        raise ValueError(
            "scan: the carry must keep its structure, shapes and dtypes; "
            f"it began as {_said(t.spec for t in carry)} and became {_said(new)}"
        )
    outs = _run_scan([*carry, *sequence, *captured], graph, len(carry), len(sequence), int(steps), bool(reverse))
    last = rebuild(carry_structure, iter(outs[: len(carry)]))
    return last, rebuild(structure[2], iter(outs[len(carry) :]))


def _symbolic_scan(f: Callable, init: Any, structure: Any, sequence: list[Any], steps: int | None) -> tuple[Any, Any]:
    carry_structure, carry = _flat(init)
    xs = rebuild(structure, iter([KerasTensor(x.shape[1:], x.dtype) for x in sequence]))
    last, y = f(_unknown(init), xs)
    new_structure, new = _flat(last)
    kept = [a.dtype == b.dtype and _may_equal(a.shape, b.shape) for a, b in zip(carry, new, strict=False)]
    if new_structure != carry_structure or not all(kept):
        raise ValueError(
            "scan: the carry must keep its structure, shapes and dtypes; "
            f"it began as {_said(_specs(carry))} and became {_said(_specs(new))}"
        )
    return _unknown(init), _unknown(y, (steps,))


def _eager_scan(
    f: Callable, init: Any, structure: Any, sequence: list[Any], steps: int, reverse: bool
) -> tuple[Any, Any]:
    carry, results, y_structure = _tensors(init), [], None
    for i in range(steps)[:: -1 if reverse else 1]:
        carry, y = f(carry, rebuild(structure, iter([getitem(x, i) for x in sequence])))
        carry = _tensors(carry)
        y_structure, leaves = _flat(y)
        results.append(leaves)
    if reverse:
        results.reverse()
    if not results:
        raise ValueError("scan: there are no steps to run eagerly (leading size 0)")
    return carry, rebuild(y_structure, iter([stack(list(column)) for column in zip(*results, strict=True)]))


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Run ``loop_vars = body(*loop_vars)`` while ``cond(*loop_vars)`` holds.

    A gradient needs `maximum_iterations`: it is that of a scan of so many steps which keep the state once the
    condition fails.

    Raises:
        ValueError: the loop variables change shape or dtype.
        GradientError: a gradient was asked for and there is no `maximum_iterations`.
    """
    single = not isinstance(loop_vars, tuple | list)
    start = (loop_vars,) if single else tuple(loop_vars)
    if _symbolic(start):
        state = tuple(_unknown(start))
        cond(*state)
        body(*state)  # builds the layers in it
        return state[0] if single else state
    if current_trace() is None:
        state, count = _tensors(start), 0
        while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*state)):
            state = _tensors(body(*state))
            state = tuple(state) if isinstance(state, tuple | list) else (state,)
            count += 1
        return state[0] if single else state
    structure, carry = _flat(start)

    def step(*values: Any) -> Any:
        new = body(*rebuild(structure, iter(values)))
        return tuple(new) if isinstance(new, tuple | list) else (new,)

    specs = [t.spec for t in carry]
    test, captured_test, _ = _traced("while_test", lambda *values: cond(*rebuild(structure, iter(values))), specs)
    graph, captured, _ = _traced(getattr(body, "__name__", "while"), step, specs)
    if list(_specs(graph.outputs)) != specs:
        raise ValueError(
            "while_loop: loop variables must keep shapes and dtypes; "
            f"they began as {_said(specs)} and became {_said(_specs(graph.outputs))}"
        )
    shared = _with_captures([test, graph], [captured_test, captured], len(carry))
    outs = _tuple(_while(*carry, *shared, test=test, body=graph, carried=len(carry), limit=maximum_iterations))
    result = rebuild(structure, iter(outs))
    return result[0] if single else result


def fori_loop(lower: int, upper: int, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """``val = body_fun(i, val)`` for i from `lower` to before `upper`."""

    def step(val: Any, i: Any) -> Any:
        return body_fun(i, val), i

    if upper <= lower:
        return init_val
    return scan(step, init_val, convert_to_tensor(np.arange(lower, upper, dtype="int32")))[0]


__all__ = ["cond", "fori_loop", "scan", "while_loop"]
