"""ConvNeXt: large depthwise convolutions between layers as transformers have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import DEVIATION, MEAN, decode_predictions
from kcore.applications.imagenet_utils import unchanged as preprocess_input
from kcore.declare import argument, positive_int
from kcore.initializers import Constant
from kcore.models import Functional, Sequential
from kcore.registry import public

__all__ = [*(f"ConvNeXt{which}" for which in ("Tiny", "Small", "Base", "Large", "XLarge"))]
__all__ += ["decode_predictions", "preprocess_input"]

#: First value of the factors that a block's result is multiplied by.
SCALE = 1e-6


@dataclass(frozen=True)
class Conv(Variant):
    """A ConvNeXt.

    Attributes:
        depths: the blocks of its four stages.
        filters: those of the first stage; each stage has twice as many as the one before.
    """

    depths: tuple[int, ...]
    filters: int


@public("keras.src.applications.convnext")
class LayerScale(layers.Layer):
    """Multiplies each channel by a learned factor: ``inputs * gamma``.

    Args:
        init_values: first value of the factors.
        projection_dim: how many channels there are.

    Shapes:
        input and output ``(..., projection_dim)``; gamma ``(projection_dim,)``.

    Example:
        >>> import numpy as np
        >>> LayerScale(0.5, 2)(np.ones((1, 2), "float32")).numpy().tolist()
        [[0.5, 0.5]]

    Source: Touvron et al., arXiv 2103.17239; the layer of `keras.applications.ConvNeXtTiny`.
    """

    init_values: float = argument()
    projection_dim: int = argument(kind=positive_int)

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight((self.projection_dim,), Constant(self.init_values))

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma


def convnext(
    which: Conv,
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """A ConvNeXt.

    Args:
        include_top: whether it ends in a head that tells classes.
        include_preprocessing: whether the model normalizes pixels 0 to 255 of 3 channels itself.
        weights: ``"imagenet"``, the path of a file of weights, or None for random ones.
        input_tensor: a symbolic tensor to begin with, instead of a new input.
        input_shape: shape of an image, at least 32x32; ``(224, 224, 3)`` with a head, any size without one if None.
        pooling: without a head: None for the features of all places, ``"avg"`` or ``"max"`` over them.
        classes: how many the head tells.
        classifier_activation: of the head; None for logits.
        name: name of the model, with which the names of its layers begin.

    Shapes:
        images ``(batch, height, width, 3)``, 0 to 255; output ``(batch, classes)``, or without a head
        ``(batch, height / 32, width / 32, n)``, pooled ``(batch, n)``, normalized either way.

    Raises:
        ValueError: arguments that do not go together, images with channels first, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    app.only_channels_last()
    prefix = which.name if name is None else name

    def body(x: Any) -> Any:
        if include_preprocessing and x.shape[3] == 3:
            mean, variance = [255 * m for m in MEAN], [(255 * d) ** 2 for d in DEVIATION]
            x = layers.Normalization(mean=mean, variance=variance, name=f"{prefix}_prestem_normalization")(x)
        for stage, depth in enumerate(which.depths):
            filters = which.filters * 2**stage
            x = _coarser(x, prefix, stage, filters)
            for i in range(depth):
                x = _block(x, filters, f"{prefix}_stage_{stage}_block_{i}")
        if not include_top:
            return _normalized(app.pooled(x), None)
        x = _normalized(layers.GlobalAveragePooling2D(name=f"{prefix}_head_gap")(x), f"{prefix}_head_layernorm")
        return layers.Dense(classes, activation=classifier_activation, name=f"{prefix}_head_dense")(x)

    file = f"convnext/{which.name}{'' if include_top else '_notop'}.h5"
    return app.model(app.image(224, 32), body, name, SERVER + file, which.digest(include_top))


def _norm(name: str | None) -> layers.Layer:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _normalized(x: Any, name: str | None) -> Any:
    return _norm(name)(x)


def _coarser(x: Any, prefix: str, stage: int, filters: int) -> Any:
    """To a grid of a quarter of the size in the first stage, of half the size in the others."""
    if stage == 0:
        conv = layers.Conv2D(filters, kernel_size=4, strides=4, name=f"{prefix}_stem_conv")
        return Sequential([conv, _norm(f"{prefix}_stem_layernorm")], name=f"{prefix}_stem")(x)
    number = stage - 1
    conv = layers.Conv2D(filters, kernel_size=2, strides=2, name=f"{prefix}_downsampling_conv_{number}")
    norm = _norm(f"{prefix}_downsampling_layernorm_{number}")
    return Sequential([norm, conv], name=f"{prefix}_downsampling_block_{number}")(x)


def _block(x: Any, filters: int, name: str) -> Any:
    rest = x
    x = layers.Conv2D(filters, kernel_size=7, padding="same", groups=filters, name=f"{name}_depthwise_conv")(x)
    x = _normalized(x, f"{name}_layernorm")
    x = layers.Dense(4 * filters, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(filters, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(SCALE, filters, name=f"{name}_layer_scale")(x)
    return rest + layers.Activation("linear", name=f"{name}_identity")(x)


def _made(title: str, digests: tuple[str, str], millions: float, depths: tuple[int, ...], filters: int) -> Any:
    name = f"convnext_{title.lower()}"
    summary = f"ConvNeXt-{title} of Liu and others (arXiv 2201.03545): {millions} million parameters."
    return variant(convnext, Conv(f"ConvNeXt{title}", name, digests, depths, filters), summary)


ConvNeXtTiny = _made(
    "Tiny",
    (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    28.6,
    (3, 3, 9, 3),
    96,
)
ConvNeXtSmall = _made(
    "Small",
    (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    50.2,
    (3, 3, 27, 3),
    96,
)
ConvNeXtBase = _made(
    "Base",
    (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    88.6,
    (3, 3, 27, 3),
    128,
)
ConvNeXtLarge = _made(
    "Large",
    (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    197.8,
    (3, 3, 27, 3),
    192,
)
ConvNeXtXLarge = _made(
    "XLarge",
    (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
    350.2,
    (3, 3, 27, 3),
    256,
)
