"""House prices in Boston in the 1970s: 506 districts, thirteen features."""

from __future__ import annotations

from kcore.datasets.reading import SERVER, Arrays, check_share, load_regression
from kcore.utils.files import get_file


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Arrays, Arrays]:
    """The data of Harrison and Rubinfeld. One of its features treats race as a price factor; `california_housing` is
    the better first example.

    Args:
        path: name of the file in the cache folder.
        test_split: share of the test set, in [0, 1).
        seed: of the order before splitting; the parts are Keras's.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: float64 (samples, 13), and median prices (samples,) in 1000 dollars.

    Raises:
        ValueError: `test_split` outside [0, 1).
        OSError: it is not in the cache and cannot be fetched.

    Source: `keras.datasets.boston_housing.load_data`.
    """
    check_share(test_split)
    digest = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    return load_regression(get_file(path, SERVER + "boston_housing.npz", file_hash=digest), test_split, seed)
