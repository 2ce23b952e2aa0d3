"""CIFAR-100: 60,000 colour pictures of a hundred kinds of things, 32 by 32 pixels."""

from __future__ import annotations

from pathlib import Path

from kcore.datasets.reading import Arrays, in_order, read_cifar
from kcore.utils.files import get_file


def load_data(label_mode: str = "fine") -> tuple[Arrays, Arrays]:
    """Small colour pictures of a hundred kinds in twenty groups, by Krizhevsky.

    Args:
        label_mode: ``"fine"`` for the hundred kinds, ``"coarse"`` for the twenty groups.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (50000 or 10000, 32, 32, 3), channels first if
        `kcore.config.image_data_format` says so; labels int64 (samples, 1).

    Raises:
        ValueError: another `label_mode`.
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.cifar100.load_data`.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode must be 'fine' or 'coarse', received {label_mode!r}")
    folder = get_file(
        "cifar-100-python-target",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        extract=True,
        file_hash="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    )
    inner = Path(folder) / "cifar-100-python"
    parts = [read_cifar(inner / name, f"{label_mode}_labels") for name in ("train", "test")]
    (x_train, y_train), (x_test, y_test) = parts
    return (in_order(x_train), y_train), (in_order(x_test), y_test)
