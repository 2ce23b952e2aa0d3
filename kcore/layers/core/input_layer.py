"""The inputs of functional models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import config, dtype_policies
from kcore.dtypes import standardize_dtype
from kcore.layers.layer import Layer
from kcore.registry import public
from kcore.runtime import CallRecord, KerasTensor


def _shape(shape: Any) -> tuple[int | None, ...]:
    sizes = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    if any(d is not None and (isinstance(d, bool) or not hasattr(d, "__index__") or d < 0) for d in sizes):
        raise ValueError(f"Input: shape {shape!r}: expected integers, or None where the size is not known")
    return tuple(None if d is None else int(d) for d in sizes)


@public("keras.layers")
class InputLayer(Layer):
    """The layer behind `Input`; it makes one symbolic tensor.

    Args:
        shape: shape of one sample; None where the size is not known.
        batch_size: size of the batch, if it is fixed.
        dtype: dtype of the input; `kcore.config.floatx()` if None.
        sparse, ragged: False; Keras's files carry them.
        batch_shape: shape with the batch, instead of the two above.
        input_tensor: a symbolic tensor to use.
        optional: whether the model may be given None for it.
        name: its name.

    Example:
        >>> InputLayer((3,)).output.shape
        (None, 3)

    Source: `keras.layers.InputLayer`.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            raise ValueError(f"Input has no argument {next(iter(kwargs))!r}")
        if sparse or ragged:
            raise ValueError("Input: sparse and ragged inputs are not supported")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(f"Input: tensor={input_tensor!r}: expected a KerasTensor")
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        elif batch_shape is not None:
            if shape is not None or batch_size is not None:
                raise ValueError("Input: give either batch_shape, or shape and batch_size, not both")
        elif shape is None:
            raise ValueError("Input: give the shape of one sample, e.g. Input((28, 28, 1))")
        else:
            batch_shape = (batch_size, *_shape(shape))
        self._batch_shape = _shape(batch_shape)
        if dtype == "string":
            raise ValueError(
                f"input {self.name!r}: strings are no tensors of kcore, so no model takes them: make numbers of them "
                "before "
                "it, with layers.TextVectorization or layers.StringLookup"
            )
        self._input_dtype = standardize_dtype(dtype or config.floatx())
        self._dtype_policy = dtype_policies.get(self._input_dtype)
        self.optional = optional
        tensor = (
            KerasTensor(self._batch_shape, self._input_dtype, name=self.name) if input_tensor is None else input_tensor
        )
        record = CallRecord(self, (), {}, tensor)
        tensor.record = record
        self._records.append(record)
        self.built = True

    def call(self) -> None:
        """Nothing: an input is given, not computed."""

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """Shape of the input with the batch."""
        return self._batch_shape

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self)] = new = type(self).from_config(self.get_config())
        return new

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self._batch_shape,
            "dtype": self._input_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


@public("keras.layers")
def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int | None] | int | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor from which functional models are made.

    Args:
        shape: shape of one sample; None where the size is not known.
        batch_size: size of the batch, if it is fixed.
        dtype: its dtype; `kcore.config.floatx()` if None.
        sparse, ragged: not supported; Keras's files carry False.
        batch_shape: shape with the batch, instead of `shape` and `batch_size`.
        name: name of the input, also its key in a dict of data.
        tensor: a symbolic tensor to use.
        optional: whether the model may be given None for it.

    Returns:
        A `KerasTensor`.

    Example:
        >>> Input((28, 28, 1)).shape
        (None, 28, 28, 1)

    Source: `keras.Input`.
    """
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name).output
