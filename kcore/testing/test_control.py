"""Control flow: `cond`, `scan` and `while_loop` compiled, against plain Python, with their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.runtime import GradientTape, Variable, function

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3).astype("float32")


def _same(a, b, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(a.numpy() if hasattr(a, "numpy") else a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cond_runs_the_branch_its_value_says(sign: float) -> None:
    @function
    def choose(x, p):
        scale = x * 2.0
        return ops.cond(ops.sum(p) > 0, lambda: (scale + 1.0, x), lambda: (x - 1.0, scale))

    first, second = choose(X, np.array([sign], "float32"))
    _same(first, X * 2 + 1 if sign > 0 else X - 1)
    _same(second, X if sign > 0 else X * 2)


def test_cond_has_the_gradient_of_the_branch_that_ran() -> None:
    @function
    def gradient(x, p):
        x = ops.stop_gradient(x) + 0.0
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(ops.cond(ops.sum(p) > 0, lambda: x * x, lambda: x * 3.0))
        return tape.gradient(y, x)

    _same(gradient(X, np.ones(1, "float32")), 2 * X)
    _same(gradient(X, -np.ones(1, "float32")), np.full_like(X, 3.0))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 5])
def test_scan_carries_stacks_and_shares(length: int, reverse: bool) -> None:
    xs = np.random.default_rng(length).normal(size=(length, 3)).astype("float32")
    w = np.array([0.5, -1.0, 2.0], "float32")

    @function
    def run(init, xs, w):
        return ops.scan(lambda c, x: (c * w + x, c + 1.0), init, xs, reverse=reverse)

    carry, ys = np.ones(3, "float32"), np.zeros((length, 3), "float32")
    for i in range(length)[:: -1 if reverse else 1]:
        ys[i] = carry + 1
        carry = carry * w + xs[i]
    last, stacked = run(np.ones(3, "float32"), xs, w)
    _same(last, carry)
    _same(stacked, ys)


def test_scan_may_swap_its_carry() -> None:
    @function
    def fibonacci(a, b, steps):
        return ops.scan(lambda c, _: ((c[1], c[0] + c[1]), c[0]), (a, b), steps)

    (a, b), seen = fibonacci(np.float32(0), np.float32(1), np.zeros(10, "float32"))
    assert seen.numpy().tolist() == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    assert (float(a), float(b)) == (55, 89)


def test_scan_has_gradients_for_carry_sequence_and_weights() -> None:
    rng = np.random.default_rng(2)
    xs, w, init = rng.normal(size=(4, 3)), rng.normal(size=(3,)), rng.normal(size=(3,))

    def loss(init, xs, w):
        last, ys = ops.scan(lambda c, x: (ops.tanh(c * w + x), c * x), init, xs)
        return ops.sum(last * last) + ops.sum(ys)

    @function
    def gradients(init, xs, w):
        sources = [ops.stop_gradient(t) + 0.0 for t in (init, xs, w)]
        with GradientTape() as tape:
            tape.watch(sources)
            y = loss(*sources)
        return tape.gradient(y, sources)

    run = function(loss)
    values = [init, xs, w]
    for k, gradient in enumerate(gradients(*values)):
        direction = rng.normal(size=values[k].shape)
        sides = []
        for s in (1e-5, -1e-5):
            moved = list(values)
            moved[k] = values[k] + s * direction
            sides.append(float(run(*moved)))
        _same(np.vdot(gradient.numpy(), direction), (sides[0] - sides[1]) / 2e-5, 1e-6)


def test_while_loop_stops_when_its_test_fails_or_at_its_limit() -> None:
    @function
    def collatz(n):
        def odd_or_even(n, count):
            return ops.cond(ops.equal(ops.mod(n, 2), 0), lambda: n // 2, lambda: 3 * n + 1), count + 1

        return ops.while_loop(lambda n, count: n > 1, odd_or_even, (n, np.int32(0)))

    assert int(collatz(np.int32(27))[1]) == 111
    limited = function(lambda x: ops.while_loop(lambda v: ops.sum(v) < 1e9, lambda v: v * 2.0, (x,), 3)[0])
    _same(limited(np.ones(2, "float32")), [8.0, 8.0])


def test_loops_nest() -> None:
    @function
    def table(xs):
        def row(c, x):
            inner, _ = ops.scan(lambda d, y: (d + x * y, d), np.float32(0), xs)
            return c + inner, inner

        return ops.scan(row, np.float32(0), xs)

    xs = np.arange(1, 4, dtype="float32")
    total, rows = table(xs)
    _same(rows, xs * xs.sum())
    _same(total, xs.sum() ** 2)


def test_a_loop_body_reads_variables_and_large_constants() -> None:
    v, table = Variable(np.full(40, 2.0, "float32")), np.arange(40, dtype="float32")
    run = function(lambda x: ops.fori_loop(0, 3, lambda i, c: c * v + table, x))
    expected = np.ones(40, "float32")
    for _ in range(3):
        expected = expected * 2 + table
    _same(run(np.ones(40, "float32")), expected)
