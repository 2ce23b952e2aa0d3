"""Recurrent layers that make their cell themselves."""

from __future__ import annotations

from typing import ClassVar

from kcore.declare import Configurable
from kcore.layers.input_spec import InputSpec
from kcore.layers.recurrent.rnn import RNN


class SequenceRNN(RNN):
    """Base of SimpleRNN, GRU and LSTM.

    A subclass has the arguments of its cell and none called `cell`, and says `cell_type` and `cell_name`.
    """

    cell_type: ClassVar[type[Configurable]]
    cell_name: ClassVar[str]

    input_spec = InputSpec(ndim=3)

    def __post_init__(self) -> None:
        shared = {name: getattr(self, name) for name in self.cell_type.arguments}
        self.cell = self.cell_type(**shared, dtype=self.dtype_policy, trainable=self.trainable, name=self.cell_name)
        super().__post_init__()
