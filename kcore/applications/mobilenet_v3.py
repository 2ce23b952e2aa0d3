"""MobileNet, third version: the second one with squeezing, excitation and hard swish in places found by search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, divisible, shifted, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import unchanged as preprocess_input
from kcore.errors import warn_user
from kcore.models import Functional

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]


@dataclass(frozen=True)
class Block:
    """A block: its expansion, filters, kernel and stride, whether it squeezes and excites, and has hard swish."""

    expansion: float
    filters: int
    kernel: int
    stride: int
    excited: bool
    swish: bool


@dataclass(frozen=True)
class MobileV3(Variant):
    """A third MobileNet.

    Attributes:
        blocks: tables 1 and 2 of the paper.
        last: channels before the classes.
        files: width (and minimalistic) -> digests of the published weights with and without a head.
    """

    blocks: tuple[Block, ...]
    last: int
    files: dict[str, tuple[str, str]]


def mobilenet_v3(
    which: MobileV3,
    input_shape: Shape = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = "",
) -> Functional:
    """MobileNet, third version.

    Args:
        input_shape: shape of an image, at least 32x32; ``(None, None, 3)``, any size, if None.
        alpha: factor of the number of filters; with ``weights="imagenet"`` 0.75 or 1.
        minimalistic: whether it goes without squeezing, excitation, hard swish and 5x5 kernels.
        include_top: whether it ends in a head that tells classes.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        classes: how many the head tells.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        dropout_rate: rate of the head's dropout; 0 for none.
        classifier_activation: of the head; None for logits.
        include_preprocessing: whether the model scales pixels 0 to 255 itself; else it wants -1 to 1.
        name: name of the model.

    Shapes:
        images ``(batch, height, width, 3)``, 0 to 255; output ``(batch, classes)``, or without a head
        ``(batch, height / 32, width / 32, n)``, pooled ``(batch, n)``. Channels first if the data format is.

    Raises:
        ValueError: arguments that do not go together, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    app.check_size(32)
    width = f"{'minimalistic_' if minimalistic else ''}224_{float(alpha)}_float"
    if app.pretrained and width not in which.files:
        raise ValueError(
            f"{which.title}: weights='imagenet' is for an alpha of 0.75 or 1, minimalistic 1; received alpha={alpha}, "
            f"minimalistic={minimalistic}"
        )
    sizes = app.sizes() or app.sizes_of_tensor() or (None, None)
    if app.pretrained and sizes != (224, 224):
        warn_user(f"{which.title}: weights='imagenet' was learned from images of 224x224; they are loaded for {sizes}")
    shape = app.input_shape or app.shape(None, None)
    image = layers.Input(shape) if input_tensor is None else input_tensor

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(axis=app.channels, epsilon=1e-3, momentum=0.999, name=name)(x)

    def convolved(x: Any, filters: int, name: str, **options: Any) -> Any:
        return layers.Conv2D(filters, kernel_size=1, padding="same", name=name, **options)(x)

    def relu(x: Any) -> Any:
        return layers.ReLU()(x)

    def swish(x: Any) -> Any:
        return relu(x) if minimalistic else layers.Activation("hard_swish")(x)

    def excited(x: Any, filters: int, prefix: str) -> Any:
        """Channels weighted by what their averages say."""
        rest, prefix = x, f"{prefix}squeeze_excite_"
        x = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}avg_pool")(x)
        x = layers.ReLU(name=f"{prefix}relu")(convolved(x, divisible(filters * 0.25), f"{prefix}conv"))
        x = convolved(x, filters, f"{prefix}conv_1")
        x = layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)  # the published files know no other hard sigmoid
        return layers.Multiply(name=f"{prefix}mul")([rest, x])

    def block(x: Any, number: int, b: Block) -> Any:
        rest, channels = x, x.shape[app.channels]
        prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
        activation: Callable[[Any], Any] = swish if b.swish else relu
        filters, wide = divisible(b.filters * alpha), divisible(channels * b.expansion)
        kernel = 3 if minimalistic else b.kernel
        if number:
            x = convolved(x, wide, f"{prefix}expand", use_bias=False)
            x = activation(normalized(x, f"{prefix}expand_bn"))
        if b.stride == 2:
            x = layers.ZeroPadding2D(shifted(x, kernel), name=f"{prefix}depthwise_pad")(x)
        padding = "same" if b.stride == 1 else "valid"
        x = layers.DepthwiseConv2D(
            kernel, strides=b.stride, padding=padding, use_bias=False, name=f"{prefix}depthwise"
        )(x)
        x = activation(normalized(x, f"{prefix}depthwise_bn"))
        if b.excited and not minimalistic:
            x = excited(x, wide, prefix)
        x = normalized(convolved(x, filters, f"{prefix}project", use_bias=False), f"{prefix}project_bn")
        return layers.Add(name=f"{prefix}add")([rest, x]) if b.stride == 1 and channels == filters else x

    def body(x: Any) -> Any:
        if include_preprocessing:
            x = layers.Rescaling(1.0 / 127.5, -1.0)(x)
        x = layers.Conv2D(16, kernel_size=3, strides=2, padding="same", use_bias=False, name="conv")(x)
        x = swish(normalized(x, "conv_bn"))
        for number, b in enumerate(which.blocks):
            x = block(x, number, b)
        x = convolved(x, divisible(x.shape[app.channels] * 6), "conv_1", use_bias=False)
        x = swish(normalized(x, "conv_1_bn"))
        if not include_top:
            return app.pooled(x, named=True)
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = swish(convolved(x, divisible(which.last * max(alpha, 1.0)), "conv_2"))
        if dropout_rate > 0:
            x = layers.Dropout(dropout_rate)(x)
        x = layers.Flatten()(convolved(x, classes, "logits"))
        return layers.Activation(classifier_activation, name="predictions")(x)

    size = which.title.removeprefix("MobileNetV3").lower()
    file = f"mobilenet_v3/weights_mobilenet_v3_{size}_{width}{'' if include_top else '_no_top_v2'}.h5"
    digests = which.files.get(width, (None, None))
    return app.model(image, body, name, SERVER + file, digests[0 if include_top else 1])


