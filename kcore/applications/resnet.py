"""Residual networks: blocks of three convolutions, added to what they began with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_caffe as preprocess_input
from kcore.config import image_data_format
from kcore.models import Functional

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

FILTERS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Residual(Variant):
    """A residual network.

    Attributes:
        depths: the blocks of its four stages.
        preactivated: whether blocks normalize and activate before they convolve, as in the second version.
    """

    depths: tuple[int, ...]
    preactivated: bool = False


def residual(
    which: Residual,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """A residual network.

    Args:
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 32x32; ``(224, 224, 3)`` with a head, any size without one if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input` of its module; output
        ``(batch, classes)``, or without a head ``(batch, height / 32, width / 32, 2048)``, pooled ``(batch, 2048)``.
        Channels first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
        x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
        if not which.preactivated:
            x = _activated(_normalized(x, "conv1_bn"), "conv1_relu")
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
        for stage, (filters, depth) in enumerate(zip(FILTERS, which.depths, strict=True), 2):
            # The first version goes to the coarser grid in the first block of a stage, the second in the last.
            if which.preactivated:
                strides = [1] * (depth - 1) + [2 if stage < 5 else 1]
            else:
                strides = [1 if stage == 2 else 2] + [1] * (depth - 1)
            block = _block_v2 if which.preactivated else _block
            for i, stride in enumerate(strides, 1):
                x = block(x, filters, stride, i == 1, f"conv{stage}_block{i}")
        if which.preactivated:
            x = _activated(_normalized(x, "post_bn"), "post_relu")
        return app.finished(x, named=True)

    file = f"resnet/{which.name}{ENDINGS[not include_top]}"
    return app.model(app.image(224, 32), body, name, SERVER + file, which.digest(include_top))


def _normalized(x: Any, name: str) -> Any:
    axis = 3 if image_data_format() == "channels_last" else 1
    return layers.BatchNormalization(axis=axis, epsilon=1.001e-5, name=name)(x)


def _activated(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=name)(x)


def _block(x: Any, filters: int, stride: int, projected: bool, name: str) -> Any:
    shortcut = x
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = _normalized(shortcut, f"{name}_0_bn")
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = _activated(_normalized(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = _activated(_normalized(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = _normalized(x, f"{name}_3_bn")
    return _activated(layers.Add(name=f"{name}_add")([shortcut, x]), f"{name}_out")


def _block_v2(x: Any, filters: int, stride: int, projected: bool, name: str) -> Any:
    active = _activated(_normalized(x, f"{name}_preact_bn"), f"{name}_preact_relu")
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active)
    x = _activated(_normalized(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _activated(_normalized(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


ResNet50 = variant(
    residual,
    Residual(
        "ResNet50", "resnet50", ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"), (3, 4, 6, 3)
    ),
    "ResNet-50 of He and others (arXiv 1512.03385): 25.6 million parameters.",
)
ResNet101 = variant(
    residual,
    Residual(
        "ResNet101",
        "resnet101",
        ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
        (3, 4, 23, 3),
    ),
    "ResNet-101 of He and others (arXiv 1512.03385): 44.7 million parameters.",
)
ResNet152 = variant(
    residual,
    Residual(
        "ResNet152",
        "resnet152",
        ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
        (3, 8, 36, 3),
    ),
    "ResNet-152 of He and others (arXiv 1512.03385): 60.4 million parameters.",
)
