"""One op function in three modes: run now, traced, only shaped; all agree, and none needs to be told which."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.errors import TracingError
from kcore.runtime import KerasTensor, Variable, convert_to_tensor, function, in_trace, is_tensor

X = np.random.default_rng(0).uniform(0.5, 2.0, (3, 4)).astype("float32")

EXPRESSIONS = {
    "arithmetic": lambda x: (x + 1) * 2.0 - x / 3 + 2 ** x,
    "reflected": lambda x: 1 - (2 / x) + (3 % x),
    "comparison": lambda x: ops.where((x > 1) & ~(x >= 2) | (x == 1), x, -x),
    "indexing": lambda x: x[1:, ::2] + x[0, None, 1:3] - x[-1, -1],
    "reduction": lambda x: ops.mean(x, axis=-1, keepdims=True) + ops.max(x) - ops.sum(x, axis=0),
    "movement": lambda x: ops.concatenate([ops.transpose(x), ops.reshape(x, (4, -1))], axis=1),
    "product": lambda x: x @ ops.transpose(x),
    "integers": lambda x: ops.cast(x, "int32") // 2,
    "several results": lambda x: ops.split(x, 2, axis=1),
    "composite": lambda x: ops.softmax(ops.relu(x) - ops.logsumexp(x, axis=1, keepdims=True)),
}  # fmt: skip


def _listed(result):
    return list(result) if isinstance(result, list | tuple) else [result]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_eager_traced_and_symbolic_agree(name):
    f = EXPRESSIONS[name]
    eager = _listed(f(convert_to_tensor(X)))
    traced = _listed(function(f)(X))
    symbolic = _listed(f(KerasTensor(X.shape, "float32")))
    for a, b, s in zip(eager, traced, symbolic, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) == (s.shape, s.dtype)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_unknown_dimensions_stay_unknown():
    x = KerasTensor((None, 4))
    assert (x @ np.ones((4, 2), "float32")).shape == (None, 2)
    assert ops.sum(x, axis=1).shape == (None,) and ops.sum(x, axis=0).shape == (4,)


@pytest.mark.parametrize("kind", [list, tuple, np.asarray, convert_to_tensor, Variable])
def test_arguments_may_be_anything_that_holds_numbers(kind):
    x = kind([1.0, 2.0])
    np.testing.assert_allclose(ops.add(x, [1.0, 1.0]).numpy(), [2.0, 3.0])


def test_a_number_takes_the_dtype_of_its_partner():
    x = convert_to_tensor(np.ones(2, "float64"))
    assert (x + 1).dtype == (2.5 * x).dtype == "float64"
    assert (convert_to_tensor(np.ones(2, "int32")) + 1).dtype == "int32"
    assert (convert_to_tensor(np.ones(2, "int32")) * 0.5).dtype == "float32"


def test_zero_keeps_its_sign_and_true_is_not_one():
    x = convert_to_tensor(np.ones(1, "float32"))
    assert np.signbit((x * -0.0).numpy()).all() and not np.signbit((x * 0.0).numpy()).any()
    assert (convert_to_tensor(np.ones(1, "int32")) + True).dtype == "int32"


def test_an_eager_result_is_a_copy_of_its_own():
    host = np.zeros(3, "float32")
    x = convert_to_tensor(host)
    host[:] = 5
    assert x.numpy().tolist() == [0, 0, 0]
    x.numpy()[:] = 7
    assert x.numpy().tolist() == [0, 0, 0]
    y = ops.reshape(x, (3, 1))
    y.numpy()[:] = 9
    assert x.numpy().tolist() == [0, 0, 0]


def test_tensors_convert_to_numbers_lengths_and_iterate():
    x = convert_to_tensor(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"))
    assert len(x) == 2 and x.ndim == 2 and is_tensor(x)
    assert [float(ops.sum(row)) for row in x] == [3.0, 7.0]
    assert int(convert_to_tensor(3)) == 3 and bool(convert_to_tensor(True))
    assert [10, 20, 30][convert_to_tensor(1)] == 20
    with pytest.raises(TypeError, match="a float32 tensor cannot be an index"):
        [1, 2][convert_to_tensor(1.0)]
    with pytest.raises(TypeError, match="len\\(\\) of a tensor without dimensions"):
        len(convert_to_tensor(1.0))


def test_strings_are_refused():
    with pytest.raises(TypeError, match="cannot make a tensor of list .*: its elements are no numbers"):
        convert_to_tensor(["a", "b"])


def test_an_error_in_eager_mode_names_op_and_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(4,\)|cannot be broadcast"):
        ops.add(np.ones((2, 3), "float32"), np.ones(4, "float32"))
    with pytest.raises(ValueError, match="matmul"):
        ops.matmul(np.ones((2, 3), "float32"), np.ones((4, 5), "float32"))


def test_a_symbolic_tensor_has_no_value():
    x = kcore.Input((3,))
    for use in (bool, float, np.asarray):
        with pytest.raises(TypeError, match="has no value"):
            use(x)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: 1 if x[0] > 0 else 2,
        lambda x: float(x[0]),
        lambda x: int(x[0]),
        lambda x: np.asarray(x),
        lambda x: x.numpy(),
        lambda x: x.item(),
        lambda x: x[0] > 0 and x[1] > 0,
    ],
    ids=["if", "float", "int", "asarray", "numpy", "item", "and"],
)
def test_a_traced_value_used_in_python_is_an_error_that_shows_the_line_and_names_cond(use):
    def step(x):
        assert in_trace()
        return x + use(x)

    with pytest.raises(TracingError, match="has no value while a step is being traced") as caught:
        function(step)(X[0])
    assert "ops.cond" in str(caught.value)
    assert __file__ in str(caught.value) and "lambda x:" in str(caught.value)


def test_the_user_s_line_is_shown_even_in_a_project_called_kcore(tmp_path, monkeypatch):
    folder = tmp_path / "kcore"
    folder.mkdir()
    (folder / "my_steps.py").write_text("def step(x):\n    return x if x > 0 else -x\n")
    monkeypatch.syspath_prepend(str(folder))
    import my_steps

    with pytest.raises(TracingError, match=r"kcore/my_steps\.py:2: return x if x > 0 else -x"):
        function(my_steps.step)(np.float32(1))


def test_a_tensor_kept_after_its_trace_is_an_error():
    kept = []
    function(lambda x: kept.append(x) or x)(X)
    with pytest.raises(TracingError, match="has ended|ended"):
        ops.exp(kept[0])
    with pytest.raises(TracingError, match="return it from the function instead of keeping it"):
        function(lambda x: x + kept[0])(X)


def test_nan_and_infinity_are_results_and_no_warnings():
    x = np.array([0.0, -1.0, 1e30], "float32")
    for mode in (lambda f: f, function):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            log, square, ratio = mode(lambda t: (ops.log(t), ops.square(t), t / 0.0))(convert_to_tensor(x))
        assert np.isneginf(log.numpy()[0]) and np.isnan(log.numpy()[1])
        assert np.isposinf(square.numpy()[2]) and np.isnan(ratio.numpy()[0])


@pytest.mark.parametrize("kind", [convert_to_tensor, Variable])
def test_reading_always_copies(kind):
    t = kind(np.ones(2, "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for array in (np.asarray(t), np.array(t, copy=True), np.array(t, copy=None)):
            array[0] = 5
        assert np.array(t, dtype="float64").dtype == "float64"
        with pytest.raises(ValueError, match="reading a .* copies"):
            np.array(t, copy=False)
    assert t.numpy().tolist() == [1, 1]


def test_sizes_of_a_reshape_are_known_as_far_as_they_can_be():
    x = KerasTensor((None, 3, 4))
    assert ops.reshape(x, (-1, 12)).shape == (None, 12)
    assert ops.reshape(x, (x.shape[0], -1)).shape == (None, 12)
    assert ops.reshape(x, (None, -1, 1, 3)).shape == (None, 4, 1, 3)
    assert ops.reshape(KerasTensor((None, None, 4)), (None, -1)).shape == (None, None)
    assert ops.reshape(KerasTensor((2, 3, 4)), (None, None, 2, -1)).shape == (2, 3, 2, 2)
    with pytest.raises(ValueError, match=r"cannot reshape float32\[\?, 3, 4\] into \(None, 5\)"):
        ops.reshape(x, (None, 5))
