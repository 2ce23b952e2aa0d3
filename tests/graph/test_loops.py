"""Loops taken apart: what leaves the body of a scan, and that results and gradients stay those of its steps."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.runtime import GradientTape

STEPS, BATCH, SIZE = 4, 2, 3


def _numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def _gated(carry, now, w):
    h, c = carry
    x, _ = now
    i, f, g = ops.split(ops.concatenate([x @ w["a"] + w["bias"], h @ w["b"], x * h], -1), 3, axis=-1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * g
    return (ops.tanh(c), c), ops.tanh(c)


def _masked(carry, now, w):
    h, c = carry
    x, kept = now
    new = ops.tanh(x @ w["a"] + h @ w["b"])
    return (ops.where(kept, new, h), c), new


def _swapped(carry, now, w):
    h, c = carry
    return (c, ops.tanh(h @ w["b"] + now[0])), c


def _left_alone(carry, now, w):
    h, c = carry
    return (h, c * 0.5), now[0] * 2.0 + h


def _forgetful(carry, now, w):
    return (ops.tanh(now[0] @ w["a"]), now[0]), now[0]


def _counting(carry, now, w):
    h, c = carry
    return (h + now[0], c + ops.sum(ops.square(now[0] @ w["a"]), axis=0, keepdims=True)), h


def _shaped(carry, now, w):
    h, c = carry
    x = ops.transpose(ops.reshape(now[0] @ w["a"], (BATCH, SIZE, 1)), (0, 2, 1))
    wide = ops.broadcast_to(x, (BATCH, 2, SIZE))
    return (ops.tanh(ops.sum(wide, axis=1) + h), ops.max(wide, axis=1)), ops.concatenate([wide, wide * h[:, None]], 1)


def _sorted(carry, now, w):
    h, c = carry
    return (h + ops.sort(now[0] @ w["a"], axis=-1), ops.softmax(c + now[0])), ops.cumsum(h, axis=0)


def _weighted(carry, now, w):
    h, c = carry
    return (ops.tanh(h @ (w["a"] @ w["b"])), c + h), ops.matmul(ops.transpose(now[0]), h)


BODIES = [_gated, _masked, _swapped, _left_alone, _forgetful, _counting, _shaped, _sorted, _weighted]


def _by_hand(step, init, xs, reverse):
    carry, ys = init, [None] * STEPS
    for t in range(STEPS)[:: -1 if reverse else 1]:
        carry, ys[t] = step(carry, tuple(x[t] for x in xs))
    return carry, ops.stack(ys)


def _results(loop, body, reverse, compiled):
    """Ends, outputs and the gradient for everything, of a loss that looks at all of them."""
    mask = np.arange(STEPS * BATCH).reshape(STEPS, BATCH, 1) % 3 > 0

    def run(h, c, x, a, b, bias):
        given = [h, c, x, a, b, bias]
        with GradientTape() as tape:
            tape.watch(given)
            weights = {"a": a, "b": b, "bias": bias}
            (h, c), ys = loop(lambda carry, now: body(carry, now, weights), (h, c), (x, mask), reverse)
            loss = ops.sum(ys * 0.3) + ops.sum(ops.square(h)) + ops.sum(ops.sin(c))
        return [h, c, ys, *tape.gradient(loss, given, unconnected_gradients="zero")]

    arrays = [_numbers(BATCH, SIZE), _numbers(BATCH, SIZE) / 2, _numbers(STEPS, BATCH, SIZE), _numbers(SIZE, SIZE) / 2]
    arrays += [_numbers(SIZE, SIZE) / 3, _numbers(SIZE)]
    tensors = [ops.convert_to_tensor(a) for a in arrays]
    return [np.asarray(r) for r in (kcore.function(run) if compiled else run)(*tensors)]


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("body", BODIES)
def test_a_scan_and_its_gradient_are_those_of_its_steps(body, reverse):
    got = _results(lambda f, init, xs, r: ops.scan(f, init, xs, reverse=r), body, reverse, True)
    for value, want in zip(got, _results(_by_hand, body, reverse, False), strict=True):
        np.testing.assert_allclose(value, want, rtol=2e-5, atol=2e-6)


def test_gradients_of_gradients_go_through():
    def twice(loop):
        def run(x):
            slope = kcore.runtime.grad(
                lambda v: ops.sum(loop(lambda h, t: (ops.tanh(h * v + t), h * v), v * 0.1, (_numbers(STEPS, SIZE),))[0])
            )
            return kcore.runtime.grad(lambda v: ops.sum(ops.square(slope(v))))(x)

        return run

    x = ops.convert_to_tensor(_numbers(SIZE))
    want = twice(lambda f, init, xs: _by_hand(lambda c, now: f(c, now[0]), init, xs, False))(x)
    got = kcore.function(twice(lambda f, init, xs: ops.scan(f, init, xs[0])))(x)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=2e-5)


@pytest.mark.parametrize("steps", [1, 5])
def test_a_loop_with_too_many_kernels_to_bind_each_runs_in_two_places(monkeypatch, steps):
    monkeypatch.setattr("kcore.backend.control.BOUND", 1)
    x, w = ops.convert_to_tensor(_numbers(steps, BATCH, SIZE)), ops.convert_to_tensor(_numbers(SIZE, SIZE))

    def run(x, w):
        (h, c), ys = ops.scan(lambda c, t: ((c[1], ops.tanh(c[0] @ w + t)), c[0] - c[1]), (x[0] * 0, x[0] * 2), x)
        return h, c, ys

    h, c, ys = np.zeros((BATCH, SIZE)), x.numpy()[0] * 2, []
    for t in x.numpy():
        ys.append(h - c)
        h, c = c, np.tanh(h @ w.numpy() + t)
    for got, want in zip(kcore.function(run)(x, w), (h, c, ys), strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-6)


def test_a_loop_without_steps_gives_back_its_start():
    def run(x, w, h):
        with GradientTape() as tape:
            tape.watch([x, w, h])
            last, ys = ops.scan(lambda c, t: (ops.tanh(c @ w + t), c), h, x)
            loss = ops.sum(last) + ops.sum(ys)
        return last, ys, *tape.gradient(loss, [x, w, h], unconnected_gradients="zero")

    given = [ops.convert_to_tensor(_numbers(*shape)) for shape in ((0, 2, 3), (3, 3), (2, 3))]
    last, ys, to_x, to_w, to_h = (np.asarray(r) for r in kcore.function(run)(*given))
    assert np.array_equal(last, given[2]) and ys.shape == to_x.shape == (0, 2, 3)
    assert not to_w.any() and (to_h == 1).all()


def _training_plan(layer):
    x = ops.convert_to_tensor(_numbers(BATCH, STEPS, SIZE))
    layer(x)

    def step(x):
        with GradientTape() as tape:
            loss = ops.sum(layer(x, training=True))
        return tape.gradient(loss, layer.trainable_variables)

    return kcore.function(step).concrete(x).plan


def _names(nodes):
    return [node.op.name for node in nodes]


def test_only_the_product_with_the_state_stays_in_the_loop():
    nodes = [step.node for step in _training_plan(layers.LSTM(4, activation="relu")).steps]
    loops = [node for node in nodes if node.op.name == "scan"]
    assert len(loops) == 2, "the forward steps and the backward ones, each once"
    for loop in loops:
        products = [n for n in loop.attrs["body"].nodes if n.op.family == "contraction"]
        assert len(products) == 1, str(loop.attrs["body"])
        assert set(products[0].inputs) & set(loop.attrs["body"].inputs), "with the recurrent kernel as it is"


def test_the_product_of_all_inputs_has_its_bias_in_it():
    names = [step.node.op.name for step in _training_plan(layers.LSTM(4, activation="relu")).steps]
    assert "dense_bias" in names or "fused_product" in names, names


def test_the_weights_of_a_cell_are_not_carried_through_the_steps():
    loops = [s.node for s in _training_plan(layers.GRU(4, recurrent_dropout=0.2)).steps if s.node.op.name == "scan"]
    assert [loop.attrs["carried"] for loop in loops] == [1, 1]


def test_the_gradient_of_a_split_is_a_concatenation():
    plan = _training_plan(layers.LSTM(4, activation="relu"))
    nodes = [step.node for step in plan.steps]
    bodies = [node.attrs["body"].nodes for node in nodes if node.op.name == "scan"]
    assert [_names(body).count("concatenate") for body in bodies] == [0, 1]
    assert all("unslice" not in _names(body) for body in bodies)


def test_pieces_that_overlap_or_leave_a_gap_stay_a_sum():
    def run(x, y):
        with GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(x[:, :2] * y[:, :2]) + ops.sum(x[:, 1:] * 3.0) + ops.sum(y * 2.0)
        return tape.gradient(loss, x)

    x, y = ops.convert_to_tensor(_numbers(2, 4)), ops.convert_to_tensor(_numbers(2, 4))
    want = np.concatenate([y.numpy()[:, :2], np.zeros((2, 2))], 1) + np.array([[0, 3, 3, 3]])
    np.testing.assert_allclose(kcore.function(run)(x, y).numpy(), want, rtol=1e-6)
