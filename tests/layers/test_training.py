"""Three steps of SGD with each layer end where Keras on JAX ends; `training_cases` says how the values were made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from training_cases import CASES, train

import kcore

RECORDED = json.loads(Path(__file__).with_name("training_values.json").read_text())


def test_every_case_is_recorded():
    assert RECORDED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_training_ends_where_keras_ends(name):
    got, expected = train(kcore, name), RECORDED[name]
    np.testing.assert_allclose(got["losses"], expected["losses"], rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(got["weights"], expected["weights"], rtol=1e-3, atol=1e-4)
