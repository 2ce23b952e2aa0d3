"""Pictures of digits for the examples that compare: scikit-learn's 8 by 8 ones, MNIST, or a file."""

from __future__ import annotations

import numpy as np

Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load(which: str = "digits") -> Split:
    """Flat pictures and labels to train and to test on.

    Args:
        which: ``"digits"``, the 1,797 that scikit-learn carries; ``"mnist"``, 70,000, downloaded once; or an ``.npz``
            file with ``x_train``, ``y_train``, ``x_test``, ``y_test``.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: x float32 (samples, pixels) in [0, 1], y int32 (samples,).
    """
    if which == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))  # the file is sorted by writer
        x, y = digits.data[order] / 16, digits.target[order]
        train, test = (x[:-360], y[:-360]), (x[-360:], y[-360:])
    elif which == "mnist":
        from kcore.datasets import mnist

        train, test = mnist.load_data()
        train, test = (train[0] / 255, train[1]), (test[0] / 255, test[1])
    else:
        with np.load(which) as file:
            train, test = (file["x_train"] / 255, file["y_train"]), (file["x_test"] / 255, file["y_test"])
    (x, y), (x_test, y_test) = train, test
    return (
        (x.reshape(len(x), -1).astype("float32"), y.astype("int32")),
        (x_test.reshape(len(x_test), -1).astype("float32"), y_test.astype("int32")),
    )
