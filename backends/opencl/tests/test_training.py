"""Whole trainings on OpenCL beside NumPy: the same beginnings bit for bit, the same ends up to rounding, no host op."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.backend.compile import Executable
from kcore.testing.trainings import MODELS, agreement, train


@pytest.fixture(autouse=True)
def back_to_numpy():
    yield
    kcore.config.set_floatx("float32")
    kcore.use_backend("numpy")


@pytest.mark.parametrize("name", MODELS)
def test_a_hundred_steps_end_where_they_end_on_numpy(device, name):
    found = agreement(name, str(device.device))
    assert found.same_start, "initial weights are drawn on the host: the same bits everywhere"
    assert found.holds, found


def test_masks_are_the_same_bits(device):
    masks = []
    for backend in (str(device.device), "numpy"):
        kcore.use_backend(backend)
        kcore.set_random_seed(3)
        layer = kcore.layers.Dropout(0.37)
        x = np.linspace(-1, 1, 1001 * 7, dtype="float32").reshape(1001, 7)
        drawn = kcore.function(lambda x, layer=layer: layer(x, training=True))
        masks.append([drawn(x).numpy() for _ in range(3)])
    np.testing.assert_array_equal(*masks)


@pytest.fixture
def noted(monkeypatch):
    """A list that every executable is added to when it is made."""
    compiled = []
    begin = Executable.__init__

    def noting(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        compiled.append(self)

    monkeypatch.setattr(Executable, "__init__", noting)
    return compiled


@pytest.mark.parametrize("name", MODELS)
def test_no_op_of_a_step_runs_on_the_host(device, name, noted):
    kcore.use_backend(str(device.device))
    model, x, y = MODELS[name]()
    model.fit(x, y, batch_size=len(x), verbose=0)  # as above: its kernels are there
    model.predict(x, verbose=0)
    assert noted
    hosts = {str(step.kernel) for e in noted for step in e.plan.steps if "host" in step.kernel.package}
    assert not hosts


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_a_weight_is_updated_in_place_by_the_kernel_that_makes_its_gradient(device, optimizer, noted):
    kcore.use_backend(str(device.device))
    layers = [kcore.layers.Dense(24, activation="relu", name="first"), kcore.layers.Dense(10, name="second")]
    model = kcore.Sequential([kcore.Input((20,)), *layers])
    model.compile(optimizer, "mse")
    model.fit(np.ones((8, 20), "float32"), np.ones((8, 10), "float32"), batch_size=8, verbose=0)
    plan = max((executable.plan for executable in noted), key=lambda plan: len(plan.steps))  # the step, not the logs
    written = {
        plan.homes[v].path: step.node.op.name for step in plan.steps for v in step.node.outputs if v in plan.homes
    }
    assert {op for path, op in written.items() if "kernel" in path} == {"fused_product"}
    assert not plan.copies


def test_an_update_that_needs_all_gradients_comes_after_them(device, noted):
    kcore.use_backend(str(device.device))
    model = kcore.Sequential([kcore.Input((20,)), kcore.layers.Dense(24), kcore.layers.Dense(10)])
    model.compile(kcore.optimizers.SGD(0.1, global_clipnorm=1e-3), "mse")
    before = model.get_weights()
    x, y = np.ones((8, 20), "float32"), np.ones((8, 10), "float32")
    model.fit(x, y, batch_size=8, verbose=0)
    moved = np.sqrt(sum(np.sum((a - b) ** 2.0) for a, b in zip(before, model.get_weights(), strict=True)))
    np.testing.assert_allclose(moved, 1e-4, rtol=1e-3)


def test_two_runs_are_the_same_bits(device):
    kcore.use_backend(str(device.device))
    runs = [train("cnn", 5)[1] for _ in range(2)]
    for a, b in zip(*runs, strict=True):
        assert a.tobytes() == b.tobytes()
