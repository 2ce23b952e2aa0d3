"""Images blurred or erased in part, mixed with each other, and changed by chains of other layers."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import ops, random
from kcore.declare import argument, one_of, positive_int
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.image_colors import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from kcore.layers.preprocessing.image_geometry import RandomRotation, RandomShear, RandomTranslation
from kcore.layers.preprocessing.image_histograms import AutoContrast, Equalization
from kcore.layers.preprocessing.image_layer import Factor, ImageLayer, chosen, uniform, value_range
from kcore.registry import public

_data_format = ImageLayer.arguments["data_format"].kind


def _odd(value: Any) -> tuple[int, int]:
    """Kind of the argument: an odd integer, or two."""
    sizes = (value, value) if hasattr(value, "__index__") else tuple(value)
    if len(sizes) != 2 or any(not hasattr(n, "__index__") or n < 1 or n % 2 == 0 for n in sizes):
        raise ValueError("expected an odd integer, or two")
    return sizes


@public("keras.layers")
class RandomGaussianBlur(ImageLayer):
    """In training, smooths some images by a Gaussian.

    Args:
        factor: the probability that an image is changed, or the least and the greatest one.
        kernel_size: how many pixels are averaged, along the width and the height: an odd number, or two.
        sigma: the greatest standard deviation in pixels, or the least and the greatest one, in [0, 1]; drawn for the
            batch.
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> x = np.array([0, 0, 9, 0, 0], "float32").reshape(1, 5, 1)
        >>> RandomGaussianBlur((1.0, 1.0), (3, 1), (1.0, 1.0))(x).numpy().ravel().round(2).tolist()
        [0.0, 2.4..., 4.0..., 2.4..., 0.0]

    Source: `keras.layers.RandomGaussianBlur`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    kernel_size: tuple[int, int] = argument(3, _odd)
    sigma: tuple[float, float] = argument(1.0, Factor(0, 1))
    value_range: list[float] = argument((0, 255), value_range)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    boxes_stay = True

    def draw(self, images: Any, seed: Any) -> Any:
        return chosen(images, self.factor, seed), ops.cast(random.uniform((2,), *self.sigma, seed=seed), images.dtype)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        which, sigma = drawn
        blurred = ops.image.gaussian_blur(
            images, self.kernel_size, (sigma[0] + 1e-6, sigma[1] + 1e-6), data_format="channels_last"
        )
        return ops.clip(ops.where(which, blurred, images), self.value_range[0], self.value_range[1])


def _box(images: Any, part: Any, seed: Any) -> Any:
    """Rectangles of given parts of the height and the width, at places drawn for each: their pixels, and their area."""
    inside: Any = True
    area: Any = 1.0
    for axis, share in zip((2, 1), part, strict=True):
        length = share * images.shape[axis]
        start = uniform(images, (0.0, 1.0), seed) * (images.shape[axis] - length)
        shape = (1, 1, -1, 1) if axis == 2 else (1, -1, 1, 1)
        at = ops.reshape(ops.arange(images.shape[axis], dtype=images.dtype), shape)
        inside = ops.logical_and(inside, ops.logical_and(at >= start, at < start + length))
        area = area * share
    return inside, area


