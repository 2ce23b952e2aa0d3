"""ResNet-50 under the address that older scripts import it from."""

from __future__ import annotations

from kcore.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
