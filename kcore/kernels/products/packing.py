"""Functions that copy a piece of a matrix to local memory, as it lies or transposed."""

from __future__ import annotations

from dataclasses import replace

from kcore.codegen import OPENCL
from kcore.codegen.group import indented
from kcore.kernels.products.vectors import Vectors


def copy_function(v: Vectors, dtype: str, index: str) -> list[str]:
    """``copy(to, to_row, from, from_row, rows, columns, rest)``: rows of a matrix, one after another.

    Whole vectors are copied, so what lies in `to` beyond the columns is undefined; rows of it must have room for that.
    Nothing is read beyond the `rest` elements of the matrix.
    """
    head = [
        f"static inline void copy(__local {v.type} *to, const int to_row,",
        f"                        {OPENCL.pointer(dtype, const=True)}from, const {index} from_row,",
        f"                        const int rows, const int columns, const {index} rest) {{",
    ]
    one = OPENCL.load(dtype, "from", "row * from_row + c")
    single = f"to[row * to_row + c] = {one};"
    if dtype != v.dtype:
        return [
            *head,
            "    for (int row = 0; row < rows; ++row)",
            "        for (int c = 0; c < columns; ++c)",
            f"            {single}",
            "}",
        ]
    return [
        *head,
        "    for (int row = 0; row < rows; ++row) {",
        f"        for (int column = 0; column < columns; column += {v.lanes}) {{",
        f"            if (row * from_row + column + {v.lanes} <= rest)",
        f"                {v.store('to + row * to_row + column', v.load('from + row * from_row + column'), '__local')}",
        "            else",
        "                for (int c = column; c < columns; ++c)",
        f"                    {single}",
        "        }",
        "    }",
        "}",
    ]


def tiles_function(v: Vectors, dtype: str, index: str, to_row: int, to_tile: int, row: str) -> list[str]:
    """``copy_tiles(to, from, from_row, terms, first_tile, last_tile, tall, rest)``: a transposed matrix by tiles.

    It lies as (terms, rows). A tile's rows stand side by side, term after term, and the tiles one after another; what
    is read lies in one piece for each term, as long as all tiles are wide.

    Args:
        v: vectors of the dtype that is computed in.
        dtype: what the matrix is stored as.
        index: type of indices.
        to_row, to_tile: elements from one term to the next within a tile, and from one tile to the next.
        row: the first row of tile number `tile`, as C text; `from` points to that of the first tile.
    """
    head = [
        f"static inline void copy_tiles(__local {v.type} *to, {OPENCL.pointer(dtype, const=True)}from,",
        f"                              const {index} from_row, const int terms, const int first_tile,",
        f"                              const int last_tile, const int tall, const {index} rest) {{",
    ]
    lanes = v.lanes
    v = replace(v, lanes=min(lanes, to_row))
    body = []
    for c in range(0, to_row, v.lanes):
        one = f"target[c] = {OPENCL.load(dtype, 'from', 'at + c')};"
        singles = [f"for (int c = {c}; c < {c + v.lanes} && at + c < rest; ++c)", f"    {one}"]
        if dtype == v.dtype:
            body += [
                f"if (at + {c + v.lanes} <= rest)",
                f"    {v.store(f'target + {c}', v.load(f'from + at + {c}'), '__local')}",
                "else",
                *indented(singles),
            ]
        else:
            body += singles
    return [
        *([v.declaration] if v.lanes != lanes else []),
        *head,
        f"    const int first = {row.replace('tile', 'first_tile')};",
        "    for (int k = 0; k < terms; ++k) {",
        "        for (int tile = first_tile; tile < last_tile; ++tile) {",
        f"            const {index} at = k * from_row + {row} - first;",
        f"            __local {v.type} *target = to + (tile - first_tile) * {to_tile} + k * {to_row};",
        *indented(body, 3),
        "        }",
        "    }",
        "}",
    ]


def transpose_function(v: Vectors, dtype: str, index: str, space: str = "__local") -> list[str]:
    """``transpose(to, to_row, from, from_row, rows, columns, rest)``: ``to[c][r] = from[r][c]``.

    Squares of vectors are transposed in registers, so `to`, in memory `space`, must have room for whole vectors along
    both axes.
    """
    to_index = index if space == "__global" else "int"
    head = [
        f"static inline void transpose({space} {v.type} *to, const {to_index} to_row,",
        f"                             {OPENCL.pointer(dtype, const=True)}from, const {index} from_row,",
        f"                             const int rows, const int columns, const {index} rest) {{",
    ]
    single = f"to[c * to_row + r] = {OPENCL.load(dtype, 'from', 'r * from_row + c')};"
    if dtype != v.dtype:
        return [
            *head,
            "    for (int r = 0; r < rows; ++r)",
            "        for (int c = 0; c < columns; ++c)",
            f"            {single}",
            "}",
        ]
    n = v.lanes
    square = [
        f"for (int row = 0; row < rows; row += {n}) {{",
        f"    for (int column = 0; column < columns; column += {n}) {{",
        f"        if ((rows - 1) * from_row + column + {n} > rest) {{",
        f"            for (int r = row; r < min(row + {n}, rows); ++r)",
        f"                for (int c = column; c < min(column + {n}, columns); ++c)",
        f"                    {single}",
        "            continue;",
        "        }",
    ]
    for i in range(n):
        square.append(
            f"        const {v.vector} r{i} = {v.load(f'from + min(row + {i}, rows - 1) * from_row + column')};"
        )
    names = [f"r{i}" for i in range(n)]
    turn, half = 0, n // 2
    while 2**turn < n:
        turn += 1
        mixed: list[str] = []
        for i in range(half):
            for which in ("low", "high"):
                name = f"t{turn}_{len(mixed)}"
                square.append(f"        const {v.vector} {name} = {which}({names[i]}, {names[i + half]});")
                mixed.append(name)
        names = mixed
    for i, name in enumerate(names):
        square.append(f"        {v.store(f'to + (column + {i}) * to_row + row', name, space)}")
    square += ["    }", "}"]
    return [*_interleave(v, "low", 0), *_interleave(v, "high", n // 2), *head, *indented(square), "}"]


def _interleave(v: Vectors, name: str, start: int) -> list[str]:
    """A function that takes elements of two vectors in turn, from their lower or upper halves."""
    parts = ", ".join(f"a.s{i:x}, b.s{i:x}" for i in range(start, start + v.lanes // 2))
    return [
        f"static inline {v.vector} {name}(const {v.vector} a, const {v.vector} b) {{",
        f"    return ({v.vector})({parts});",
        "}",
    ]
