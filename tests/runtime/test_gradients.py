"""Gradients: one reverse pass for tape and trace, to any order, through control flow."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.errors import GradientError
from kcore.runtime import GradientTape, Variable, convert_to_tensor, function, grad

X = np.array([0.5, -1.0, 2.0], "float32")


def both(f, *arrays):
    """A function's result run op by op, and compiled."""
    eager = f(*[convert_to_tensor(a) for a in arrays])
    compiled = function(f)(*arrays)
    for a, b in zip(*[r if isinstance(r, list | tuple) else [r] for r in (eager, compiled)], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    return compiled


def _gradient(f):
    def gradient(x):
        x = x + 0.0
        with GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    return gradient


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_any_order(order):
    f = lambda x: ops.sum(x**4.0 + ops.sin(x))  # noqa: E731
    for _ in range(order):
        inner = f
        f = lambda x, inner=inner: ops.sum(_gradient(inner)(x))  # noqa: E731
    x = np.array([0.5, 1.5], "float32")
    powers = {1: 4 * x**3 + np.cos(x), 2: 12 * x**2 - np.sin(x), 3: 24 * x - np.cos(x)}[order]
    np.testing.assert_allclose(both(f, x).numpy(), powers.sum(), rtol=1e-4)


def test_grad_nests():
    assert float(grad(grad(grad(lambda x: x * x * x * x)))(2.0)) == 48.0


def test_a_hessian_vector_product():
    a = np.array([[2.0, 1.0], [1.0, 3.0]], "float32")

    def product(x, v):
        g = _gradient(lambda t: 0.5 * ops.sum(t * (ops.convert_to_tensor(a) @ t)))
        return _gradient(lambda t: ops.sum(g(t) * v))(x)

    result = both(product, np.ones((2, 1), "float32"), np.array([[1.0], [2.0]], "float32"))
    np.testing.assert_allclose(result.numpy(), a @ [[1.0], [2.0]], rtol=1e-6)


def test_variables_are_watched_by_themselves():
    v = Variable(X)
    with GradientTape() as tape:
        y = ops.sum(v * v * X)
    np.testing.assert_allclose(tape.gradient(y, v).numpy(), 2 * X * X, rtol=1e-6)
    with GradientTape(watch_accessed_variables=False) as tape:
        y = ops.sum(v * v)
    assert tape.gradient(y, v) is None


def test_an_assignment_does_not_change_the_past():
    v = Variable(X)
    with GradientTape(persistent=True) as tape:
        y = ops.sum(v * v)
        v.assign(v * 10.0)
        z = ops.sum(v * v)
    np.testing.assert_allclose(tape.gradient(y, v).numpy(), 2 * X, rtol=1e-6)
    assert tape.gradient(z, v) is not None

    @function
    def step():
        with GradientTape() as tape:
            y = ops.sum(v * v)
            g = tape.gradient(y, v)
        v.assign(v - 0.1 * g)
        return g

    before = v.numpy()
    np.testing.assert_allclose(step().numpy(), 2 * before, rtol=1e-6)
    np.testing.assert_allclose(v.numpy(), before * 0.8, rtol=1e-5)


def test_a_tape_is_used_once_unless_persistent():
    x = convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GradientError, match="persistent=True"):
        tape.gradient(y, x)


def test_incoming_gradients_several_targets_and_structures():
    def f(a, b):
        a, b = a + 0.0, b + 0.0
        with GradientTape(persistent=True) as tape:
            tape.watch([a, b])
            y, z = a * b, a + b
        both = tape.gradient([y, z], {"a": a, "b": b})
        weighted = tape.gradient(y, [a], output_gradients=[ops.ones_like(y) * 2.0])
        return [both["a"], both["b"], weighted[0]]

    ga, gb, weighted = both(f, X, X + 1)
    np.testing.assert_allclose(ga.numpy(), X + 2, rtol=1e-6)
    np.testing.assert_allclose(gb.numpy(), X + 1, rtol=1e-6)
    np.testing.assert_allclose(weighted.numpy(), 2 * (X + 1), rtol=1e-6)


def test_unconnected_sources_give_none_or_zeros():
    x, other = convert_to_tensor(X), Variable(X)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * 2.0
    assert tape.gradient(y, other) is None
    assert tape.gradient(y, other, unconnected_gradients="zero").numpy().tolist() == [0, 0, 0]


def test_stop_gradient_and_integers_end_the_path():
    f = _gradient(lambda x: ops.sum(x * ops.stop_gradient(x) + ops.cast(ops.argmax(x), "float32")))
    np.testing.assert_allclose(both(f, X).numpy(), X, rtol=1e-6)


