"""The element type a product is computed in, and its vectors, as C text."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.codegen import OPENCL, Dialect


@dataclass(frozen=True)
class Vectors:
    """Vectors of one dtype.

    Unaligned vectors are read and written through pointers to a type of lesser alignment: PoCL compiles vload16 and
    vstore16 to calls, around which every accumulator would be spilled.

    Attributes:
        dtype: what is computed in.
        lanes: elements of a vector.
        fma: template over ``{a}``, ``{b}``, ``{c}`` for floats.
        dialect: the language; vectors of more than one lane are OpenCL's.
    """

    dtype: str
    lanes: int
    fma: str
    dialect: Dialect = OPENCL

    @property
    def type(self) -> str:
        """C type of an element."""
        return self.dialect.types[self.dtype]

    @property
    def vector(self) -> str:
        """C type of a vector."""
        return f"{self.type}{self.lanes}"

    @property
    def declaration(self) -> str:
        """What must stand before functions that load or store unaligned vectors."""
        return f"typedef {self.vector} unaligned_{self.vector} __attribute__((aligned(sizeof({self.type}))));"

    def load(self, pointer: str, space: str = "__global") -> str:
        """A vector at a pointer of any alignment."""
        return f"*(const {space} unaligned_{self.vector} *)({pointer})"

    def store(self, pointer: str, value: str, space: str = "__global") -> str:
        """A statement that stores a vector at a pointer of any alignment."""
        return f"*({space} unaligned_{self.vector} *)({pointer}) = {value};"

    def splat(self, scalar: str) -> str:
        """A vector of one number."""
        return f"({self.vector})({scalar})"

    def multiply_add(self, a: str, b: str, c: str) -> str:
        """``a * b + c``; of truth values, whether both are true or it was true before."""
        if self.dtype == "bool":
            return f"({a} & {b}) | {c}"
        if self.dtype in ("float32", "float64"):
            return self.fma.format(a=a, b=b, c=c)
        return f"{a} * {b} + {c}"
