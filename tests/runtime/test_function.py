"""Compiled functions: traced once per signature, replayed without a lookup, safe to call from several threads."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.graph.op import OPS
from kcore.runtime import Rows, Variable, convert_to_tensor, function
from kcore.runtime.function import KEPT

X = np.arange(6, dtype="float32").reshape(2, 3)


def test_a_function_is_traced_once_per_signature():
    calls = []

    @function
    def f(x, power=1):
        calls.append((x.shape, x.dtype, power))
        return x**power

    for _ in range(3):
        f(X)
    assert len(calls) == 1
    f(X, power=2), f(X[:1]), f(X.astype("float64")), f(X, power=2)
    assert [c[2] for c in calls] == [1, 2, 1, 1] and f.traces == 4


def test_structures_go_in_and_come_out():
    @function
    def f(batch, scale):
        return {"sum": batch["a"] + batch["b"][0], "pair": (batch["a"] * scale, None), "n": 3}

    out = f({"a": X, "b": [X]}, 2.0)
    np.testing.assert_array_equal(out["sum"].numpy(), 2 * X)
    np.testing.assert_array_equal(out["pair"][0].numpy(), 2 * X)
    assert out["pair"][1] is None and out["n"] == 3


def test_a_function_inside_a_function_is_part_of_it():
    inner = function(lambda x: x * 2.0)
    outer = function(lambda x: inner(x) + 1.0)
    np.testing.assert_array_equal(outer(X).numpy(), X * 2 + 1)
    assert inner.traces == 0


def test_variables_are_read_and_updated_by_the_step():
    v = Variable(np.zeros(3, "float32"))

    @function
    def step(x):
        before = v.value
        v.assign_add(ops.sum(x, axis=0))
        return before, v + 0.0

    first = step(X)
    second = step(X)
    np.testing.assert_array_equal(v.numpy(), 2 * X.sum(0))
    np.testing.assert_array_equal(first[0].numpy(), np.zeros(3))
    np.testing.assert_array_equal(first[1].numpy(), X.sum(0))
    np.testing.assert_array_equal(second[0].numpy(), X.sum(0))
    v.assign(np.ones(3))
    np.testing.assert_array_equal(step(X)[0].numpy(), np.ones(3))


def test_results_never_share_memory_with_the_arena_or_each_other():
    f = function(lambda x: (x * 2.0, ops.reshape(x, (6,)), ops.transpose(x)))
    first = f(X)
    copies = [t.numpy() for t in first]
    f(X + 100), function(lambda x: ops.exp(x) @ np.ones((3, 50), "float32"))(X)
    for t, c in zip(first, copies, strict=True):
        np.testing.assert_array_equal(t.numpy(), c)


def test_the_callers_arrays_are_never_changed():
    x = X.copy()
    function(lambda x: ops.exp(x) * 2.0)(x)
    np.testing.assert_array_equal(x, X)


def test_rows_are_gathered_on_the_way_in():
    data = np.arange(20, dtype="float32").reshape(10, 2)
    f = function(lambda x: x * 1.5)
    np.testing.assert_array_equal(f(Rows(data, np.array([7, 0, 7]))).numpy(), data[[7, 0, 7]] * 1.5)
    np.testing.assert_array_equal(f(Rows(data, slice(2, 5))).numpy(), data[2:5] * 1.5)
    assert f.traces == 1


def test_after_ten_retraces_a_warning_names_the_argument():
    f = function(lambda x, y: ops.sum(x) + ops.sum(y), name="step")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(1, 11):
            f(X, np.ones(n, "float32"))
    with pytest.warns(UserWarning, match=r"'step' has been traced 11 times: its argument 'y'") as caught:
        f(X, np.ones(11, "float32"))
    assert "11 shapes ((1,), (2,)" in str(caught[0].message) and "pad it" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X, np.ones(12, "float32"))


def test_a_nested_argument_is_named_by_its_path():
    f = function(lambda batch: ops.sum(batch["tokens"]))
    with pytest.warns(UserWarning, match="tokens"):
        for n in range(1, 12):
            f({"tokens": np.ones(n, "float32")})


def test_the_number_of_kept_executables_is_bounded():
    f = function(lambda x: x + 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(1, KEPT + 10):
            f(np.ones(n, "float32"))
    assert len(f._cache) == KEPT
    np.testing.assert_array_equal(f(np.ones(1, "float32")).numpy(), [2.0])


def test_shapes_that_come_and_go_share_one_arena():
    f = function(lambda x: ops.sum(ops.exp(x) @ ops.transpose(x)))
    sizes = [3, 40, 3, 7, 60, 3]
    for n in sizes:
        x = np.random.default_rng(n).uniform(size=(n, 5)).astype("float32")
        np.testing.assert_allclose(float(f(x)), np.sum(np.exp(x) @ x.T), rtol=1e-4)


class Broken(layers.Layer):
    """A layer whose call adds what does not fit."""

    def call(self, inputs):
        wrong = ops.ones((5, 7))
        return inputs + wrong  # the line at fault


def test_an_error_in_a_traced_layer_shows_the_user_s_line_and_the_layer():
    layer = Broken(name="culprit")
    with pytest.raises(ValueError, match="cannot be broadcast") as caught:
        function(lambda x: layer(x))(X)
    assert any("culprit" in note for note in caught.value.__notes__)
    lines = []
    tb = caught.value.__traceback__
    while tb is not None:
        lines.append((tb.tb_frame.f_code.co_filename, tb.tb_lineno))
        tb = tb.tb_next
    source = open(__file__).read().splitlines()
    assert any(file == __file__ and "the line at fault" in source[n - 1] for file, n in lines)


class Fine(layers.Layer):
    def call(self, inputs):
        return ops.tanh(inputs)


def test_nodes_carry_the_layer_path_and_the_user_s_line():
    layer = Fine(name="fine")
    plan = function(lambda x: layer(x)).concrete(X).plan
    (step,) = plan.steps
    assert step.node.path == "fine" and step.node.where[0] == __file__
    assert "# fine" in str(plan)


def test_an_error_while_a_step_runs_names_kernel_op_and_line():
    from kcore.backend.kernel import Kernel, kernels_of

    def failing(site):
        def run():
            raise RuntimeError("the device is gone")

        return run

    kernel = kernels_of("numpy").add(Kernel("matmul", "numpy", failing, priority=50, package="tests"))
    try:
        with pytest.raises(RuntimeError, match="the device is gone") as caught:
            function(lambda x: ops.matmul(x, ops.transpose(x)))(X)
    finally:
        kernels_of("numpy").remove(kernel)
    (note,) = caught.value.__notes__
    assert "tests:matmul" in note and __file__ in note


def test_a_step_that_fails_changes_no_variable():
    from kcore.backend.kernel import Kernel, kernels_of

    v = Variable(np.zeros(2, "float32"))

    def failing(site):
        def run():
            raise RuntimeError("too late")

        return run

    def step(x):
        v.assign_add(x)
        return ops.matmul(ops.reshape(x, (1, 2)), ops.reshape(x, (2, 1)))

    kernel = kernels_of("numpy").add(Kernel("matmul", "numpy", failing, priority=50, package="tests"))
    try:
        with pytest.raises(RuntimeError):
            function(step)(np.ones(2, "float32"))
    finally:
        kernels_of("numpy").remove(kernel)
    assert v.numpy().tolist() == [0, 0]


def test_an_index_out_of_range_is_an_error_before_the_step_runs():
    table = Variable(np.zeros((5, 2), "float32"))
    f = function(lambda ids: OPS["gather"](table, ids, axis=0))
    assert f(np.array([0, 4])).shape == (2, 2)
    with pytest.raises(ValueError, match="argument 'ids' holds 5 in row 1, but op 'gather' takes indices 0 to 4"):
        f(np.array([0, 5]))


def test_indices_may_count_from_the_end_compiled_as_op_by_op():
    x = np.arange(5, dtype="float32")
    for run in (ops.take, function(lambda x, i: ops.take(x, i))):
        assert run(x, np.array([-5, 4])).numpy().tolist() == [0, 4]
    for bad in (5, -6):
        at = np.array([[0, 1], [bad, 2]])
        with pytest.raises(ValueError, match=f"argument 'i' holds {bad} in row 1, but op 'take' takes indices -5 to 4"):
            function(lambda x, i: ops.take(x, i))(x, at)
        with pytest.raises(
            ValueError, match=f"argument 'indices' holds {bad} in row 1, but op 'take' takes indices -5 to 4"
        ):
            ops.take(x, ops.convert_to_tensor(at))
        with pytest.raises(ValueError, match=f"index {bad} is out of range"):
            ops.take(x, at)


def test_a_data_set_is_looked_at_again_when_asked():
    table = Variable(np.zeros((5, 2), "float32"))
    f = function(lambda ids: OPS["gather"](table, ids, axis=0), names=lambda name: f"my {name}")
    data = np.arange(4)
    f(Rows(data, slice(0, 2)))
    data[3] = 7
    f(Rows(data, slice(0, 2)))
    f.look_again()
    with pytest.raises(ValueError, match="argument 'my ids' holds 7 in row 3"):
        f(Rows(data, slice(0, 2)))


def test_one_batch_in_an_array_used_again_is_looked_at_every_time():
    table = Variable(np.zeros((5, 2), "float32"))
    f = function(lambda ids: OPS["gather"](table, ids, axis=0))
    data = np.arange(4)
    f(Rows(data, slice(0, 4)))
    data[0] = -1
    with pytest.raises(ValueError, match="holds -1 in row 0"):
        f(Rows(data, slice(0, 4)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda n: n, r"its argument 'k' came in 11 values \(0, 1, .*pass it as a tensor"),
        (lambda n: {"a": [np.ones(n + 1)]}, r"""its argument "k\['a'\]\[0\]" came in 11 shapes \(\(1,\), .*pad it"""),
        (lambda n: (None,) * n, r"its arguments came in ever new structures"),
    ],
    ids=["value", "shape", "structure"],
)
def test_the_warning_of_retraces_says_what_changed_at_the_caller_s_line(arguments, said):
    f = function(lambda a, k: a * 2)
    for n in range(10):
        f(X, arguments(n))
    with pytest.warns(UserWarning, match=said) as caught:
        f(X, arguments(10))
    assert caught[0].filename == __file__


def test_one_function_may_be_called_from_several_threads():
    w = Variable(np.random.default_rng(0).normal(size=(8, 8)).astype("float32"))

    @function
    def predict(x):
        return ops.softmax(ops.tanh(x @ w) @ w)

    inputs = [np.random.default_rng(i).normal(size=(3 + i % 3, 8)).astype("float32") for i in range(12)]
    expected = [predict(x).numpy() for x in inputs]
    wrong, errors = [], []

    def work(start):
        try:
            for _ in range(20):
                for i in range(start, len(inputs), 4):
                    if not np.array_equal(predict(inputs[i]).numpy(), expected[i]):
                        wrong.append(i)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and not wrong


def test_threads_that_trace_at_once_do_not_see_each_other():
    results = {}

    def work(i):
        f = function(lambda x: ops.sum(x * float(i)))
        results[i] = float(f(np.ones(10, "float32")))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: 10.0 * i for i in range(8)}


def test_masks_are_part_of_the_signature():
    calls = []

    @function
    def f(x):
        calls.append(x._keras_mask is not None)
        return x + 0.0

    x = convert_to_tensor(X)
    f(x)
    x._keras_mask = convert_to_tensor(np.array([True, False]))
    f(x)
    f(x)
    assert calls == [False, True]


def test_the_plan_of_a_model_step_names_packages_paths_and_the_peak():
    model = kcore.Sequential([kcore.Input((3,)), layers.Dense(4, activation="relu", name="hidden")], name="net")
    plan = str(function(lambda x: model(x)).concrete(X).plan)
    assert "kcore-numpy:" in plan and "# net/hidden" in plan and "arena" in plan
