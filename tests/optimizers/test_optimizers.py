"""Optimizers beside Keras's: the same steps, options, state and names."""

from __future__ import annotations

import functools
import json
import math
import re

import numpy as np
import pytest

from kcore import optimizers
from kcore.declare import argument
from kcore.optimizers import Optimizer
from kcore.runtime import Variable, convert_to_tensor, function

keras = pytest.importorskip("keras")
START = [
    np.array([[1.0, -2.0], [3.0, 0.5], [0.2, 0.1]], "float32"),
    np.array([0.3, -0.1], "float32"),
    np.array([[[0.4, -0.6]], [[1.0, 2.0]]], "float32"),
    np.array([[0.7, 0.1, -0.4], [0.2, 0.5, 1.5]], "float32"),
]
GRADS = [
    [np.random.default_rng(i).normal(size=v.shape).astype("float32") for v in START] for i in range(6)
]  # six steps
RULES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "epsilon": 1e-3}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.2, "amsgrad": True}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-2}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "epsilon": 1e-3}),
    ("Adamax", {}),
    ("Adamax", {"beta_1": 0.5, "beta_2": 0.8}),
    ("Nadam", {}),
    ("Nadam", {"beta_1": 0.5, "epsilon": 1e-2}),
    ("Ftrl", {}),
    ("Ftrl", {"learning_rate_power": -0.3, "l1_regularization_strength": 0.05, "beta": 0.2}),
    ("Ftrl", {"l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.1}),
    ("Lion", {}),
    ("Lion", {"beta_1": 0.4, "beta_2": 0.6}),
    ("Lamb", {}),
    ("Lamb", {"beta_1": 0.5, "epsilon": 1e-3}),
    ("Adafactor", {}),
    ("Adafactor", {"relative_step": False, "clip_threshold": 0.3, "epsilon_2": 2.0, "beta_2_decay": -0.5}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "rms_rate": None, "adam_lr_ratio": 0.5, "ns_steps": 2, "adam_weight_decay": None}),
    ("Muon", {"exclude_layers": ["^v[02]"], "weight_decay": None}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 4, "beta_1": 0.6}),
]
OPTIONS = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.2},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2, "ema_momentum": 0.5},
    {"loss_scale_factor": 4.0},
]


def compare(name, config, dtype, traced, tolerance):
    """Six steps of both optimizers: weights, state, what `finalize_variable_values` makes of them, counts."""
    theirs = getattr(keras.optimizers, name)(0.05, name="opt", **config)
    mine = getattr(optimizers, name)(0.05, name="opt", **config)
    assert json.dumps(mine.get_config(), sort_keys=True) == json.dumps(theirs.get_config(), sort_keys=True)
    close = functools.partial(np.testing.assert_allclose, **tolerance)
    expected = [keras.Variable(v, name=f"v{i}", dtype=dtype) for i, v in enumerate(START)]
    got = [Variable(v, name=f"v{i}", dtype=dtype) for i, v in enumerate(START)]
    theirs.build(expected)
    mine.build(got)
    step = lambda grads: mine.apply(grads, got)  # noqa: E731
    step = function(step) if traced else step
    for grads in GRADS:
        theirs.apply([keras.ops.convert_to_tensor(g, dtype) for g in grads], expected)
        step([convert_to_tensor(g, dtype) for g in grads])
    for a, b in zip(expected, got, strict=True):
        close(b.numpy(), a.numpy(), err_msg=a.path)
    assert [anonymous(v.path) for v in mine.variables] == [anonymous(v.path) for v in theirs.variables]
    assert [v.dtype for v in mine.variables] == [v.dtype for v in theirs.variables]
    for a, b in zip(theirs.variables, mine.variables, strict=True):
        close(b.numpy(), a.numpy(), err_msg=a.path)
    theirs.finalize_variable_values(expected)
    mine.finalize_variable_values(got)
    for a, b in zip(expected, got, strict=True):
        close(b.numpy(), a.numpy(), err_msg=f"finalized {a.path}")
    assert int(mine.iterations) == int(theirs.iterations)


def anonymous(path):
    """A path without the number that variables without a name are given."""
    return re.sub(r"^variable_\d+$", "variable", path)


@pytest.mark.parametrize("name, config", RULES)
def test_steps_are_those_of_keras(name, config):
    compare(name, config, "float32", True, {"rtol": 5e-5, "atol": 5e-6})


@pytest.mark.parametrize("name, config", RULES)
def test_steps_are_those_of_keras_in_float64(name, config):
    # Keras's NumPy engine computes what depends on the step and the learning rate in float32
    compare(name, config, "float64", False, {"rtol": 2e-5, "atol": 2e-6})


