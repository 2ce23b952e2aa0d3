"""MobileNet, second version: residual blocks that are wide inside and narrow at their ends."""

from __future__ import annotations

from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, divisible, shifted, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.applications.mobilenet import published_size, size_of_weights
from kcore.models import Functional

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

#: Expansion, filters, blocks and first stride of the stages: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
#: Sizes of images and widths for which weights are published.
SIZES, WIDTHS = (96, 128, 160, 192, 224), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def mobilenet_v2(
    which: Variant,
    input_shape: Shape = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    """MobileNet, second version.

    Args:
        input_shape: shape of an image, at least 32x32; ``(224, 224, 3)`` with a head, any size without one if None.
        alpha: factor of the number of filters; with ``weights="imagenet"`` one of 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model; by `alpha` and the height of the images if None.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, 1280)``, pooled ``(batch, 1280)``; more than 1280 for an alpha above 1.
        Channels first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    default = published_size(app.sizes() or app.sizes_of_tensor(), SIZES)
    image = app.image(default, 32)
    if app.pretrained and alpha not in WIDTHS:
        allowed = ", ".join(map(str, WIDTHS))
        raise ValueError(f"{which.title}: weights='imagenet' is for an alpha of {allowed}, received {alpha}")
    rows = size_of_weights(app, default, SIZES)

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(axis=app.channels, epsilon=1e-3, momentum=0.999, name=name)(x)

    def active(x: Any, name: str) -> Any:
        return layers.ReLU(6.0, name=name)(x)

    def block(x: Any, prefix: str, expansion: int, filters: int, stride: int) -> Any:
        rest, channels = x, x.shape[app.channels]
        if expansion > 1:
            x = layers.Conv2D(expansion * channels, 1, padding="same", use_bias=False, name=f"{prefix}expand")(x)
            x = active(normalized(x, f"{prefix}expand_BN"), f"{prefix}expand_relu")
        if stride == 2:
            x = layers.ZeroPadding2D(shifted(x, 3), name=f"{prefix}pad")(x)
        padding = "same" if stride == 1 else "valid"
        x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=f"{prefix}depthwise")(x)
        x = active(normalized(x, f"{prefix}depthwise_BN"), f"{prefix}depthwise_relu")
        x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{prefix}project")(x)
        x = normalized(x, f"{prefix}project_BN")
        return layers.Add(name=f"{prefix}add")([rest, x]) if stride == 1 and channels == filters else x

    def body(x: Any) -> Any:
        first = divisible(32 * alpha)
        x = layers.Conv2D(first, 3, strides=2, padding="same", use_bias=False, name="Conv1")(x)
        x = active(normalized(x, "bn_Conv1"), "Conv1_relu")
        number = 0
        for expansion, filters, depth, first_stride in STAGES:
            for i in range(depth):
                prefix = f"block_{number}_" if number else "expanded_conv_"
                x = block(x, prefix, expansion, divisible(int(filters * alpha)), 1 if i else first_stride)
                number += 1
        x = layers.Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
        x = active(normalized(x, "Conv_1_bn"), "out_relu")
        return app.finished(x, average=None)

    ending = "" if include_top else "_no_top"
    file = f"mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}{ending}.h5"
    return app.model(image, body, f"mobilenetv2_{alpha:0.2f}_{rows}" if name is None else name, SERVER + file, None)


MobileNetV2 = variant(
    mobilenet_v2,
    Variant("MobileNetV2", "mobilenetv2", (None, None)),
    "MobileNetV2 of Sandler and others (arXiv 1801.04381): 3.5 million parameters.",
)
