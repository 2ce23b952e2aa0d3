"""EfficientNet: one design, found by search, scaled in depth, width and size of images together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import Assembly, Shape, Variant, Weights, divisible, shifted, variant
from kcore.applications.imagenet_utils import DEVIATION, decode_predictions
from kcore.applications.imagenet_utils import unchanged as preprocess_input
from kcore.config import image_data_format
from kcore.initializers import VarianceScaling
from kcore.models import Functional

__all__ = [*(f"EfficientNetB{i}" for i in range(8)), "decode_predictions", "preprocess_input"]

SERVER = "https://storage.googleapis.com/keras-applications/"
#: Kernel, blocks, filters before and after, expansion and first stride of the stages: table 1 of the paper.
STAGES = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
#: The rate of the last block's dropout; it rises from 0.
DROPPED = 0.2


@dataclass(frozen=True)
class Efficient(Variant):
    """An EfficientNet.

    Attributes:
        width, depth: factors of filters and blocks.
        size: default height and width of images.
        dropout: rate of the head's dropout.
    """

    width: float
    depth: float
    size: int
    dropout: float


def efficientnet(
    which: Efficient,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """An EfficientNet.

    Args:
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 32x32; with a head the variant's own, without one any size if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, 0 to 255: the model normalizes them itself; output ``(batch, classes)``,
        or without a head ``(batch, height / 32, width / 32, n)``, pooled ``(batch, n)``. Channels first if the data
        format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def filters_of(filters: int) -> int:
        return divisible(filters * which.width)

    def body(x: Any) -> Any:
        x = layers.Normalization(axis=channel_axis())(layers.Rescaling(1 / 255)(x))
        if app.pretrained:  # the published weights were learned from images divided twice
            x = layers.Rescaling([1 / math.sqrt(deviation) for deviation in DEVIATION])(x)
        x = layers.ZeroPadding2D(shifted(x, 3), name="stem_conv_pad")(x)
        x = normalized(convolved(x, filters_of(32), 3, "stem_conv", strides=2, padding="valid"), "stem_bn")
        x = active(x, "stem_activation")
        number, count = 0, sum(math.ceil(stage[1] * which.depth) for stage in STAGES)
        for i, (kernel, depth, before, after, expansion, first) in enumerate(STAGES, 1):
            channels = filters_of(before)
            for j in range(math.ceil(depth * which.depth)):
                prefix, stride = f"block{i}{chr(ord('a') + j)}_", 1 if j else first
                x = _block(x, prefix, kernel, channels, filters_of(after), expansion, stride, DROPPED * number / count)
                channels, number = filters_of(after), number + 1
        x = active(normalized(convolved(x, filters_of(1280), 1, "top_conv"), "top_bn"), "top_activation")
        return headed(app, x, which.dropout)

    file = f"{which.name}{'' if include_top else '_notop'}.h5"
    return app.model(app.image(which.size, 32), body, name, SERVER + file, which.digest(include_top))


def channel_axis() -> int:
    """The axis of channels, counted from the start."""
    return 3 if image_data_format() == "channels_last" else 1


def spread() -> VarianceScaling:
    """First values of kernels."""
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def convolved(x: Any, filters: int, kernel: int, name: str, padding: str = "same", **options: Any) -> Any:
    """A convolution without a bias, if nothing else is said."""
    options = {"use_bias": False, **options}
    return layers.Conv2D(filters, kernel, padding=padding, kernel_initializer=spread(), name=name, **options)(x)


def normalized(x: Any, name: str, momentum: float = 0.99) -> Any:
    """Batch normalization."""
    return layers.BatchNormalization(axis=channel_axis(), momentum=momentum, name=name)(x)


def active(x: Any, name: str) -> Any:
    """The activation of all EfficientNets."""
    return layers.Activation("swish", name=name)(x)


def excited(x: Any, reduced: int, prefix: str) -> Any:
    """Channels weighted by what their averages say."""
    rest, channels = x, x.shape[channel_axis()]
    x = layers.GlobalAveragePooling2D(name=f"{prefix}se_squeeze")(x)
    shape = (1, 1, channels) if channel_axis() == 3 else (channels, 1, 1)
    x = layers.Reshape(shape, name=f"{prefix}se_reshape")(x)
    x = convolved(x, reduced, 1, f"{prefix}se_reduce", activation="swish", use_bias=True)
    x = convolved(x, channels, 1, f"{prefix}se_expand", activation="sigmoid", use_bias=True)
    return layers.multiply([rest, x], name=f"{prefix}se_excite")


def added(x: Any, rest: Any, dropped: float, prefix: str) -> Any:
    """The sum of a block and what it began with; in training some samples skip the block."""
    if dropped > 0:
        x = layers.Dropout(dropped, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return layers.add([x, rest], name=f"{prefix}add")


def headed(app: Assembly, x: Any, dropout: float, **options: Any) -> Any:
    """The head, or pooling as the user asked."""
    if not app.include_top:
        return app.pooled(x, named=True)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dropout(dropout, name="top_dropout")(x)
    return app.classified(x, kernel_initializer=VarianceScaling(1 / 3, "fan_out", "uniform"), **options)


def _block(
    x: Any, prefix: str, kernel: int, before: int, after: int, expansion: int, stride: int, dropped: float
) -> Any:
    rest = x
    if expansion != 1:
        x = normalized(convolved(x, before * expansion, 1, f"{prefix}expand_conv"), f"{prefix}expand_bn")
        x = active(x, f"{prefix}expand_activation")
    if stride == 2:
        x = layers.ZeroPadding2D(shifted(x, kernel), name=f"{prefix}dwconv_pad")(x)
    depthwise = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        depthwise_initializer=spread(),
        name=f"{prefix}dwconv",
    )
    x = active(normalized(depthwise(x), f"{prefix}bn"), f"{prefix}activation")
    x = excited(x, max(1, int(before * 0.25)), prefix)
    x = normalized(convolved(x, after, 1, f"{prefix}project_conv"), f"{prefix}project_bn")
    return added(x, rest, dropped, prefix) if stride == 1 and before == after else x


def _made(number: int, digests: tuple[str, str], millions: float, *scale: Any) -> Any:
    title = f"EfficientNetB{number}"
    summary = f"EfficientNet-B{number} of Tan and Le (arXiv 1905.11946): {millions} million parameters."
    return variant(efficientnet, Efficient(title, title.lower(), digests, *scale), summary)


# width, depth, size of images, dropout
EfficientNetB0 = _made(
    0, ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"), 5.3, 1.0, 1.0, 224, 0.2
)
EfficientNetB1 = _made(
    1, ("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"), 7.9, 1.0, 1.1, 240, 0.2
)
EfficientNetB2 = _made(
    2, ("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"), 9.2, 1.1, 1.2, 260, 0.3
)
EfficientNetB3 = _made(
    3, ("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"), 12.3, 1.2, 1.4, 300, 0.3
)
EfficientNetB4 = _made(
    4, ("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"), 19.5, 1.4, 1.8, 380, 0.4
)
EfficientNetB5 = _made(
    5, ("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"), 30.6, 1.6, 2.2, 456, 0.4
)
EfficientNetB6 = _made(
    6, ("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"), 43.3, 1.8, 2.6, 528, 0.5
)
EfficientNetB7 = _made(
    7, ("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"), 66.7, 2.0, 3.1, 600, 0.5
)
