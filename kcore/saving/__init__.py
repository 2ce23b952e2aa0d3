"""Saving: weights in Keras 3's file format."""

from kcore.saving.weights import load_weights, save_weights

__all__ = ["load_weights", "save_weights"]
