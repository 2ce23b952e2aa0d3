"""Images in other colours: brighter, paler, sharper, turned, inverted."""

from __future__ import annotations

from typing import Any

from kcore import config, ops, random
from kcore.declare import argument, within
from kcore.layers.preprocessing.image_layer import Factor, ImageLayer, chosen, rescaled, uniform, value_range
from kcore.registry import public

_data_format = ImageLayer.arguments["data_format"].kind


class _Coloured(ImageLayer):
    """Base of the layers that know the range of their pixels."""

    value_range: list[float]
    boxes_stay = True

    def clipped(self, images: Any) -> Any:
        """Values outside of the range at its ends."""
        return ops.clip(images, self.value_range[0], self.value_range[1])


def _gray(images: Any) -> Any:
    return ops.image.rgb_to_grayscale(images, data_format="channels_last")


@public("keras.layers")
class RandomBrightness(_Coloured):
    """In training, adds an amount drawn for every image to all its pixels.

    Args:
        factor: the greatest amount to either side, or the least and the greatest one, as parts of the range.
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomBrightness((0.5, 0.5), (0, 1))(np.array([[[0.2], [0.7]]], "float32")).numpy().ravel().tolist()
        [0.699999988079071, 1.0]

    Source: `keras.layers.RandomBrightness`.
    """

    factor: tuple[float, float] = argument(kind=Factor(-1, 1))
    value_range: list[float] = argument((0, 255), value_range)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        return uniform(images, self.factor, seed) * (self.value_range[1] - self.value_range[0])

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return self.clipped(images + drawn)


@public("keras.layers")
class RandomContrast(_Coloured):
    """In training, multiplies the distance of pixels from the mean of their channel by a factor drawn for every image.

    Args:
        factor: f for factors from 1 to 1 + f; or two numbers for 1 - the first to 1 + the second.
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomContrast((0.0, 0.0))(np.array([[[2.0], [7.0]]], "float32")).numpy().ravel().tolist()
        [2.0, 7.0]

    Source: `keras.layers.RandomContrast`.
    """

    factor: tuple[float, float] = argument(kind=Factor(0, 1))
    value_range: list[float] = argument((0, 255), value_range)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        return uniform(images, (1 - self.factor[0], 1 + self.factor[1]), seed)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        mean = ops.mean(images, axis=(1, 2), keepdims=True)
        return self.clipped((images - mean) * drawn + mean)


@public("keras.layers")
class RandomColorDegeneration(_Coloured):
    """In training, brings every image nearer to its gray one: 0 leaves it, 1 takes all colour.

    Args:
        factor: the greatest part of the way, or the least and the greatest one.
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomColorDegeneration((1.0, 1.0))(np.array([[[255.0, 0.0, 0.0]]], "float32")).numpy().round(2).tolist()
        [[[76.2..., 76.2..., 76.2...]]]

    Source: `keras.layers.RandomColorDegeneration`.
    """

    factor: tuple[float, float] = argument(kind=Factor(-1, 1))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        return uniform(images, self.factor, seed)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return self.clipped(images + drawn * (_gray(images) - images))


@public("keras.layers")
class RandomGrayscale(ImageLayer):
    """In training, makes some images gray; they keep three channels.

    Args:
        factor: the probability that an image is made gray.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomGrayscale(1.0)(np.array([[[255.0, 0.0, 0.0]]], "float32")).numpy().round(2).tolist()
        [[[76.2..., 76.2..., 76.2...]]]

    Source: `keras.layers.RandomGrayscale`.
    """

    factor: float = argument(0.5, within(0.0, 1.0))
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None, config=False)

    boxes_stay = True

    def draw(self, images: Any, seed: Any) -> Any:
        return ops.less(uniform(images, (0.0, 1.0), seed), self.factor)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.where(drawn, _gray(images), images)


