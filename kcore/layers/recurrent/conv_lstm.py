"""LSTM whose products are convolutions, for sequences of signals, images and volumes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from kcore import config, initializers, ops
from kcore.declare import argument, positive_int
from kcore.layers.convolution.window import WindowLayer, padding_kind
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.recurrent.arguments import GatedArguments, SequenceArguments
from kcore.layers.recurrent.dropout_cell import DropoutRNNCell
from kcore.layers.recurrent.rnn import RNN
from kcore.registry import public
from kcore.runtime import KerasTensor
from kcore.runtime.seeds import SeedGenerator


class ConvLSTMArguments(GatedArguments):
    """The arguments of ConvLSTM layers and their cells, besides those of `RecurrentArguments`.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: steps of the window over the inputs.
        padding: ``"valid"`` or ``"same"``, of the inputs; the state is always padded to its own size.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        dilation_rate: spacing of the window's elements over the inputs.
        recurrent_activation: of the gates.
        unit_forget_bias: whether the forget gate's bias starts at one.
    """

    filters: int = argument(kind=positive_int)
    kernel_size: Any = argument()
    strides: Any = argument(1)
    padding: str = argument("valid", padding_kind("valid", "same"))
    data_format: Any = argument(None, config.standardize_data_format)
    dilation_rate: Any = argument(1)
    unit_forget_bias: bool = argument(True, after="bias_initializer")


class ConvLSTMCell(ConvLSTMArguments, DropoutRNNCell, WindowLayer):
    """One step of a ConvLSTM.

    ``i, f, o = sigmoid(x * W + h * U + b); c = f c + i tanh(x * W + h * U + b); h = o tanh(c)`` with convolutions
    ``*``, the channels of the kernels in the order i, f, c, o.
    """

    units: Any = None
    implementation: Any = None
    dropout_mask_count = 4

    def __post_init__(self) -> None:
        self.check_window()
        self.refuse_strides_with_dilation()
        self.seed_generator = SeedGenerator(self.seed)
        self.state_size = [self.filters, self.filters]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = self.fix_channels(input_shape)
        self._step_shape = tuple(input_shape[1:])
        self._state_shape(1)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, 4 * self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, 4 * self.filters),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (4 * self.filters,),
                self._open_forget_gates if self.unit_forget_bias else self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _open_forget_gates(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        parts = [initializers.draw(self.bias_initializer, (n * self.filters,), dtype) for n in (1, 2)]
        return np.concatenate([parts[0], np.ones_like(parts[0]), parts[1]])

    def _state_shape(self, batch_size: Any) -> tuple:
        return self.output_shape((batch_size, *self._step_shape))

    def output_shape(self, input_shape: tuple) -> tuple:
        """Shape of the output for inputs of one step.

        Raises:
            ValueError: a spatial size or the number of channels is not known.
        """
        channels = input_shape[self.channel_axis]
        if None in input_shape[1:]:
            raise ValueError(
                f"{describe_layer(self)}: the spatial sizes and channels of the inputs must be known, got steps of "
                f"shape {tuple(input_shape)}"
            )
        kernel = KerasTensor((*self.kernel_size, channels, self.filters), self.compute_dtype)
        return tuple(self._input_conv(KerasTensor(tuple(input_shape), self.compute_dtype), kernel).shape)

    def _input_conv(self, x: Any, kernel: Any) -> Any:
        window = {"strides": self.strides, "padding": self.padding, "dilation_rate": self.dilation_rate}
        return ops.conv(x, kernel, data_format=self.data_format, **window)

    def _state_conv(self, h: Any, kernel: Any) -> Any:
        return ops.conv(h, kernel, padding="same", data_format=self.data_format)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        axis = self.channel_axis % (self.rank + 2)
        parts = [
            self._gates(self._input_conv, inputs, self.kernel, training and self.dropout, self.drop_inputs, axis),
            self._gates(
                self._state_conv, h, self.recurrent_kernel, training and self.recurrent_dropout, self.drop_state, axis
            ),
        ]
        z = parts[0] + parts[1]
        if self.bias is not None:
            first = self.data_format == "channels_first"
            z = z + (ops.reshape(self.bias, (-1, *(1,) * self.rank)) if first else self.bias)
        i, f, candidate, o = ops.split(z, 4, axis=axis)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(candidate)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def _gates(self, conv: Any, x: Any, kernel: Any, dropped: Any, drop: Any, axis: int) -> Any:
        """One convolution for all gates; with dropout one per gate, each with a mask of its own."""
        if not dropped:
            return conv(x, kernel)
        kernels = ops.split(kernel, 4, axis=-1)
        return ops.concatenate([conv(x, k) for x, k in zip(drop(x, True), kernels, strict=True)], axis=axis)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for both states."""
        return [ops.zeros(self._state_shape(batch_size), dtype=self.compute_dtype) for _ in range(2)]


