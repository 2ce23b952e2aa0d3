"""EfficientNet, second version: whole convolutions on the fine grids, depthwise ones on the coarse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.efficientnet import (
    DROPPED,
    active,
    added,
    channel_axis,
    convolved,
    excited,
    headed,
    normalized,
    spread,
)
from kcore.applications.imagenet_utils import DEVIATION, MEAN, decode_predictions
from kcore.applications.imagenet_utils import unchanged as preprocess_input
from kcore.initializers import Constant
from kcore.models import Functional

__all__ = [*(f"EfficientNetV2{which}" for which in ("B0", "B1", "B2", "B3", "S", "M", "L"))]
__all__ += ["decode_predictions", "preprocess_input"]

#: Blocks, filters before and after, expansion and first stride of a stage, and whether its convolutions are whole.
Stage = tuple[int, int, int, int, int, bool]

BASE: tuple[Stage, ...] = (
    (1, 32, 16, 1, 1, True),
    (2, 16, 32, 4, 2, True),
    (2, 32, 48, 4, 2, True),
    (3, 48, 96, 4, 2, False),
    (5, 96, 112, 6, 1, False),
    (8, 112, 192, 6, 2, False),
)
SMALL: tuple[Stage, ...] = (
    (2, 24, 24, 1, 1, True),
    (4, 24, 48, 4, 2, True),
    (4, 48, 64, 4, 2, True),
    (6, 64, 128, 4, 2, False),
    (9, 128, 160, 6, 1, False),
    (15, 160, 256, 6, 2, False),
)
MEDIUM: tuple[Stage, ...] = (
    (3, 24, 24, 1, 1, True),
    (5, 24, 48, 4, 2, True),
    (5, 48, 80, 4, 2, True),
    (7, 80, 160, 4, 2, False),
    (14, 160, 176, 6, 1, False),
    (18, 176, 304, 6, 2, False),
    (5, 304, 512, 6, 1, False),
)
LARGE: tuple[Stage, ...] = (
    (4, 32, 32, 1, 1, True),
    (7, 32, 64, 4, 2, True),
    (7, 64, 96, 4, 2, True),
    (10, 96, 192, 4, 2, False),
    (19, 192, 224, 6, 1, False),
    (25, 224, 384, 6, 2, False),
    (7, 384, 640, 6, 1, False),
)
#: Rate of the head's dropout, and momentum of the normalization.
DROPOUT, MOMENTUM = 0.2, 0.9


@dataclass(frozen=True)
class EfficientV2(Variant):
    """A second EfficientNet.

    Attributes:
        stages: its stages before scaling.
        size: default height and width of images.
        width, depth: factors of filters and blocks.
        standardized: whether images are brought to the mean 0 and deviation 1 of ImageNet, else to -1 to 1.
    """

    stages: tuple[Stage, ...]
    size: int
    width: float
    depth: float
    standardized: bool


def efficientnet_v2(
    which: EfficientV2,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = "",
) -> Functional:
    """A second EfficientNet.

    Args:
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 32x32; with a head the variant's own, without one any size if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        include_preprocessing: whether the model normalizes pixels 0 to 255 itself.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, 0 to 255; output ``(batch, classes)``, or without a head
        ``(batch, height / 32, width / 32, 1280)``, pooled ``(batch, 1280)``, more than 1280 for B2 and B3. Channels
        first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )

    def filters_of(filters: int) -> int:
        return max(8, int(filters * which.width + 4) // 8 * 8)

    def body(x: Any) -> Any:
        if include_preprocessing:
            x = _prepared(x, which.standardized)
        x = convolved(x, filters_of(which.stages[0][1]), 3, "stem_conv", strides=2)
        x = active(normalized(x, "stem_bn", MOMENTUM), "stem_activation")
        number, count = 0, sum(stage[0] for stage in which.stages)
        for i, (depth, before, after, expansion, first, whole) in enumerate(which.stages, 1):
            channels, block = filters_of(before), _whole_block if whole else _depthwise_block
            for j in range(math.ceil(depth * which.depth)):
                prefix, stride = f"block{i}{chr(ord('a') + j)}_", 1 if j else first
                rest, x = x, block(x, prefix, channels, filters_of(after), expansion, stride)
                if stride == 1 and channels == filters_of(after):
                    x = added(x, rest, DROPPED * number / count, prefix)
                channels, number = filters_of(after), number + 1
        x = normalized(convolved(x, filters_of(1280), 1, "top_conv"), "top_bn", MOMENTUM)
        return headed(app, active(x, "top_activation"), DROPOUT, bias_initializer=Constant(0.0))

    file = f"efficientnet_v2/{which.name}{'' if include_top else '_notop'}.h5"
    return app.model(app.image(which.size, 32), body, name, SERVER + file, which.digest(include_top))


def _prepared(x: Any, standardized: bool) -> Any:
    if not (standardized and x.shape[channel_axis()] == 3):
        return layers.Rescaling(1 / 128, -1)(x)
    variance = [deviation**2 for deviation in DEVIATION]
    return layers.Normalization(axis=channel_axis(), mean=list(MEAN), variance=variance)(layers.Rescaling(1 / 255)(x))


def _whole_block(x: Any, prefix: str, before: int, after: int, expansion: int, stride: int) -> Any:
    if expansion == 1:
        x = convolved(x, after, 3, f"{prefix}project_conv", strides=stride)
        return active(normalized(x, f"{prefix}project_bn", MOMENTUM), f"{prefix}project_activation")
    x = convolved(x, before * expansion, 3, f"{prefix}expand_conv", strides=stride)
    x = active(normalized(x, f"{prefix}expand_bn", MOMENTUM), f"{prefix}expand_activation")
    return normalized(convolved(x, after, 1, f"{prefix}project_conv"), f"{prefix}project_bn", MOMENTUM)


def _depthwise_block(x: Any, prefix: str, before: int, after: int, expansion: int, stride: int) -> Any:
    x = normalized(convolved(x, before * expansion, 1, f"{prefix}expand_conv"), f"{prefix}expand_bn", MOMENTUM)
    x = active(x, f"{prefix}expand_activation")
    depthwise = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=spread(),
        name=f"{prefix}dwconv2",
    )
    x = active(normalized(depthwise(x), f"{prefix}bn", MOMENTUM), f"{prefix}activation")
    x = excited(x, max(1, int(before * 0.25)), prefix)
    return normalized(convolved(x, after, 1, f"{prefix}project_conv"), f"{prefix}project_bn", MOMENTUM)


