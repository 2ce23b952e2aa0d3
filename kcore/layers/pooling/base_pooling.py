"""What the pooling layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from kcore import config, ops
from kcore.declare import argument
from kcore.layers.convolution.window import padding_kind, per_axis
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer


class BasePooling(Layer):
    """Base of pooling over windows, of rank 1, 2 and 3.

    Args:
        pool_size: size of the window, one integer or one per spatial axis.
        strides: steps of the window; its size if None.
        padding: ``"valid"``, or ``"same"`` (the odd element at the end; an average leaves padding out).
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]
    #: The op that pools.
    pool: ClassVar[Callable[..., Any]]

    pool_size: Any = argument(2)
    strides: Any = argument(None)
    padding: str = argument("valid", padding_kind("valid", "same"))
    data_format: Any = argument(None, config.standardize_data_format)
    name: str = argument(None, config=False)

    def __post_init__(self) -> None:
        self.strides = self.pool_size if self.strides is None else self.strides
        per_axis(self, "pool_size", "strides")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return type(self).pool(
            inputs, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format
        )


class BaseGlobalPooling(Layer):
    """Base of pooling over all spatial axes.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        keepdims: whether the spatial axes stay, with size 1.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]
    #: The op that reduces.
    reduce: ClassVar[Callable[..., Any]] = ops.mean

    data_format: Any = argument(None, config.standardize_data_format)
    keepdims: bool = argument(False)

    def __post_init__(self) -> None:
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        return type(self).reduce(inputs, axis=self.axes, keepdims=self.keepdims)
