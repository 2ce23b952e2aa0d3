"""Vectors of channels in OpenCL C: how they are declared, loaded and stored, whatever their number and dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen.dialect import OPENCL, compute_dtype
from kcore.codegen.group import Statements


@dataclass(frozen=True)
class Piece:
    """Neighbouring channels held in one vector.

    Attributes:
        at: the first of them, counted from the block's first.
        valid: how many.
        width: lanes of the vector: 1, 2, 4, 8 or 16; those beyond `valid` hold zeros and are never stored.
    """

    at: int
    valid: int
    width: int


def pieces(channels: int, lanes: int) -> tuple[Piece, ...]:
    """Channels as vectors of `lanes`; the last one is as narrow as it may be."""
    found = [Piece(at, lanes, lanes) for at in range(0, channels - lanes + 1, lanes)]
    rest = channels % lanes
    if rest:
        width = 1
        while width < rest:
            width *= 2
        found.append(Piece(channels - rest, rest, width))
    return tuple(found)


def blocks(channels: int, lanes: int, vectors: int) -> list[tuple[Piece, ...]]:
    """Channels as blocks of `vectors` vectors; all are alike but perhaps the last."""
    found = pieces(channels, lanes)
    return [
        tuple(Piece(p.at - found[i].at, p.valid, p.width) for p in found[i : i + vectors])
        for i in range(0, len(found), vectors)
    ]


def span(block: Sequence[Piece]) -> int:
    """Channels of a block."""
    return block[-1].at + block[-1].valid


class Lanes:
    """Text for vectors of one dtype; helpers it needs go into the kernel's statements."""

    def __init__(self, statements: Statements, dtype: str):
        self.statements = statements
        self.dtype = dtype
        self.scalar = OPENCL.type(dtype)
        statements.uses(dtype)

    def type(self, piece: Piece) -> str:
        """Type of a vector that is computed with."""
        return self.scalar if piece.width == 1 else f"{self.scalar}{piece.width}"

    def element(self, pointer: str, index: str) -> str:
        """One element."""
        return OPENCL.load(self.dtype, pointer, index)

    def load(self, pointer: str, index: str, piece: Piece) -> str:
        """The vector that begins at an index."""
        if piece.valid == 1:
            return self.element(pointer, index)
        if piece.valid == piece.width and compute_dtype(self.dtype) == self.dtype:
            return f"vload{piece.width}(0, {pointer} + {index})"
        return f"{self._loader(piece)}({pointer} + {index})"

    def store(self, pointer: str, index: str, piece: Piece, value: str) -> str:
        """Statement that stores the valid lanes from an index on."""
        if piece.valid == 1:
            return OPENCL.store(self.dtype, pointer, index, value)
        if piece.valid == piece.width and compute_dtype(self.dtype) == self.dtype:
            return f"vstore{piece.width}({value}, 0, {pointer} + {index});"
        return f"{self._storer(piece)}({value}, {pointer} + {index});"

    def _runs(self, piece: Piece) -> list[tuple[int, int]]:
        """The valid lanes as (first, number) with numbers that vload and vstore know."""
        runs, at = [], 0
        for number in (16, 8, 4, 2, 1):
            while piece.valid - at >= number and at + number <= piece.width:
                runs.append((at, number))
                at += number
        return runs

    def _loader(self, piece: Piece) -> str:
        name = f"load{piece.valid}_{self.dtype}"
        parts = []
        for at, number in self._runs(piece):
            parts.append(self._part(at, number))
        rest = piece.width - piece.valid
        while rest:
            number = rest & -rest
            parts.append(f"({self.scalar}{number if number > 1 else ''})(0)")
            rest -= number
        pointer = OPENCL.pointer(self.dtype, const=True)
        body = f"return ({self.type(piece)})({', '.join(parts)});"
        self.statements.helpers[f"static inline {self.type(piece)} {name}({pointer}p) {{ {body} }}"] = None
        return name

    def _part(self, at: int, number: int) -> str:
        if number == 1:
            return self.element("p", str(at))
        if self.dtype == "float16":
            return f"vload_half{number}(0, p + {at})"
        if self.dtype == "bfloat16":
            return f"as_float{number}(convert_uint{number}(vload{number}(0, p + {at})) << 16)"
        return f"vload{number}(0, p + {at})"

    def _storer(self, piece: Piece) -> str:
        name = f"store{piece.valid}_{self.dtype}"
        lines = []
        for at, number in self._runs(piece):
            if self.dtype == "bfloat16":
                lines += [OPENCL.store(self.dtype, "p", str(at + k), f"v.s{at + k:x}") for k in range(number)]
                continue
            value = "v.s" + "".join(f"{at + k:x}" for k in range(number))
            if number == 1:
                lines.append(OPENCL.store(self.dtype, "p", str(at), value))
            elif self.dtype == "float16":
                lines.append(f"vstore_half{number}_rte({value}, 0, p + {at});")
            else:
                lines.append(f"vstore{number}({value}, 0, p + {at});")
        pointer = OPENCL.pointer(self.dtype, const=False)
        head = f"static inline void {name}(const {self.type(piece)} v, {pointer}p)"
        self.statements.helpers["\n".join([f"{head} {{", *("    " + line for line in lines), "}"])] = None
        return name