def test_float64_variables_are_moved_in_float64():
    rate, m, v, w = np.float64(np.float32(0.05)), 0.0, 0.0, START[0].astype("float64")
    mine, variable = optimizers.Adam(0.05), Variable(w, dtype="float64")
    mine.build([variable])
    step = function(lambda g: mine.apply([g], [variable]))
    for t, (g, *_) in enumerate(GRADS, 1):
        g = g.astype("float64")
        m, v = m + (g - m) * (1 - 0.9), v + (g * g - v) * (1 - 0.999)
        w = w - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        step(g)
    np.testing.assert_allclose(variable.numpy(), w, rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Nadam", "Adafactor", "Muon"])
@pytest.mark.parametrize("options", OPTIONS)
def test_options_do_what_they_do_in_keras(name, options):
    compare(
        name, {"momentum": 0.9, **options} if name == "SGD" else options, "float32", True, {"rtol": 5e-5, "atol": 5e-6}
    )


def test_a_new_learning_rate_counts_at_the_next_step_without_a_new_trace():
    optimizer, v = optimizers.SGD(1.0), Variable([0.0])
    optimizer.build([v])
    step = function(lambda g: optimizer.apply([g], [v]))
    step(np.ones(1, "float32"))
    optimizer.learning_rate = 0.5
    step(np.ones(1, "float32"))
    assert v.numpy()[0] == -1.5


def test_constraints_hold_after_the_update():
    from kcore import constraints

    v = Variable([1.0, -1.0])
    v.constraint = constraints.NonNeg()
    optimizers.SGD(2.0).apply([convert_to_tensor([1.0, -1.0])], [v])
    assert v.numpy().tolist() == [0.0, 1.0]


def test_variables_can_be_left_out_of_weight_decay():
    a, b = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([convert_to_tensor([0.0])] * 2, [a, b])
    assert (a.numpy()[0], b.numpy()[0]) == (0.5, 1.0)


def test_an_optimizer_of_the_user_in_kcores_way_and_in_that_of_keras():
    class Heavy(Optimizer):
        learning_rate: float = argument(0.1)
        friction: float = argument(0.5)

        def slots(self):
            yield "speed"

        def update_step(self, gradient, variable, learning_rate):
            speed = self.slot(variable, "speed")
            speed.assign(speed * self.friction - gradient * learning_rate)
            variable.assign_add(speed)

    class KerasHeavy(Optimizer):
        def __init__(self, friction=0.5, **kwargs):
            super().__init__(**kwargs)
            self.friction = friction

        def build(self, variables):
            super().build(variables)
            self.speeds = self.add_optimizer_variables(variables, "speed")

        def update_step(self, gradient, variable, learning_rate):
            speed = self.speeds[self._get_variable_index(variable)]
            self.assign(speed, speed * self.friction - gradient * learning_rate)
            self.assign_add(variable, speed)

    results = []
    for optimizer in (Heavy(), KerasHeavy(learning_rate=0.1)):
        v = Variable([1.0])
        for _ in range(3):
            optimizer.apply_gradients([(convert_to_tensor([1.0]), v)])
        results.append(v.numpy()[0])
    assert results[0] == results[1] == pytest.approx(1 - 0.1 - 0.15 - 0.175)
    assert Heavy(friction=0.1).get_config()["friction"] == 0.1


def test_state_goes_round():
    first, v = optimizers.Adam(), Variable([1.0])
    first.apply([convert_to_tensor([1.0])], [v])
    store: dict = {}
    first.save_own_variables(store)
    second = optimizers.Adam()
    second.build([v])
    second.load_own_variables(store)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(first.variables, second.variables, strict=True))
    with pytest.warns(UserWarning, match="its state was not loaded"):
        optimizers.SGD().load_own_variables(store)


def test_get():
    assert isinstance(optimizers.get("adam"), optimizers.Adam)
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    assert optimizers.get({"class_name": "sgd", "config": {"learning_rate": 0.5}}).get_config()["learning_rate"] == 0.5
    with pytest.raises(ValueError, match="there is no 'lamb' in keras.optimizers"):
        optimizers.get("lamb")


def test_messages():
    with pytest.raises(ValueError, match="only one of clipnorm, clipvalue and global_clipnorm"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="SGD has no argument 'momentun'; did you mean 'momentum'"):
        optimizers.SGD(momentun=0.9)
    with pytest.raises(ValueError, match="learning_rate='fast': expected a float"):
        optimizers.SGD("fast")
    v, other = Variable([1.0]), Variable([1.0], name="other")
    optimizer = optimizers.SGD()
    optimizer.build([v])
    with pytest.raises(ValueError, match="built for 1 variables, and 'other' is not one of them"):
        optimizer.apply([convert_to_tensor([1.0])], [other])
    with pytest.raises(ValueError, match="there is no gradient for any variable"):
        optimizer.apply([None], [v])
    assert math.isfinite(v.numpy()[0])
