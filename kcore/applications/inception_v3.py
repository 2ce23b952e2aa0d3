"""Inception, third version: blocks of branches with kernels of several sizes, side by side."""

from __future__ import annotations

from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.config import image_data_format
from kcore.models import Functional

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

#: A convolution: filters, height and width of the kernel. A branch: one after the other.
Branch = tuple[tuple[int, int, int], ...]


def _fine(pooled: int) -> tuple[Branch, ...]:
    return ((64, 1, 1),), ((48, 1, 1), (64, 5, 5)), ((64, 1, 1), (96, 3, 3), (96, 3, 3)), ((pooled, 1, 1),)


def _middle(n: int) -> tuple[Branch, ...]:
    return (
        ((192, 1, 1),),
        ((n, 1, 1), (n, 1, 7), (192, 7, 1)),
        ((n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
        ((192, 1, 1),),
    )


#: Blocks that keep the grid, by number; the last branch of each begins with an average over 3x3 places.
SAME: dict[int, tuple[Branch, ...]] = {
    0: _fine(32),
    1: _fine(64),
    2: _fine(64),
    4: _middle(128),
    5: _middle(160),
    6: _middle(160),
    7: _middle(192),
}
#: Blocks to a grid of half the size; there is one more branch, a maximum over 3x3 places.
COARSER: dict[int, tuple[Branch, ...]] = {
    3: (((384, 3, 3),), ((64, 1, 1), (96, 3, 3), (96, 3, 3))),
    8: (((192, 1, 1), (320, 3, 3)), ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3))),
}


def inception_v3(
    which: Variant,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """Inception, third version.

    Args:
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 75x75; ``(299, 299, 3)`` with a head, any size without one if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head features ``(batch, rows, columns, 2048)``, 8x8 of them for 299x299, pooled ``(batch, 2048)``. Channels
        first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def body(x: Any) -> Any:
        x = _convolved(x, 32, 3, 3, stride=2, padding="valid")
        x = _convolved(x, 32, 3, 3, padding="valid")
        x = _convolved(x, 64, 3, 3)
        x = layers.MaxPooling2D(3, strides=2)(x)
        x = _convolved(x, 80, 1, 1, padding="valid")
        x = _convolved(x, 192, 3, 3, padding="valid")
        x = layers.MaxPooling2D(3, strides=2)(x)
        for number in range(9):
            x = _same(x, number) if number in SAME else _coarser(x, number)
        for number in (9, 10):
            x = _forked(x, number)
        return app.finished(x)

    file = f"inception_v3/inception_v3{ENDINGS[not include_top]}"
    return app.model(app.image(299, 75), body, name, SERVER + file, which.digest(include_top))


def _axis() -> int:
    return 1 if image_data_format() == "channels_first" else 3


def _convolved(x: Any, filters: int, height: int, width: int, stride: int = 1, padding: str = "same") -> Any:
    x = layers.Conv2D(filters, (height, width), strides=stride, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(axis=_axis(), scale=False)(x)
    return layers.Activation("relu")(x)


def _branch(x: Any, *convolutions: tuple[int, int, int]) -> Any:
    for convolution in convolutions:
        x = _convolved(x, *convolution)
    return x


def _averaged(x: Any) -> Any:
    return layers.AveragePooling2D(3, strides=1, padding="same")(x)


def _joined(branches: list[Any], name: str | None = None) -> Any:
    return layers.concatenate(branches, axis=_axis(), name=name)


def _same(x: Any, number: int) -> Any:
    *branches, last = SAME[number]
    made = [_branch(x, *branch) for branch in branches]
    return _joined([*made, _branch(_averaged(x), *last)], f"mixed{number}")


def _coarser(x: Any, number: int) -> Any:
    made = [_convolved(_branch(x, *inner), *last, stride=2, padding="valid") for *inner, last in COARSER[number]]
    return _joined([*made, layers.MaxPooling2D(3, strides=2)(x)], f"mixed{number}")


def _forked(x: Any, number: int) -> Any:
    """A block of the coarsest grid: two branches end in a row and a column side by side."""
    alone = _branch(x, (320, 1, 1))
    made = []
    for name, convolutions in ((f"mixed9_{number - 9}", [(384, 1, 1)]), (None, [(448, 1, 1), (384, 3, 3)])):
        stem = _branch(x, *convolutions)
        made.append(_joined([_convolved(stem, 384, 1, 3), _convolved(stem, 384, 3, 1)], name))
    return _joined([alone, *made, _branch(_averaged(x), (192, 1, 1))], f"mixed{number}")


InceptionV3 = variant(
    inception_v3,
    Variant("InceptionV3", "inception_v3", ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63")),
    "Inception-v3 of Szegedy and others (arXiv 1512.00567): 23.9 million parameters.",
)
