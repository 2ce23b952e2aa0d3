"""Cutting off the ends of the spatial axes."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import config
from kcore.declare import argument
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer
from kcore.layers.reshaping.margins import Margins, first_spatial, margins
from kcore.registry import public


class BaseCropping(Layer):
    """Base of cropping over one to three axes.

    Args:
        cropping: elements cut off; one integer for all sides, or per axis an integer or a (before, after) pair.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]

    cropping: Any = argument(1)
    data_format: Any = argument(None, config.standardize_data_format)

    def __post_init__(self) -> None:
        self._sides: Margins = margins(self, "cropping", self.rank)
        self.cropping = self._sides[0] if self.rank == 1 else self._sides
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        before = first_spatial(self.data_format)
        for axis, cut in enumerate(self._sides, before):
            size = inputs.shape[axis]
            if size is not None and sum(cut) >= size:
                raise ValueError(
                    f"{describe_layer(self)}: cropping {cut} leaves nothing of axis {axis}, which has {size} elements "
                    f"(input shape {tuple(inputs.shape)})"
                )
        kept = tuple(slice(low, -high if high else None) for low, high in self._sides)
        return inputs[(slice(None),) * before + kept]


@public("keras.layers")
class Cropping1D(BaseCropping):
    """Cuts off the ends of time.

    Args:
        cropping: one integer, or a (before, after) pair.

    Shapes:
        input ``(batch, time, channels)``; in the output each spatial axis is shorter by its cropping.

    Raises:
        ValueError: nothing would be left of an axis.

    Example:
        >>> import numpy as np
        >>> Cropping1D((1, 0))(np.ones((2, 3, 4), "float32")).shape
        (2, 2, 4)

    Source: `keras.layers.Cropping1D`.
    """

    rank = 1

    data_format = "channels_last"

    cropping: Any = argument((1, 1))


@public("keras.layers")
class Cropping2D(BaseCropping):
    """Cuts off the ends of height and width.

    Args:
        cropping: one integer, one per axis, or ((top, bottom), (left, right)).
        data_format: see `BaseCropping`.

    Shapes:
        input ``(batch, height, width, channels)``; in the output each spatial axis is shorter by its cropping.

    Raises:
        ValueError: nothing would be left of an axis.

    Example:
        >>> import numpy as np
        >>> Cropping2D((1, 2))(np.ones((2, 5, 6, 4), "float32")).shape
        (2, 3, 2, 4)

    Source: `keras.layers.Cropping2D`.
    """

    rank = 2

    cropping: Any = argument(((0, 0), (0, 0)))


@public("keras.layers")
class Cropping3D(BaseCropping):
    """Cuts off the ends of depth, height and width.

    Args:
        cropping: one integer, one per axis, or one (before, after) pair per axis.
        data_format: see `BaseCropping`.

    Shapes:
        input ``(batch, depth, height, width, channels)``; in the output each spatial axis is shorter by its cropping.

    Raises:
        ValueError: nothing would be left of an axis.

    Example:
        >>> import numpy as np
        >>> Cropping3D(1)(np.ones((2, 3, 4, 5, 4), "float32")).shape
        (2, 1, 2, 3, 4)

    Source: `keras.layers.Cropping3D`.
    """

    rank = 3

    cropping: Any = argument(((1, 1), (1, 1), (1, 1)))
