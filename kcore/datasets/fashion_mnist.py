"""Fashion-MNIST: 70,000 pictures of clothes, 28 by 28 pixels."""

from __future__ import annotations

import gzip
import zlib

import numpy as np

from kcore.datasets.reading import SERVER, Arrays
from kcore.utils.files import get_file

#: The labels' meaning.
NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_data() -> tuple[Arrays, Arrays]:
    """Zalando's pictures of articles, a harder stand-in for MNIST.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (60000 or 10000, 28, 28), labels uint8 (samples,) from 0
        to 9, whose meaning is `NAMES`.

    Raises:
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.fashion_mnist.load_data`.
    """

    def read(name: str, header: int) -> np.ndarray:
        path = get_file(name, SERVER + name, cache_subdir="datasets/fashion-mnist")
        try:
            with gzip.open(path) as file:
                return np.frombuffer(file.read(), np.uint8, offset=header)
        except (gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}; delete it to have it fetched again") from error

    parts = [
        (read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), read(f"{part}-labels-idx1-ubyte.gz", 8))
        for part in ("train", "t10k")
    ]
    return parts[0], parts[1]
