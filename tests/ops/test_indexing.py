"""take, take_along_axis, scatter, sort and their gradients against NumPy and Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kcore import ops
from kcore.ops.indexing import gather, scatter_add
from kcore.runtime import GradientTape, convert_to_tensor, function

rng = np.random.default_rng(0)
X = rng.standard_normal((4, 5, 6)).astype("float32")


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take_is_numpys(axis):
    indices = np.array([[3, -1], [0, -4]], "int32")
    np.testing.assert_array_equal(ops.take(X, indices, axis=axis).numpy(), np.take(X, indices, axis=axis))
    traced = function(lambda x, i: ops.take(x, i, axis=axis))(X, indices).numpy()
    np.testing.assert_array_equal(traced, np.take(X, indices, axis=axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_take_along_axis_and_argsort_are_numpys(axis):
    order = np.argsort(X, axis=axis, kind="stable")
    np.testing.assert_array_equal(ops.argsort(X, axis=axis).numpy(), order)
    np.testing.assert_array_equal(ops.take_along_axis(X, order, axis=axis).numpy(), np.sort(X, axis=axis))
    np.testing.assert_array_equal(ops.sort(X, axis=axis).numpy(), np.sort(X, axis=axis))


def test_top_k_takes_the_first_of_equal_elements():
    x = np.array([[1, 3, 3, 2], [5, 5, 5, 5]], "float32")
    values, indices = ops.top_k(x, 2)
    assert values.numpy().tolist() == [[3, 3], [5, 5]]
    assert indices.numpy().tolist() == [[1, 2], [0, 1]] and indices.dtype == "int32"


def test_top_k_of_the_least_integer_does_not_overflow():
    x = np.array([-(2**31), 0, 2**31 - 1], "int32")
    assert ops.top_k(x, 3)[0].numpy().tolist() == x[::-1].tolist()


def test_searchsorted_is_numpys():
    sequence, values = np.array([0.0, 1.0, 1.0, 2.0]), np.array([[1.0, -1.0], [3.0, 1.5]])
    for side in ("left", "right"):
        expected = np.searchsorted(sequence, values, side)
        np.testing.assert_array_equal(ops.searchsorted(sequence, values, side=side).numpy(), expected)


def test_scatter_adds_equal_indices_as_keras_does():
    indices = np.array([[0, 1], [2, 0], [0, 1]])
    values = rng.standard_normal((3, 4)).astype("float32")
    expected = keras.ops.scatter(indices, values, (3, 2, 4))
    np.testing.assert_allclose(ops.scatter(indices, values, (3, 2, 4)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("rows, slots, width", [(50, 7, 5), (2560, 20000, 16), (20000, 3, 4), (9, 5, 1)])
def test_scatter_add_is_add_at(rows, slots, width):
    indices = np.minimum(rng.zipf(1.5, rows) - 1, slots - 1).astype("int32")
    updates = rng.standard_normal((rows, width))
    expected = np.zeros((slots, width))
    np.add.at(expected, indices, updates)
    np.testing.assert_allclose(scatter_add(indices, updates, size=slots).numpy(), expected, rtol=1e-10, atol=1e-10)


def test_gradient_of_gather_sums_what_was_taken_twice():
    table = convert_to_tensor(X[:, 0])
    weights = rng.standard_normal((3, 6)).astype("float32")
    with GradientTape() as tape:
        tape.watch(table)
        loss = ops.sum(gather(table, np.array([2, 0, 2])) * weights)
    expected = np.zeros((4, 6), "float32")
    expected[2], expected[0] = weights[0] + weights[2], weights[1]
    np.testing.assert_allclose(tape.gradient(loss, table).numpy(), expected, rtol=1e-6)


def test_the_gradient_of_an_embedding_is_the_same_bits_every_time():
    indices = rng.integers(0, 40, 5000).astype("int32")
    updates = rng.standard_normal((5000, 33)).astype("float32")
    first = scatter_add(indices, updates, size=40).numpy()
    assert all((scatter_add(indices, updates, size=40).numpy() == first).all() for _ in range(3))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.take(X, [4], axis=0), "index 4 is out of range for an axis of size 4"),
        (lambda: ops.take(X, [0], axis=3), "axis 3 is out of range for a tensor of rank 3"),
        (lambda: gather(X, np.ones(2, "float32")), "indices must be integers"),
        (lambda: ops.top_k(X, 7), "k=7"),
        (lambda: ops.searchsorted(X, X), "only supports 1-D"),
        (lambda: ops.take_along_axis(X, np.zeros((1, 1), "int32"), axis=0), "expected indices of rank 3"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_index_out_of_range_is_an_error_of_the_compiled_function():
    lookup = function(lambda i: gather(X, i))
    with pytest.raises(ValueError, match="takes indices 0 to 3"):
        lookup(np.array([0, 4], "int32"))
