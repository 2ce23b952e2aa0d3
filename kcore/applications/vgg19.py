"""VGG-19: VGG-16 with three convolutions more."""

from __future__ import annotations

from kcore.applications.assembly import variant
from kcore.applications.imagenet_utils import decode_predictions
from kcore.applications.imagenet_utils import preprocess_caffe as preprocess_input
from kcore.applications.vgg16 import VGG, vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = variant(
    vgg,
    VGG("VGG19", "vgg19", ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"), (2, 2, 4, 4, 4)),
    "VGG-19 of Simonyan and Zisserman (arXiv 1409.1556): 144 million parameters, nearly all of them in its head.",
)
