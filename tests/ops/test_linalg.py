"""Linear algebra beside Keras's and NumPy's: values, dtypes, traced, symbolic, gradients, and what is refused.

That the gradients are finite differences is checked by the samples of the ops (`kcore test-backend`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.errors import GradientError
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(5)
SQUARE = (rng.standard_normal((2, 4, 4)) + 3 * np.eye(4)).astype("float32")
POSITIVE = (SQUARE @ np.swapaxes(SQUARE, -1, -2)).astype("float32")
TALL = rng.standard_normal((2, 5, 3)).astype("float32")
WIDE = np.ascontiguousarray(np.swapaxes(TALL, -1, -2))
RIGHT = rng.standard_normal((2, 4, 3)).astype("float32")
LOW = np.concatenate([TALL, TALL[..., :1] + TALL[..., 1:2]], axis=-1)  # the last column is no news
REAL = np.array([[4.0, 1, -0.5], [0.5, -3, 1], [1, 0.25, 1.5]], "float32")

CASES = [
    ("cholesky", (POSITIVE,), {}),
    ("cholesky", (POSITIVE[0],), {"upper": True}),
    ("cholesky_inverse", (np.tril(SQUARE[0]),), {}),
    ("cholesky_inverse", (np.triu(SQUARE[0]),), {"upper": True}),
    ("det", (SQUARE,), {}),
    ("det", (np.zeros((3, 3), "float32"),), {}),
    ("slogdet", (SQUARE[:, ::-1],), {}),
    ("slogdet", (np.ones((2, 2), "float32"),), {}),
    ("logdet", (POSITIVE,), {}),
    ("inv", (SQUARE,), {}),
    ("solve", (SQUARE, RIGHT), {}),
    ("solve", (SQUARE[0], RIGHT[0, :, 0]), {}),
    ("solve_triangular", (SQUARE, RIGHT), {}),
    ("solve_triangular", (SQUARE, RIGHT), {"lower": True}),
    ("solve_triangular", (SQUARE, RIGHT[..., 0]), {"lower": True}),
    ("eigh", (POSITIVE,), {}),
    ("eig", (REAL,), {}),
    ("qr", (TALL,), {}),
    ("qr", (WIDE,), {}),
    ("qr", (TALL,), {"mode": "complete"}),
    ("svd", (TALL,), {}),
    ("svd", (WIDE,), {"full_matrices": False}),
    ("svd", (TALL,), {"compute_uv": False}),
    ("lu_factor", (SQUARE,), {}),
    ("lu_factor", (TALL[0],), {}),
    ("lu_factor", (WIDE[0],), {}),
    ("pinv", (TALL,), {}),
    ("pinv", (LOW,), {"rcond": 1e-5}),
    ("pinv", (WIDE[0],), {"rcond": 0.5}),
    ("matrix_rank", (LOW,), {}),
    ("matrix_rank", (TALL,), {"tol": 1.5}),
    ("lstsq", (TALL[0], RIGHT.reshape(-1)[:5]), {}),
    ("lstsq", (LOW[0], RIGHT.reshape(-1)[:10].reshape(5, 2)), {"rcond": 1e-5}),
    ("norm", (SQUARE,), {"axis": (-2, -1)}),
]


def flat(result):
    return list(result) if isinstance(result, tuple) or hasattr(result, "_fields") else [result]


@pytest.mark.parametrize("name, arguments, config", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_linear_algebra_is_keras_s_eager_and_traced(name, arguments, config):
    wanted = [np.asarray(y) for y in flat(getattr(keras.ops, name)(*arguments, **config))]
    call = getattr(ops.linalg, name)
    for run in (call, function(lambda *xs: call(*xs, **config))):
        got = flat(run(*arguments, **config) if run is call else run(*arguments))
        assert [(tuple(y.shape), y.dtype) for y in got] == [(w.shape, w.dtype.name) for w in wanted]
        for y, w in zip(got, wanted, strict=True):
            np.testing.assert_allclose(y.numpy(), w, rtol=2e-4, atol=2e-4)
    specs = [KerasTensor((None, *a.shape[1:]) if a.ndim > 2 else a.shape, "float32") for a in arguments]
    assert [tuple(s.shape)[1:] for s in flat(call(*specs, **config))] == [w.shape[1:] for w in wanted]


def test_the_submodule_has_keras_s_names():
    names = {name for name in dir(keras.ops.linalg) if not name.startswith("_")}
    assert names <= set(ops.linalg.__all__) <= set(ops.__all__) and ops.linalg.solve is ops.solve


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_blocks_of_triangular_systems_and_of_lu_meet_at_their_edges(n):
    a = rng.standard_normal((n, n)) + n * np.eye(n)
    b = rng.standard_normal((n, 3))
    for lower in (True, False):
        triangle = np.tril(a) if lower else np.triu(a)
        np.testing.assert_allclose(triangle @ ops.solve_triangular(a, b, lower=lower).numpy(), b, atol=1e-9)
    mixed = rng.standard_normal((n, n + 5))
    lu, pivots = (t.numpy() for t in ops.lu_factor(mixed))
    order = np.arange(n)
    for i, p in enumerate(pivots):
        order[[i, p]] = order[[p, i]]
    lower, upper = np.tril(lu[:, :n], -1) + np.eye(n), np.triu(lu)
    np.testing.assert_allclose(lower @ upper, mixed[order], atol=1e-10)
    assert np.abs(lower).max() <= 1


@pytest.mark.parametrize("dtype, wanted", [("int32", "float32"), ("float16", "float16"), ("bfloat16", "bfloat16")])
def test_integers_and_halves_are_computed_in_float32(dtype, wanted):
    x = ops.cast(np.array([[4, 1], [1, 3]]), dtype)
    for y in (ops.inv(x), ops.cholesky(x), ops.eigh(x)[1], ops.svd(x)[1], ops.det(x), ops.solve(x, x)):
        assert y.dtype == wanted
    assert abs(float(ops.det(x)) - 11) < 0.1


def test_a_matrix_serves_a_stack_of_right_sides():
    got = ops.solve(SQUARE[:1], RIGHT).numpy()
    np.testing.assert_allclose(SQUARE[0] @ got, RIGHT, atol=1e-5)


def test_a_pseudo_inverse_leaves_rounding_out_by_itself():
    np.testing.assert_allclose(ops.pinv(LOW).numpy(), np.linalg.pinv(LOW.astype("float64"), 1e-5), atol=1e-4)


def test_models_train_through_factorizations():
    """Gaussian log-likelihood: the covariance that is learned is the data's."""
    x = rng.standard_normal((200, 2)) @ np.array([[1.0, 0.5], [0.0, 0.7]])
    root = kcore.Variable(np.eye(2))

    @function
    def step():
        with GradientTape() as tape:
            covariance = ops.matmul(root.value, ops.transpose(root.value))
            factor = ops.cholesky(covariance)
            white = ops.solve_triangular(factor, np.ascontiguousarray(x.T), lower=True)
            loss = 0.5 * ops.mean(ops.sum(white * white, axis=0)) + 0.5 * ops.logdet(covariance)
        root.assign_sub(0.1 * tape.gradient(loss, root))
        return loss

    for _ in range(300):
        step()
    learned = root.numpy() @ root.numpy().T
    np.testing.assert_allclose(learned, x.T @ x / 200, atol=1e-4)


