"""What a backend's launch of generated kernels holds: the code of a node and the arrays it is bound to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.codegen import Code, Source


class Operands:
    """The arrays of a node's generated kernels, for the launches of a backend to derive from.

    Attributes:
        code: the sources, in order.
        inputs, outputs: arrays of the node.
        scratch: array the sources share, or None.
    """

    def __init__(self, code: Code, inputs: Sequence[Any], outputs: Sequence[Any], scratch: Any):
        self.code = code
        self.inputs = inputs
        self.outputs = outputs
        self.scratch = scratch

    @property
    def sources(self) -> list[Source]:
        """The generated kernels that have work."""
        return [source for source in self.code.launches if source.groups]

    def array(self, kind: str, index: int) -> Any:
        """The array of an argument of a kind, ``"input"``, ``"output"`` or ``"scratch"``."""
        if kind == "scratch":
            found = self.scratch
        else:
            found = (self.inputs if kind == "input" else self.outputs)[index]
        assert found is not None, f"{kind} {index} of a kernel has no array"
        return found
