"""`keras.preprocessing.image`: images as files, pictures and arrays."""

from __future__ import annotations

from kcore.utils.images import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]
