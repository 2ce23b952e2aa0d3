"""Learning rate schedules beside Keras's: rates, configurations, messages; in an optimizer and compiled."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kcore import ops, optimizers
from kcore.declare import argument
from kcore.optimizers import schedules
from kcore.runtime import Variable, function

keras = pytest.importorskip("keras")
CASES = [
    ("ExponentialDecay", (0.1, 3, 0.5), {}),
    ("ExponentialDecay", (0.1, 3, 0.5), {"staircase": True, "name": "mine"}),
    ("InverseTimeDecay", (0.1, 3, 0.5), {}),
    ("InverseTimeDecay", (0.1, 3, 0.5), {"staircase": True}),
    ("PolynomialDecay", (0.1, 7), {}),
    ("PolynomialDecay", (0.1, 7, 0.01, 0.5), {"cycle": True}),
    ("PiecewiseConstantDecay", ([3, 7, 12], [1.0, 0.5, 0.25, 0.1]), {}),
    ("PiecewiseConstantDecay", ([3.5, 7.0], [1.0, 0.5, 0.25]), {}),
    ("CosineDecay", (0.1, 10), {}),
    ("CosineDecay", (0.1, 10, 0.2), {}),
    ("CosineDecay", (0.01, 10, 0.1), {"warmup_target": 0.2, "warmup_steps": 5}),
    ("CosineDecay", (0.01, 10), {"warmup_target": 0.2}),
    ("CosineDecayRestarts", (0.1, 4), {}),
    ("CosineDecayRestarts", (0.1, 4, 1.0, 0.5, 0.1), {}),
    ("CosineDecayRestarts", (0.1, 3, 1.5, 0.8), {}),
]


@pytest.mark.parametrize("name, args, config", CASES)
def test_rates_and_configurations_are_those_of_keras(name, args, config):
    theirs = getattr(keras.optimizers.schedules, name)(*args, **config)
    mine = getattr(schedules, name)(*args, **config)
    assert mine.get_config() == theirs.get_config()
    described = json.loads(json.dumps(keras.optimizers.schedules.serialize(theirs)))
    again = schedules.deserialize(described)
    assert type(again) is type(mine) and schedules.serialize(again) == described
    steps = range(30)
    traced = function(lambda step: mine(step))
    expected = [float(theirs(step)) for step in steps]
    assert [float(mine(step)) for step in steps] == pytest.approx(expected, rel=2e-5, abs=2e-8)
    assert [float(traced(np.int32(step))) for step in steps] == pytest.approx(expected, rel=2e-5, abs=2e-8)


def test_periods_of_restarts_begin_at_their_step():
    schedule = schedules.CosineDecayRestarts(1.0, 7, t_mul=3.0, m_mul=0.5)
    begins = [7 * (3**k - 1) // 2 for k in range(9)]
    assert [float(schedule(step)) for step in begins] == [0.5**k for k in range(9)]
    assert all(float(schedule(step - 1)) < 0.1 * 0.5 ** (k - 1) for k, step in enumerate(begins) if k)


@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_asks_its_schedule_at_every_step_with_the_count_of_calls(compiled):
    optimizer, v = optimizers.SGD(schedules.PiecewiseConstantDecay([1, 3], [1.0, 10.0, 100.0])), Variable([0.0])
    optimizer.build([v])
    step = lambda g: optimizer.apply([g], [v])  # noqa: E731
    step = function(step) if compiled else step
    for _ in range(5):
        step(ops.ones((1,)))
    assert v.numpy()[0] == -(1 + 1 + 10 + 10 + 100)
    assert [v.path for v in optimizer.variables] == [f"{optimizer.name}/iteration"]
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert isinstance(again._learning_rate, schedules.PiecewiseConstantDecay)
    with pytest.raises(TypeError, match="takes its learning rate from"):
        optimizer.learning_rate = 0.1


def test_schedules_of_the_user():
    class Declared(schedules.LearningRateSchedule):
        start: float = argument(4.0)

        def __call__(self, step):
            return self.start / ops.cast(step + 1, "float32")

    class Plain(schedules.LearningRateSchedule):
        def __init__(self, start):
            self.start = start

        def __call__(self, step):
            return self.start / ops.cast(step + 1, "float32")

    for schedule in (Declared(2.0), Plain(2.0), lambda: 1.5):
        optimizer, v = optimizers.SGD(schedule), Variable([0.0])
        optimizer.build([v])
        step = function(lambda g, o=optimizer, v=v: o.apply([g], [v]))
        step(ops.ones((1,)))
        step(ops.ones((1,)))
        assert v.numpy()[0] == -3.0
    assert Declared(2.0).get_config() == {"start": 2.0}
    with pytest.raises(
        NotImplementedError, match=r"Plain has an __init__\(\) of its own, so it must override get_config"
    ):
        Plain(2.0).get_config()
    with pytest.raises(NotImplementedError, match=r"LearningRateSchedule does not implement __call__\(step\)"):
        schedules.LearningRateSchedule()(0)


def test_a_rate_may_follow_a_variable():
    rate, v = Variable(1.0), Variable([0.0])
    optimizer = optimizers.SGD(lambda: rate * 2.0)
    optimizer.build([v])
    step = function(lambda g: optimizer.apply([g], [v]))
    step(ops.ones((1,)))
    rate.assign(0.5)
    step(ops.ones((1,)))
    assert v.numpy()[0] == -3.0


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda s: s.ExponentialDecay(0.1, 0, 0.5),
            "ExponentialDecay: argument decay_steps=0: expected a number above 0",
        ),
        (lambda s: s.CosineDecay("fast", 3), "CosineDecay: argument initial_learning_rate='fast': expected a number"),
        (lambda s: s.CosineDecay(0.1, 3, warmup_steps=-1), "argument warmup_steps=-1: expected a number of at least 0"),
        (lambda s: s.CosineDecayRestarts(0.1, -3), "argument first_decay_steps=-3: expected a number above 0"),
        (lambda s: s.PiecewiseConstantDecay([1, 2], [1.0, 2.0]), "got 2 boundaries .* and 2 values"),
        (lambda s: s.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), r"boundaries in rising order, got \[2, 1\]"),
        (lambda s: s.PiecewiseConstantDecay([1, "two"], [1.0, 2.0, 3.0]), "argument boundaries=.*: expected a number"),
        (lambda s: s.PiecewiseConstantDecay(3, [1.0]), "argument boundaries=3: expected a list of numbers"),
        (lambda s: s.deserialize("CosineDecai"), "there is no 'CosineDecai' .* did you mean 'CosineDecay'"),
    ],
)
def test_messages(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(schedules)
