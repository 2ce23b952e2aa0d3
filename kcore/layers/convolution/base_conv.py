"""What the convolution layers share."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import activations, config, ops
from kcore.declare import argument, int_tuple, one_of, positive_int
from kcore.layers.core.kernel_layer import KernelLayer
from kcore.layers.input_spec import InputSpec, describe_layer


class BaseConv(KernelLayer):
    """Base of the convolutions of rank 1, 2 and 3.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: steps of the window.
        padding: ``"valid"``, ``"same"`` (the odd element at the end), for rank 1 also ``"causal"``.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        dilation_rate: spacing of the window's elements.
        groups: channels are split into so many groups that are convolved apart.
        activation, use_bias, kernel_initializer, ...: see `Dense`.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]

    filters: int = argument(kind=positive_int)
    kernel_size: Any = argument()
    strides: Any = argument(1)
    padding: str = argument("valid", lambda p: one_of("valid", "same", "causal")(p.lower()))
    data_format: Any = argument(None, config.standardize_data_format)
    dilation_rate: Any = argument(1)
    groups: int = argument(1, positive_int)
    activation: Any = argument(None, activations)

    def __post_init__(self) -> None:
        for name in ("kernel_size", "strides", "dilation_rate"):
            try:
                setattr(self, name, int_tuple(getattr(self, name), self.rank))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{type(self).__name__}: argument {name}: {error}") from None
        if self.padding == "causal" and self.rank != 1:
            raise ValueError(f"{type(self).__name__}: argument padding='causal': only Conv1D can be causal")
        if self.filters % self.groups:
            raise ValueError(f"{type(self).__name__}: filters={self.filters} cannot be split into groups={self.groups}")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__}: strides={self.strides} and dilation_rate={self.dilation_rate}: only one "
                "of them may be above 1"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[self.channel_axis]
        if channels is not None and channels % self.groups:
            raise ValueError(
                f"{describe_layer(self)}: {channels} input channels cannot be split into groups={self.groups} "
                f"(input shape {tuple(input_shape)})"
            )
        per_group = None if channels is None else channels // self.groups
        self.make_kernel((*self.kernel_size, per_group, self.filters), (self.filters,))
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        padding: Any = self.padding
        if padding == "causal":
            padding = ((self.dilation_rate[0] * (self.kernel_size[0] - 1), 0),)
        outputs = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        if self.bias is not None and self.data_format == "channels_first":
            return self.activation(outputs + ops.reshape(self.bias, (1, self.filters, *(1,) * self.rank)))
        return self.finish(outputs)