class ConvLSTM1DCell(ConvLSTMCell):
    """A step of a `ConvLSTM1D`."""

    rank = 1


class ConvLSTM2DCell(ConvLSTMCell):
    """A step of a `ConvLSTM2D`."""

    rank = 2


class ConvLSTM3DCell(ConvLSTMCell):
    """A step of a `ConvLSTM3D`."""

    rank = 3


class ConvLSTM(ConvLSTMArguments, SequenceArguments, RNN):
    """Base of the ConvLSTM layers: makes its cell from its arguments."""

    units: Any = None
    implementation: Any = None
    #: Made from the arguments, not one itself.
    cell: Any = None
    cell_type: ClassVar[type[ConvLSTMCell]]

    def __post_init__(self) -> None:
        shared = {name: getattr(self, name) for name in self.cell_type.arguments}
        common: dict[str, Any] = {"dtype": self.dtype_policy, "trainable": self.trainable, "name": "conv_lstm_cell"}
        self.cell = self.cell_type(**shared, **common)
        for window in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, window, getattr(self.cell, window))
        self.input_spec = InputSpec(ndim=self.cell_type.rank + 3)

    def step_shape(self, sequences_shape: tuple) -> tuple:
        return self.cell.output_shape((sequences_shape[0], *sequences_shape[2:]))

    def state_shapes(self, sequences_shape: tuple) -> list[Any]:
        return [self.step_shape(sequences_shape)] * 2


@public("keras.layers")
class ConvLSTM1D(ConvLSTM):
    """A convolutional LSTM over a sequence of signals.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: see `ConvLSTMArguments`.
        activation, recurrent_activation, use_bias, ...: see `LSTM`.
        return_sequences, return_state, go_backwards, stateful, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, size, channels)``, or ``(batch, time, channels, size)``; output ``(batch, new_size,
        filters)``, with the time behind the batch with `return_sequences`; states like the output of a step.

    Raises:
        ValueError: sizes that are not known, a window that does not fit.

    Example:
        >>> import numpy as np
        >>> ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3), "float32")).shape
        (2, 6, 4)

    Source: Shi et al. 2015; `keras.layers.ConvLSTM1D`.
    """

    cell_type = ConvLSTM1DCell


@public("keras.layers")
class ConvLSTM2D(ConvLSTM):
    """A convolutional LSTM over a sequence of images.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: see `ConvLSTMArguments`.
        activation, recurrent_activation, use_bias, ...: see `LSTM`.
        return_sequences, return_state, go_backwards, stateful, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, rows, columns, channels)``, or channels behind the time; output ``(batch, new_rows,
        new_columns, filters)``, with the time behind the batch with `return_sequences`; states like it.

    Raises:
        ValueError: sizes that are not known, a window that does not fit.

    Example:
        >>> import numpy as np
        >>> ConvLSTM2D(4, 3, padding="same", return_sequences=True)(np.ones((2, 3, 8, 8, 1), "float32")).shape
        (2, 3, 8, 8, 4)

    Source: Shi et al. 2015; `keras.layers.ConvLSTM2D`.
    """

    cell_type = ConvLSTM2DCell


@public("keras.layers")
class ConvLSTM3D(ConvLSTM):
    """A convolutional LSTM over a sequence of volumes.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: see `ConvLSTMArguments`.
        activation, recurrent_activation, use_bias, ...: see `LSTM`.
        return_sequences, return_state, go_backwards, stateful, zero_output_for_mask: see `RNN`.

    Shapes:
        sequences ``(batch, time, depth, rows, columns, channels)``, or channels behind the time; output ``(batch,
        new_depth, new_rows, new_columns, filters)``, with the time behind the batch with `return_sequences`.

    Raises:
        ValueError: sizes that are not known, a window that does not fit.

    Example:
        >>> import numpy as np
        >>> ConvLSTM3D(2, 2)(np.ones((1, 2, 3, 3, 3, 1), "float32")).shape
        (1, 2, 2, 2, 2)

    Source: Shi et al. 2015; `keras.layers.ConvLSTM3D`.
    """

    cell_type = ConvLSTM3DCell
