"""What a compiled training step makes of an optimizer: launches, where they run, and when it is traced again."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import kcore
from kcore import layers, optimizers
from kcore.backend.selection import current
from kcore.errors import KcoreError
from kcore.runtime import Variable, function

SHAPES = [(6, 5), (5,), (5, 4), (4,), (2, 3, 2)]
#: Launches of the update of five variables: one that moves all of them, and the numbers they share where there are any.
ELEMENTWISE = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Nadam", {}),
    ("Lion", {"weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("Ftrl", {"beta": 0.1, "learning_rate_power": -0.4}),
    ("ScheduleFreeAdamW", {"warmup_steps": 3}),
    ("Adam", {"clipvalue": 0.5, "use_ema": True, "ema_overwrite_frequency": 2}),
    ("Nadam", {"gradient_accumulation_steps": 2, "weight_decay": 0.1}),
]
OTHERS = [("Lamb", {}), ("Adafactor", {}), ("Muon", {}), ("Adam", {"global_clipnorm": 1.0}), ("SGD", {"clipnorm": 1.0})]


@pytest.fixture(params=["numpy", "opencl:intel"])
def backend(request):
    before = str(current())
    try:
        place = kcore.use_backend(request.param)
    except (KcoreError, ValueError) as error:
        pytest.skip(f"{request.param} is not here: {error}")
    yield place
    kcore.use_backend(before)


def planned(optimizer, shapes=SHAPES):
    """The plan of one update on the current backend, after it has run; a warning (an op on the host) is an error."""
    variables = [Variable(np.ones(shape, "float32"), name=f"v{i}") for i, shape in enumerate(shapes)]
    grads = [np.ones(shape, "float32") for shape in shapes]
    optimizer.build(variables)
    step = function(lambda grads: optimizer.apply(grads, variables))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(grads)
        step(grads)
        plan = step.concrete(grads).plan
    assert all(np.isfinite(v.numpy()).all() and not np.array_equal(v.numpy(), np.ones(v.shape)) for v in variables)
    return plan, variables


def packages(plan):
    return {step.kernel.package for step in plan.steps}


@pytest.mark.parametrize("name, config", ELEMENTWISE)
def test_one_launch_moves_all_variables_and_their_state(backend, name, config):
    optimizer = getattr(optimizers, name)(0.01, **config)
    plan, variables = planned(optimizer)
    large = {id(v) for v in (*variables, *optimizer.variables) if v.shape}
    moving = [s for s in plan.steps if any(id(plan.homes.get(v)) in large for v in s.node.outputs)]
    assert len(moving) == 1 and moving[0].node.attrs["segments"] == len(SHAPES)
    assert len(plan.steps) <= 3 and not plan.copies, str(plan)
    assert packages(plan) == {f"kcore-{backend.backend.name}"}


@pytest.mark.parametrize("name, config", OTHERS)
def test_optimizers_that_reduce_and_multiply_run_on_the_device(backend, name, config):
    plan, _ = planned(getattr(optimizers, name)(0.01, **config))
    assert packages(plan) == {f"kcore-{backend.backend.name}"}


def test_loss_scaling_runs_on_the_device(backend):
    plan, _ = planned(optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=1.0))
    assert packages(plan) == {f"kcore-{backend.backend.name}"}


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Nadam", "Lion", "Ftrl"])
def test_a_training_step_spends_one_launch_on_what_is_not_updated_where_its_gradient_is_made(backend, name):
    model = kcore.Sequential([kcore.Input((6,)), layers.Dense(8, "relu"), layers.Dense(8, "mish"), layers.Dense(3)])
    model.compile(getattr(optimizers, name)(0.01), "mse")
    x, y = np.ones((4, 6), "float32"), np.ones((4, 3), "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(x, y)
        plan = model.make_train_function().concrete((x, y)).plan
    state = {id(v) for v in (*model.trainable_variables, *model.optimizer.variables) if v.shape}
    moving = [s for s in plan.steps if any(id(plan.homes.get(v)) in state for v in s.node.outputs)]
    assert len([s for s in moving if s.node.op.name == "fused"]) == 1, str(plan)
    assert {s.node.op.name for s in moving} <= {"fused", "fused_product"}
    assert packages(plan) == {f"kcore-{backend.backend.name}"}


@pytest.mark.parametrize("name, config", [("AdamW", {}), ("Lion", {}), ("Ftrl", {}), ("Muon", {})])
def test_training_ends_at_the_same_weights_on_every_backend(name, config):
    ends = []
    before = str(current())
    for place in ("numpy", "opencl:intel"):
        try:
            kcore.use_backend(place)
        except (KcoreError, ValueError) as error:
            kcore.use_backend(before)
            pytest.skip(f"{place} is not here: {error}")
        kcore.utils.set_random_seed(3)
        model = kcore.Sequential([kcore.Input((4,)), layers.Dense(6, "mish"), layers.Dense(3, "sparse_plus")])
        model.compile(getattr(optimizers, name)(0.01, **config), "mse")
        x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
        model.fit(x, x[:, :3], epochs=3, batch_size=8, verbose=0)
        ends.append([v.numpy() for v in model.weights])
    kcore.use_backend(before)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_learning_rate_set_in_mid_run_counts_at_the_next_step_without_a_new_trace(wrapped):
    traces = []

    class Counting(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            traces.append(learning_rate)
            super().update_step(gradient, variable, learning_rate)

    optimizer, v = Counting(1.0), Variable([0.0])
    optimizer = optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0) if wrapped else optimizer
    optimizer.build([v])
    step = function(lambda g: optimizer.apply([g], [v]))
    step(np.ones(1, "float32"))
    optimizer.learning_rate = 0.5
    step(np.ones(1, "float32"))
    optimizer.learning_rate.assign(0.25)
    step(np.ones(1, "float32"))
    assert v.numpy()[0] == -1.75 and len(traces) == 1
