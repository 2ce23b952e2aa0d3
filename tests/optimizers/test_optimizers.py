"""Optimizers beside Keras's: the same steps, options, state and names."""

from __future__ import annotations

import functools
import json
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


def test_fit_ends_with_the_moving_averages():
    import kcore

    kcore.utils.set_random_seed(2)
    model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
    optimizer = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    seen = []
    watch = kcore.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(model.get_weights()[0]))
    x = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]], "float32")
    model.fit(x, x[:, :1], epochs=2, batch_size=1, shuffle=False, verbose=0, callbacks=[watch])
    average = seen[0]
    for weights in seen[1:]:
        average = 0.5 * average + 0.5 * weights
    np.testing.assert_allclose(model.get_weights()[0], average, rtol=1e-5)
    assert not np.allclose(average, seen[-1])


def test_configurations_of_keras_2_are_read():
    old = {
        "class_name": "Adam",
        "config": {"name": "Adam", "lr": 0.01, "beta_1": 0.8, "decay": 0.0, "jit_compile": False},
    }
    adam = optimizers.deserialize({**old, "config": {**old["config"], "is_legacy_optimizer": False}})
    assert (float(adam.learning_rate), adam.beta_1, adam.name) == (pytest.approx(0.01), 0.8, "Adam")
    with pytest.warns(UserWarning, match="the argument decay is ignored; use a LearningRateSchedule"):
        optimizers.SGD(lr=0.5, decay=1e-3)


@pytest.mark.parametrize("name", [n for n in optimizers.__all__ if n[0].isupper() and n not in ("Lamb", "Optimizer")])
def test_names_in_any_case_are_known(name):
    given = {"LossScaleOptimizer": "inner_optimizer", "MultiOptimizer": "optimizer_map", "OptimizerMap": "default_opt"}
    for spelled in (name, name.lower(), name.upper()):
        if name in given:
            with pytest.raises((ValueError, KeyError), match=given[name]):
                optimizers.get(spelled)
        else:
            assert type(optimizers.get(spelled)) is getattr(optimizers, name)


def test_every_name_of_keras_is_there():
    for mine, theirs in [(optimizers, keras.optimizers), (optimizers.schedules, keras.optimizers.schedules)]:
        there = {name for name in vars(theirs) if not name.startswith("_") and name != "legacy"}
        assert there <= set(vars(mine)), there - set(vars(mine))


@pytest.mark.parametrize("name, config", RULES)
def test_configurations_of_keras_go_round(name, config):
    theirs = getattr(keras.optimizers, name)(0.05, clipvalue=0.5, use_ema=True, ema_overwrite_frequency=3, **config)
    described = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
    mine = optimizers.get(described)
    assert type(mine) is getattr(optimizers, name)
    assert json.loads(json.dumps(optimizers.serialize(mine))) == described
    assert type(theirs).from_config(mine.get_config()).get_config() == theirs.get_config()


def test_lamb_is_found_by_its_class_as_in_keras():
    described = json.loads(json.dumps(keras.optimizers.serialize(keras.optimizers.Lamb(0.5))))
    assert type(optimizers.get(described)) is optimizers.Lamb
    assert type(optimizers.get(optimizers.Lamb)) is optimizers.Lamb


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda o: o.SGD(-0.1), r"SGD: learning_rate=-0.1: expected a number of at least 0"),
        (lambda o: o.SGD("fast"), "SGD: learning_rate='fast': expected a float, a schedule or a callable"),
        (lambda o: o.SGD(True), "SGD: learning_rate=True: expected a float"),
        (lambda o: o.Adam(float("nan")), "Adam: learning_rate=nan: expected a number of at least 0"),
        (lambda o: o.Adam(weight_decay=-1), "Adam: weight_decay=-1: expected a number of at least 0"),
        (lambda o: o.Adam(weight_decay="much"), "Adam: weight_decay='much': expected a number"),
        (lambda o: o.AdamW(weight_decay=None), "AdamW: argument weight_decay=None: expected a number"),
        (lambda o: o.Adam(clipnorm=-1.0), "Adam: clipnorm=-1.0: expected a number of at least 0"),
        (lambda o: o.SGD(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm, clipvalue and global_clipnorm"),
        (lambda o: o.SGD(clipnorm=1.0, global_clipnorm=1.0), "SGD: only one of .* global_clipnorm=1.0"),
        (lambda o: o.Adam(use_ema=True, ema_momentum=1.5), "ema_momentum=1.5: expected a number between 0 and 1"),
        (lambda o: o.Adam(use_ema=True, ema_overwrite_frequency=0), "ema_overwrite_frequency=0: expected an integer"),
        (lambda o: o.Adam(gradient_accumulation_steps=1), "gradient_accumulation_steps=1: .* integer of at least 2"),
        (lambda o: o.Adam(gradient_accumulation_steps=2.5), "gradient_accumulation_steps=2.5: expected an integer"),
        (lambda o: o.Adam(loss_scale_factor=0), "loss_scale_factor=0: expected a number above 0"),
        (lambda o: o.Adam(beta_1="0.9"), "Adam: argument beta_1='0.9': expected a number"),
        (lambda o: o.SGD(momentum=1.5), "SGD: argument momentum=1.5: expected a number between 0 and 1"),
        (lambda o: o.SGD(momentun=0.9), "SGD has no argument 'momentun'; did you mean 'momentum'"),
        (lambda o: o.Lion(beta_1=0.0), "Lion: argument beta_1=0.0: expected a number above 0 and up to 1"),
        (lambda o: o.Ftrl(learning_rate_power=0.5), "learning_rate_power=0.5: expected a number of at most 0"),
        (lambda o: o.Ftrl(initial_accumulator_value=-1), "initial_accumulator_value=-1: expected .* at least 0"),
        (lambda o: o.Ftrl(l1_regularization_strength=-1), "l1_regularization_strength=-1: expected .* at least 0"),
        (lambda o: o.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value=-1: expected .* at least 0"),
        (lambda o: o.Adafactor(clip_threshold=0), "Adafactor: argument clip_threshold=0: expected a number above 0"),
        (lambda o: o.Muon(ns_steps=0), "Muon: argument ns_steps=0: expected a positive integer"),
        (lambda o: o.get("adan"), "there is no 'adan' in keras.optimizers; did you mean 'adam'"),
        (lambda o: o.get(3), "expected the name or configuration of an optimizer, or an Optimizer, got 3"),
        (lambda o: setattr(o.SGD(), "learning_rate", -1.0), "learning_rate=-1.0: expected a number of at least 0"),
        (lambda o: setattr(o.SGD(), "learning_rate", None), "learning_rate=None: expected a float"),
        (lambda o: o.SGD().apply([convert_to_tensor([1.0])]), "is not built: give the variables"),
        (lambda o: o.SGD().set_weights([]), r"is not built: call build\(variables\) before set_weights"),
        (lambda o: o.SGD().apply([1.0, 2.0], [Variable([1.0])]), "got 2 gradients for 1 variables"),
    ],
)
def test_what_optimizers_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizers)


def test_messages_about_variables():
    v, other = Variable([1.0]), Variable([1.0], name="other")
    optimizer = optimizers.SGD()
    optimizer.build([v])
    with pytest.raises(ValueError, match="built for 1 variables, and 'other' is not one of them"):
        optimizer.apply([convert_to_tensor([1.0])], [other])
    with pytest.raises(ValueError, match="there is no gradient for any variable"):
        optimizer.apply([None], [v])
    with pytest.raises(ValueError, match="is built; call exclude_from_weight_decay"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert v.numpy()[0] == 1.0
