"""MobileNet: depthwise convolutions, each followed by one over channels."""

from __future__ import annotations

from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.errors import warn_user
from kcore.models import Functional

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

#: Filters of the blocks and their strides.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
#: Sizes of images for which weights are published, and the widths, as the files are called.
SIZES, WIDTHS = (128, 160, 192, 224), {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}


def mobilenet(
    which: Variant,
    input_shape: Shape = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    """MobileNet.

    Args:
        input_shape: shape of an image, at least 32x32; ``(224, 224, 3)`` with a head, any size without one if None.
        alpha: factor of the number of filters; with ``weights="imagenet"`` one of 0.25, 0.5, 0.75 and 1.
        depth_multiplier: filters for each channel in depthwise convolutions; with ``weights="imagenet"`` 1.
        dropout: rate of the head's dropout.
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model; by `alpha` and the height of the images if None.

    Shapes:
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, 1024 alpha)``, pooled ``(batch, 1024 alpha)``. Channels first if the
        data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    default = published_size(app.sizes(), SIZES)
    image = app.image(default, 32)
    if app.pretrained and (alpha not in WIDTHS or depth_multiplier != 1):
        raise ValueError(
            f"{which.title}: weights='imagenet' is for an alpha of 0.25, 0.5, 0.75 or 1 and depth_multiplier=1, "
            f"received alpha={alpha}, depth_multiplier={depth_multiplier}"
        )
    rows = size_of_weights(app, default, SIZES)

    def active(x: Any, conv: str) -> Any:
        x = layers.BatchNormalization(axis=app.channels, name=f"{conv}_bn")(x)
        return layers.ReLU(6.0, name=f"{conv}_relu")(x)

    def body(x: Any) -> Any:
        x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
        x = active(x, "conv1")
        for i, (filters, stride) in enumerate(BLOCKS, 1):
            if stride == 2:
                x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
            x = layers.DepthwiseConv2D(
                3,
                strides=stride,
                padding="same" if stride == 1 else "valid",
                depth_multiplier=depth_multiplier,
                use_bias=False,
                name=f"conv_dw_{i}",
            )(x)
            x = active(x, f"conv_dw_{i}")
            x = layers.Conv2D(int(filters * alpha), 1, padding="same", use_bias=False, name=f"conv_pw_{i}")(x)
            x = active(x, f"conv_pw_{i}")
        if not include_top:
            return app.pooled(x)
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        return layers.Activation(classifier_activation, name="predictions")(x)

    file = f"mobilenet/mobilenet_{WIDTHS.get(alpha)}_{rows}_tf{'' if include_top else '_no_top'}.h5"
    return app.model(image, body, f"mobilenet_{alpha:0.2f}_{rows}" if name is None else name, SERVER + file, None)


Sizes = tuple[int | None, int | None]


def published_size(given: Sizes | None, published: tuple[int, ...]) -> int:
    """Size of the user's images if weights are published for it, else 224."""
    height, width = given or (None, None)
    return height if height is not None and height == width and height in published else 224


def size_of_weights(app: Assembly, default: int, published: tuple[int, ...]) -> int | None:
    """Size of images for which weights are to be fetched; for models without them, the height of the images."""
    height, width = app.sizes() or ((default, default) if app.include_top else (None, None))
    if app.pretrained and (height != width or height not in published):
        warn_user(
            f"{app.title}: weights='imagenet' is published for square images of {', '.join(map(str, published))}; "
            "those for 224 are loaded"
        )
        return 224
    return height


MobileNet = variant(
    mobilenet,
    Variant("MobileNet", "mobilenet", (None, None)),
    "MobileNet of Howard and others (arXiv 1704.04861): 4.3 million parameters.",
)
