"""Small trainings to a known loss, compiled and op by op."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.testing.trainings import MODELS, train

STEPS = 6

#: Loss of the sixth step, computed in float64 from the same float32 weights, with the same dropout masks.
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
    assert losses[-1] == pytest.approx(KNOWN[name], rel=2e-5), f"{name}: losses {losses}, the last should be another"


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
