"""`keras.ops.image`: sizes, colours, frames, geometry, filters and patches of images."""

from __future__ import annotations

from kcore.ops.image.colors import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from kcore.ops.image.filters import gaussian_blur, sobel_edges, ssim
from kcore.ops.image.frames import crop_images, pad_images
from kcore.ops.image.patches import extract_patches, extract_patches_3d
from kcore.ops.image.resizing import INTERPOLATIONS as INTERPOLATIONS
from kcore.ops.image.resizing import resize, scale_and_translate
from kcore.ops.image.sampling import map_coordinates
from kcore.ops.image.transforms import affine_transform, elastic_transform, perspective_transform
from kcore.runtime.symbolic import record_functions as _record_functions

__all__ = [
    "affine_transform", "crop_images", "elastic_transform", "extract_patches", "extract_patches_3d", "gaussian_blur",
    "hsv_to_rgb", "map_coordinates", "pad_images", "perspective_transform", "resize", "rgb_to_grayscale",
    "rgb_to_hsv", "scale_and_translate", "sobel_edges", "ssim",
]  # fmt: skip

_record_functions(globals())
