"""Whole models on the fake GPU: steps are planned, bound, recorded as CUDA graphs and replayed, with right numbers."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.testing.trainings import MODELS, train

#: Steps: the first submits one by one, the second records, the others replay.
STEPS = 5


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_as_on_numpy(computing, name):
    losses, weights = train(name, STEPS)
    assert "graph" in computing.calls
    kcore.use_backend("numpy")
    wanted, wanted_weights = train(name, STEPS)
    np.testing.assert_allclose(losses, wanted, rtol=1e-4, atol=1e-5)
    for mine, other in zip(weights, wanted_weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-4)
