"""Segments, scattered updates and windows that are replaced, beside Keras and NumPy; traced, gradients, messages."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.backend.compile import primitives_only
from kcore.errors import TracingError
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(11)
DATA = rng.standard_normal((9, 3)).astype("float32")
IDS = np.array([2, 0, 2, -1, 4, 0, 2, 7, 4], "int32")
KINDS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}


def reduced(kind, data, ids, count):
    empty = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf}[kind]
    if data.dtype.kind == "i" and kind in ("max", "min"):
        empty = getattr(np.iinfo(data.dtype), "min" if kind == "max" else "max")
    result = np.full((count, *data.shape[1:]), empty, data.dtype)
    inside = (ids >= 0) & (ids < count)
    KINDS[kind].at(result, ids[inside], data[inside])
    return result


@pytest.mark.parametrize("data", [DATA, DATA[:, 0], (DATA * 4).astype("int32")], ids=["rows", "numbers", "integers"])
@pytest.mark.parametrize("kind", KINDS)
def test_segments_reduce_rows_and_leave_out_other_ids(kind, data):
    call = getattr(ops, f"segment_{kind}")
    for count in (None, 6, 3):
        wanted = reduced(kind, data, IDS, 8 if count is None else count)
        got = call(data, IDS, count)
        assert got.dtype == wanted.dtype.name
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-6)
        if count is not None:
            with primitives_only():
                traced = function(lambda x, i, n=count: call(x, i, num_segments=n))(data, IDS)
            np.testing.assert_allclose(traced.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_segments_are_keras_s(kind):
    ids = np.abs(IDS) % 3
    wanted = getattr(keras.ops, f"segment_{kind}")(DATA, ids, 3)
    got = getattr(ops, f"segment_{kind}")(DATA, ids)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-5)
    symbols = KerasTensor((None, 3), "float32"), KerasTensor((None,), "int32")
    assert tuple(getattr(ops, f"segment_{kind}")(*symbols, 3).shape) == (3, 3)
    assert tuple(getattr(ops, f"segment_{kind}")(*symbols).shape) == (None, 3)


def gradient_of(call, *xs):
    xs = [convert_to_tensor(x) for x in xs]
    with GradientTape() as tape:
        tape.watch(xs)
        y = call(*xs)
    return [g.numpy() for g in tape.gradient(y, xs)]


def test_equal_extremes_share_the_gradient_and_a_zero_leaves_the_others_theirs():
    x, ids = np.array([3.0, 1.0, 3.0, 3.0, 5.0]), np.array([0, 0, 0, 0, 1])
    (gradient,) = gradient_of(lambda x: ops.sum(ops.segment_max(x, ids) * np.array([6.0, 2.0])), x)
    np.testing.assert_allclose(gradient, [2, 0, 2, 2, 2])
    (gradient,) = gradient_of(lambda x: ops.sum(ops.segment_prod(x, ids)), np.array([2.0, 0.0, 3.0, 4.0, 5.0]))
    np.testing.assert_allclose(gradient, [0, 24, 0, 0, 1])


UPDATES = [
    (np.zeros((4, 3), "float32"), np.array([[1], [3], [1], [-1]]), DATA[:4]),
    (np.ones((3, 4, 2), "float32"), np.array([[0, 1], [2, 3], [0, 1]]), DATA[:3, :2]),
    (np.arange(6, dtype="float32"), np.array([[5], [0]]), DATA[:2, 0]),
    (np.ones((2, 2), "float32"), np.array([[0, 0], [1, 1], [0, 0]]), DATA[:3, 0]),
]


@pytest.mark.parametrize("reduction", [None, "add", "max", "MIN", "mul"])
@pytest.mark.parametrize("inputs, indices, updates", UPDATES)
def test_scatter_update_is_keras_s(inputs, indices, updates, reduction):
    wanted = keras.ops.scatter_update(inputs.copy(), indices, updates, reduction=reduction)
    before = inputs.copy()
    np.testing.assert_allclose(ops.scatter_update(inputs, indices, updates, reduction).numpy(), wanted, rtol=1e-6)
    traced = function(lambda x, i, u: ops.scatter_update(x, i, u, reduction))
    np.testing.assert_allclose(traced(inputs, indices.astype("int32"), updates).numpy(), wanted, rtol=1e-6)
    np.testing.assert_array_equal(inputs, before)


def test_the_gradient_of_a_replaced_slot_goes_to_the_update_that_counts():
    inputs, indices, updates = UPDATES[0]
    weights = rng.standard_normal(inputs.shape)
    to_inputs, to_updates = gradient_of(
        lambda x, u: ops.sum(ops.scatter_update(x, indices, u) * weights), inputs.astype("float64"), updates * 1.0
    )
    kept = np.array([1.0, 0, 1, 0])[:, None]
    np.testing.assert_allclose(to_inputs, weights * kept)
    np.testing.assert_allclose(to_updates, [weights[1] * 0, weights[3] * 0, weights[1], weights[3]], rtol=1e-6)


@pytest.mark.parametrize("start, shape", [((0, 1), (2, 2)), ((3, 0), (1, 5)), ((0, 0), (4, 5)), ((2, 3), (0, 1))])
def test_slice_update_is_keras_s(start, shape):
    inputs, updates = rng.standard_normal((4, 5)).astype("float32"), rng.standard_normal(shape)
    wanted = keras.ops.slice_update(inputs.copy(), start, updates)
    np.testing.assert_allclose(ops.slice_update(inputs, start, updates).numpy(), wanted, rtol=1e-6)
    moving = function(ops.slice_update)(inputs, np.array(start, "int32"), updates)
    np.testing.assert_allclose(moving.numpy(), wanted, rtol=1e-6)
    if not updates.size:
        return
    to_inputs, to_updates = gradient_of(
        lambda x, u: ops.sum(ops.slice_update(x, start, u) * x * 2.0), inputs.astype("float64"), updates
    )
    window = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    wanted = 4.0 * inputs
    wanted[window] = 2 * updates
    np.testing.assert_allclose(to_inputs, wanted, rtol=1e-5)
    np.testing.assert_allclose(to_updates, 2 * inputs[window], rtol=1e-5)


def test_a_window_whose_start_is_computed_is_moved_to_where_it_fits():
    far = function(lambda s: ops.slice_update(np.zeros(5, "float32"), s, np.ones(2, "float32")))
    assert far(np.array([9], "int32")).numpy().tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ops.segment_sum(DATA, IDS[:4]),
            r"segment_sum: expected segment_ids .* \(4,\) and \(9, 3\)",
        ),
        (
            lambda: ops.segment_max(DATA, DATA[:, 0]),
            "segment_max: expected segment_ids to be integers",
        ),
        (
            lambda: ops.scatter_update(DATA, [[0]], DATA[:1], "mean"),
            "expected reduction to be one of .*'mean'",
        ),
        (
            lambda: ops.scatter_update(DATA, [[0, 1]], DATA[:1]),
            r"inputs of shape \(9, 3\); .* \(1, 2\) and \(1, 3\)",
        ),
        (lambda: ops.scatter_update(DATA, [[9]], DATA[:1]), "scatter_update: index 9 is out of range"),
        (lambda: ops.slice_update(DATA, (0, 0), DATA[0]), r"updates of the rank of inputs and not larger; .* \(3,\)"),
        (lambda: ops.slice_update(DATA, (8, 0), DATA[:2]), r"begins at \[8, 0\] is not inside of shape \(9, 3\)"),
        (lambda: ops.slice_update(DATA, (8,), DATA[:1]), "slice_update: expected 2 start_indices"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_compiled_step_must_be_told_how_many_segments_there_are():
    with pytest.raises(TracingError, match="segment_sum: num_segments must be given"):
        function(lambda i: ops.segment_sum(DATA, i))(IDS)
