"""The ops of recurrent layers: kernel against decomposition, masks, direction, initial state, second derivatives."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest

from kcore import ops
from kcore.ops.gru import _gru, gru
from kcore.ops.recurrent import _lstm, lstm
from kcore.ops.simple_rnn import _simple_rnn, simple_rnn
from kcore.runtime import GradientTape, convert_to_tensor, function

rng = np.random.default_rng(2)


def arguments(batch=3, steps=5, features=4, units=6, dtype="float64"):
    shapes = (batch, steps, features), (batch, units), (batch, units), (features, 4 * units), (units, 4 * units)
    return [rng.uniform(-0.7, 0.7, shape).astype(dtype) for shape in (*shapes, (4 * units,))]


def plain(x, h, c, kernel, recurrent, bias, mask=None, reverse=False):
    """One step after the other, as Keras's masked recurrence does it."""
    output, outputs = np.zeros_like(h), np.zeros((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1])[:: -1 if reverse else 1]:
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
        new_c = f * c + i * np.tanh(g)
        new_h = o * np.tanh(new_c)
        valid = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h, c, output = np.where(valid, new_h, h), np.where(valid, new_c, c), np.where(valid, new_h, output)
        outputs[:, t] = output
    return outputs, h, c


@pytest.mark.parametrize("masked, reverse", list(product([False, True], repeat=2)))
def test_lstm_is_the_recurrence_step_by_step(masked, reverse):
    args = arguments()
    mask = np.array([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool) if masked else None
    expected = plain(*args, mask=mask, reverse=reverse)
    for got, want in zip(lstm(*args, mask=mask, reverse=reverse), expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-13)


def test_absent_states_are_zeros():
    x, h, c, *weights = arguments()
    expected = plain(x, np.zeros_like(h), np.zeros_like(c), *weights)
    for got, want in zip(lstm(x, None, None, *weights), expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("masked, reverse", list(product([False, True], repeat=2)))
def test_the_gradient_kernel_is_the_gradient_of_the_decomposition(masked, reverse):
    args = [convert_to_tensor(a) for a in arguments()]
    mask = np.array([[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 1]], bool).T if masked else None
    args[0] = convert_to_tensor(np.ascontiguousarray(args[0].numpy().transpose(1, 0, 2)))
    weights = [rng.standard_normal(s) for s in ((5, 3, 6), (3, 6), (3, 6))]

    def grads(op):
        with GradientTape() as tape:
            tape.watch(args)
            outputs = op(*args, mask, reverse=reverse)[:3]
            loss = sum(ops.sum(o * w) for o, w in zip(outputs, weights, strict=True))
        return [g.numpy() for g in tape.gradient(loss, args)]

    for name, got, want in zip(_lstm.inputs, grads(_lstm), grads(_lstm.fn), strict=False):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=name)


def test_only_the_last_state_gets_a_gradient_when_only_it_is_used():
    args = arguments(dtype="float32")

    @function
    def step(*values):
        with GradientTape() as tape:
            tape.watch(list(values))
            loss = ops.sum(ops.square(lstm(*values)[1]))
        return tape.gradient(loss, list(values))

    tensors = [convert_to_tensor(a) for a in args]
    with GradientTape() as tape:
        tape.watch(tensors)
        loss = ops.sum(ops.square(lstm(*tensors)[1]))
    for got, want in zip(step(*args), tape.gradient(loss, tensors), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-6)


def test_second_derivatives_are_those_of_finite_differences():
    x, h, c, kernel, recurrent, bias = arguments(2, 3, 2, 2)

    def gradient(value):
        value = convert_to_tensor(value)
        with GradientTape() as tape:
            tape.watch(value)
            loss = ops.sum(lstm(x, h, c, kernel, value, bias)[0] ** 2)
        return tape.gradient(loss, value)

    tensor = convert_to_tensor(recurrent)
    with GradientTape() as outer:
        outer.watch(tensor)
        with GradientTape() as tape:
            tape.watch(tensor)
            loss = ops.sum(lstm(x, h, c, kernel, tensor, bias)[0] ** 2)
        total = ops.sum(tape.gradient(loss, tensor))
    second = outer.gradient(total, tensor).numpy()
    step = np.zeros_like(recurrent)
    step[1, 3] = 1e-6
    slope = (gradient(recurrent + step).numpy().sum() - gradient(recurrent - step).numpy().sum()) / 2e-6
    assert second[1, 3] == pytest.approx(slope, rel=1e-6)


def test_shapes_that_do_not_fit_are_named():
    x, h, c, kernel, recurrent, bias = arguments()
    with pytest.raises(ValueError, match=r"expected kernel of shape \(4, 24\).*received float64\[4, 20\]"):
        lstm(x, h, c, kernel[:, :20], recurrent, bias)
    with pytest.raises(ValueError, match=r"expected inputs \(batch, time, features\)"):
        lstm(x[0], h, c, kernel, recurrent, bias)


# -- the ops of one state --------------------------------------------------------------------------------------------


def plain_gru(x, h, kernel, recurrent, bias):
    x_z, x_r, x_g = np.split(x @ kernel + bias[0], 3, axis=1)
    h_z, h_r, a = np.split(h @ recurrent + bias[1], 3, axis=1)
    z, r = 1 / (1 + np.exp(-x_z - h_z)), 1 / (1 + np.exp(-x_r - h_r))
    return z * h + (1 - z) * np.tanh(x_g + r * a)


def plain_reset_before(x, h, kernel, recurrent, bias):
    units = h.shape[1]
    x_z, x_r, x_g = np.split(x @ kernel + bias, 3, axis=1)
    h_z, h_r = np.split(h @ recurrent[:, : 2 * units], 2, axis=1)
    z, r = 1 / (1 + np.exp(-x_z - h_z)), 1 / (1 + np.exp(-x_r - h_r))
    return z * h + (1 - z) * np.tanh(x_g + (r * h) @ recurrent[:, 2 * units :])


def plain_simple(x, h, kernel, recurrent, bias):
    return np.tanh(x @ kernel + h @ recurrent + bias)


BEFORE = {"reset_after": False}
#: Public function, op, columns per unit, shape of the bias per unit, and a step in NumPy.
ONE_STATE = {
    "gru": (gru, _gru, 3, lambda units: (2, 3 * units), plain_gru),
    "gru_reset_before": (partial(gru, **BEFORE), _gru, 3, lambda units: (3 * units,), plain_reset_before),
    "simple_rnn": (simple_rnn, _simple_rnn, 1, lambda units: (units,), plain_simple),
}


def one_state(name, batch=3, steps=5, features=4, units=6):
    _, _, blocks, bias, _ = ONE_STATE[name]
    shapes = (batch, steps, features), (batch, units), (features, blocks * units), (units, blocks * units), bias(units)
    return [rng.uniform(-0.7, 0.7, shape) for shape in shapes]


@pytest.mark.parametrize("name", ONE_STATE)
@pytest.mark.parametrize("masked, reverse", list(product([False, True], repeat=2)))
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "state"])
def test_one_state_step_by_step(name, masked, reverse, given):
    run, step = ONE_STATE[name][0], ONE_STATE[name][4]
    x, h, *weights = one_state(name)
    h = h if given else np.zeros_like(h)
    mask = np.array([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool) if masked else None
    results = run(x, h if given else None, *weights, mask=mask, reverse=reverse)
    output, outputs = np.zeros_like(h), np.zeros((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1])[:: -1 if reverse else 1]:
        valid = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        new = step(x[:, t], h, *weights)
        h, output = np.where(valid, new, h), np.where(valid, new, output)
        outputs[:, t] = output
    for got, want in zip(results, (outputs, h), strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ONE_STATE)
@pytest.mark.parametrize("masked, reverse", list(product([False, True], repeat=2)))
def test_one_state_gradient_kernels_are_the_gradient_of_the_decomposition(name, masked, reverse):
    op, form = ONE_STATE[name][1], BEFORE if name == "gru_reset_before" else {}
    args = [convert_to_tensor(a) for a in one_state(name)]
    args[0] = convert_to_tensor(np.ascontiguousarray(args[0].numpy().transpose(1, 0, 2)))
    mask = np.array([[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 1]], bool).T if masked else None
    weights = [rng.standard_normal(s) for s in ((5, 3, 6), (3, 6))]

    def grads(run):
        with GradientTape() as tape:
            tape.watch(args)
            loss = sum(ops.sum(o * w) for o, w in zip(run(*args, mask, reverse=reverse)[:2], weights, strict=True))
        return [g.numpy() for g in tape.gradient(loss, args)]

    for operand, got, want in zip(op.inputs, grads(partial(op, **form)), grads(partial(op.fn, **form)), strict=False):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=operand)


@pytest.mark.parametrize("name", ONE_STATE)
def test_one_state_shapes_that_do_not_fit_are_named(name):
    run = ONE_STATE[name][0]
    x, h, kernel, recurrent, bias = one_state(name)
    name = name.removesuffix("_reset_before")
    with pytest.raises(ValueError, match=rf"{name}: expected kernel of shape \(4, .*received float64\[3, "):
        run(x, h, kernel[:3], recurrent, bias)
    with pytest.raises(ValueError, match=rf"{name}: expected bias of shape"):
        run(x, h, kernel, recurrent, bias[:1])
    with pytest.raises(ValueError, match=rf"{name}: expected inputs \(batch, time, features\)"):
        run(x[0], h, kernel, recurrent, bias)
