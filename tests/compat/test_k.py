"""The functions of `keras.backend` of Keras 2, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers, models
from kcore.compat import backend as K

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 4)).astype("float32")
B = RNG.normal(size=(4, 2)).astype("float32")
CUBE = RNG.normal(size=(2, 3, 4)).astype("float32")
P = np.array([[0.2, 0.8], [0.5, 0.5]], "float32")
TARGET = np.array([[0, 1], [1, 0]], "float32")

CASES = {
    "abs": (lambda: K.abs(A), np.abs(A)),
    "sqrt of negatives": (lambda: K.sqrt(A), np.sqrt(np.maximum(A, 0))),
    "pow": (lambda: K.pow(A, 2), A**2),
    "clip": (lambda: K.clip(A, -0.5, 0.5), np.clip(A, -0.5, 0.5)),
    "clip, one side": (lambda: K.clip(A, None, 0.5), np.minimum(A, 0.5)),
    "relu": (lambda: K.relu(A, alpha=0.1, max_value=1.0), np.where(A > 0, np.minimum(A, 1), 0.1 * A)),
    "hard_sigmoid": (lambda: K.hard_sigmoid(A), np.clip(0.2 * A + 0.5, 0, 1)),
    "softmax": (lambda: K.softmax(A), np.exp(A) / np.exp(A).sum(-1, keepdims=True)),
    "l2_normalize": (lambda: K.l2_normalize(A, axis=1), A / np.linalg.norm(A, axis=1, keepdims=True)),
    "sum": (lambda: K.sum(A, axis=-1, keepdims=True), A.sum(-1, keepdims=True)),
    "mean of bools": (lambda: K.mean(K.greater(A, 0)), (A > 0).mean()),
    "std": (lambda: K.std(A, axis=0), A.std(0)),
    "max": (lambda: K.max(A), A.max()),
    "all": (lambda: K.all(K.greater(A, -9)), True),
    "argmax": (lambda: K.argmax(A), A.argmax(-1)),
    "argmin": (lambda: K.argmin(A, axis=0), A.argmin(0)),
    "logsumexp": (lambda: K.logsumexp(A, axis=1), np.log(np.exp(A).sum(1))),
    "flatten": (lambda: K.flatten(CUBE), CUBE.ravel()),
    "batch_flatten": (lambda: K.batch_flatten(K.constant(CUBE)), CUBE.reshape(2, -1)),
    "permute_dimensions": (lambda: K.permute_dimensions(CUBE, (0, 2, 1)), CUBE.transpose(0, 2, 1)),
    "squeeze": (lambda: K.squeeze(K.expand_dims(A, 1), 1), A),
    "concatenate": (lambda: K.concatenate([A, A]), np.concatenate([A, A], -1)),
    "repeat": (lambda: K.repeat(A, 2), np.repeat(A[:, None], 2, 1)),
    "repeat_elements": (lambda: K.repeat_elements(A, 2, 1), np.repeat(A, 2, 1)),
    "reverse": (lambda: K.reverse(A, 1), A[:, ::-1]),
    "gather": (lambda: K.gather(A, [2, 0]), A[[2, 0]]),
    "slice": (lambda: K.slice(A, (1, 0), (2, -1)), A[1:3]),
    "temporal_padding": (lambda: K.temporal_padding(CUBE, (0, 2)), np.pad(CUBE, ((0, 0), (0, 2), (0, 0)))),
    "spatial_2d_padding": (
        lambda: K.spatial_2d_padding(CUBE[..., None], ((1, 0), (0, 2))),
        np.pad(CUBE[..., None], ((0, 0), (1, 0), (0, 2), (0, 0))),
    ),
    "dot": (lambda: K.dot(A, B), A @ B),
    "dot of many axes": (lambda: K.dot(CUBE, np.stack([B, B])), np.tensordot(CUBE, np.stack([B, B]), [[2], [1]])),
    "batch_dot": (lambda: K.batch_dot(CUBE, CUBE.transpose(0, 2, 1)), CUBE @ CUBE.transpose(0, 2, 1)),
    "batch_dot of matrices": (lambda: K.batch_dot(A, A, axes=1), (A * A).sum(1, keepdims=True)),
    "bias_add": (lambda: K.bias_add(CUBE, np.arange(3.0), "channels_first"), CUBE + np.arange(3)[:, None]),
    "switch": (lambda: K.switch(K.greater(A, 0), A, lambda: -A), np.abs(A)),
    "switch of rows": (lambda: K.switch([True, False, True], A, 0 * A), A * [[1], [0], [1]]),
    "in_train_phase": (lambda: K.in_train_phase(A, -A, training=False), -A),
    "in_test_phase": (lambda: K.in_test_phase(A, -A, training=False), A),
    "constant": (lambda: K.constant(2, shape=(2, 2)), np.full((2, 2), 2)),
    "arange": (lambda: K.arange(2, 8, 3), [2, 5]),
    "ones_like": (lambda: K.ones_like(A), np.ones_like(A)),
    "eye": (lambda: K.eye(2), np.eye(2)),
    "categorical_crossentropy": (lambda: K.categorical_crossentropy(TARGET, P), -np.log([0.8, 0.5])),
    "sparse": (lambda: K.sparse_categorical_crossentropy(np.array([1, 0]), P), -np.log([0.8, 0.5])),
    "binary_crossentropy": (lambda: K.binary_crossentropy(TARGET, P), -np.log([[0.8, 0.8], [0.5, 0.5]])),
    "map_fn": (lambda: K.map_fn(lambda row: K.sum(row), A), A.sum(1)),
    "cumprod": (lambda: K.cumprod(A, axis=1), A.cumprod(1)),
    "cumsum": (lambda: K.cumsum(A, axis=1), A.cumsum(1)),
}


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    run, expected = CASES[case]
    np.testing.assert_allclose(K.eval(run()), expected, rtol=2e-5, atol=2e-6)


def test_variables():
    v = K.variable(A, name="v")
    K.set_value(v, B.repeat(2, 1)[:3])
    K.batch_set_value([(v, A)])
    K.update_add(v, K.ones_like(A))
    K.update_sub(v, A)
    np.testing.assert_allclose(K.get_value(v), np.ones_like(A), rtol=1e-6)
    K.moving_average_update(v, np.zeros_like(A), 0.25)
    K.update(v, v * 4)
    assert K.batch_get_value([v])[0] == pytest.approx(np.ones_like(A))
    assert (K.ndim(v), K.int_shape(v), K.count_params(v), K.dtype(v)) == (2, (3, 4), 12, "float32")
    assert K.get_value(K.zeros((2,))).tolist() == [0, 0] and K.cast_to_floatx(np.ones(2)).dtype == "float32"
    assert K.eval(K.cast(v, "int32")).dtype == "int32" and not K.is_sparse(v)


def test_random_numbers():
    kcore.set_random_seed(0)
    assert K.eval(K.random_normal((1000,), 1.0, 2.0)).mean() == pytest.approx(1, abs=0.3)
    assert 0.2 <= K.eval(K.random_uniform((9,), 0.2, 0.3)).min() and K.eval(K.truncated_normal((99,))).max() <= 2
    assert K.eval(K.random_binomial((1000,), p=0.25)).mean() == pytest.approx(0.25, abs=0.06)
    assert set(np.unique(K.eval(K.dropout(np.ones(100, "float32"), 0.5)))) == {0.0, 2.0}


def test_functions_of_tensors_of_a_model():
    x = layers.Input((4,))
    model = models.Model(x, layers.Dropout(0.5)(layers.Dense(3)(x)))
    run = K.function([x, K.learning_phase()], [model.layers[1].output, model.output])
    hidden, still = run([A, 0])
    np.testing.assert_array_equal(hidden, still)
    assert (run([A, 1])[1] == 0).any()
    assert K.function([x], model.output)([A]).shape == (3, 3)
    with pytest.raises(ValueError, match="a list of 2 arrays, received 1"):
        run([A])
    with pytest.raises(NotImplementedError, match="updates"):
        K.function([x], [x], updates=[1])
    assert K.is_placeholder(K.placeholder((None, 2))) and K.int_shape(K.placeholder(ndim=2)) == (None, None)


def test_what_is_gone_names_what_does_it():
    with pytest.raises(AttributeError, match="keras.backend.get_session is not in kcore: there are no sessions"):
        _ = K.get_session
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = K.nothing
    with pytest.raises(ValueError, match="K.in_train_phase needs training="):
        K.in_train_phase(A, A)
    with pytest.raises(ValueError, match="'tf' or 'th', received 'x'"):
        K.set_image_dim_ordering("x")
    assert {"sum", "abs", "function"} <= set(dir(K))
