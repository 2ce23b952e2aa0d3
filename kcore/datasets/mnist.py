"""MNIST: 70,000 handwritten digits, 28 by 28 pixels."""

from __future__ import annotations

from kcore.datasets.reading import SERVER, Arrays, read_npz
from kcore.utils.files import get_file


def load_data(path: str = "mnist.npz") -> tuple[Arrays, Arrays]:
    """The handwritten digits of LeCun, Cortes and Burges.

    Args:
        path: name of the file in the cache folder.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (60000 or 10000, 28, 28) from 0 (paper) to 255 (ink),
        labels uint8 (samples,) from 0 to 9.

    Raises:
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.mnist.load_data`.
    """
    digest = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
    content = read_npz(get_file(path, SERVER + "mnist.npz", file_hash=digest))
    return (content["x_train"], content["y_train"]), (content["x_test"], content["y_test"])
