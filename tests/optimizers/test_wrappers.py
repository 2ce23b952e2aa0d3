"""Optimizers around others: loss scaling, and several for one model, beside Keras's."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kcore
from kcore import ops, optimizers
from kcore.optimizers import SGD, Adam, LossScaleOptimizer, MultiOptimizer, OptimizerMap
from kcore.runtime import Variable, convert_to_tensor, function

keras = pytest.importorskip("keras")
START = [np.array([[1.0, -2.0], [3.0, 0.5]], "float32"), np.array([0.3, -0.1], "float32")]


def same_state(mine, theirs, tolerance=3e-6):
    assert [v.path for v in mine.variables] == [v.path for v in theirs.variables]
    for a, b in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=3e-5, atol=tolerance, err_msg=a.path)


def run(mine, theirs, gradients, compiled=True):
    """The same steps of both, and all they end with."""
    expected = [keras.Variable(v, name=f"v{i}") for i, v in enumerate(START)]
    got = [Variable(v, name=f"v{i}") for i, v in enumerate(START)]
    mine.build(got)
    theirs.build(expected)
    step = lambda grads: mine.apply(grads, got)  # noqa: E731
    step = function(step) if compiled else step
    for grads in gradients:
        theirs.apply([keras.ops.convert_to_tensor(g) for g in grads], expected)
        step([convert_to_tensor(g) for g in grads])
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=3e-5, atol=3e-6, err_msg=a.path)
    same_state(mine, theirs)
    return got


def scaled(bad_at=(), steps=8, factor=1.0):
    for i in range(steps):
        grads = [np.random.default_rng(i).normal(size=v.shape).astype("float32") * factor for v in START]
        if i in bad_at:
            grads[i % 2].flat[0] = np.nan if i % 3 else np.inf
        yield grads


INNER = [
    ("SGD", {"momentum": 0.9}),
    ("Adam", {"use_ema": True, "weight_decay": 0.1}),
    ("Nadam", {"gradient_accumulation_steps": 2}),
    ("Adafactor", {"clipnorm": 1.0}),
]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name, config", INNER)
def test_steps_that_are_not_finite_change_the_scale_alone(name, config, compiled):
    def make(room):
        inner = getattr(room, name)(0.05, name="inner", **config)
        return room.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=2, name="scaler")

    mine, theirs = make(optimizers), make(keras.optimizers)
    run(mine, theirs, scaled(bad_at=(1, 2, 6), factor=8.0), compiled)
    assert int(mine.iterations) == int(theirs.iterations) == (2 if name == "Nadam" else 5)
    assert float(mine.dynamic_scale) == float(theirs.dynamic_scale) == 8 * 0.5**3 * 2
    assert mine.learning_rate is mine.inner_optimizer.learning_rate


def test_the_scaler_s_configuration_is_keras_s():
    theirs = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.5, clipnorm=1.0), name="scaler")
    described = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
    mine = optimizers.deserialize(described)
    assert isinstance(mine.inner_optimizer, Adam) and mine.initial_scale == 2.0**15
    assert json.loads(json.dumps(optimizers.serialize(mine))) == described
    assert float(mine.scale_loss(ops.ones(()))) == 2.0**15
    mine.learning_rate = 0.25
    assert float(mine.inner_optimizer.learning_rate) == 0.25
    old = {**described["config"], "weight_decay": None, "use_ema": False, "ema_momentum": 0.99, "dynamic": True}
    assert LossScaleOptimizer.from_config(old).dynamic_growth_steps == 2000


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LossScaleOptimizer(SGD(), clipnorm=1.0), "takes no clipnorm: give it to the inner optimizer"),
        (lambda: LossScaleOptimizer(SGD(), dynamic=False), "give loss_scale_factor to the optimizer itself"),
        (lambda: LossScaleOptimizer("sgd"), "inner_optimizer='sgd': expected an Optimizer"),
        (lambda: LossScaleOptimizer(SGD(), 0.0), "initial_scale=0.0: expected a number above 0"),
        (lambda: LossScaleOptimizer(SGD(), dynamic_growth_steps=0), "dynamic_growth_steps=0: expected a positive"),
        (lambda: LossScaleOptimizer(SGD(), speed=1), "LossScaleOptimizer has no argument 'speed'"),
        (lambda: LossScaleOptimizer(SGD()).apply([ops.ones(())]), "is not built"),
        (lambda: optimizers.get("lossscaleoptimizer"), "needs an inner_optimizer"),
    ],
)
def test_messages_of_the_scaler(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def small_model(policy):
    kcore.utils.set_random_seed(1)
    layers = [kcore.layers.Dense(4, activation="tanh", dtype=policy), kcore.layers.Dense(1, dtype=policy)]
    model = kcore.Sequential([kcore.Input((3,)), *layers])
    model.dtype_policy = kcore.dtype_policies.DTypePolicy(policy)
    return model


def test_compile_puts_loss_scaling_around_the_optimizer_of_a_mixed_float16_model():
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    model = small_model("mixed_float16")
    model.compile(SGD(0.05), "mse", auto_scale_loss=False)
    assert type(model.optimizer) is SGD
    model.compile(SGD(0.05), "mse")
    assert type(model.optimizer) is LossScaleOptimizer and model.optimizer.name == "loss_scale_optimizer"
    assert model.get_compile_config()["optimizer"]["class_name"] == "LossScaleOptimizer"  # a file brings it back
    first = model.train_on_batch(x, y)
    for _ in range(20):
        last = model.train_on_batch(x, y)
    assert int(model.optimizer.step_counter) + int(model.optimizer.iterations) > 0 and last < first
    before = [v.numpy() for v in model.weights]
    scale, steps = float(model.optimizer.dynamic_scale), int(model.optimizer.iterations)
    model.train_on_batch(x * np.float32(1e4), y * np.float32(1e6))
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(before, model.weights, strict=True))
    assert float(model.optimizer.dynamic_scale) == scale / 2 and int(model.optimizer.iterations) == steps
    model.optimizer.learning_rate = 0.01
    assert float(model.optimizer.inner_optimizer.learning_rate) == pytest.approx(0.01)
    again = LossScaleOptimizer(SGD())
    model.compile(again, "mse")
    assert model.optimizer is again


def test_compile_leaves_other_policies_alone():
    for policy in ("float32", "mixed_bfloat16"):
        model = small_model(policy)
        model.compile("sgd", "mse")
        assert type(model.optimizer) is SGD


@pytest.mark.parametrize("factor", [None, 4.0])
def test_each_variable_is_moved_by_its_optimizer(factor):
    def make(room):
        choice = room.OptimizerMap(room.SGD(0.1, name="rest"), {"v1|other": room.Adam(0.2, name="second")})
        return room.MultiOptimizer(choice, loss_scale_factor=factor, name="both")

    mine, theirs = make(optimizers), make(keras.optimizers)
    run(mine, theirs, scaled())
    assert [o.name for o in mine.optimizers] == ["second", "rest"] == [o.name for o in theirs.optimizers]
    assert [o.loss_scale_factor for o in mine.optimizers] == [factor] * 2
    described = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
    assert json.loads(json.dumps(optimizers.serialize(mine))) == described
    again = optimizers.deserialize(described)
    fresh = [Variable(v, name=f"v{i}") for i, v in enumerate(START)]
    again.build(fresh)
    store: dict = {}
    mine.save_own_variables(store)
    again.load_own_variables(store)
    same_state(again, theirs)
    again.set_weights([v.numpy() * 0 for v in mine.variables])
    assert not any(v.numpy().any() for v in again.variables)


def test_averages_of_several_optimizers_are_finalized_each():
    inner = [SGD(1.0, use_ema=True, ema_momentum=0.5), SGD(1.0)]
    several = MultiOptimizer(lambda v: inner[0] if v.name == "a" else inner[1])
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    for _ in range(2):
        several.apply([ops.ones((1,))] * 2, [a, b])
    several.finalize_variable_values([a, b])
    assert (a.numpy()[0], b.numpy()[0]) == (-0.5, -1.0)


def test_several_optimizers_inside_a_scaler_skip_together():
    several = MultiOptimizer(OptimizerMap(SGD(1.0), {"b": Adam(1.0)}))
    scaler = LossScaleOptimizer(several, initial_scale=2.0)
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    scaler.apply([ops.ones((1,)) * np.float32("nan"), ops.ones((1,))], [a, b])
    assert (a.numpy()[0], b.numpy()[0], int(scaler.iterations)) == (1.0, 1.0, 0)
    scaler.apply([ops.ones((1,)), ops.ones((1,))], [a, b])
    assert a.numpy()[0] == 0.0 and b.numpy()[0] == pytest.approx(0.0, abs=1e-5) and int(scaler.iterations) == 1


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: OptimizerMap("sgd"), TypeError, "default_optimizer: expected an Optimizer, got 'sgd'"),
        (lambda: OptimizerMap(SGD(), [1]), TypeError, "optimizer_map: expected a dict"),
        (lambda: OptimizerMap(SGD(), {"a": "sgd"}), ValueError, "'a': expected an Optimizer, got 'sgd'"),
        (lambda: OptimizerMap(SGD(), {3: SGD()}), ValueError, "a key is a path or regular expression, got 3"),
        (lambda: OptimizerMap(SGD(), {"a": SGD()}).__setitem__("a", SGD()), ValueError, "'a' has an optimizer already"),
        (lambda: OptimizerMap(SGD(), {"a.*": SGD(), "ab?": SGD()})["ab"], ValueError, "matched by 'a.[*]' and 'ab[?]'"),
        (lambda: OptimizerMap(SGD(), {"a": LossScaleOptimizer(SGD())}), ValueError, "put it around the MultiOptimizer"),
        (lambda: MultiOptimizer(lambda v: MultiOptimizer(print)).build([Variable(1.0)]), ValueError, "inside another"),
        (lambda: MultiOptimizer(SGD()), ValueError, "expected an OptimizerMap or a function"),
        (lambda: MultiOptimizer(print).learning_rate, AttributeError, "read that of one of its `optimizers`"),
        (lambda: setattr(MultiOptimizer(print), "learning_rate", 1.0), AttributeError, "set that of one of its"),
        (lambda: MultiOptimizer(print).apply([ops.ones(())]), ValueError, "is not built"),
        (lambda: optimizers.get("multioptimizer"), ValueError, "needs an optimizer_map"),
    ],
)
def test_messages_of_several_optimizers(make, error, message):
    with pytest.raises(error, match=message):
        make()
