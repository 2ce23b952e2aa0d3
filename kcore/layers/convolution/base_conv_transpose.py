"""What the transposed convolution layers share."""

from __future__ import annotations

from typing import Any

from kcore import activations, config, ops
from kcore.declare import argument, positive_int
from kcore.layers.convolution.window import WindowLayer, padding_kind, per_axis
from kcore.layers.core.kernel_layer import KernelLayer


class BaseConvTranspose(WindowLayer, KernelLayer):
    """Base of the transposed convolutions of rank 1, 2 and 3.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: factor by which the spatial axes grow.
        padding: ``"valid"``, or ``"same"``, for which the output is exactly `strides` times as large.
        output_padding: how much longer the output is than the shortest there is, below `strides`; None is as `padding`
            says.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        dilation_rate: spacing of the window's elements.
        activation, use_bias, kernel_initializer, ...: see `Dense`.
    """

    filters: int = argument(kind=positive_int)
    kernel_size: Any = argument()
    strides: Any = argument(1)
    padding: str = argument("valid", padding_kind("valid", "same"))
    output_padding: Any = argument(None)
    data_format: Any = argument(None, config.standardize_data_format)
    dilation_rate: Any = argument(1)
    activation: Any = argument(None, activations)

    def __post_init__(self) -> None:
        self.check_window()
        self.refuse_strides_with_dilation()
        if self.output_padding is not None:
            per_axis(self, "output_padding", zero=True)
            if any(extra >= step for extra, step in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{type(self).__name__}: output_padding={self.output_padding} must be below "
                    f"strides={self.strides} along every axis"
                )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self.fix_channels(input_shape)
        self.make_kernel((*self.kernel_size, self.filters, channels), (self.filters,))

    def call(self, inputs: Any) -> Any:
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self.finish(outputs)
