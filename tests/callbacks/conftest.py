"""A tiny model to train, and a stand-in for one that only remembers what was done to it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import kcore
from kcore import layers, optimizers


class StandIn:
    """What callbacks ask of a model, kcore's and Keras's alike, without any computation."""

    def __init__(self, rate: float = 0.1):
        self.name = "stand_in"
        self.optimizer = SimpleNamespace(name="sgd", learning_rate=rate)
        self.metrics: list = []
        self.stop_training = False
        self.weights = [0]
        self.saved: list = []

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = list(weights)

    def save_weights(self, path, overwrite=True):
        self.saved.append(str(path).replace("\\", "/"))


@pytest.fixture
def stand_in():
    return StandIn


@pytest.fixture
def data():
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


@pytest.fixture
def model():
    return make_model()


def make_model(optimizer=None, metrics=("accuracy",), **options):
    kcore.set_random_seed(1)
    made = kcore.Sequential([kcore.Input((3,)), layers.Dense(1, activation="sigmoid", name="only")], name="net")
    made.compile(optimizer or optimizers.SGD(0.1), "binary_crossentropy", metrics=list(metrics), **options)
    return made


@pytest.fixture(name="make_model")
def make_model_fixture():
    return make_model
