"""Control flow inside layers: built symbolically, compiled and op by op, against the same steps written out."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import Input, Sequential, layers, ops


def _scan(x):
    last, ys = ops.scan(lambda c, t: (c * 0.5 + t, ops.tanh(c)), ops.zeros_like(x), ops.stack([x, x * 0.5, x * 0.1]))
    return last + ops.sum(ys, axis=0)


def _scan_by_hand(x):
    c, total = ops.zeros_like(x), ops.zeros_like(x)
    for factor in (1.0, 0.5, 0.1):
        total = total + ops.tanh(c)
        c = c * 0.5 + x * factor
    return c + total


def _cond(x):
    return ops.cond(ops.sum(x) > 0, lambda: ops.sin(x), lambda: x * 3.0)


def _cond_by_hand(x):
    return ops.where(ops.sum(x) > 0, ops.sin(x), x * 3.0)


def _while(x):
    return ops.while_loop(
        lambda v, i: i < 3, lambda v, i: (ops.sin(v) * 1.5, i + 1), (x, ops.zeros((), "int32")), maximum_iterations=5
    )[0]


def _fori(x):
    return ops.fori_loop(0, 3, lambda i, v: ops.sin(v) * 1.5, x)


def _loop_by_hand(x):
    for _ in range(3):
        x = ops.sin(x) * 1.5
    return x


PAIRS = [(_scan, _scan_by_hand), (_cond, _cond_by_hand), (_while, _loop_by_hand), (_fori, _loop_by_hand)]
NAMES = ["scan", "cond", "while_loop", "fori_loop"]


class Calls(layers.Layer):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def call(self, x):
        return self.fn(x)


def _trained(fn, run_eagerly):
    kcore.set_random_seed(4)
    model = Sequential([Input((4,)), layers.Dense(4), Calls(fn), layers.Dense(1)])
    model.compile(kcore.optimizers.SGD(0.01), "mse", run_eagerly=run_eagerly)  # 0.1 diverges: sines of what is huge
    x = np.linspace(-1, 2, 96, dtype="float32").reshape(24, 4)
    history = model.fit(x, x[:, :1] * 0.3, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return [history["loss"], model.predict(x, verbose=0), *model.get_weights()]


@pytest.mark.parametrize(("looped", "by_hand"), PAIRS, ids=NAMES)
def test_a_layer_with_control_flow_trains_like_its_steps_written_out(looped, by_hand):
    wanted = _trained(by_hand, False)
    for run_eagerly in (False, True):
        for got, want in zip(_trained(looped, run_eagerly), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("looped", "by_hand"), PAIRS, ids=NAMES)
def test_the_gradient_is_that_of_the_steps_written_out(looped, by_hand):
    x = np.array([[0.3, -0.7, 1.2, 0.1]], "float32")
    want = kcore.runtime.grad(lambda v: ops.sum(by_hand(v) ** 2))(x)
    for run in (lambda f: f, kcore.function):
        got = run(kcore.runtime.grad(lambda v: ops.sum(looped(v) ** 2)))(x)
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)


@pytest.mark.parametrize(("looped", "by_hand"), PAIRS, ids=NAMES)
def test_shapes_are_known_before_there_are_values(looped, by_hand):
    assert Calls(looped)(Input((4,))).shape == (None, 4)


def test_scan_runs_over_the_time_axis_of_a_symbolic_sequence():
    class Running(layers.Layer):
        def call(self, x):
            return ops.transpose(
                ops.scan(lambda c, t: (c + t, c + t), x[:, 0] * 0, ops.transpose(x, (1, 0, 2)))[1], (1, 0, 2)
            )

    assert Running()(Input((5, 3))).shape == (None, 5, 3)
    x = np.arange(30, dtype="float32").reshape(2, 5, 3)
    np.testing.assert_allclose(Sequential([Running()]).predict(x, verbose=0), np.cumsum(x, axis=1))


def test_both_branches_build_their_layers():
    class Either(layers.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(2), layers.Dense(2)

        def call(self, x):
            return ops.cond(ops.sum(x) > 0, lambda: self.a(x), lambda: self.b(x))

    layer = Either()
    layer(Input((3,)))
    assert len(layer.weights) == 4


def test_one_branch_or_one_step_is_not_taken_for_the_whole():
    x = Input((3,))
    for y in (ops.cond(ops.sum(x) > 0, lambda: x * 2, lambda: x), ops.while_loop(lambda v: True, lambda v: v * 2, x)):
        with pytest.raises(ValueError):
            kcore.Model(x, y)


def test_a_symbolic_carry_that_changes_is_an_error():
    with pytest.raises(ValueError, match="scan: the carry must keep"):
        ops.scan(lambda c, t: (ops.concatenate([c, c], -1), t), Input((3,)), length=2)
    with pytest.raises(ValueError, match="scan: xs must have a leading axis"):
        ops.scan(lambda c, t: (c, t), np.zeros(3), np.float32(1))


def test_a_compiled_function_is_a_part_of_a_layer():
    twice = kcore.function(lambda x: x * 2)
    assert Calls(twice)(Input((3,))).shape == (None, 3)
    np.testing.assert_allclose(Calls(twice)(np.ones((1, 3), "float32")).numpy(), 2)
