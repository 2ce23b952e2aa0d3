"""Logged losses and metrics over epochs are Keras's on JAX, for the same weights, data and options.

The numbers: KERAS_BACKEND=jax python tests/training/record_training.py, with Keras 3.15.1.
"""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

import kcore

_spec = importlib.util.spec_from_file_location(
    "record_training", pathlib.Path(__file__).with_name("record_training.py")
)
recorded = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorded)

KERAS = {
    "partial batches": {"accuracy": [0.304348, 0.391304, 0.391304], "loss": [1.329789, 1.204828, 1.12427]},
    "class_weight": {
        "accuracy": [0.333333, 0.333333, 0.333333],
        "loss": [1.828815, 1.268561, 1.099614],
        "val_accuracy": [0.2, 0.2, 0.2],
        "val_loss": [1.714789, 1.755961, 1.617937],
        "val_weighted_accuracy": [0.2, 0.2, 0.2],
        "weighted_accuracy": [0.481481, 0.666667, 0.666667],
    },
    "class_weight, one-hot": {"loss": [1.927721, 1.509631, 1.400355], "mse": [0.283189, 0.228297, 0.211602]},
    "sample_weight": {
        "loss": [0.881653, 0.232679, 0.162935],
        "mae": [1.233251, 0.699468, 0.590882],
        "val_loss": [0.276057, 0.133042, 0.117079],
        "val_mae": [0.726258, 0.489993, 0.45718],
        "val_weighted_mae": [0.699464, 0.453214, 0.426127],
        "weighted_mae": [1.279674, 0.60302, 0.49879],
    },
    "weights per output": {
        "loss": [1.490983, 1.079741, 0.916869],
        "p_loss": [1.003171, 0.408289, 0.201225],
        "p_mae": [1.407223, 0.839649, 0.563107],
        "q_accuracy": [0.366026, 0.550092, 0.539926],
        "q_loss": [0.559203, 0.445786, 0.398207],
    },
    "outputs by name": {
        "loss": [3.313316, 2.667482, 2.201313],
        "p_loss": [1.455587, 1.044413, 0.751496],
        "q_accuracy": [0.375, 0.375, 0.375],
        "q_loss": [1.784169, 1.552001, 1.383157],
        "val_loss": [2.202409],
        "val_p_loss": [0.786116],
        "val_q_accuracy": [0.285714],
        "val_q_loss": [1.348727],
    },
    "weights per time step": {"accuracy": [0.386979, 0.408094, 0.445204], "loss": [0.565672, 0.561365, 0.557543]},
    "a generator": {"loss": [0.779366, 0.145525, 0.161782], "val_loss": [0.610845, 0.565689, 0.447761]},
    "a PyDataset": {
        "accuracy": [0.26087, 0.347826, 0.347826],
        "loss": [2.120181, 1.725743, 1.63468],
        "val_accuracy": [0.347826, 0.347826, 0.347826],
        "val_loss": [1.348379, 1.313462, 1.220762],
    },
    "steps_per_epoch of arrays": {"accuracy": [0.277778, 0.4, 0.333333], "loss": [1.292522, 1.379547, 1.150004]},
    "steps alone": {"accuracy": [0.304348, 0.478261, 0.347826], "loss": [1.309403, 1.142421, 1.066384]},
}


@pytest.mark.filterwarnings("ignore:x is a data set of arrays. it gave:UserWarning")
@pytest.mark.parametrize("case", KERAS)
def test_logs_are_keras_s(case):
    found = recorded.logs(kcore, case)
    assert found == {name: pytest.approx(values, rel=2e-4, abs=2e-6) for name, values in KERAS[case].items()}


def test_every_case_is_recorded():
    assert set(KERAS) == set(recorded.CASES)
