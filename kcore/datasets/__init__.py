"""Data sets that many examples use, fetched once into Keras's cache folder: ``mnist.load_data()`` and the like."""

from __future__ import annotations

from kcore.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = ["boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"]
