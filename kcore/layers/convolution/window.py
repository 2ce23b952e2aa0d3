"""What all layers with a moving window share: arguments per axis, the axis of the channels, the bias."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import ops
from kcore.declare import int_tuple, one_of
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer


def per_axis(layer: Any, *names: str, zero: bool = False) -> None:
    """Make arguments that are one integer, or one per spatial axis, into tuples.

    Raises:
        ValueError: another number of them, or one that is too small; the message names the class and the argument.
    """
    for name in names:
        try:
            setattr(layer, name, int_tuple(getattr(layer, name), layer.rank, zero=zero))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{type(layer).__name__}: argument {name}: {error}") from None


def padding_kind(*choices: str) -> Any:
    """Kind of an argument that names a padding, in any case."""
    return lambda value: one_of(*choices)(value.lower() if isinstance(value, str) else value)


class WindowLayer(Layer):
    """Base of the convolutions: one window, moved along `rank` spatial axes."""

    #: Number of spatial axes.
    rank: ClassVar[int]

    data_format: str
    strides: Any
    dilation_rate: Any
    bias: Any
    activation: Any

    def check_window(self) -> None:
        """Bring the arguments of the window into form, and ask for inputs of the right rank."""
        per_axis(self, "kernel_size", "strides", "dilation_rate")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def refuse_strides_with_dilation(self) -> None:
        """Raise ValueError where both strides and dilation are above 1."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__}: strides={self.strides} and dilation_rate={self.dilation_rate}: only one "
                "of them may be above 1"
            )

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def fix_channels(self, input_shape: tuple[int | None, ...]) -> int:
        """The number of input channels, which all later inputs must have.

        Raises:
            ValueError: it is not known.
        """
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"{describe_layer(self)}: the number of channels, axis {self.channel_axis} of the input "
                f"{tuple(input_shape)}, must be known"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})
        return channels

    def finish(self, outputs: Any) -> Any:
        """Add the bias and apply the activation."""
        if self.bias is not None:
            first = self.data_format == "channels_first"
            outputs = outputs + (ops.reshape(self.bias, (-1, *(1,) * self.rank)) if first else self.bias)
        return self.activation(outputs)
