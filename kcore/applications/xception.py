"""Xception: separable convolutions in residual blocks."""

from __future__ import annotations

from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.models import Functional

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


def xception(
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
    """Xception.

    Args:
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 71x71; ``(299, 299, 3)`` with a head, any size without one if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, 2048)``, pooled ``(batch, 2048)``. Channels first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def normalized(x: Any, name: str | None = None) -> Any:
        return layers.BatchNormalization(axis=app.channels, name=name)(x)

    def active(x: Any, name: str) -> Any:
        return layers.Activation("relu", name=name)(x)

    def separable(x: Any, filters: int, name: str) -> Any:
        x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
        return normalized(x, f"{name}_bn")

    def coarser(x: Any, block: int, first: int, second: int) -> Any:
        """Two separable convolutions to a grid of half the size."""
        rest = layers.Conv2D(second, 1, strides=2, padding="same", use_bias=False)(x)
        rest = normalized(rest)
        if block > 2:
            x = active(x, f"block{block}_sepconv1_act")
        x = separable(x, first, f"block{block}_sepconv1")
        x = active(x, f"block{block}_sepconv2_act")
        x = separable(x, second, f"block{block}_sepconv2")
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
        return layers.add([x, rest])

    def body(x: Any) -> Any:
        for i, (filters, stride) in enumerate(((32, 2), (64, 1)), 1):
            name = f"block1_conv{i}"
            x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=name)(x)
            x = active(normalized(x, f"{name}_bn"), f"{name}_act")
        for block, filters in ((2, 128), (3, 256), (4, 728)):
            x = coarser(x, block, filters, filters)
        for block in range(5, 13):
            rest = x
            for i in (1, 2, 3):
                name = f"block{block}_sepconv{i}"
                x = separable(active(x, f"{name}_act"), 728, name)
            x = layers.add([x, rest])
        x = coarser(x, 13, 728, 1024)
        for i, filters in ((1, 1536), (2, 2048)):
            name = f"block14_sepconv{i}"
            x = active(separable(x, filters, name), f"{name}_act")
        return app.finished(x)

    file = f"xception/xception{ENDINGS[not include_top]}"
    return app.model(app.image(299, 71), body, name, SERVER + file, which.digest(include_top))


Xception = variant(
    xception,
    Variant("Xception", "xception", ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97")),
    "Xception of Chollet (arXiv 1610.02357): 22.9 million parameters.",
)
