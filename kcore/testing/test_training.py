"""Small trainings to a known loss, compiled and op by op."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend.compile import Executable
from kcore.runtime import GradientTape, function
from kcore.testing.guarded import run_guarded
from kcore.testing.trainings import MODELS, train

STEPS = 6

#: Mean loss of the six steps, computed in float64 from the same float32 weights, with the same dropout masks.
KNOWN = {
    "mlp": 1.6481073445194727,
    "mlp4": 1.379598285047334,
    "cnn": 1.369614047526266,
    "resnet": 0.693031561346111,
    "lstm": 0.6902692640603743,
    "transformer": 0.6467157568833038,
}


@pytest.mark.parametrize("name", MODELS)
def test_training_reaches_its_known_loss(name: str) -> None:
    losses, _ = train(name, STEPS)
    assert np.mean(losses) == pytest.approx(KNOWN[name], rel=2e-5), f"{name}: losses {losses}, their mean is another"


@pytest.mark.parametrize("name", MODELS)
def test_compiled_training_equals_training_op_by_op(name: str) -> None:
    losses, weights = train(name, 2)
    eager_losses, eager_weights = train(name, 2, run_eagerly=True)
    np.testing.assert_allclose(losses, eager_losses, rtol=1e-5)
    for i, (a, b) in enumerate(zip(weights, eager_weights, strict=True)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=f"{name}: weight {i}")


def test_two_runs_are_the_same_bits() -> None:
    for a, b in zip(train("cnn", 3)[1], train("cnn", 3)[1], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_of_a_step_stays_inside_its_buffers(name: str) -> None:
    """Forward and backward of a whole model, kernel by kernel between guards, give the bits of the shared arena."""
    model, x, _ = MODELS[name]()

    @function
    def gradients(x):
        with GradientTape() as tape:
            y = model(x, training=True)
        return [y, *tape.gradient(y, model.trainable_variables)]

    executable = gradients.concrete(x)
    if type(executable) is not Executable:
        pytest.skip("this backend plans its memory itself")
    state = {v: v.numpy() for v in executable.plan.graph.state}
    wanted = [t.numpy() for t in gradients(x)]
    for v, value in state.items():
        v.assign(value)
    for i, (a, b) in enumerate(zip(run_guarded(executable.program, [x]), wanted, strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=f"{name}: result {i}")
