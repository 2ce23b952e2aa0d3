"""Batch normalization as cuDNN sees it: channels last in memory, statistics in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kcore_cuda.libraries.convolution import channels_last
from kcore_cuda.libraries.cudnn import Tensor

#: dtypes of what is normalized; parameters and statistics are float32.
DTYPES = ("float32", "float16", "bfloat16")
#: Channels are a multiple of this: vectors of 16 bytes in any of the dtypes, and every row begins at one.
CHANNELS = 8
#: Most axes: batch, three spatial ones, channels.
RANK = 5


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization in training, or its gradients, as a graph of one operation.

    Attributes:
        dtype: of what is normalized.
        image: (batch, channels, *spatial).
        backward: whether it is the gradients.
    """

    dtype: str
    image: Tensor
    backward: bool = False

    @property
    def channels(self) -> Tensor:
        """One number for each channel."""
        return channels_last((1, self.image.dims[1], *(1 for _ in self.image.dims[2:])))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Places among the tensors of those that are numbers of the host."""
        return () if self.backward else (3, 4)

    def build(self, graph: Any, types: Any) -> list[Any]:
        """Tensors in the order of their arrays.

        Forward: x, scale, bias, epsilon, momentum (both one float32 of the host each), the running mean and variance
        so far; y, mean, 1 / deviation, the next running mean and variance. Backward: x, scale, mean, 1 / deviation,
        the gradient of y; the gradients of x, scale and bias.
        """

        def image(name: str) -> Any:
            return graph.tensor(dim=list(self.image.dims), stride=list(self.image.strides), name=name)

        def vector(name: str) -> Any:
            own = self.channels
            return graph.tensor(dim=list(own.dims), stride=list(own.strides), name=name, data_type=types.FLOAT)

        def number(name: str) -> Any:
            ones = [1] * len(self.image.dims)
            return graph.tensor(dim=ones, stride=ones, name=name, data_type=types.FLOAT, is_pass_by_value=True)

        if self.backward:
            x, scale, mean, deviation, slope = image("x"), *map(vector, ("scale", "mean", "inv_var")), image("dy")
            made = graph.batchnorm_backward(grad=slope, input=x, scale=scale, mean=mean, inv_variance=deviation)
            return [x, scale, mean, deviation, slope, *self._declared(made, types)]
        x, scale, bias = image("x"), vector("scale"), vector("bias")
        epsilon, momentum = number("epsilon"), number("momentum")
        running = vector("running_mean"), vector("running_var")
        made = graph.batchnorm(
            input=x, scale=scale, bias=bias, in_running_mean=running[0], in_running_var=running[1], epsilon=epsilon,
            momentum=momentum,
        )  # fmt: skip
        return [x, scale, bias, epsilon, momentum, *running, *self._declared(made, types)]

    def _declared(self, made: Any, types: Any) -> list[Any]:
        """The results, the first an image and the others vectors, as outputs."""
        first, *others = made
        first.set_output(True).set_dim(list(self.image.dims)).set_stride(list(self.image.strides))
        for tensor in others:
            own = self.channels
            tensor.set_output(True).set_data_type(types.FLOAT).set_dim(list(own.dims)).set_stride(list(own.strides))
        return [first, *others]


def takes(shape: tuple[int, ...], dtype: str) -> bool:
    """Whether cuDNN may be asked to normalize such an array: channels last, nothing empty."""
    size = 1
    for n in shape:
        size *= n
    return dtype in DTYPES and 2 <= len(shape) <= RANK and size > 0 and shape[-1] % CHANNELS == 0


def batch_norm_of(shape: tuple[int, ...], dtype: str, backward: bool = False) -> BatchNorm:
    """The graph for an array (batch, *spatial, channels); fewer than two spatial axes become two."""
    batch, *spatial, channels = shape
    flat = (1,) * (2 - len(spatial))
    return BatchNorm(dtype, channels_last((batch, channels, *flat, *spatial)), backward)