def test_broadcasting_and_promotion_are_undone():
    def f(a, b):
        a, b = a + 0, b + 0
        with GradientTape() as tape:
            tape.watch([a, b])
            y = ops.sum(a * b)
        return tape.gradient(y, [a, b])

    a, b = np.ones((2, 3), "float64"), np.ones((3,), "float32")
    ga, gb = both(f, a, b)
    assert (ga.shape, ga.dtype, gb.shape, gb.dtype) == ((2, 3), "float64", (3,), "float32")
    assert gb.numpy().tolist() == [2, 2, 2]


def test_a_number_keeps_its_precision_on_the_tape():
    x = convert_to_tensor(np.ones(1, "float64"))
    with GradientTape() as tape:
        tape.watch(x)
        y = x * 0.1
    assert float(tape.gradient(y, x)) == 0.1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_through_cond_is_that_of_the_branch_taken(sign):
    def f(x, s):
        return _gradient(lambda t: ops.sum(ops.cond(ops.sum(s) > 0, lambda: t * t, lambda: t * 5.0)))(x)

    np.testing.assert_allclose(
        both(f, X, np.float32([sign])).numpy(), 2 * X if sign > 0 else np.full(3, 5.0), rtol=1e-6
    )


def test_the_gradient_through_scan_reaches_carry_sequence_and_captured_variables():
    v = Variable(np.float32(0.5))

    def f(init, xs):
        init, xs = init + 0.0, xs + 0.0
        with GradientTape() as tape:
            tape.watch([init, xs])
            last, ys = ops.scan(lambda c, x: (c * v + x, c), init, xs)
            y = ops.sum(last) + ops.sum(ys)
        return tape.gradient(y, [init, xs, v])

    xs = np.array([1.0, 2.0, 3.0], "float32")
    g_init, g_xs, g_v = both(f, np.float32(1.0), xs)
    # carries: 1, 1.5, 2.75, 4.375
    np.testing.assert_allclose(g_init.numpy(), 1 + 0.5 + 0.25 + 0.125, rtol=1e-6)
    np.testing.assert_allclose(g_xs.numpy(), [1 + 0.5 + 0.25, 1 + 0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(g_v.numpy(), 1 * 1.75 + 1.5 * 1.5 + 2.75, rtol=1e-6)


def test_second_derivatives_through_scan():
    def f(x):
        loop = lambda t: ops.scan(lambda c, _: (c * t, c), t, length=2)[0]  # noqa: E731
        return _gradient(_gradient(loop))(x)  # t**3

    np.testing.assert_allclose(both(f, np.float32(2.0)).numpy(), 12.0, rtol=1e-5)


def test_while_loop_has_a_gradient_when_it_is_bounded():
    def f(x):
        def loop(t):
            return ops.while_loop(lambda v: v < 100.0, lambda v: v * 2.0, (t,), maximum_iterations=4)[0]

        return _gradient(loop)(x)

    np.testing.assert_allclose(both(f, np.float32(3.0)).numpy(), 16.0)
    np.testing.assert_allclose(both(f, np.float32(40.0)).numpy(), 4.0)


def test_the_gradient_of_an_unbounded_while_loop_is_a_clear_error():
    @function
    def f(x):
        return _gradient(lambda t: ops.while_loop(lambda v: v < 100.0, lambda v: v * 2.0, (t,))[0])(x)

    with pytest.raises(GradientError, match="maximum_iterations"):
        f(np.float32(3.0))


def test_an_assignment_inside_a_loop_body_is_a_clear_error():
    from kcore.errors import TracingError

    v = Variable(np.float32(0.0), name="count")

    @function
    def f(x):
        def step(c, _):
            v.assign_add(1.0)
            return c + 1.0, c

        return ops.scan(step, x, length=3)[0]

    with pytest.raises(TracingError, match="variable 'count' is assigned inside the body"):
        f(np.float32(0.0))


def test_branches_that_return_other_shapes_are_a_clear_error():
    f = function(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.sum(x)))
    with pytest.raises(ValueError, match="cond: the branches must return the same structure"):
        f(X)


def test_a_carry_that_changes_shape_is_a_clear_error():
    f = function(lambda x: ops.scan(lambda c, _: (ops.concatenate([c, c]), c), x, length=2))
    with pytest.raises(ValueError, match="the carry must keep its structure, shapes and dtypes"):
        f(X)


def test_no_gradient_flows_through_an_assignment():
    def step(variable):
        with GradientTape() as tape:
            variable.assign(variable * 3.0)
            y = variable * variable
        return tape.gradient(y, variable)

    eager, traced = Variable(2.0), Variable(2.0)
    assert float(step(eager)) == 12.0
    assert float(function(lambda: step(traced))()) == 12.0
    assert float(eager.numpy()) == float(traced.numpy()) == 6.0
