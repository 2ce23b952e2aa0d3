"""Images in another size."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.declare import argument, one_of, positive_int
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.image_layer import ImageLayer
from kcore.registry import public
from kcore.runtime.seeds import SeedGenerator


class _Sized(ImageLayer):
    """Base of the layers whose images all have one size."""

    height: int
    width: int

    moves = True

    def size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        return self.height, self.width

    def _fitted(self, images: Any, nearest: bool = False) -> Any:
        """The largest window of the target's ratio, in its size."""
        return ops.image.resize(
            images,
            (self.height, self.width),
            "nearest" if nearest else "bilinear",
            crop_to_aspect_ratio=True,
            data_format="channels_last",
        )


@public("keras.layers")
class Resizing(_Sized):
    """Brings images to one size, in training and outside of it.

    Args:
        height, width: the size.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        crop_to_aspect_ratio: whether images are first cut to the ratio of the new size.
        pad_to_aspect_ratio: whether images are first padded to it, with `fill_value`.
        fill_mode: ``"constant"``.
        antialias: whether images that get smaller are smoothed first.
        data_format: see `ImageLayer`.

    Shapes:
        input ``(batch, height, width, channels)`` or one image; output of the new size in the same dtype.

    Example:
        >>> import numpy as np
        >>> Resizing(2, 2)(np.arange(16, dtype="float32").reshape(4, 4, 1)).numpy().ravel().tolist()
        [2.5, 4.5, 10.5, 12.5]

    Source: `keras.layers.Resizing`.
    """

    height: int = argument(kind=positive_int)
    width: int = argument(kind=positive_int)
    interpolation: str = argument("bilinear", one_of("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"))
    crop_to_aspect_ratio: bool = argument(False)
    pad_to_aspect_ratio: bool = argument(False)
    fill_mode: str = argument("constant", one_of("constant"))
    fill_value: float = argument(0.0)
    antialias: bool = argument(False, bool)
    data_format: Any = argument(None, ImageLayer.arguments["data_format"].kind)

    always = True
    _keeps_dtype = True

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.image.resize(
            images,
            (self.height, self.width),
            "nearest" if nearest else self.interpolation,
            antialias=self.antialias and not nearest,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format="channels_last",
        )


@public("keras.layers")
class CenterCrop(_Sized):
    """Cuts out the middle of images, in training and outside of it; smaller ones are cut to the ratio and resized.

    Args:
        height, width: the size.
        data_format: see `ImageLayer`.

    Shapes:
        input ``(batch, height, width, channels)`` or one image; output of the new size.

    Example:
        >>> import numpy as np
        >>> CenterCrop(2, 2)(np.arange(16, dtype="float32").reshape(4, 4, 1)).numpy().ravel().tolist()
        [5.0, 6.0, 9.0, 10.0]

    Source: `keras.layers.CenterCrop`.
    """

    height: int = argument(kind=positive_int)
    width: int = argument(kind=positive_int)
    data_format: Any = argument(None, ImageLayer.arguments["data_format"].kind)

    always = True

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        above, left = images.shape[1] - self.height, images.shape[2] - self.width
        if above < 0 or left < 0:
            return self._fitted(images, nearest)
        top, left = above // 2, left // 2
        return images[:, top : top + self.height, left : left + self.width]


@public("keras.layers")
class RandomCrop(_Sized):
    """In training, cuts images out at a place drawn for the batch; otherwise cuts them to the ratio and resizes them.

    Images that are not larger than the new size are cut around the middle and resized in training, too.

    Args:
        height, width: the size.
        seed: integer that makes the places deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input ``(batch, height, width, channels)`` or one image; output of the new size.

    Example:
        >>> import numpy as np
        >>> RandomCrop(2, 2, seed=1)(np.ones((4, 4, 1), "float32"), training=True).shape
        (2, 2, 1)

    Source: `keras.layers.RandomCrop`.
    """

    height: int = argument(kind=positive_int)
    width: int = argument(kind=positive_int)
    seed: int | None = argument(None)
    data_format: Any = argument(None, ImageLayer.arguments["data_format"].kind)
    name: str = argument(None, config=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.generator = SeedGenerator(self.seed)

    def draw(self, images: Any, seed: Any) -> Any:
        height, width = images.shape[1:3]
        if height is None or width is None:
            raise ValueError(f"{describe_layer(self)}: the size of the images must be known, got {images.shape}")
        if height <= self.height or width <= self.width:
            tall = max(min(height, width * self.height // self.width), 1)
            wide = max(min(width, height * self.width // self.height), 1)
            return (height - tall) // 2, (width - wide) // 2
        places = [random.uniform((), 0.0, float(d + 1), seed=seed) for d in (height - self.height, width - self.width)]
        limits = (height - self.height, width - self.width)
        return [ops.minimum(ops.cast(p, "int32"), n) for p, n in zip(places, limits, strict=True)]

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        top, left = drawn
        if isinstance(top, int):  # images that are small
            part = images[:, top : top + self.height, left : left + self.width]
            return ops.image.resize(
                part, (self.height, self.width), "nearest" if nearest else "bilinear", data_format="channels_last"
            )
        images = ops.take(images, top + ops.arange(self.height, dtype="int32"), axis=1)
        return ops.take(images, left + ops.arange(self.width, dtype="int32"), axis=2)

    def resting(self, images: Any, nearest: bool = False) -> Any:
        return self._fitted(images, nearest)
