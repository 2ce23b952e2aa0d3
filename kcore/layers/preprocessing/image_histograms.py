"""Images whose values are spread over the whole range."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.declare import argument, at_least, int_tuple, positive_int
from kcore.layers.preprocessing.image_layer import ImageLayer, rescaled, value_range
from kcore.registry import public

_data_format = ImageLayer.arguments["data_format"].kind


@public("keras.layers")
class AutoContrast(ImageLayer):
    """Stretches every channel of every image so that its values reach both ends of the range, also outside of training.

    Args:
        value_range: the least and the greatest value of a pixel.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> AutoContrast((0, 1))(np.array([[[0.25], [0.5], [0.75]]], "float32")).numpy().ravel().tolist()
        [0.0, 0.5, 1.0]

    Source: `keras.layers.AutoContrast`.
    """

    value_range: list[float] = argument((0, 255), value_range)

    always = True
    boxes_stay = True

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        values = rescaled(images, self.value_range, (0, 255))
        low, high = ops.min(values, axis=(1, 2), keepdims=True), ops.max(values, axis=(1, 2), keepdims=True)
        flat = ops.equal(low, high)
        scale = 255.0 / ops.where(flat, 1.0, high - low)
        spread = rescaled(ops.clip((values - low) * scale, 0, 255), (0, 255), self.value_range)
        return ops.where(flat, images, spread)


@public("keras.layers")
class Equalization(ImageLayer):
    """In training, spreads values so that each is about as frequent as the others: channel by channel, over the batch.

    Args:
        value_range: the least and the greatest value of a pixel.
        bins: how many values are told apart.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> Equalization()(np.array([[[10.0], [11.0], [12.0]]], "float32")).numpy().ravel().tolist()
        [0.0, 128.0, 255.0]

    Source: `keras.layers.Equalization`.
    """

    value_range: list[float] = argument((0, 255), value_range)
    bins: int = argument(256, positive_int)
    data_format: Any = argument(None, _data_format)

    boxes_stay = True

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.concatenate([self._equalized(images[..., i : i + 1]) for i in range(images.shape[-1])], -1)

    def _equalized(self, channel: Any) -> Any:
        values = ops.cast(rescaled(channel, self.value_range, (0, 255)), "float32")
        places = ops.cast(ops.clip(ops.floor(values * (self.bins - 1) / 255), 0, self.bins - 1), "int32")
        counted = ops.searchsorted(
            ops.sort(ops.reshape(places, (-1,))), ops.arange(self.bins, dtype="int32"), side="right"
        )  # how many values are in a bin or before it
        counted = ops.cast(counted, "float32")
        total = counted[-1]
        first = ops.min(ops.where(counted > 0, counted, total))
        spread = ops.where(ops.equal(first, total), 1.0, total - first)
        table = ops.clip(ops.round((counted - first) * 255 / spread), 0, 255)
        spaced = ops.where(ops.equal(first, total), values, ops.take(table, places))
        return ops.cast(rescaled(spaced, (0, 255), self.value_range), channel.dtype)


@public("keras.layers")
class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Spreads values within the tiles of a grid, up to a limit, and blends between the tiles; also outside of training.

    Args:
        value_range: the least and the greatest value of a pixel.
        clip_limit: how often a value may count, as a multiple of the mean; 0 is no limit. What is cut off, all get.
        tile_grid_size: rows and columns of the grid.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> layer = ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(1, 1), clip_limit=0)
        >>> layer(np.array([[[10.0], [11.0]]], "float32")).numpy().ravel().tolist()
        [127.5, 255.0]

    Source: Zuiderveld, Graphics Gems IV, 1994; `keras.layers.ContrastLimitedAdaptiveHistogramEqualization`.
    """

    value_range: Any = argument((0, 255), value_range)
    clip_limit: float = argument(4.0, at_least(0))
    tile_grid_size: tuple[int, int] = argument((8, 8), lambda value: int_tuple(value, 2))
    data_format: Any = argument(None, _data_format)

    always = True
    boxes_stay = True

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        values = ops.cast(rescaled(images, self.value_range, (0, 255)), "float32")
        batch, height, width, channels = values.shape
        rows, columns = self.tile_grid_size
        tall, wide = -(-height // rows), -(-width // columns)
        margins = [(0, 0), (0, tall * rows - height), (0, wide * columns - width), (0, 0)]
        values = ops.pad(values, margins, mode="symmetric") if margins[1][1] or margins[2][1] else values
        levels = ops.cast(ops.clip(values, 0, 255), "int32")
        tables = self._tables(levels, tall, wide)
        blended: Any = 0.0
        for row, vertical in self._neighbours(tall, rows):
            for column, horizontal in self._neighbours(wide, columns):
                tile = ops.reshape(row * columns, (-1, 1)) + ops.reshape(column, (1, -1))
                place = (ops.expand_dims(tile, -1) * channels + ops.arange(channels, dtype="int32")) * 256
                image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1)) * (rows * columns * channels * 256)
                share = ops.reshape(vertical, (-1, 1, 1)) * ops.reshape(horizontal, (1, -1, 1))
                blended = blended + ops.take(tables, image + place + levels) * share
        blended = blended[:, :height, :width]
        return ops.cast(rescaled(blended, (0, 255), self.value_range), images.dtype)

    def _tables(self, levels: Any, tall: int, wide: int) -> Any:
        """What becomes of each of 256 values: for all images, tiles and channels one after the other."""
        rows, columns = self.tile_grid_size
        batch, channels = levels.shape[0], levels.shape[-1]
        tiles = ops.reshape(levels, (batch, rows, tall, columns, wide, channels))
        tiles = ops.reshape(ops.transpose(tiles, (0, 1, 3, 5, 2, 4)), (-1, tall * wide, 1))
        counts = ops.sum(ops.cast(ops.equal(tiles, ops.arange(256, dtype="int32")), "float32"), axis=1)
        if self.clip_limit:
            kept = ops.minimum(counts, self.clip_limit * tall * wide / 256)
            counts = kept + ops.sum(counts - kept, axis=-1, keepdims=True) / 256
        total = ops.cumsum(counts, axis=-1)
        least = ops.min(total, axis=-1, keepdims=True)
        spread = float(tall * wide) - least
        spread = ops.where(ops.equal(spread, 0.0), 1.0, spread)
        return ops.reshape(ops.clip((total - least) * 255 / spread, 0, 255), (-1,))

    @staticmethod
    def _neighbours(size: int, count: int) -> list[tuple[Any, Any]]:
        """For every pixel along an axis the tile before and the one behind, and how much each counts."""
        at = (ops.arange(size * count, dtype="float32") - size / 2) / size
        before = ops.floor(at)
        share = at - before
        tiles = [ops.cast(ops.clip(before + i, 0, count - 1), "int32") for i in (0, 1)]
        return [(tiles[0], 1 - share), (tiles[1], share)]