def test_gradients_of_repeated_singular_values_are_finite_in_pinv_and_lstsq():
    x = np.eye(3)[:, :2]
    with GradientTape() as tape:
        t = convert_to_tensor(x)
        tape.watch(t)
        loss = ops.sum(ops.lstsq(t, np.array([1.0, 2.0, 3.0])))
    gradient = tape.gradient(loss, t).numpy()
    step = 1e-6
    for at in np.ndindex(3, 2):
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            sides.append(np.linalg.lstsq(moved, np.array([1.0, 2.0, 3.0]), rcond=None)[0].sum())
        assert abs(gradient[at] - (sides[0] - sides[1]) / (2 * step)) < 1e-6


DERIVATIVES = {
    "svd of tall": (lambda x: ops.svd(x, full_matrices=False), TALL),
    "svd of wide": (lambda x: ops.svd(x, full_matrices=False), WIDE),
    "pinv of tall": (lambda x: ops.pinv(x), TALL),
    "pinv of wide": (lambda x: ops.pinv(x), WIDE),
    "lstsq": (lambda x: ops.lstsq(x, x[:, :2] * x[:, 1:]), TALL[0]),
    "cholesky_inverse": (lambda x: ops.cholesky_inverse(x, upper=True), SQUARE[0]),
}


@pytest.mark.parametrize("call, x", DERIVATIVES.values(), ids=DERIVATIVES.keys())
def test_gradients_and_their_gradients_are_finite_differences(call, x):
    x = x.astype("float64")
    weights = [rng.uniform(0.5, 1.5, y.shape) for y in flat(call(x))]
    direction, other = rng.uniform(-1, 1, x.shape), rng.uniform(-1, 1, x.shape)

    def first(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = sum(ops.sum(part * w) for part, w in zip(flat(call(x)), weights, strict=True))
        return y, tape.gradient(y, x)

    def second(x):
        with GradientTape() as tape:
            tape.watch(x)
            slope = ops.sum(first(x)[1] * other)
        return slope, tape.gradient(slope, x)

    step = 1e-5
    for derivative in (first, second):
        run = function(derivative)
        ends = [float(run(x + sign * step * direction)[0]) for sign in (1, -1)]
        slope = np.vdot(run(x)[1].numpy(), direction)
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-5)


