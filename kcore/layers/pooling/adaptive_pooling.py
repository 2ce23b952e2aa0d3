"""Pooling to a given size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.convolution.window import per_axis
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.registry import public


class BaseAdaptivePooling(Layer):
    """Base of pooling to a given size, over one to three axes.

    Window i of m, along an axis of n elements, goes from ``floor(i * n / m)`` to before ``ceil((i + 1) * n / m)``.

    Args:
        output_size: size of the output, one integer or one per spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]
    #: The op that pools.
    pool: ClassVar[Callable[..., Any]]

    output_size: Any = argument()
    data_format: Any = argument(None, config.standardize_data_format)

    def __post_init__(self) -> None:
        per_axis(self, "output_size")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return type(self).pool(inputs, self.output_size, data_format=self.data_format)


@public("keras.layers")
class AdaptiveAveragePooling1D(BaseAdaptivePooling):
    """The mean over windows of time that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, time, channels)``,
        output ``(batch, output_size[0], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveAveragePooling1D(3)(np.ones((1, 7, 3), "float32")).shape
        (1, 3, 3)

    Source: `keras.layers.AdaptiveAveragePooling1D`.
    """

    rank = 1
    pool = ops.adaptive_average_pool


@public("keras.layers")
class AdaptiveAveragePooling2D(BaseAdaptivePooling):
    """The mean over windows of images that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, height, width, channels)``,
        output ``(batch, output_size[0], output_size[1], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveAveragePooling2D(3)(np.ones((1, 7, 7, 3), "float32")).shape
        (1, 3, 3, 3)

    Source: `keras.layers.AdaptiveAveragePooling2D`.
    """

    rank = 2
    pool = ops.adaptive_average_pool


@public("keras.layers")
class AdaptiveAveragePooling3D(BaseAdaptivePooling):
    """The mean over windows of volumes that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``,
        output ``(batch, output_size[0], output_size[1], output_size[2], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveAveragePooling3D(3)(np.ones((1, 7, 7, 7, 3), "float32")).shape
        (1, 3, 3, 3, 3)

    Source: `keras.layers.AdaptiveAveragePooling3D`.
    """

    rank = 3
    pool = ops.adaptive_average_pool


@public("keras.layers")
class AdaptiveMaxPooling1D(BaseAdaptivePooling):
    """The largest value over windows of time that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, time, channels)``,
        output ``(batch, output_size[0], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveMaxPooling1D(3)(np.ones((1, 7, 3), "float32")).shape
        (1, 3, 3)

    Source: `keras.layers.AdaptiveMaxPooling1D`.
    """

    rank = 1
    pool = ops.adaptive_max_pool


@public("keras.layers")
class AdaptiveMaxPooling2D(BaseAdaptivePooling):
    """The largest value over windows of images that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, height, width, channels)``,
        output ``(batch, output_size[0], output_size[1], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveMaxPooling2D(3)(np.ones((1, 7, 7, 3), "float32")).shape
        (1, 3, 3, 3)

    Source: `keras.layers.AdaptiveMaxPooling2D`.
    """

    rank = 2
    pool = ops.adaptive_max_pool


@public("keras.layers")
class AdaptiveMaxPooling3D(BaseAdaptivePooling):
    """The largest value over windows of volumes that give an output of one size.

    Args:
        output_size, data_format: see `BaseAdaptivePooling`.

    Shapes:
        input ``(batch, depth, height, width, channels)``,
        output ``(batch, output_size[0], output_size[1], output_size[2], channels)``.

    Example:
        >>> import numpy as np
        >>> AdaptiveMaxPooling3D(3)(np.ones((1, 7, 7, 7, 3), "float32")).shape
        (1, 3, 3, 3, 3)

    Source: `keras.layers.AdaptiveMaxPooling3D`.
    """

    rank = 3
    pool = ops.adaptive_max_pool
