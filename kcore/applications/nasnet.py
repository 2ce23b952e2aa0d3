"""NASNet-A: two cells found by search, stacked; each sees the output of the last two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, shifted, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.models import Functional

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


@dataclass(frozen=True)
class NAS(Variant):
    """A NASNet-A.

    Attributes:
        filters: of the cells before the first grid is left; doubled at each grid.
        cells: on each of the three grids.
        stem: filters of the first convolution.
        size: default height and width of images.
        skipping: whether the cell after a coarser grid looks past the cell that led there.
        file: name of the published weights.
    """

    filters: int
    cells: int
    stem: int
    size: int
    skipping: bool
    file: str


def nasnet(
    which: NAS,
    input_shape: Shape = None,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """A NASNet-A.

    Args:
        input_shape: shape of an image, at least 32x32, of known size; ``(224, 224, 3)`` for the mobile one and
            ``(331, 331, 3)`` for the large one if None.
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, n)``, pooled ``(batch, n)``.

    Raises:
        ValueError: arguments that do not go together, images with channels first or of unknown size, or weights of
            another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    app.only_channels_last()
    if app.input_shape is None and input_tensor is None:
        app.input_shape = (which.size, which.size, 3)
    image = app.image(which.size, 32)
    if None in image.shape[1:3]:
        raise ValueError(
            f"{which.title} joins what it finds on grids of several sizes, so it needs the height and width of images, "
            f"received {image.shape[1:]}"
        )

    def body(x: Any) -> Any:
        x = layers.Conv2D(which.stem, 3, strides=2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1")(
            x
        )
        x = _normalized(x, "stem_bn1")
        x, before = _coarser(x, None, which.filters // 4, "stem_1"), x
        x, before = _coarser(x, before, which.filters // 2, "stem_2"), x
        for grid in range(3):
            filters, first = which.filters * 2**grid, which.cells * grid
            if grid:
                previous = before if which.skipping else x
                x, before = _coarser(x, before, filters, f"reduce_{first}"), previous
                first += 1
            for number in range(first, first + which.cells):
                x, before = _same(x, before, filters, str(number)), x
        return app.finished(layers.Activation("relu")(x), average=None)

    address = f"{SERVER}nasnet/{which.file}{'.h5' if include_top else '-no-top.h5'}"
    cached = f"{which.name}{'.h5' if include_top else '_no_top.h5'}"
    return app.model(image, body, name, address, which.digest(include_top), cached)


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=-1, momentum=0.9997, epsilon=1e-3, name=name)(x)


def _relu(x: Any, name: str | None = None) -> Any:
    return layers.Activation("relu", name=name)(x)


def _projected(x: Any, filters: int, name: str) -> Any:
    return layers.Conv2D(filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _separable(x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
    """Two separable convolutions, the first of which may lead to a grid of half the size."""
    x = _relu(x)
    if stride == 2:
        x = layers.ZeroPadding2D(shifted(x, kernel), name=f"separable_conv_1_pad_{name}")(x)
    padding = "same" if stride == 1 else "valid"
    for i, (step, pad) in enumerate(((stride, padding), (1, "same")), 1):
        if i == 2:
            x = _relu(x)
        layer = layers.SeparableConv2D(
            filters, kernel, strides=step, padding=pad, use_bias=False, name=f"separable_conv_{i}_{name}"
        )
        x = _normalized(layer(x), f"separable_conv_{i}_bn_{name}")
    return x


def _fitted(before: Any, x: Any, filters: int, name: str) -> Any:
    """The output of the cell before the last, on the grid of `x` and with so many filters."""
    if before is None:
        return x
    if before.shape[2] != x.shape[2]:
        before = _relu(before, f"adjust_relu_1_{name}")
        first = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_1_{name}")(before)
        first = _projected(first, filters // 2, f"adjust_conv_1_{name}")
        second = layers.ZeroPadding2D(((0, 1), (0, 1)))(before)  # one place on, so that none is left out
        second = layers.Cropping2D(((1, 0), (1, 0)))(second)
        second = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_2_{name}")(second)
        second = _projected(second, filters // 2, f"adjust_conv_2_{name}")
        return _normalized(layers.concatenate([first, second], axis=-1), f"adjust_bn_{name}")
    if before.shape[3] != filters:
        before = _projected(_relu(before), filters, f"adjust_conv_projection_{name}")
        return _normalized(before, f"adjust_bn_{name}")
    return before


def _added(parts: list[Any], name: str | None = None) -> Any:
    return layers.add(parts, name=name)


def _same(x: Any, before: Any, filters: int, name: str) -> Any:
    """The cell that keeps the grid."""

    def averaged(x: Any, side: str) -> Any:
        return layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{side}_{name}")(x)

    def separable(x: Any, kernel: int, side: str) -> Any:
        return _separable(x, filters, kernel, f"normal_{side}_{name}")

    def added(parts: list[Any], number: int) -> Any:
        return _added(parts, f"normal_add_{number}_{name}")

    p = _fitted(before, x, filters, name)
    h = _normalized(_projected(_relu(x), filters, f"normal_conv_1_{name}"), f"normal_bn_1_{name}")
    parts = [
        p,
        added([separable(h, 5, "left1"), separable(p, 3, "right1")], 1),
        added([separable(p, 5, "left2"), separable(p, 3, "right2")], 2),
        added([averaged(h, "left3"), p], 3),
        added([averaged(p, "left4"), averaged(p, "right4")], 4),
        added([separable(h, 3, "left5"), h], 5),
    ]
    return layers.concatenate(parts, axis=-1, name=f"normal_concat_{name}")


def _coarser(x: Any, before: Any, filters: int, name: str) -> Any:
    """The cell that leads to a grid of half the size."""

    def separable(x: Any, kernel: int, side: str, stride: int = 2) -> Any:
        return _separable(x, filters, kernel, f"reduction_{side}_{name}", stride)

    def highest(side: str) -> Any:
        return layers.MaxPooling2D(3, strides=2, name=f"reduction_{side}_{name}")(padded)

    p = _fitted(before, x, filters, name)
    h = _normalized(_projected(_relu(x), filters, f"reduction_conv_1_{name}"), f"reduction_bn_1_{name}")
    padded = layers.ZeroPadding2D(shifted(h, 3), name=f"reduction_pad_1_{name}")(h)
    first = _added([separable(h, 5, "left1"), separable(p, 7, "right1")], f"reduction_add_1_{name}")
    second = _added([highest("left2"), separable(p, 7, "right2")], f"reduction_add_2_{name}")
    average = layers.AveragePooling2D(3, strides=2, name=f"reduction_left3_{name}")(padded)
    third = _added([average, separable(p, 5, "right3")], f"reduction_add3_{name}")
    average = layers.AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")(first)
    fourth = _added([second, average])
    fifth = _added([separable(first, 3, "left4", stride=1), highest("right5")], f"reduction_add4_{name}")
    return layers.concatenate([second, third, fourth, fifth], axis=-1, name=f"reduction_concat_{name}")


NASNetMobile = variant(
    nasnet,
    NAS(
        "NASNetMobile",
        "nasnet_mobile",
        ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
        filters=44,
        cells=4,
        stem=32,
        size=224,
        skipping=False,
        file="NASNet-mobile",
    ),
    "NASNet-A (4 @ 1056) of Zoph and others (arXiv 1707.07012): 5.3 million parameters.",
)
NASNetLarge = variant(
    nasnet,
    NAS(
        "NASNetLarge",
        "nasnet_large",
        ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
        filters=168,
        cells=6,
        stem=96,
        size=331,
        skipping=True,
        file="NASNet-large",
    ),
    "NASNet-A (6 @ 4032) of Zoph and others (arXiv 1707.07012): 88.9 million parameters.",
)
