"""Functions that search and count, products of vectors, distances and correlations, beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.errors import TracingError
from kcore.runtime import GradientTape, KerasTensor, convert_to_tensor, function

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 5)).astype("float32")
V = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5], "int32")
ROWS = np.array([[1, 2], [3, 0], [1, 2], [1, 0]], "int32")
ODD = np.array([2.0, np.nan, 1.0, np.nan, 2.0, -np.inf], "float32")
TRUTH = np.array([[True, False, True], [False, False, True]])


@pytest.mark.parametrize("x", [V, ROWS, ODD, X, TRUTH, np.zeros(0, "float32")], ids=lambda x: f"{x.dtype}{x.shape}")
def test_distinct_elements(x, agrees):
    what = {"return_index": True, "return_inverse": True, "return_counts": True}
    agrees("unique", x, static=True)
    agrees("unique", x, **what, static=True, dtypes=[str(x.dtype), "int32", "int32", "int32"])
    for size in (2, 7):
        agrees("unique", x, size=size, fill_value=1, dtypes=str(x.dtype))
        agrees("unique", x, size=size, return_counts=True, dtypes=[str(x.dtype), "int32"])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_distinct_slices(axis, agrees):
    what = {"return_index": True, "return_inverse": True, "return_counts": True}
    agrees("unique", ROWS, axis=axis, **what, static=True, dtypes=["int32"] * 4)
    agrees("unique", ROWS, axis=axis, size=3)
    agrees("unique", np.stack([X, X[:, ::-1], X]), axis=0, static=True)


def test_missing_indices_are_zero():
    values, index = ops.unique([5, 5], size=3, return_index=True)
    assert (values.numpy().tolist(), index.numpy().tolist()) == ([5, 0, 0], [0, 0, 0])
    with pytest.raises(ValueError, match=r"unique: slices along axis 0 of shape \(2, 0\) have no elements"):
        ops.unique(np.zeros((2, 0)), axis=0)


@pytest.mark.parametrize("x", [X * (X > 0), V * 0, TRUTH, np.zeros((2, 0), "float32")], ids=lambda x: str(x.shape))
def test_nonzero(x, agrees):
    agrees("nonzero", x, static=True, dtypes="int32")


@pytest.mark.parametrize(
    ("name", "advice"),
    [("nonzero", r"ops.where\(condition, x1, x2\)"), ("unique", "give size="), ("bincount", r"ops.one_hot\(x, n\)")],
)
def test_results_whose_shape_depends_on_values_are_not_compiled(name, advice):
    text = f"^{name}: the shape of the result depends on values, .*{advice}"
    with pytest.raises(TracingError, match=text):
        function(getattr(ops, name))(V)
    with pytest.raises(TracingError, match=text):
        getattr(ops, name)(KerasTensor((9,), "int32"))


def test_nonzero_needs_an_axis():
    with pytest.raises(ValueError, match="nonzero: expected one dimension or more; received a scalar"):
        ops.nonzero(3.0)


@pytest.mark.parametrize("invert", [False, True])
def test_isin(invert, agrees):
    agrees("isin", V.reshape(3, 3), np.array([[1, 5], [7, 100]], "int32"), invert=invert)
    agrees("isin", ODD, np.array([np.nan, 2.0], "float32"), invert=invert)
    agrees("isin", TRUTH, np.array([True]), invert=invert)
    agrees("isin", V, np.zeros(0, "int32"), invert=invert)
    agrees("isin", np.unique(V), np.unique(X), invert=invert, assume_unique=True)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_argpartition(axis):
    order = ops.argpartition(X, 2, axis=axis)
    ordered = np.take_along_axis(X.reshape(-1) if axis is None else X, order.numpy(), axis or 0 if axis != -1 else -1)
    np.testing.assert_array_equal(ordered, np.sort(X, axis))
    assert order.dtype == "int32"
    with pytest.raises(ValueError, match="argpartition: kth=20 is out of range for an axis of size"):
        ops.argpartition(X, 20, axis=axis)


def test_bincount(agrees):
    agrees("bincount", V, static=True)
    agrees("bincount", V, minlength=12, static=True)
    agrees("bincount", V, weights=V.astype("float32") / 2, static=True)
    agrees("bincount", V.astype("uint8"), weights=V, static=True)
    agrees("bincount", np.array([[1, 2, 3], [3, 3, 0]], "int32"), static=True)
    agrees("bincount", np.array([[1, 2, 3], [3, 3, 0]], "int32"), weights=X[:2, :3], static=True, near=1e-5)
    agrees("bincount", np.zeros(0, "int32"), minlength=3, static=True)


@pytest.mark.parametrize(
    ("x", "more", "error", "text"),
    [
        (np.array([-1, 2]), {}, ValueError, "expected numbers of at least 0; received -1"),
        (X[0], {}, TypeError, "expected x to hold integers or truth values; received float32"),
        (V, {"weights": X[0]}, ValueError, r"expected weights of the shape of x, \(9,\); received \(5,\)"),
        (V.reshape(1, 3, 3), {}, ValueError, r"expected a vector or a matrix; received shape \(1, 3, 3\)"),
        (V, {"sparse": True}, ValueError, "sparse must be False"),
    ],
)
def test_what_bincount_cannot_count(x, more, error, text):
    with pytest.raises(error, match=f"^bincount: .*{text}"):
        ops.bincount(x, **more)


def test_digitize(agrees):
    agrees("digitize", X, np.array([-1.0, 0.0, 0.5], "float32"))
    agrees("digitize", X, np.array([1.0, 0.0, -0.5], "float32"))
    agrees("digitize", V, np.array([1, 4, 5], "int32"))
    agrees("digitize", V, np.array([0.5, 4.0], "float32"))
    agrees("digitize", V, np.zeros(0, "int32"))
    with pytest.raises(ValueError, match=r"digitize: expected bins to be a vector; received shape \(3, 5\)"):
        ops.digitize(V, X)


def test_histogram(agrees):
    for x in (X.reshape(-1), V, np.array([2.0, 2.0], "float32"), np.zeros(0, "float32")):
        for more in ({}, {"bins": 4}, {"range": (0.0, 4.0)}):
            agrees("histogram", x, dtypes=["int32", "float32"], **more)


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"bins": 2.5}, TypeError, "expected bins to be an integer; received 2.5"),
        ({"bins": -1}, ValueError, "expected bins to be 0 or more; received -1"),
        ({"range": (3, 1)}, ValueError, r"expected range to be a tuple of two ascending numbers; received \(3, 1\)"),
    ],
)
def test_what_has_no_histogram(more, error, text):
    with pytest.raises(error, match=f"^histogram: {text}"):
        ops.histogram(V, **more)
    with pytest.raises(ValueError, match=r"^histogram: expected a vector; received shape \(3, 5\)"):
        ops.histogram(X)


def test_in_top_k(agrees):
    targets = np.array([0, 3, 4], "int32")
    scores = np.array([[0.1, 0.9, 0.1, 0.5, 0.1], [np.nan, 1, 2, 3, 4], [1, 2, 3, np.inf, np.nan]], "float32")
    for k in (1, 2, 3, 5):
        found = ops.in_top_k(targets, scores, k).numpy().tolist()
        assert found == [k >= 3, k >= 2, k >= 5], k  # as Keras on JAX; on NumPy NaN ranks first
        agrees("in_top_k", targets, X, k)
    with pytest.raises(TypeError, match="in_top_k: expected targets to hold integers"):
        ops.in_top_k(X[:, 0], X, 1)


def test_multi_hot(agrees):
    agrees("multi_hot", V, num_classes=10)
    agrees("multi_hot", ROWS, num_classes=4, dtype="int32")
    agrees("multi_hot", ROWS, num_classes=4, axis=1)
    agrees("multi_hot", V, num_tokens=12)
    assert ops.multi_hot([0, 9], num_classes=2).numpy().tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="multi_hot: num_classes, the number of classes, must be given"):
        ops.multi_hot(V)
    with pytest.raises(TypeError, match=r"multi_hot\(\) has no argument 'classes'"):
        ops.multi_hot(V, classes=3)


# -- products ----------------------------------------------------------------------------------------------------------


def test_inner_and_kron(agrees):
    for name in ("inner", "kron"):
        agrees(name, X, X[:2] * 2, near=1e-5)
        agrees(name, X[0], X[1], near=1e-5)
        agrees(name, V[:3], V[3:6])
        agrees(name, V.astype("uint8"), V.astype("int8"))
        agrees(name, V, np.int32(3) * np.ones((), "int32"))
    agrees("kron", X, X[0])
    agrees("kron", X[0], np.stack([X, X]))
    with pytest.raises(ValueError, match=r"inner: the last axes of shapes \(3, 5\) and \(9,\) must be of one size"):
        ops.inner(X, V)


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors are deprecated")
@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 3), (3, 2), (2, 2)])
def test_cross(n, m, agrees):
    agrees("cross", X[:, :n], X[:1, 1 : 1 + m])
    agrees("cross", V[:n], V[3 : 3 + m])
    agrees("cross", X[:, :n].T.copy(), X[:, :m], axisa=0)
    if 3 in (n, m):
        agrees("cross", X[:, :n], X[:, 1 : 1 + m], axisc=0)
        agrees("cross", X[:, :n].T.copy(), X[:, 1 : 1 + m].T.copy(), axis=0)


def test_what_has_no_cross_product():
    with pytest.raises(ValueError, match="cross: expected vectors of 2 or 3 elements along axis -1 of x2; received"):
        ops.cross(X[:, :3], X)
    with pytest.raises(TypeError, match="cross: expected numbers; received bool"):
        ops.cross(TRUTH, TRUTH)


def test_cdist(agrees):
    agrees("cdist", X, X[:2] + 1)
    agrees("cdist", np.stack([X, X + 1]), np.stack([X, X - 1]), near=1e-5)
    agrees("cdist", ROWS, ROWS, dtypes="float32")
    with pytest.raises(ValueError, match=r"cdist: expected points .* received shapes \(3, 5\) and \(4, 2\)"):
        ops.cdist(X, ROWS)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_average(axis, agrees):
    agrees("average", X, axis=axis)
    agrees("average", X, axis=axis, weights=np.abs(X), near=1e-5)
    agrees("average", ROWS, axis=axis)
    if axis is not None:
        agrees("average", X, axis=axis, weights=np.arange(1, X.shape[axis] + 1).astype("int32"), near=1e-5)
    else:
        with pytest.raises(ValueError, match=r"average: expected weights of the shape of x, \(3, 5\), .* shape \(5,\)"):
            ops.average(X, weights=X[0])


def test_corrcoef(agrees):
    agrees("corrcoef", X, near=1e-5)
    agrees("corrcoef", ROWS.T.copy(), near=1e-5)
    agrees("corrcoef", X[0], near=1e-5)
    with pytest.raises(ValueError, match=r"corrcoef: expected \(variables, observations\); received shape \(1, 3, 5\)"):
        ops.corrcoef(X[None])


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_correlate(mode, agrees):
    for n, m in ((5, 3), (3, 5), (4, 4), (5, 2), (2, 5), (1, 4)):
        a, b = RNG.normal(size=n).astype("float32"), RNG.normal(size=m).astype("float32")
        agrees("correlate", a, b, mode=mode, near=1e-5)
    agrees("correlate", V, V[:2], mode=mode)
    with pytest.raises(ValueError, match="correlate: expected mode to be 'valid', 'same' or 'full'; received 'half'"):
        ops.correlate(V, V, mode="half")


def test_gradients(differentiates):
    differentiates(ops.inner, X, X[:2])
    differentiates(ops.kron, X, X[:2, :2])
    differentiates(ops.cross, X[:, :3], X[:, 2:])
    differentiates(ops.cdist, X, X[:2] + 1)
    differentiates(lambda x, w: ops.average(x, axis=1, weights=w), X, np.arange(1.0, 6.0))
    differentiates(ops.corrcoef, X)
    differentiates(lambda a, b: ops.correlate(a, b, "same"), X[0], X[1, :3])


def test_the_distance_of_a_point_from_itself_has_no_slope():
    x = convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch([x])
        y = ops.sum(ops.cdist(x, x))
    assert np.isfinite(tape.gradient(y, [x])[0].numpy()).all()
