"""House prices in California in 1990: 20,640 districts, eight features."""

from __future__ import annotations

from kcore.datasets.reading import SERVER, Arrays, check_share, load_regression
from kcore.utils.files import get_file


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Arrays, Arrays]:
    """Districts of the census of 1990: median income, age of houses, rooms, bedrooms, population, people per household,
    latitude, longitude, and the median price.

    Args:
        version: ``"large"`` for all 20,640, ``"small"`` for 600 of them.
        path: name of the file in the cache folder.
        test_split: share of the test set, in [0, 1).
        seed: of the order before splitting; the parts are Keras's.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: floats (samples, 8), and median prices (samples,) in dollars.

    Raises:
        ValueError: another `version`, or `test_split` outside [0, 1).
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.california_housing.load_data`.
    """
    check_share(test_split)
    if version not in ("small", "large"):
        raise ValueError(f"version must be 'small' or 'large', received {version!r}")
    digest = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    file = get_file(path, SERVER + "california_housing.npz", file_hash=digest)
    return load_regression(file, test_split, seed, 600 if version == "small" else None)