@public("keras.layers")
class RandomHue(_Coloured):
    """In training, turns the hues of every image around the circle of colours.

    Args:
        factor: the greatest turn, or the least and the greatest one; 1 is half a circle. To which side, is drawn.
        value_range: the least and the greatest value of a pixel.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomHue((1.0, 1.0))(np.array([[[255.0, 0.0, 0.0]]], "float32")).numpy().round(2).tolist()
        [[[0.0, 255.0, 255.0]]]

    Source: `keras.layers.RandomHue`.
    """

    factor: tuple[float, float] = argument(kind=Factor(0, 1))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        side = ops.where(ops.greater(uniform(images, (0.0, 1.0), seed), 0.5), -0.5, 0.5)
        return side * uniform(images, self.factor, seed)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        images = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), data_format="channels_last")
        hue = images[..., :1] + drawn
        hue = ops.where(hue > 1, hue - 1, hue)
        hue = ops.where(hue < 0, hue + 1, hue)
        images = ops.image.hsv_to_rgb(ops.concatenate([hue, images[..., 1:]], -1), data_format="channels_last")
        return rescaled(ops.clip(images, 0, 1), (0, 1), self.value_range)


@public("keras.layers")
class RandomSaturation(_Coloured):
    """In training, multiplies the saturation of every image by ``f / (1 - f)`` for an f drawn for it: 0.5 leaves it.

    Args:
        factor: the greatest f, or the least and the greatest one.
        value_range: the least and the greatest value of a pixel.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomSaturation((0.0, 0.0))(np.array([[[255.0, 0.0, 0.0]]], "float32")).numpy().round(2).tolist()
        [[[255.0, 255.0, 255.0]]]

    Source: `keras.layers.RandomSaturation`.
    """

    factor: tuple[float, float] = argument(kind=Factor(-1, 1))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        factor = uniform(images, self.factor, seed)
        return factor / (1 - factor + config.epsilon())

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        images = ops.image.rgb_to_hsv(images, data_format="channels_last")
        saturation = self.clipped(images[..., 1:2] * drawn)
        images = ops.concatenate([images[..., :1], saturation, images[..., 2:]], -1)
        return ops.image.hsv_to_rgb(images, data_format="channels_last")


@public("keras.layers")
class RandomSharpness(_Coloured):
    """In training, sharpens or smooths every image: 0 is its smoothed one, 0.5 the image, 1 as far beyond it.

    Args:
        factor: the greatest sharpness, or the least and the greatest one, in [0, 1].
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomSharpness((0.5, 0.5))(np.array([[[5.0], [9.0]]], "float32")).numpy().ravel().tolist()
        [5.0, 9.0]

    Source: `keras.layers.RandomSharpness`.
    """

    factor: tuple[float, float] = argument(kind=Factor(0, 1))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        return uniform(images, self.factor, seed) * 2

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        around = ops.reshape(ops.cast([1.0] * 4 + [5.0] + [1.0] * 4, images.dtype) / 13, (3, 3, 1, 1))
        kernel = ops.broadcast_to(around, (3, 3, images.shape[-1], 1))
        smooth = ops.depthwise_conv(images, kernel, padding="same", data_format="channels_last")
        return self.clipped(images + (1 - drawn) * (smooth - images))