MobileNetV3Small = variant(
    mobilenet_v3,
    MobileV3(
        "MobileNetV3Small",
        "MobileNetV3Small",
        (None, None),
        (
            Block(1, 16, 3, 2, True, False),
            Block(72 / 16, 24, 3, 2, False, False),
            Block(88 / 24, 24, 3, 1, False, False),
            Block(4, 40, 5, 2, True, True),
            *[Block(6, 40, 5, 1, True, True)] * 2,
            *[Block(3, 48, 5, 1, True, True)] * 2,
            Block(6, 96, 5, 2, True, True),
            *[Block(6, 96, 5, 1, True, True)] * 2,
        ),
        1024,
        {
            "224_0.75_float": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
            "224_1.0_float": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
            "minimalistic_224_1.0_float": ("99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4"),
        },
    ),
    "MobileNetV3-Small of Howard and others (arXiv 1905.02244): 2.6 million parameters.",
)
MobileNetV3Large = variant(
    mobilenet_v3,
    MobileV3(
        "MobileNetV3Large",
        "MobileNetV3Large",
        (None, None),
        (
            Block(1, 16, 3, 1, False, False),
            Block(4, 24, 3, 2, False, False),
            Block(3, 24, 3, 1, False, False),
            Block(3, 40, 5, 2, True, False),
            *[Block(3, 40, 5, 1, True, False)] * 2,
            Block(6, 80, 3, 2, False, True),
            Block(2.5, 80, 3, 1, False, True),
            *[Block(2.3, 80, 3, 1, False, True)] * 2,
            *[Block(6, 112, 3, 1, True, True)] * 2,
            Block(6, 160, 5, 2, True, True),
            *[Block(6, 160, 5, 1, True, True)] * 2,
        ),
        1280,
        {
            "224_0.75_float": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
            "224_1.0_float": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
            "minimalistic_224_1.0_float": ("675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973"),
        },
    ),
    "MobileNetV3-Large of Howard and others (arXiv 1905.02244): 5.5 million parameters.",
)
