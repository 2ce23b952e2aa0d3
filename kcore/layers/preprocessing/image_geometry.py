"""Images moved, turned, stretched and mirrored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from kcore import ops, random
from kcore.declare import argument, one_of, optional, within
from kcore.layers.preprocessing.image_layer import Factor, ImageLayer, chosen, uniform, value_range
from kcore.ops.image.transforms import _read_images as read_images
from kcore.registry import public

_data_format = ImageLayer.arguments["data_format"].kind
_fill_mode = one_of("reflect", "wrap", "constant", "nearest")
_interpolation = one_of("nearest", "bilinear")


@public("keras.layers")
class RandomFlip(ImageLayer):
    """In training, mirrors every other image, by chance.

    Args:
        mode: ``"horizontal"``, ``"vertical"`` or ``"horizontal_and_vertical"``: both at once.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[1.0], [2.0]]], "float32")
        >>> RandomFlip("horizontal", seed=3)(x, training=True).numpy().ravel().tolist() in ([1.0, 2.0], [2.0, 1.0])
        True

    Source: `keras.layers.RandomFlip`.
    """

    mode: str = argument("horizontal_and_vertical", one_of("horizontal", "vertical", "horizontal_and_vertical"))
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    moves = True

    def draw(self, images: Any, seed: Any) -> Any:
        return ops.less_equal(uniform(images, (0.0, 1.0), seed), 0.5)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        axes = [axis for axis, word in ((1, "vertical"), (2, "horizontal")) if word in self.mode]
        return ops.where(drawn, ops.flip(images, axis=axes), images)


class Warp(ImageLayer):
    """Base of the layers that read pixels at other places: a row of 8 numbers an image, see
    `ops.image.affine_transform`.

    Args:
        fill_mode: what lies beyond the border: ``"reflect"``, ``"wrap"``, ``"constant"`` or ``"nearest"``.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        seed: integer that makes the draws deterministic.
        fill_value: what lies beyond the border if `fill_mode` is "constant".
    """

    fill_mode: str
    interpolation: str
    fill_value: float
    moves = True
    _identity: ClassVar[Sequence[float]] = (1, 0, 0, 0, 1, 0, 0, 0)

    def _rows(self, images: Any, **entries: Any) -> Any:
        """The map of every image, from the entries that are not those of no change."""
        names = ("a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1")
        like = ops.reshape(next(iter(entries.values())), (-1,))
        columns = [
            ops.reshape(entries[n], (-1,)) if n in entries else ops.zeros_like(like) + v
            for n, v in zip(names, self._identity, strict=True)
        ]
        return ops.stack(columns, axis=1)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.image.affine_transform(
            images,
            drawn,
            interpolation="nearest" if nearest else self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format="channels_last",
        )


@public("keras.layers")
class RandomRotation(Warp):
    """In training, turns every image around its middle by an angle drawn for it.

    Args:
        factor: the greatest turn to either side, or the least and the greatest one, as parts of a full circle;
            counterclockwise counts as positive.
        fill_mode, interpolation, seed, fill_value: see `Warp`.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> turned = RandomRotation((0.25, 0.25))(np.array([[[1.0], [2.0]], [[3.0], [4.0]]], "float32"))
        >>> turned.numpy().round(3).ravel().tolist()
        [2.0, 4.0, 1.0, 3.0]

    Source: `keras.layers.RandomRotation`.
    """

    factor: tuple[float, float] = argument(kind=Factor(-1, 1))
    fill_mode: str = argument("reflect", _fill_mode)
    interpolation: str = argument("bilinear", _interpolation)
    seed: int | None = argument(None)
    fill_value: float = argument(0.0)
    data_format: Any = argument(None, _data_format)

    def draw(self, images: Any, seed: Any) -> Any:
        angle = uniform(images, self.factor, seed) * (2 * math.pi)
        cos, sin = ops.cos(angle), ops.sin(angle)
        cx, cy = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
        return self._rows(
            images, a0=cos, a1=-sin, a2=cx - cx * cos + cy * sin, b0=sin, b1=cos, b2=cy - cx * sin - cy * cos
        )


@public("keras.layers")
class RandomZoom(Warp):
    """In training, stretches every image around its middle; a positive factor makes it smaller.

    Args:
        height_factor: the greatest change of the height to either side, or the least and the greatest one: 0.2 shows a
            fifth more, -0.2 a fifth less.
        width_factor: that of the width; None is the height's, so that the ratio stays.
        fill_mode, interpolation, seed, fill_value: see `Warp`.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomZoom((-0.5, -0.5), interpolation="nearest")(np.eye(4, dtype="float32")[..., None]).numpy()[..., 0]
        array([[1., 1., 0., 0.],
               [1., 1., 0., 0.],
               [0., 0., 1., 1.],
               [0., 0., 1., 1.]], dtype=float32)

    Source: `keras.layers.RandomZoom`.
    """

    height_factor: Any = argument()
    width_factor: Any = argument(None)
    fill_mode: str = argument("reflect", _fill_mode)
    interpolation: str = argument("bilinear", _interpolation)
    seed: int | None = argument(None)
    fill_value: float = argument(0.0)
    data_format: Any = argument(None, _data_format)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("height_factor", "width_factor"):
            span = _span(self, name)
            if span is not None and span[0] <= -1:
                raise ValueError(f"{type(self).__name__}: argument {name}={getattr(self, name)}: expected more than -1")

    def draw(self, images: Any, seed: Any) -> Any:
        tall = _span(self, "height_factor") or (0.0, 0.0)
        wide = _span(self, "width_factor")
        y = uniform(images, (1 + tall[0], 1 + tall[1]), seed)
        x = y if wide is None else uniform(images, (1 + wide[0], 1 + wide[1]), seed)
        cx, cy = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
        return self._rows(images, a0=x, a2=cx * (1 - x), b1=y, b2=cy * (1 - y))


def _span(layer: Any, name: str) -> tuple[float, float] | None:
    """The least and greatest change of an argument whose configuration is what was given."""
    given = getattr(layer, name)
    try:
        return optional(Factor(-1, 1))(given)
    except ValueError as error:
        raise ValueError(f"{type(layer).__name__}: argument {name}={given!r}: {error}") from None


@public("keras.layers")
class RandomTranslation(Warp):
    """In training, moves every image by a distance drawn for it; positive is down and to the right.

    Args:
        height_factor, width_factor: the greatest move to either side, or the least and the greatest one, as parts of
            the height and the width.
        fill_mode, interpolation, seed, fill_value: see `Warp`.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[1.0], [2.0], [3.0], [4.0]]], "float32")
        >>> RandomTranslation(0.0, (0.25, 0.25), fill_mode="constant")(x).numpy().ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]

    Source: `keras.layers.RandomTranslation`.
    """

    height_factor: Any = argument()
    width_factor: Any = argument()
    fill_mode: str = argument("reflect", _fill_mode)
    interpolation: str = argument("bilinear", _interpolation)
    seed: int | None = argument(None)
    fill_value: float = argument(0.0)
    data_format: Any = argument(None, _data_format)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("height_factor", "width_factor"):
            if _span(self, name) is None:
                raise ValueError(f"{type(self).__name__}: argument {name}=None: expected a number, or two")

    def draw(self, images: Any, seed: Any) -> Any:
        down = uniform(images, _span(self, "height_factor"), seed) * images.shape[1]  # type: ignore[arg-type]
        right = uniform(images, _span(self, "width_factor"), seed) * images.shape[2]  # type: ignore[arg-type]
        return self._rows(images, a2=-right, b2=-down)


@public("keras.layers")
class RandomShear(Warp):
    """In training, shears every image: shifts rows by their height, and columns by their distance from the left.

    Args:
        x_factor, y_factor: the greatest shift of rows and of columns to either side, or the least and the greatest one;
            which side, is drawn.
        interpolation, fill_mode, fill_value, seed: see `Warp`.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomShear(0.5, 0.0, seed=1)(np.ones((1, 3, 3, 1), "float32")).numpy().ravel().tolist() == [1.0] * 9
        True

    Source: `keras.layers.RandomShear`.
    """

    x_factor: tuple[float, float] = argument(0.0, Factor(-1, 1))
    y_factor: tuple[float, float] = argument(0.0, Factor(-1, 1))
    interpolation: str = argument("bilinear", _interpolation)
    fill_mode: str = argument("reflect", _fill_mode)
    fill_value: float = argument(0.0)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        side = ops.where(ops.greater(uniform(images, (0.0, 1.0), seed), 0.5), -1.0, 1.0)
        y = uniform(images, self.y_factor, seed) * side
        x = uniform(images, self.x_factor, seed) * side
        return self._rows(images, a1=x, b0=y)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        for name in ("x_factor", "y_factor"):  # Keras does not take a negative number
            low, high = full[name]
            full[name] = high if low == -high < 0 else full[name]
        return full


@public("keras.layers")
class RandomPerspective(ImageLayer):
    """In training, shows some images from another place: their corners are moved by distances drawn for each.

    Args:
        factor: the probability that an image is changed, or the least and the greatest one.
        scale: how far corners move: half of that, as a part of their place, to either side.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_value: what lies beyond the border.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> x = np.arange(9, dtype="float32").reshape(3, 3, 1)
        >>> RandomPerspective(scale=0.0)(x).numpy().round(4).ravel().tolist() == x.ravel().tolist()
        True

    Source: `keras.layers.RandomPerspective`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    scale: float = argument(1.0, within(0.0, 1.0))
    interpolation: str = argument("bilinear", _interpolation)
    fill_value: float = argument(0.0)
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    moves = True

    def draw(self, images: Any, seed: Any) -> Any:
        which = chosen(images, self.factor, seed)
        right, bottom = images.shape[2] - 1.0, images.shape[1] - 1.0
        corners = ops.cast([[[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]]], images.dtype)
        moved = corners * (1 + uniform(images, (-0.5 * self.scale, 0.5 * self.scale), seed, (4, 2)))
        return which, corners + ops.zeros_like(moved), moved

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        which, corners, moved = drawn
        seen = ops.image.perspective_transform(
            images,
            corners,
            moved,
            interpolation="nearest" if nearest else self.interpolation,
            fill_value=self.fill_value,
            data_format="channels_last",
        )
        return ops.where(which, seen, images)


