"""Dense networks: every block of a stage sees what all blocks before it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore import layers
from kcore.applications.assembly import ENDINGS, SERVER, Assembly, Shape, Variant, Weights, variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_torch as preprocess_input
from kcore.models import Functional

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

#: Channels that a block adds.
GROWTH = 32


@dataclass(frozen=True)
class Dense(Variant):
    """A dense network; `depths` are the blocks of its four stages."""

    depths: tuple[int, ...]


def densenet(
    which: Dense,
    include_top: bool = True,
    weights: Weights = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "",
) -> Functional:
    """A dense network.

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
        images ``(batch, height, width, 3)``, prepared by `preprocess_input`; output ``(batch, classes)``, or without a
        head ``(batch, height / 32, width / 32, n)``, pooled ``(batch, n)``.

    Raises:
        ValueError: arguments that do not go together, images with channels first, or weights of another model.
        OSError: the published weights are neither in the cache nor within reach.
    """
    app = Assembly(
        which.title, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    app.only_channels_last()

    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(3)(x)
        x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
        x = _active(x, "conv1_")
        x = layers.ZeroPadding2D(1)(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for stage, depth in enumerate(which.depths, 2):
            for i in range(1, depth + 1):
                x = _block(x, f"conv{stage}_block{i}_")
            x = _halved(x, f"pool{stage}_") if stage < 5 else _active(x, "")
        return app.finished(x, named=True)

    file = f"densenet/{which.name}{ENDINGS[not include_top]}"
    return app.model(app.image(224, 32), body, name, SERVER + file, which.digest(include_top))


def _active(x: Any, prefix: str) -> Any:
    x = layers.BatchNormalization(axis=3, epsilon=1.001e-5, name=f"{prefix}bn")(x)
    return layers.Activation("relu", name=f"{prefix}relu")(x)


def _block(x: Any, prefix: str) -> Any:
    new = layers.Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{prefix}1_conv")(_active(x, f"{prefix}0_"))
    new = layers.Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{prefix}2_conv")(_active(new, f"{prefix}1_"))
    return layers.Concatenate(axis=3, name=f"{prefix}concat")([x, new])


def _halved(x: Any, prefix: str) -> Any:
    """Half the channels on a grid of half the size."""
    x = layers.Conv2D(x.shape[3] // 2, 1, use_bias=False, name=f"{prefix}conv")(_active(x, prefix))
    return layers.AveragePooling2D(2, strides=2, name=f"{prefix}pool")(x)


DenseNet121 = variant(
    densenet,
    Dense(
        "DenseNet121",
        "densenet121",
        ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
        (6, 12, 24, 16),
    ),
    "DenseNet-121 of Huang and others (arXiv 1608.06993): 8.1 million parameters.",
)
DenseNet169 = variant(
    densenet,
    Dense(
        "DenseNet169",
        "densenet169",
        ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
        (6, 12, 32, 32),
    ),
    "DenseNet-169 of Huang and others (arXiv 1608.06993): 14.3 million parameters.",
)
DenseNet201 = variant(
    densenet,
    Dense(
        "DenseNet201",
        "densenet201",
        ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
        (6, 12, 48, 32),
    ),
    "DenseNet-201 of Huang and others (arXiv 1608.06993): 20.2 million parameters.",
)
