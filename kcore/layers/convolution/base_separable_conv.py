"""What the separable convolution layers share."""

from __future__ import annotations

from typing import Any

from kcore import activations, config, constraints, initializers, ops, regularizers
from kcore.declare import argument, positive_int
from kcore.layers.convolution.window import WindowLayer, padding_kind


class BaseSeparableConv(WindowLayer):
    """Base of the separable convolutions of rank 1 and 2: each channel by itself, then all channels at each place.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: steps of the window.
        padding: ``"valid"``, or ``"same"`` (the odd element at the end).
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        dilation_rate: spacing of the window's elements.
        depth_multiplier: number of channels the first convolution makes per input channel.
        activation: name or function; linear if None.
        use_bias: whether there is a bias, after the second convolution.
        depthwise_initializer, pointwise_initializer, bias_initializer: first values of the weights.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer: penalties.
        depthwise_constraint, pointwise_constraint, bias_constraint: what the weights are mapped to after an update.
    """

    filters: int = argument(kind=positive_int)
    kernel_size: Any = argument()
    strides: Any = argument(1)
    padding: str = argument("valid", padding_kind("valid", "same"))
    data_format: Any = argument(None, config.standardize_data_format)
    dilation_rate: Any = argument(1)
    depth_multiplier: int = argument(1, positive_int)
    activation: Any = argument(None, activations)
    use_bias: bool = argument(True)
    depthwise_initializer: Any = argument("glorot_uniform", initializers)
    pointwise_initializer: Any = argument("glorot_uniform", initializers)
    bias_initializer: Any = argument("zeros", initializers)
    depthwise_regularizer: Any = argument(None, regularizers)
    pointwise_regularizer: Any = argument(None, regularizers)
    bias_regularizer: Any = argument(None, regularizers)
    activity_regularizer: Any = argument(None, regularizers)
    depthwise_constraint: Any = argument(None, constraints)
    pointwise_constraint: Any = argument(None, constraints)
    bias_constraint: Any = argument(None, constraints)

    def __post_init__(self) -> None:
        self.check_window()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self.fix_channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name="depthwise_kernel",
        )
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            name="pointwise_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def call(self, inputs: Any) -> Any:
        outputs = ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self.finish(outputs)
