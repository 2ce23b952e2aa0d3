"""The compiler on random programs: planned, fused and in-place execution equals running the ops one by one."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend.compile import Bound, Executable
from kcore.graph.op import OPS
from kcore.runtime import Variable, convert_to_tensor, function
from kcore.testing.guarded import spread
from kcore.testing.random_graphs import Program

SEEDS = range(40)


def _assign(variable: Variable, value) -> None:
    variable.assign(value)


def _one_by_one(program: Program, steps: int) -> tuple[list, list]:
    variables = program.variables("float32")
    run = program.step(variables, _assign)
    results = [[t.numpy() for t in run(*program.arrays("float32"))] for _ in range(steps)]
    return results, [v.numpy() for v in variables]


def _compare(got: list, wanted: list, program: Program, what: str) -> None:
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert a.shape == b.shape, f"program {program.seed}: {what} {i} has shape {a.shape}, run op by op {b.shape}"
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5, err_msg=f"program {program.seed}: {what} {i}")


@pytest.mark.parametrize("elementwise", [False, True], ids=["mixed", "chains"])
@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_steps_equal_the_ops_one_by_one(seed: int, elementwise: bool) -> None:
    """Outputs and variables after three steps; earlier results stay as they were."""
    program = Program(seed, elementwise=elementwise)
    wanted, wanted_variables = _one_by_one(program, 3)
    variables = program.variables("float32")
    run = function(program.step(variables, _assign))
    kept = [run(*program.arrays("float32")) for _ in range(3)]
    for step, results in enumerate(kept):
        _compare([t.numpy() for t in results], wanted[step], program, f"step {step}: output")
    _compare([v.numpy() for v in variables], wanted_variables, program, "variable")


@pytest.mark.parametrize("seed", SEEDS)
def test_sharing_memory_changes_nothing(seed: int) -> None:
    """The plan with views, reuse and in-place writing gives the bits of the same kernels in memory of their own."""
    program = Program(seed, length=20)
    variables = program.variables("float32")
    arrays = program.arrays("float32")
    executable = function(program.step(variables, _assign)).concrete(*arrays)
    if type(executable) is not Executable:
        pytest.skip("this backend plans its memory itself")
    backend, device = executable.backend, executable.device
    before = [v.numpy() for v in variables]
    results = []
    for plan in (executable.program, spread(executable.program)):
        for v, value in zip(variables, before, strict=True):
            v.assign(value)
        bound = Bound(plan, backend.allocate(plan.plan.arena, device), 0)
        for array, source in zip(bound.inputs, arrays, strict=True):
            backend.upload(array, source)
        with backend.session():
            bound.run()
        results.append([backend.download(a) for a in bound.outputs] + [v.numpy() for v in variables])
    _compare(results[0], results[1], program, "result")


def test_an_update_may_swap_variables_and_hand_out_the_old_values() -> None:
    a, b = Variable(np.ones(5, "float32")), Variable(np.full(5, 2.0, "float32"))

    @function
    def swap():
        old = a.value
        first, second = a.value, b.value
        a.assign(second)
        b.assign(first)
        return old

    assert [float(swap().numpy()[0]) for _ in range(3)] == [1.0, 2.0, 1.0]
    assert a.numpy().tolist() == [2.0] * 5 and b.numpy().tolist() == [1.0] * 5


def test_one_update_of_many_variables_equals_many_updates() -> None:
    """Equal updates of variables of different sizes, which are joined into one kernel where the backend can."""
    rng = np.random.default_rng(3)
    shapes = [(3, 5), (1,), (), (17,), (40, 33), (257,), (0,), (2, 2)]
    weights = [rng.normal(size=s).astype("float32") for s in shapes]
    grads = [rng.normal(size=s).astype("float32") for s in shapes]
    variables = [Variable(w) for w in weights]
    moments = [Variable(np.zeros(s, "float32")) for s in shapes]
    rate = Variable(np.float32(0.1))

    @function
    def update(*gradients):
        for v, m, g in zip(variables, moments, gradients, strict=True):
            new = m * 0.9 + g
            m.assign(new)
            v.assign(v - rate * new)

    for _ in range(3):
        update(*grads)
    for v, w, g in zip(variables, weights, grads, strict=True):
        m, expected = np.zeros_like(g), w.copy()
        for _ in range(3):
            m = m * np.float32(0.9) + g
            expected = expected - np.float32(0.1) * m
        np.testing.assert_allclose(v.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_large_constants_are_kept() -> None:
    table = np.arange(5000, dtype="float32").reshape(50, 100)
    run = function(lambda x: x + table)
    np.testing.assert_array_equal(run(np.zeros((50, 100), "float32")).numpy(), table)
    np.testing.assert_array_equal(run(np.ones((50, 100), "float32")).numpy(), table + 1)


def test_long_chains_work_in_pieces_as_well_as_whole() -> None:
    """Fused elementwise work on more elements than fit a cache, with broadcasting, strides and several results."""
    rng = np.random.default_rng(5)
    x, y, row, column = (rng.uniform(-1, 1, s).astype("float32") for s in ((301, 307), (307, 301), (307,), (301, 1)))

    def chain(x, y, row, column):
        turned = OPS["transpose"](y, axes=(1, 0))
        a = OPS["tanh"](x * row + column) - turned
        b = OPS["maximum"](a, x) * OPS["sigmoid"](turned)
        return a * b + 0.5, OPS["square"](b) - a, OPS["sum"](b, axis=(0,), keepdims=False)

    wanted = [t.numpy() for t in chain(*map(convert_to_tensor, (x, y, row, column)))]
    compiled = function(chain)
    for _ in range(2):
        for i, (a, b) in enumerate(zip(compiled(x, y, row, column), wanted, strict=True)):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-5, err_msg=f"result {i}")