@public("keras.layers")
class RandomElasticTransform(ImageLayer):
    """In training, bends some images: every pixel is read at a place moved by smoothed noise.

    Args:
        factor: the probability that an image is changed, or the least and the greatest one.
        scale: how much, 0 to 1, or the least and the greatest; drawn for the batch.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: what lies beyond the border: ``"reflect"``, ``"wrap"``, ``"constant"``, ``"nearest"`` or
            ``"mirror"``.
        fill_value: what lies there if `fill_mode` is "constant".
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> bent = RandomElasticTransform(seed=1)(np.ones((1, 4, 4, 1), "float32"))
        >>> bent.numpy().round(4).ravel().tolist() == [1.0] * 16
        True

    Source: `keras.layers.RandomElasticTransform`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    scale: tuple[float, float] = argument(1.0, Factor(0, 1))
    interpolation: str = argument("bilinear", _interpolation)
    fill_mode: str = argument("reflect", one_of("reflect", "wrap", "constant", "nearest", "mirror"))
    fill_value: float = argument(0.0)
    value_range: list[float] = argument((0, 255), value_range)
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    moves = True

    def draw(self, images: Any, seed: Any) -> Any:
        if self.scale[1] == 0 or self.factor[1] == 0:
            return None
        which = chosen(images, self.factor, seed)
        amount = ops.cast(random.uniform((), *self.scale, seed=seed), images.dtype)
        height, width = images.shape[1:3]
        noise = random.normal((*images.shape[:3], 2), seed=seed)  # one field for images and masks
        return which, amount, ops.cast(noise, images.dtype)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        if drawn is None:
            return images
        which, amount, noise = drawn
        height, width = images.shape[1:3]
        sigma = min(height, width) * 0.05 * amount + 1e-6
        reach = int(6 * min(height, width) * 0.05 * self.scale[1]) | 1
        moves = ops.image.gaussian_blur(noise * sigma, (reach, reach), (sigma, sigma), data_format="channels_last")
        moves = moves * (max(height, width) * 0.1 * amount)
        columns = ops.reshape(ops.arange(width, dtype=moves.dtype), (1, 1, -1)) + moves[..., 0]
        rows = ops.reshape(ops.arange(height, dtype=moves.dtype), (1, -1, 1)) + moves[..., 1]
        order = 0 if nearest or self.interpolation == "nearest" else 1
        bent = ops.where(which, read_images(images, rows, columns, order, self.fill_mode, self.fill_value), images)
        return bent if nearest else ops.clip(bent, self.value_range[0], self.value_range[1])
