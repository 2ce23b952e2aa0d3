"""switch, map, vectorized_map, associative_scan, vectorize, custom_gradient: eager, compiled, symbolic, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.errors import GradientError
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(17)
X = rng.standard_normal((5, 3)).astype("float32")


def gradient_of(call, x):
    def gradient(x):
        x = ops.convert_to_tensor(x) * 1.0
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(call(x))
        return tape.gradient(y, x)

    eager, compiled = gradient(convert_to_tensor(x)).numpy(), function(gradient)(x).numpy()
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)
    return eager


# -- switch ----------------------------------------------------------------------------------------------------------

BRANCHES = [lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - 2 * y]


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_switch_runs_one_branch(index):
    wanted = keras.ops.switch(index, BRANCHES, X, X[:1])
    at = np.array(index, "int32")
    assert np.array_equal(ops.switch(index, BRANCHES, X, X[:1]), wanted)
    assert np.array_equal(ops.switch(convert_to_tensor(at), BRANCHES, X, X[:1]), wanted)
    compiled = function(lambda i, x: ops.switch(i, BRANCHES, x, x[:1]))
    np.testing.assert_allclose(compiled(at, X).numpy(), wanted, rtol=1e-6)

    def call(x):
        return ops.switch(ops.cast(ops.sum(x) * 0, "int32") + index, BRANCHES, x, x)

    factor = [2.0, 2 * X, -1.0][min(max(index, 0), 2)]
    np.testing.assert_allclose(gradient_of(call, X), np.broadcast_to(factor, X.shape), rtol=1e-5)


def test_switch_has_the_shape_of_its_branches_and_asks_for_one():
    x, y = KerasTensor((None, 3), "float32"), KerasTensor((1, 3), "float32")
    y = ops.switch(KerasTensor((), "int32"), BRANCHES, x, y)
    assert tuple(y.shape) == (None, 3)
    with pytest.raises(ValueError, match="switch: expected one branch or more; received none"):
        ops.switch(0, [])
    with pytest.raises(ValueError, match="the branches must return the same structure"):
        function(lambda i: ops.switch(i, [lambda: ops.ones(2), lambda: ops.ones(3)]))(np.int32(0))


# -- map -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["map", "vectorized_map"])
def test_map_stacks_what_the_function_makes_of_each_step(name):
    call = getattr(ops, name)
    weights = rng.standard_normal((3, 3)).astype("float32")

    def rows(x):
        return call(lambda row: ops.tanh(ops.matmul(row[None], weights))[0], x)

    wanted = np.tanh(X @ weights)
    np.testing.assert_allclose(rows(X).numpy(), wanted, rtol=1e-5)
    np.testing.assert_allclose(function(rows)(X).numpy(), wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient_of(rows, X), (1 - wanted**2) @ weights.T, rtol=1e-4, atol=1e-5)
    pair = call(lambda xs: xs[0] * xs[1], [X, X])
    np.testing.assert_allclose(pair.numpy(), X * X, rtol=1e-6)
    assert tuple(call(lambda row: row[:2], KerasTensor((7, 3), "float32")).shape) == (7, 2)


def test_map_takes_and_returns_structures():
    result = ops.map(lambda x: {"sum": ops.sum(x["a"]), "twice": x["b"] * 2}, {"a": X, "b": X[:, 0]})
    np.testing.assert_allclose(result["sum"].numpy(), X.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(result["twice"].numpy(), X[:, 0] * 2)


# -- associative_scan ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
def test_associative_scan_is_keras_s(n, reverse):
    x = rng.standard_normal((2, n, 2, 2)).astype("float32")

    def product(a, b):
        return ops.matmul(a, b)

    wanted = keras.ops.associative_scan(keras.ops.matmul, x, reverse=reverse, axis=1)
    got = ops.associative_scan(product, x, reverse, 1)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-4)
    compiled = function(lambda x: ops.associative_scan(product, x, reverse, 1))(x)
    np.testing.assert_allclose(compiled.numpy(), wanted, rtol=1e-4, atol=1e-4)
    total = np.cumsum(x[:, ::-1] if reverse else x, axis=1)
    total = total[:, ::-1] if reverse else total
    np.testing.assert_allclose(ops.associative_scan(ops.add, x, reverse, -3).numpy(), total, rtol=1e-4, atol=1e-5)


def test_associative_scan_of_structures_has_a_gradient():
    """A linear recurrence y[t] = a[t] y[t - 1] + b[t], the first element of a state space model."""
    a, b = rng.uniform(0.5, 1, (6, 2)), rng.standard_normal((6, 2))

    def run(b):
        def after(first, second):
            return {"a": first["a"] * second["a"], "b": first["b"] * second["a"] + second["b"]}

        return ops.associative_scan(after, {"a": convert_to_tensor(a), "b": b})["b"]

    y, state = [], np.zeros(2)
    for t in range(6):
        state = a[t] * state + b[t]
        y.append(state)
    np.testing.assert_allclose(run(b).numpy(), y)
    wanted, tail = [], np.zeros(2)
    for t in range(6)[::-1]:
        tail = np.ones(2) + (a[t + 1] * tail if t < 5 else 0)
        wanted.append(tail)
    np.testing.assert_allclose(gradient_of(run, b), wanted[::-1])


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ops.associative_scan(3, X), TypeError, "associative_scan: expected f to be a function; received 3"),
        (lambda: ops.associative_scan(ops.add, [X, X[:2]]), ValueError, r"received shapes \[\(5, 3\), \(2, 3\)\]"),
        (lambda: ops.associative_scan(ops.add, X, axis=2), ValueError, "associative_scan: axis 2 is out of range"),
    ],
)
def test_associative_scan_names_what_it_cannot_combine(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- vectorize -------------------------------------------------------------------------------------------------------


def test_vectorize_is_numpys():
    a, b = rng.standard_normal((4, 1)).astype("float32"), rng.standard_normal(3).astype("float32")
    wanted = np.vectorize(lambda x, y: x * y + 1)(a, b)
    call = ops.vectorize(lambda x, y: x * y + 1)
    for run in (call, function(call)):
        np.testing.assert_allclose(run(a, b).numpy(), wanted, rtol=1e-5)
    assert float(call(2.0, 3.0)) == 7.0
    power = ops.vectorize(lambda x, n: x**n, excluded={1})
    np.testing.assert_allclose(power(a, 2).numpy(), a**2, rtol=1e-5)


def test_vectorize_loops_over_the_axes_before_those_of_its_signature():
    m, v = rng.standard_normal((2, 1, 4, 3)).astype("float32"), rng.standard_normal((5, 3)).astype("float32")
    call = ops.vectorize(lambda m, v: (ops.matmul(m, v), ops.sum(v)), signature="(m,n),(n)->(m),()")
    for run in (call, function(call)):
        product, total = run(m, v)
        wanted = np.einsum("abij,bj->abi", np.broadcast_to(m, (2, 5, 4, 3)), v)
        np.testing.assert_allclose(product.numpy(), wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(total.numpy(), np.broadcast_to(v.sum(-1), (2, 5)), rtol=1e-5)
    np.testing.assert_allclose(gradient_of(lambda v: call(m[0, 0], v)[1], v), np.ones_like(v))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.vectorize(3), "vectorize: expected pyfunc to be a function; received 3"),
        (lambda: ops.vectorize(ops.add, signature="m,n->m"), r"vectorize: expected a signature such as '\(m,n\)"),
        (lambda: ops.vectorize(ops.add, signature="(n)->()")(X, X), "takes 1 arguments; received 2"),
        (lambda: ops.vectorize(ops.sum, signature="(n,m,k)->()")(X), r"does not fit arguments of shapes \[\(5, 3\)\]"),
        (lambda: ops.vectorize(ops.dot, signature="(n),(n)->()")(X, X[:, :2]), "n of signature .* is 3 and 2"),
    ],
)
def test_vectorize_names_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- custom_gradient -------------------------------------------------------------------------------------------------


@ops.custom_gradient
def log1pexp(x):
    """The example of Keras's documentation: its gradient does not overflow."""
    e = ops.exp(x)

    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return upstream * (1.0 - 1.0 / (1.0 + e))

    return ops.log(1.0 + e), grad


