"""Inception-ResNet, second version: blocks of branches, a share of which is added to what they began with."""

from __future__ import annotations

from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.config import image_data_format
from kcore.declare import argument
from kcore.models import Functional
from kcore.registry import public

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

#: A convolution: filters and kernel. A branch: one after the other.
Branch = tuple[tuple[int, Any], ...]

#: Blocks that keep the grid: branches, how many blocks, and the share that is added.
RESIDUAL: dict[str, tuple[tuple[Branch, ...], int, float]] = {
    "block35": ((((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))), 10, 0.17),
    "block17": ((((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))), 20, 0.1),
    "block8": ((((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))), 10, 0.2),
}
#: What leads to the next grid, of half the size; there is one more branch, a maximum over 3x3 places.
COARSER: dict[str, tuple[Branch, ...]] = {
    "mixed_6a": (((384, 3),), ((256, 1), (256, 3), (384, 3))),
    "mixed_7a": (((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))),
}


@public("keras.src.applications.inception_resnet_v2")
class CustomScaleLayer(layers.Layer):
    """Adds a share of its second input to its first: ``inputs[0] + scale * inputs[1]``.

    Args:
        scale: the share.

    Shapes:
        two inputs and an output of one shape.

    Example:
        >>> import numpy as np
        >>> CustomScaleLayer(0.5)([np.ones(1, "float32"), np.ones(1, "float32")]).numpy().tolist()
        [1.5]

    Source: Szegedy et al., arXiv 1602.07261, section 3.3; the layer of `keras.applications.InceptionResNetV2`.
    """

    scale: float = argument()

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale


def inception_resnet_v2(
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
    """Inception-ResNet, second version.

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
        head features ``(batch, rows, columns, 1536)``, 8x8 of them for 299x299, pooled ``(batch, 1536)``. Channels
        first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def body(x: Any) -> Any:
        x = _convolved(x, 32, 3, stride=2, padding="valid")
        x = _convolved(x, 32, 3, padding="valid")
        x = _convolved(x, 64, 3)
        x = layers.MaxPooling2D(3, strides=2)(x)
        x = _convolved(x, 80, 1, padding="valid")
        x = _convolved(x, 192, 3, padding="valid")
        x = layers.MaxPooling2D(3, strides=2)(x)
        branches = [_branch(x, (96, 1)), _branch(x, (48, 1), (64, 5)), _branch(x, (64, 1), (96, 3), (96, 3))]
        pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        x = _joined([*branches, _convolved(pooled, 64, 1)], "mixed_5b")
        for kind, leading in (("block35", "mixed_6a"), ("block17", "mixed_7a"), ("block8", None)):
            for number in range(1, RESIDUAL[kind][1] + 1):
                x = _residual(x, kind, number)
            if leading is not None:
                x = _coarser(x, leading)
        return app.finished(_convolved(x, 1536, 1, name="conv_7b"))

    file = f"inception_resnet_v2/inception_resnet_v2{ENDINGS[not include_top]}"
    return app.model(app.image(299, 75), body, name, SERVER + file, which.digest(include_top))


def _axis() -> int:
    return 1 if image_data_format() == "channels_first" else 3


def _convolved(
    x: Any, filters: int, kernel: Any, stride: int = 1, padding: str = "same", name: str | None = None
) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(axis=_axis(), scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _branch(x: Any, *convolutions: tuple[int, Any]) -> Any:
    for convolution in convolutions:
        x = _convolved(x, *convolution)
    return x


def _joined(branches: list[Any], name: str) -> Any:
    return layers.Concatenate(axis=_axis(), name=name)(branches)


def _residual(x: Any, kind: str, number: int) -> Any:
    branches, count, share = RESIDUAL[kind]
    last = kind == "block8" and number == count  # it is added whole, and not activated
    name = f"{kind}_{number}"
    mixed = _joined([_branch(x, *branch) for branch in branches], f"{name}_mixed")
    up = layers.Conv2D(x.shape[_axis()], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(1.0 if last else share)([x, up])
    return x if last else layers.Activation("relu", name=f"{name}_ac")(x)


def _coarser(x: Any, name: str) -> Any:
    made = [_convolved(_branch(x, *inner), *last, stride=2, padding="valid") for *inner, last in COARSER[name]]
    return _joined([*made, layers.MaxPooling2D(3, strides=2)(x)], name)


InceptionResNetV2 = variant(
    inception_resnet_v2,
    Variant(
        "InceptionResNetV2",
        "inception_resnet_v2",
        ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    "Inception-ResNet-v2 of Szegedy and others (arXiv 1602.07261): 55.9 million parameters.",
)
