"""Residual networks whose blocks normalize and activate before they convolve."""

from __future__ import annotations

from kcore.applications.assembly import variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_tf as preprocess_input
from kcore.applications.resnet import Residual, residual

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

ResNet50V2 = variant(
    residual,
    Residual(
        "ResNet50V2",
        "resnet50v2",
        ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
        (3, 4, 6, 3),
        preactivated=True,
    ),
    "ResNet-50, second version, of He and others (arXiv 1603.05027): 25.6 million parameters.",
)
ResNet101V2 = variant(
    residual,
    Residual(
        "ResNet101V2",
        "resnet101v2",
        ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
        (3, 4, 23, 3),
        preactivated=True,
    ),
    "ResNet-101, second version, of He and others (arXiv 1603.05027): 44.7 million parameters.",
)
ResNet152V2 = variant(
    residual,
    Residual(
        "ResNet152V2",
        "resnet152v2",
        ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
        (3, 8, 36, 3),
        preactivated=True,
    ),
    "ResNet-152, second version, of He and others (arXiv 1603.05027): 60.4 million parameters.",
)
