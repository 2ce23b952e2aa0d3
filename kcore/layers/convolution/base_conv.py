"""What the convolution layers share."""

from __future__ import annotations

from typing import Any

from kcore import activations, config, ops
from kcore.declare import argument, positive_int
from kcore.layers.convolution.window import WindowLayer, padding_kind
from kcore.layers.core.kernel_layer import KernelLayer
from kcore.layers.input_spec import describe_layer


class BaseConv(WindowLayer, KernelLayer):
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

    filters: int = argument(kind=positive_int)
    kernel_size: Any = argument()
    strides: Any = argument(1)
    padding: str = argument("valid", padding_kind("valid", "same", "causal"))
    data_format: Any = argument(None, config.standardize_data_format)
    dilation_rate: Any = argument(1)
    groups: int = argument(1, positive_int)
    activation: Any = argument(None, activations)

    def __post_init__(self) -> None:
        self.check_window()
        if self.padding == "causal" and self.rank != 1:
            raise ValueError(f"{type(self).__name__}: argument padding='causal': only Conv1D can be causal")
        if self.filters % self.groups:
            raise ValueError(f"{type(self).__name__}: filters={self.filters} cannot be split into groups={self.groups}")
        self.refuse_strides_with_dilation()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self.fix_channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{describe_layer(self)}: {channels} input channels cannot be split into groups={self.groups} "
                f"(input shape {tuple(input_shape)})"
            )
        self.make_kernel((*self.kernel_size, channels // self.groups, self.filters), (self.filters,))

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
        return self.finish(outputs)