def _made(
    which: str,
    digests: tuple[str, str],
    millions: float,
    stages: tuple[Stage, ...],
    size: int,
    width: float = 1.0,
    depth: float = 1.0,
) -> Any:
    model = EfficientV2(
        f"EfficientNetV2{which}",
        f"efficientnetv2-{which.lower()}",
        digests,
        stages,
        size,
        width,
        depth,
        standardized=stages is BASE,
    )
    summary = f"EfficientNetV2-{which} of Tan and Le (arXiv 2104.00298): {millions} million parameters."
    return variant(efficientnet_v2, model, summary)


EfficientNetV2B0 = _made("B0", ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"), 7.2, BASE, 224)
EfficientNetV2B1 = _made(
    "B1", ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"), 8.2, BASE, 240, 1.0, 1.1
)
EfficientNetV2B2 = _made(
    "B2", ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"), 10.2, BASE, 260, 1.1, 1.2
)
EfficientNetV2B3 = _made(
    "B3", ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"), 14.5, BASE, 300, 1.2, 1.4
)
EfficientNetV2S = _made("S", ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"), 21.6, SMALL, 384)
EfficientNetV2M = _made(
    "M", ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"), 54.4, MEDIUM, 480
)
EfficientNetV2L = _made(
    "L", ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"), 119.0, LARGE, 480
)
