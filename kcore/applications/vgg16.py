"""VGG-16: five blocks of 3x3 convolutions and three large dense layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_caffe as preprocess_input
from kcore.models import Functional

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

FILTERS = (64, 128, 256, 512, 512)


@dataclass(frozen=True)
class VGG(Variant):
    """A VGG; `depths` are the convolutions of its blocks."""

    depths: tuple[int, ...]


def vgg(
    which: VGG,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """A VGG.

    Args:
        include_top: whether it ends in a head that tells classes; its dense layers fix the size of the images.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 32x32; ``(224, 224, 3)`` with a head, any size without one if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, 512)``, pooled ``(batch, 512)``. Channels first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def body(x: Any) -> Any:
        for block, (filters, depth) in enumerate(zip(FILTERS, which.depths, strict=True), 1):
            for i in range(1, depth + 1):
                x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
            x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        if not include_top:
            return app.pooled(x)
        x = layers.Flatten(name="flatten")(x)
        for dense in ("fc1", "fc2"):
            x = layers.Dense(4096, activation="relu", name=dense)(x)
        return app.classified(x)

    file = f"{which.name}/{which.name}{ENDINGS[not include_top]}"
    return app.model(app.image(224, 32), body, name, SERVER + file, which.digest(include_top))


VGG16 = variant(
    vgg,
    VGG("VGG16", "vgg16", ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"), (2, 2, 3, 3, 3)),
    "VGG-16 of Simonyan and Zisserman (arXiv 1409.1556): 138 million parameters, nearly all of them in its head.",
)
