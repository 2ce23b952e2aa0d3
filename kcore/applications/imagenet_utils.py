"""Images as the applications want them, and their predictions in words."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from kcore import ops
from kcore.config import floatx, standardize_data_format
from kcore.dtypes import FLOATS, numpy_dtype
from kcore.naming import did_you_mean
from kcore.runtime import KerasTensor, Variable, is_tensor
from kcore.utils.files import get_file

MODES = ("caffe", "tf", "torch")
#: Mean of ImageNet's blue, green and red, 0 to 255.
BGR_MEAN = (103.939, 116.779, 123.68)
#: Mean and standard deviation of ImageNet's red, green and blue, 0 to 1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
#: Keras's file of the classes, as it is called in the cache, too.
CLASSES_DIGEST = "c2c37ea517e94d9795004a39431a14cb"


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Bring pixels to the values that a model learned with.

    ========= ==============================================================================================
    mode      values
    ========= ==============================================================================================
    ``tf``    -1 to 1: ``x / 127.5 - 1``
    ``torch`` each channel of ``x / 255`` less ImageNet's mean, by ImageNet's standard deviation
    ``caffe`` blue, green, red instead of red, green, blue, each less ImageNet's mean
    ========= ==============================================================================================

    Args:
        x: images of red, green and blue, 0 to 255: an array or tensor, also a symbolic one, ``(height, width, 3)`` or
            ``(batch, height, width, 3)``, or channels first; of any dtype.
        data_format: ``"channels_last"``, ``"channels_first"``, or None for `kcore.config.image_data_format()`.
        mode: see above.

    Returns:
        Of the kind and shape of `x`, which stays as it is; of its dtype if that is a float, else of
        `kcore.config.floatx()`.

    Raises:
        ValueError: another mode or data format, or images without three channels where they count.

    Example:
        >>> preprocess_input(np.array([[[0, 127.5, 255]]]), mode="tf").tolist()
        [[[-1.0, 0.0, 1.0]]]

    Source: `keras.applications.imagenet_utils.preprocess_input`.
    """
    if mode not in MODES:
        raise ValueError(
            f"preprocess_input: mode must be one of {', '.join(map(repr, MODES))}, received {mode!r}"
            + did_you_mean(str(mode), MODES)
        )
    data_format = standardize_data_format(data_format)
    symbolic = isinstance(x, KerasTensor | Variable) or is_tensor(x)
    x = _floats(x, symbolic)
    if mode == "tf":
        return x / 127.5 - 1.0
    rank = len(x.shape)
    axis = rank - 1 if data_format == "channels_last" else 0 if rank == 3 else 1
    if rank < 3 or x.shape[axis] not in (3, None):
        raise ValueError(
            f"preprocess_input: mode={mode!r} is for images of 3 channels, {data_format}; received the shape "
            f"{tuple(x.shape)}"
        )
    shape = [3 if i == axis else 1 for i in range(rank)]

    def by_channel(values: tuple[float, ...]) -> np.ndarray:
        return np.array(values, numpy_dtype(str(x.dtype))).reshape(shape)

    if mode == "torch":
        return (x / 255.0 - by_channel(MEAN)) / by_channel(DEVIATION)
    return (ops.flip(x, axis) if symbolic else np.flip(x, axis)) - by_channel(BGR_MEAN)


def _floats(x: Any, symbolic: bool) -> Any:
    if symbolic:
        return x if x.dtype in FLOATS else ops.cast(x, floatx())
    x = np.asarray(x)
    return x if x.dtype.name in FLOATS else x.astype(floatx())


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The likeliest classes of ImageNet in words.

    Args:
        preds: predictions of a model with 1000 classes, an array or tensor ``(batch, 1000)``.
        top: how many to name.

    Returns:
        For each sample a list of ``(WordNet's number, name, score)``, the likeliest first.

    Raises:
        ValueError: another shape.
        OSError: the list of classes is neither in the cache nor within reach.

    Example:
        >>> decode_predictions(np.eye(1000)[[282]], top=1)  # doctest: +SKIP
        [[('n02123159', 'tiger_cat', 1.0)]]

    Source: `keras.applications.imagenet_utils.decode_predictions`.
    """
    shape = tuple(np.shape(preds))
    if len(shape) != 2 or shape[1] != 1000:
        raise ValueError(
            "decode_predictions: preds must have the shape (batch, 1000), one score for each class of ImageNet; "
            f"received {shape}"
        )
    names = classes()
    best = np.argsort(-np.asarray(preds), axis=1, kind="stable")[:, : max(top, 0)]
    return [
        [(*names[i], score) for i, score in zip(row, scores, strict=True)]
        for row, scores in zip(best.tolist(), np.take_along_axis(np.asarray(preds), best, 1), strict=True)
    ]


@functools.cache
def classes() -> list[tuple[str, str]]:
    """WordNet's number and the name of each of ImageNet's classes."""
    path = get_file("imagenet_class_index.json", CLASSES, cache_subdir="models", file_hash=CLASSES_DIGEST)
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    return [tuple(index[str(i)]) for i in range(1000)]


def preprocess_tf(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0 to 255 as numbers from -1 to 1: `imagenet_utils.preprocess_input` with ``mode="tf"``.

    Args:
        x: images, an array or tensor, also a symbolic one.
        data_format: where their channels are; it does not matter here.

    Example:
        >>> preprocess_tf(np.array([[[0, 127.5, 255]]])).tolist()
        [[[-1.0, 0.0, 1.0]]]
    """
    return preprocess_input(x, data_format, "tf")


def preprocess_torch(x: Any, data_format: str | None = None) -> Any:
    """Pixels less ImageNet's mean, by its deviation: `imagenet_utils.preprocess_input` with ``mode="torch"``.

    Args:
        x: images of red, green and blue, an array or tensor, also a symbolic one.
        data_format: where their channels are; None for `kcore.config.image_data_format()`.

    Example:
        >>> preprocess_torch(np.array([[[0, 127.5, 255]]])).round(2).tolist()
        [[[-2.12, 0.2, 2.64]]]
    """
    return preprocess_input(x, data_format, "torch")


def preprocess_caffe(x: Any, data_format: str | None = None) -> Any:
    """Pixels as blue, green, red, less their means: `imagenet_utils.preprocess_input` with ``mode="caffe"``.

    Args:
        x: images of red, green and blue, 0 to 255, an array or tensor, also a symbolic one.
        data_format: where their channels are; None for `kcore.config.image_data_format()`.

    Example:
        >>> preprocess_caffe(np.array([[[0, 127.5, 255]]])).round(2).tolist()
        [[[151.06, 10.72, -123.68]]]
    """
    return preprocess_input(x, data_format, "caffe")


def unchanged(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0 to 255 as they are: the model brings them to its values itself.

    Args:
        x: images, an array or tensor.
        data_format: it does not matter here.

    Example:
        >>> unchanged(255)
        255
    """
    return x