@public("keras.layers")
class RandomColorJitter(_Coloured):
    """In training, changes brightness, contrast, saturation and hue, one after the other.

    Args:
        value_range: the least and the greatest value of a pixel.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: those of `RandomBrightness`,
            `RandomContrast`, `RandomSaturation` and `RandomHue`; None leaves a step out.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> jitter = RandomColorJitter((0, 1), brightness_factor=(0.5, 0.5), hue_factor=(0.0, 0.0))
        >>> jitter(np.zeros((1, 1, 3), "float32")).numpy().tolist()
        [[[0.5, 0.5, 0.5]]]

    Source: `keras.layers.RandomColorJitter`.
    """

    value_range: list[float] = argument((0, 255), value_range)
    brightness_factor: Any = argument(None)
    contrast_factor: Any = argument(None)
    saturation_factor: Any = argument(None)
    hue_factor: Any = argument(None)
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._steps: tuple[_Coloured, ...] = tuple(
            kind(factor, self.value_range)
            for kind, factor in (
                (RandomBrightness, self.brightness_factor),
                (RandomContrast, self.contrast_factor),
                (RandomSaturation, self.saturation_factor),
                (RandomHue, self.hue_factor),
            )
            if factor is not None
        )

    #: Its steps hold nothing: they draw from its own generator.
    untracked = frozenset(("_steps",))

    def draw(self, images: Any, seed: Any) -> Any:
        return [step.draw(images, seed) for step in self._steps]

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        for step, amount in zip(self._steps, drawn, strict=True):
            images = step.change(images, amount)
        return images


@public("keras.layers")
class RandomInvert(_Coloured):
    """In training, inverts some images: ``value_range[1] - x``.

    Args:
        factor: the probability that an image is inverted, or the least and the greatest one.
        value_range: the least and the greatest value of a pixel.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomInvert((1.0, 1.0))(np.array([[[5.0], [255.0]]], "float32")).numpy().ravel().tolist()
        [250.0, 0.0]

    Source: `keras.layers.RandomInvert`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    value_range: list[float] = argument((0, 255), value_range)
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    def draw(self, images: Any, seed: Any) -> Any:
        return chosen(images, self.factor, seed)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.where(drawn, self.value_range[1] - images, images)


@public("keras.layers")
class RandomPosterization(_Coloured):
    """In training, keeps only the first bits of every value, of the eight it has.

    Args:
        factor: how many bits stay; two numbers for as many drawn from the first to below the second; a number f stands
            for 1 to f.
        value_range: the least and the greatest value of a pixel.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandomPosterization((2, 2))(np.array([[[63.0], [64.0], [255.0]]], "float32")).numpy().ravel().tolist()
        [0.0, 64.0, 192.0]

    Source: `keras.layers.RandomPosterization`.
    """

    factor: tuple[float, float] = argument(kind=Factor(1, 8))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        low, high = map(int, self.factor)
        shape = (images.shape[0], 1, 1, 1)
        if low == high:
            return ops.full(shape, float(2 ** (8 - low)), images.dtype)
        bits = random.randint(shape, low, high, dtype="int32", seed=seed)
        return ops.power(2.0, ops.cast(8 - bits, images.dtype))

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        images = ops.floor(ops.clip(rescaled(images, self.value_range, (0, 255)), 0, 255))
        return rescaled(ops.floor(images / drawn) * drawn, (0, 255), self.value_range)


@public("keras.layers")
class Solarization(_Coloured):
    """In training, adds an amount drawn for every image, and inverts values that are not below a threshold drawn for
    it.

    Args:
        addition_factor: the greatest amount, or the least and the greatest one, as parts of the range.
        threshold_factor: the greatest threshold, or the least and the greatest one, as parts of the range.
        value_range: the least and the greatest value of a pixel.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> Solarization()(np.array([[[0.0], [55.0], [255.0]]], "float32")).numpy().ravel().tolist()
        [255.0, 200.0, 0.0]

    Source: `keras.layers.Solarization`.
    """

    addition_factor: tuple[float, float] = argument(0.0, Factor(0, 1, both=False))
    threshold_factor: tuple[float, float] = argument(0.0, Factor(0, 1, both=False))
    value_range: list[float] = argument((0, 255), value_range)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        spans = [(low, high * 255) for low, high in (self.addition_factor, self.threshold_factor)]
        return [uniform(images, span, seed) for span in spans]

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        addition, threshold = drawn
        images = ops.clip(rescaled(images, self.value_range, (0, 255)) + addition, 0, 255)
        images = ops.where(images < threshold, images, 255 - images)
        return rescaled(images, (0, 255), self.value_range)
