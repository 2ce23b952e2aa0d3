"""Larger images and sequences: every element several times, or interpolated."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import config, ops
from kcore.declare import argument, int_tuple, one_of, positive_int
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.layers.reshaping.margins import first_spatial
from kcore.ops.image import INTERPOLATIONS
from kcore.ops.linear_maps import repeat_along
from kcore.registry import public


class BaseUpSampling(Layer):
    """Base of upsampling over one to three axes.

    Args:
        size: factor of each spatial axis, one integer or one per axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]

    size: Any = argument(2)
    data_format: Any = argument(None, config.standardize_data_format)

    def __post_init__(self) -> None:
        try:
            self.factors = int_tuple(self.size, self.rank)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{type(self).__name__}: argument size={self.size!r}: {error}") from None
        self.size = self.factors
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return repeat_along(inputs, dict(enumerate(self.factors, first_spatial(self.data_format))))


@public("keras.layers")
class UpSampling1D(BaseUpSampling):
    """Every step of a sequence several times.

    Args:
        size: how often.

    Shapes:
        input ``(batch, time, channels)``, output ``(batch, time * size, channels)``.

    Example:
        >>> import numpy as np
        >>> UpSampling1D(2)(np.array([[[1.0], [2.0]]], "float32")).numpy().ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]

    Source: `keras.layers.UpSampling1D`.
    """

    rank = 1
    data_format = "channels_last"

    size: int = argument(2, positive_int)

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.size,) = self.factors


@public("keras.layers")
class UpSampling2D(BaseUpSampling):
    """Images in a multiple of their size.

    Args:
        size: factor of height and width, one integer or two.
        data_format: see `BaseUpSampling`.
        interpolation: ``"nearest"`` repeats rows and columns; ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` and
            ``"lanczos5"`` interpolate as `kcore.ops.image.resize` does.

    Shapes:
        input ``(batch, height, width, channels)``,
        output ``(batch, height * size[0], width * size[1], channels)``.

    Example:
        >>> import numpy as np
        >>> UpSampling2D((1, 2))(np.array([[[[1.0], [2.0]]]], "float32")).numpy().ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]

    Source: `keras.layers.UpSampling2D`.
    """

    rank = 2

    size: Any = argument((2, 2))
    data_format: Any = argument(None, config.standardize_data_format)
    interpolation: str = argument("nearest", lambda name: one_of(*INTERPOLATIONS)(name.lower()))

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        first = first_spatial(self.data_format)
        target = tuple(d * f for d, f in zip(inputs.shape[first : first + 2], self.factors, strict=True))
        return ops.image.resize(inputs, target, interpolation=self.interpolation, data_format=self.data_format)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        first = first_spatial(self.data_format)
        sizes = (
            None if d is None else d * f for d, f in zip(input_shape[first : first + 2], self.factors, strict=True)
        )
        return (*input_shape[:first], *sizes, *input_shape[first + 2 :])

    def compute_output_spec(self, inputs: Any) -> Any:
        return type(inputs)(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)


@public("keras.layers")
class UpSampling3D(BaseUpSampling):
    """Every element of volumes several times.

    Args:
        size: factor of depth, height and width, one integer or three.
        data_format: see `BaseUpSampling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``, output with each spatial axis times its factor.

    Example:
        >>> import numpy as np
        >>> UpSampling3D((2, 1, 3))(np.ones((1, 2, 2, 2, 4), "float32")).shape
        (1, 4, 2, 6, 4)

    Source: `keras.layers.UpSampling3D`.
    """

    rank = 3

    size: Any = argument((2, 2, 2))
