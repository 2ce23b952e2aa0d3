"""Typical models, for `kcore tune --workload`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def mlp(layers: Any) -> list[Any]:
    """Images of 784 pixels, two hidden layers."""
    return [
        layers.Input((784,)),
        layers.Dense(256, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]


def mlp4(layers: Any) -> list[Any]:
    """Images of 784 pixels, four hidden layers of 256."""
    return [layers.Input((784,)), *(layers.Dense(256, activation="relu") for _ in range(4)), layers.Dense(10)]


def cnn(layers: Any) -> list[Any]:
    """The convolutional network of Keras's MNIST example."""
    return [
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]


def resnet(layers: Any) -> list[Any]:
    """The convolutions of a residual network for images of 32 x 32 (He et al. 2015), one of each size."""
    found = [layers.Input((32, 32, 3)), layers.Conv2D(16, 3, padding="same", use_bias=False)]
    for filters in (16, 32, 64):
        strides = 1 if filters == 16 else 2
        found += [
            layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    return [*found, layers.GlobalAveragePooling2D(), layers.Dense(10)]


#: By name: what makes the layers, and the batch size.
WORKLOADS: dict[str, tuple[Callable[[Any], list[Any]], int]] = {
    "mlp": (mlp, 128),
    "mlp4": (mlp4, 100),
    "cnn": (cnn, 128),
    "resnet": (resnet, 64),
}


def workload(name: str) -> tuple[Any, int]:
    """A typical model and its batch size."""
    import kcore

    make, batch_size = WORKLOADS[name]
    return kcore.Sequential(make(kcore.layers), name=name), batch_size
