"""Zeros around the spatial axes."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.layers.reshaping.margins import Margins, first_spatial, margins
from kcore.registry import public


class BaseZeroPadding(Layer):
    """Base of zero padding over one to three axes.

    Args:
        padding: elements added; one integer for all sides, or per axis an integer or a (before, after) pair.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]

    padding: Any = argument(1)
    data_format: Any = argument(None, config.standardize_data_format)

    def __post_init__(self) -> None:
        self._sides: Margins = margins(self, "padding", self.rank)
        self.padding = self._sides[0] if self.rank == 1 else self._sides
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        before = first_spatial(self.data_format)
        return ops.pad(inputs, ((0, 0),) * before + self._sides + ((0, 0),) * (2 - before))


@public("keras.layers")
class ZeroPadding1D(BaseZeroPadding):
    """Adds zeros before and after time.

    Args:
        padding: one integer, or a (before, after) pair.
        data_format: see `BaseZeroPadding`.

    Shapes:
        input ``(batch, time, channels)``; in the output each spatial axis is longer by its padding.

    Example:
        >>> import numpy as np
        >>> ZeroPadding1D((1, 0))(np.ones((2, 3, 4), "float32")).shape
        (2, 4, 4)

    Source: `keras.layers.ZeroPadding1D`.
    """

    rank = 1


@public("keras.layers")
class ZeroPadding2D(BaseZeroPadding):
    """Adds zeros before and after height and width.

    Args:
        padding: one integer, one per axis, or ((top, bottom), (left, right)).
        data_format: see `BaseZeroPadding`.

    Shapes:
        input ``(batch, height, width, channels)``; in the output each spatial axis is longer by its padding.

    Example:
        >>> import numpy as np
        >>> ZeroPadding2D((1, 2))(np.ones((2, 3, 3, 4), "float32")).shape
        (2, 5, 7, 4)

    Source: `keras.layers.ZeroPadding2D`.
    """

    rank = 2

    padding: Any = argument((1, 1))


@public("keras.layers")
class ZeroPadding3D(BaseZeroPadding):
    """Adds zeros before and after depth, height and width.

    Args:
        padding: one integer, one per axis, or one (before, after) pair per axis.
        data_format: see `BaseZeroPadding`.

    Shapes:
        input ``(batch, depth, height, width, channels)``; in the output each spatial axis is longer by its padding.

    Example:
        >>> import numpy as np
        >>> ZeroPadding3D(1)(np.ones((2, 3, 3, 3, 4), "float32")).shape
        (2, 5, 5, 5, 4)

    Source: `keras.layers.ZeroPadding3D`.
    """

    rank = 3

    padding: Any = argument(((1, 1), (1, 1), (1, 1)))