def test_a_custom_gradient_replaces_the_one_of_the_ops():
    x = np.array([-2.0, 0.5, 80.0], "float32")
    np.testing.assert_allclose(log1pexp(x).numpy(), np.log1p(np.exp(x.astype("float64"))), rtol=1e-6)
    np.testing.assert_allclose(gradient_of(log1pexp, x), 1 / (1 + np.exp(-x)), rtol=1e-5)


def test_a_custom_gradient_works_in_loops_layers_and_twice():
    @ops.custom_gradient
    def backwards(xs):
        a, b = xs

        def grad(g_product, g_sum):
            return -g_sum - g_product * b, -g_sum - g_product * a

        return {"sum": a + b, "product": a * b}, grad

    def call(x):
        result = backwards((x, x * 2.0))
        return result["sum"] + result["product"]

    np.testing.assert_allclose(gradient_of(call, X), -(3 + 4 * X), rtol=1e-5)
    looped = gradient_of(lambda x: ops.scan(lambda c, row: (c + ops.sum(log1pexp(row)), None), 0.0, x)[0], X)
    np.testing.assert_allclose(looped, 1 / (1 + np.exp(-X)), rtol=1e-5)
    again = gradient_of(lambda x: gradient_in(log1pexp, x), X)
    np.testing.assert_allclose(again, np.exp(-X) / (1 + np.exp(-X)) ** 2, rtol=1e-4)

    class Clipped(kcore.layers.Layer):
        def call(self, x):
            return log1pexp(x)

    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2), Clipped()])
    model.compile("sgd", "mse")
    losses = model.fit(X, X[:, :2] ** 2, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def gradient_in(call, x):
    with GradientTape() as tape:
        tape.watch(x)
        y = call(x)
    return tape.gradient(y, x)


def test_a_custom_gradient_of_a_wrong_number_of_arguments_is_named():
    @ops.custom_gradient
    def wrong(x, y):
        return x * y, lambda g: g

    with pytest.raises(GradientError, match="gradient of 'wrong' returned 1 gradients for 2 arguments"):
        gradient_of(lambda x: wrong(x, x), X)
