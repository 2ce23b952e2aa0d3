"""Optimizers beside Keras's: the same steps, options, state and names."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from kcore import optimizers
from kcore.declare import argument
from kcore.optimizers import Optimizer, schedules
from kcore.runtime import Variable, convert_to_tensor, function

keras = pytest.importorskip("keras")
START = [np.array([[1.0, -2.0], [3.0, 0.5]], "float32"), np.array([0.3, -0.1], "float32")]
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
]
OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.2},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True},
    {"loss_scale_factor": 4.0},
]


def apply(optimizer, variables, traced):
    if traced:
        optimizer.build(variables)
        step = function(lambda grads: optimizer.apply(grads, variables))
    else:
        step = lambda grads: optimizer.apply(grads, variables)  # noqa: E731
    for grads in GRADS:
        step([convert_to_tensor(g) for g in grads])


@pytest.mark.parametrize("name, config", RULES)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("traced", [False, True])
def test_steps_are_those_of_keras(name, config, options, traced):
    theirs = getattr(keras.optimizers, name)(0.05, name="opt", **config, **options)
    mine = getattr(optimizers, name)(0.05, name="opt", **config, **options)
    assert json.dumps(mine.get_config(), sort_keys=True) == json.dumps(theirs.get_config(), sort_keys=True)
    expected = [keras.Variable(v, name=f"v{i}") for i, v in enumerate(START)]
    got = [Variable(v, name=f"v{i}") for i, v in enumerate(START)]
    for grads in GRADS:
        theirs.apply([keras.ops.convert_to_tensor(g) for g in grads], expected)
    apply(mine, got, traced)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=3e-5, atol=3e-6)
    assert [v.path for v in mine.variables] == [v.path for v in theirs.variables]
    assert [v.dtype for v in mine.variables] == [v.dtype for v in theirs.variables]
    for a, b in zip(theirs.variables, mine.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=3e-5, atol=3e-6, err_msg=a.path)
    theirs.finalize_variable_values(expected)
    mine.finalize_variable_values(got)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=3e-5, atol=3e-6)
    assert int(mine.iterations) == int(theirs.iterations)


def test_schedules():
    theirs = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True)
    mine = schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True)
    assert mine.get_config() == theirs.get_config()
    assert [float(mine(i)) for i in range(7)] == pytest.approx([float(theirs(i)) for i in range(7)])
    optimizer = optimizers.SGD(mine)
    v = Variable([1.0])
    for _ in range(4):
        optimizer.apply([convert_to_tensor([1.0])], [v])
    assert v.numpy()[0] == pytest.approx(1 - 0.1 * 3 - 0.05)
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert isinstance(again._learning_rate, schedules.ExponentialDecay)
    with pytest.raises(TypeError, match="takes its learning rate from"):
        optimizer.learning_rate = 0.1


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