def gradient_of(call, x):
    with GradientTape() as tape:
        x = convert_to_tensor(x)
        tape.watch(x)
        y = ops.sum(call(x))
    return tape.gradient(y, x)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gradient_of(lambda x: ops.svd(x)[0], TALL), "take full_matrices=False"),
        (lambda: gradient_of(lambda x: ops.qr(x, "complete")[0], TALL), "mode='complete' has no gradient for tall"),
        (lambda: gradient_of(lambda x: ops.lu_factor(x)[0], TALL), "lu_factor has a gradient for square matrices"),
    ],
)
def test_gradients_that_do_not_exist_are_refused(call, message):
    with pytest.raises(GradientError, match=message):
        call()


def test_singular_values_have_a_gradient_whatever_the_vectors_are():
    np.testing.assert_allclose(
        gradient_of(lambda x: ops.svd(x)[1], TALL).numpy(),
        gradient_of(lambda x: ops.svd(x, full_matrices=False)[1], TALL).numpy(),
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.cholesky(TALL), r"cholesky: expected square matrices; received shape \(2, 5, 3\)"),
        (lambda: ops.det(RIGHT[0, 0]), r"det: expected a matrix or a stack of them \(rank 2 or more\)"),
        (
            lambda: ops.inv(KerasTensor((None, 3, 4), "float32")),
            r"inv: expected square .* shape \(None, 3, 4\)",
        ),
        (lambda: ops.solve(SQUARE, TALL), r"solve: expected a \(..., n, n\) and b .* \(2, 4, 4\) and \(2, 5, 3\)"),
        (lambda: ops.solve(SQUARE[0], 1.0), "solve: expected b to be a vector.* received a scalar"),
        (lambda: ops.qr(TALL, "full"), "qr: expected mode to be 'reduced' or 'complete'; received 'full'"),
        (lambda: ops.lstsq(TALL, TALL), r"lstsq: expected a \(m, n\) and b \(m,\) or \(m, k\)"),
        (lambda: ops.cholesky(-POSITIVE), "Cholesky decomposition failed: the matrix is not positive definite"),
        (lambda: ops.solve(np.ones((2, 2)), np.ones(2)), "solve: singular matrix"),
        (lambda: ops.inv(np.zeros((2, 2))), "inv: singular matrix"),
        (lambda: ops.solve_triangular(np.zeros((2, 2)), np.ones(2)), "solve_triangular: singular matrix"),
        (lambda: ops.eig(np.array([[0.0, 1.0], [-1.0, 0.0]])), "eig: some of the eigenvalues are complex"),
    ],
)
def test_bad_matrices_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_compiled_a_matrix_without_a_result_gives_nan_and_its_neighbours_are_right():
    stack = np.stack([POSITIVE[0], -POSITIVE[0], POSITIVE[1]])
    factor = function(ops.cholesky)(stack).numpy()
    assert np.isnan(factor[1]).all()
    np.testing.assert_allclose(factor[::2], np.linalg.cholesky(stack[::2]), rtol=1e-4, atol=1e-4)
    inverse = function(ops.inv)(np.stack([np.zeros((4, 4), "float32"), SQUARE[0]])).numpy()
    assert np.isnan(inverse[0]).all() and np.isfinite(inverse[1]).all()


def test_jvp_is_the_forward_derivative():
    x, v = rng.standard_normal(4), rng.standard_normal(4)
    matrix = rng.standard_normal((3, 4))

    def call(x):
        return {"sin": ops.sin(matrix @ x), "count": ops.cast(x > 0, "int32")}

    for run in (ops.jvp, function(lambda p, t: ops.jvp(call, p, t))):
        value, slope = run(call, (x,), (v,)) if run is ops.jvp else run((x,), (v,))
        np.testing.assert_allclose(value["sin"].numpy(), np.sin(matrix @ x), rtol=1e-6)
        np.testing.assert_allclose(slope["sin"].numpy(), np.cos(matrix @ x) * (matrix @ v), rtol=1e-5)
        assert not slope["count"].numpy().any()
    value, slope, aux = ops.jvp(lambda a, b: (a * b, "beside"), (2.0, 3.0), (1.0, 0.5), has_aux=True)
    assert (float(value), float(slope), aux) == (6.0, 4.0, "beside")
    assert float(ops.jvp(lambda x: ops.ones(()), (1.0,), (1.0,))[1]) == 0
    with pytest.raises(
        ValueError, match=r"jvp: expected tangents of the shapes of primals, \[\(4,\)\]; received \[\(3,\)"
    ):
        ops.jvp(call, (x,), (v[:3],))
