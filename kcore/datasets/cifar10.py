"""CIFAR-10: 60,000 colour pictures of ten kinds of things, 32 by 32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kcore.datasets.reading import Arrays, in_order, read_cifar
from kcore.utils.files import get_file

#: The labels' meaning.
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load_data() -> tuple[Arrays, Arrays]:
    """Small colour pictures of ten kinds, by Krizhevsky.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (50000 or 10000, 32, 32, 3), channels first if
        `kcore.config.image_data_format` says so; labels uint8 (samples, 1) from 0 to 9, whose meaning is `NAMES`.

    Raises:
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.cifar10.load_data`.
    """
    folder = get_file(
        "cifar-10-batches-py-target",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        extract=True,
        file_hash="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    )
    inner = Path(folder) / "cifar-10-batches-py"
    batches = [read_cifar(inner / f"data_batch_{i}", "labels") for i in range(1, 6)]
    x_train, y_train = (np.concatenate(part) for part in zip(*batches, strict=True))
    x_test, y_test = read_cifar(inner / "test_batch", "labels")
    return (in_order(x_train), y_train.astype("uint8")), (in_order(x_test), y_test.astype("uint8"))