@public("keras.layers")
class RandomErasing(ImageLayer):
    """In training, fills a rectangle of some images with noise or a colour.

    Args:
        factor: the probability that an image is changed, or the least and the greatest one.
        scale: the greatest part of an image that is erased, or the least and the greatest one.
        fill_value: a number, or one for each channel; None is noise drawn from a normal distribution.
        value_range: the least and the greatest value of a pixel, to which the filling is clipped.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``, or one image.

    Example:
        >>> import numpy as np
        >>> layer = RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7)
        >>> layer(np.ones((1, 2, 1), "float32")).numpy().ravel().tolist()
        [7.0, 7.0]

    Source: Zhong et al., arXiv:1708.04896; `keras.layers.RandomErasing`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    scale: tuple[float, float] = argument((0.02, 0.33), Factor(0, 1))
    fill_value: Any = argument(None)
    value_range: Any = argument((0, 255), value_range)
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    boxes_stay = True

    def draw(self, images: Any, seed: Any) -> Any:
        parts = [ops.sqrt(uniform(images, self.scale, seed)) for _ in range(2)]
        inside, _ = _box(images, parts, seed)
        which = chosen(images, self.factor, seed)
        if self.fill_value is None:
            filling = ops.cast(random.normal(images.shape, seed=seed), images.dtype) * self.value_range[1]
        else:
            filling = ops.cast(self.fill_value, images.dtype)
        return ops.logical_and(inside, which), ops.clip(filling, self.value_range[0], self.value_range[1])

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return ops.where(drawn[0], drawn[1], images)


class _Mixing(ImageLayer):
    """Base of the layers that mix the images of a batch in pairs, and their labels as much."""

    def change_labels(self, labels: Any, drawn: Any) -> Any:
        if len(labels.shape) < 2:
            raise ValueError(
                f"{describe_layer(self)}: labels are mixed, so they must be one-hot, (batch, classes); got the shape "
                f"{tuple(labels.shape)}"
            )
        order, share = drawn[:2]
        labels = labels if labels.dtype.startswith(("float", "bfloat")) else ops.cast(labels, self.compute_dtype)
        share = ops.cast(ops.reshape(share, (-1, *(1,) * (len(labels.shape) - 1))), labels.dtype)
        return share * labels + (1 - share) * ops.take(labels, order, axis=0)

    def _order(self, images: Any, seed: Any) -> Any:
        return random.shuffle(ops.arange(images.shape[0], dtype="int32"), seed=seed)


@public("keras.layers")
class MixUp(_Mixing):
    """In training, mixes every image with another of the batch, and its label with that one's label.

    Args:
        alpha: shares are drawn from the beta distribution of alpha and alpha: small for shares near 0 and 1.
        data_format: see `ImageLayer`.
        seed: integer that makes the draws deterministic.

    Shapes:
        input and output ``(batch, height, width, channels)``; labels ``(batch, classes)``.

    Example:
        >>> import numpy as np
        >>> mixed = MixUp(seed=1)({"images": np.ones((2, 1, 1, 1), "float32"), "labels": np.eye(2, dtype="float32")})
        >>> mixed["labels"].numpy().sum(-1).round(4).tolist()
        [1.0, 1.0]

    Source: Zhang et al., arXiv:1710.09412; `keras.layers.MixUp`.
    """

    alpha: float = argument(0.2)
    data_format: Any = argument(None, _data_format)
    seed: int | None = argument(None)

    def draw(self, images: Any, seed: Any) -> Any:
        share = random.beta((images.shape[0], 1, 1, 1), self.alpha, self.alpha, seed=seed)
        return self._order(images, seed), ops.cast(share, images.dtype)

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        order, share = drawn
        return share * images + (1 - share) * ops.take(images, order, axis=0)

    def change_masks(self, masks: Any, drawn: Any) -> Any:
        return self.change(ops.cast(masks, self.compute_dtype), drawn)


@public("keras.layers")
class CutMix(_Mixing):
    """In training, puts a rectangle of another image of the batch into every image, and mixes labels by its area.

    Args:
        factor: alpha of the beta distribution from which the area's share is drawn, or the least and the greatest one.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, channels)``; labels ``(batch, classes)``.

    Example:
        >>> import numpy as np
        >>> mixed = CutMix(seed=1)({"images": np.ones((2, 4, 4, 1), "float32"), "labels": np.eye(2, dtype="float32")})
        >>> mixed["labels"].numpy().sum(-1).round(4).tolist()
        [1.0, 1.0]

    Source: Yun et al., arXiv:1905.04899; `keras.layers.CutMix`.
    """

    factor: tuple[float, float] = argument(1.0, Factor(0, 1))
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    moves = True

    def draw(self, images: Any, seed: Any) -> Any:
        alpha = random.uniform((), *self.factor, seed=seed) + 1e-6
        share = ops.cast(random.beta((images.shape[0], 1, 1, 1), alpha, alpha, seed=seed), images.dtype)
        side = ops.sqrt(1 - share)
        inside, area = _box(images, (side, side), seed)
        return self._order(images, seed), 1 - area, inside

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        order, _, inside = drawn
        return ops.where(inside, ops.take(images, order, axis=0), images)


class _Chain(ImageLayer):
    """Base of the layers that change images by others, drawn from a list."""

    value_range: Any
    factor: tuple[float, float]
    interpolation: str
    #: The layers hold nothing: they draw from the generator of this one.
    untracked: ClassVar[frozenset[str]] = frozenset(("_steps",))

    def _make_steps(self, all_of_them: bool) -> None:
        factor, values = self.factor, self.value_range
        self._steps: list[ImageLayer] = [
            RandomShear(factor, factor, self.interpolation),
            RandomTranslation(factor, factor, interpolation=self.interpolation),
            RandomRotation(factor, interpolation=self.interpolation),
            RandomPosterization(max(1, int(8 * factor[1])), values),
            Solarization(factor, factor, values),
            AutoContrast(values),
            Equalization(values),
        ]
        if all_of_them:
            self._steps += [
                RandomBrightness(factor, values),
                RandomColorDegeneration(factor, values),
                RandomContrast(factor, values),
                RandomSharpness(factor, values),
            ]

    def _one_of_them(self, images: Any, number: Any, drawn: list[Any], nearest: bool = False) -> Any:
        """The images changed by the layer of that number, a tensor; by none if it is the number after the last one."""
        changed = images
        for i, (step, how) in enumerate(zip(self._steps, drawn, strict=True)):
            if nearest and not step.moves:
                continue
            changed = ops.where(ops.equal(number, i), step.change(images, how, nearest), changed)
        return changed


@public("keras.layers")
class RandAugment(_Chain):
    """In training, changes the images of a batch by a few layers drawn from a list.

    They are shear, translation, rotation, posterization, solarization, contrast, equalization, brightness, colour and
    sharpness.

    Args:
        value_range: the least and the greatest value of a pixel.
        num_ops: how many layers follow one another.
        factor: how much they change at most, or at least and at most.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> RandAugment(seed=1)(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 4, 4, 3)

    Source: Cubuk et al., arXiv:1909.13719; `keras.layers.RandAugment`.
    """

    value_range: Any = argument((0, 255), value_range)
    num_ops: int = argument(2, positive_int)
    factor: tuple[float, float] = argument(0.5, Factor(0, 1))
    interpolation: str = argument("bilinear", one_of("bilinear", "nearest"))
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    moves = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_steps(True)

    def draw(self, images: Any, seed: Any) -> Any:
        numbers = random.randint((self.num_ops,), 0, len(self._steps), dtype="int32", seed=seed)
        return numbers, [step.draw(images, seed) for step in self._steps]

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        numbers, how = drawn
        for i in range(self.num_ops):
            images = self._one_of_them(images, numbers[i], how, nearest)
        return images


@public("keras.layers")
class AugMix(_Chain):
    """In training, mixes images with mixtures of themselves that went through chains of layers drawn from a list.

    Args:
        value_range: the least and the greatest value of a pixel, to which values are clipped.
        num_chains: how many chains are mixed, by weights drawn from a Dirichlet distribution.
        chain_depth: how many layers a chain has at most; each may be left out.
        factor: how much a layer changes at most, or at least and at most.
        alpha: of the Dirichlet distribution, and of the beta distribution of the share of the images themselves.
        all_ops: whether brightness, colour, contrast and sharpness are in the list, beside shear, translation,
            rotation, posterization, solarization, contrast and equalization.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: integer that makes the draws deterministic.
        data_format: see `ImageLayer`.

    Shapes:
        input and output ``(batch, height, width, 3)``, or one image.

    Example:
        >>> import numpy as np
        >>> AugMix(num_chains=1, chain_depth=1, seed=1)(np.ones((1, 4, 4, 3), "float32")).shape
        (1, 4, 4, 3)

    Source: Hendrycks et al., arXiv:1912.02781; `keras.layers.AugMix`.
    """

    value_range: Any = argument((0, 255), value_range)
    num_chains: int = argument(3, positive_int)
    chain_depth: int = argument(3, positive_int)
    factor: tuple[float, float] = argument(0.3, Factor(0, 1))
    alpha: float = argument(1.0)
    all_ops: bool = argument(True)
    interpolation: str = argument("bilinear", one_of("bilinear", "nearest"))
    seed: int | None = argument(None)
    data_format: Any = argument(None, _data_format)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_steps(self.all_ops)

    def draw(self, images: Any, seed: Any) -> Any:
        weights = ops.cast(random.gamma((self.num_chains,), self.alpha, seed=seed), images.dtype)
        share = ops.cast(random.beta((), self.alpha, self.alpha, seed=seed), images.dtype)
        shape = (self.num_chains, self.chain_depth)
        numbers = random.randint(shape, 0, len(self._steps) + 1, dtype="int32", seed=seed)
        how = [
            [[step.draw(images, seed) for step in self._steps] for _ in range(self.chain_depth)]
            for _ in range(self.num_chains)
        ]
        return weights / ops.sum(weights), share, numbers, how

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        weights, share, numbers, how = drawn
        mixture: Any = 0.0
        for chain in range(self.num_chains):
            changed = images
            for depth in range(self.chain_depth):
                changed = self._one_of_them(changed, numbers[chain, depth], how[chain][depth])
            mixture = mixture + changed * weights[chain]
        mixed = share * images + (1 - share) * mixture
        return ops.clip(mixed, self.value_range[0], self.value_range[1])
