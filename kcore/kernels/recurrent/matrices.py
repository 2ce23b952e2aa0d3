"""Products with operands anywhere, for GPUs: a work-group makes a square of the result from tiles in local memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen import Source
from kcore.kernels.tiles import Text, block, loop

#: Rows and columns of the result that a work-item makes; and work-items along a side of the square.
EACH = 4
LANES = 8
#: Rows and columns of the result that a work-group makes, and the depth of a tile.
SIDE = EACH * LANES
DEPTH = 16


@dataclass(frozen=True)
class Matrices:
    """A product ``(rows, depth) x (depth, columns)`` given by C expressions.

    Attributes:
        rows, columns, depth: names of integers in scope.
        left: the left operand's element at row `r` and depth `k`.
        right: the right operand's element at depth `k` and column `c`.
        store: statements that store `value`, the result's element at row `r` and column `c`.
    """

    rows: str
    columns: str
    depth: str
    left: str
    right: str
    store: Sequence[str]


def groups(rows: int, columns: int) -> int:
    """Work-groups of a product."""
    return -(-rows // SIDE) * -(-columns // SIDE)


def source(text: Text, dtype: str, matrices: Matrices, count: int) -> Source:
    """The finished kernel, of which `text` has the arguments already."""
    d, m, items = text.dialect, matrices, LANES * LANES
    t = d.types[dtype]
    text.add(
        f"{d.shared} {t} left[{DEPTH * SIDE}], right[{DEPTH * SIDE}];",
        f"const int item = {d.lane};",
        f"const int across = ({m.columns} + {SIDE - 1}) / {SIDE};",
        f"const int top = {d.group} / across * {SIDE};",
        f"const int side = {d.group} % across * {SIDE};",
        f"const int own_row = item / {LANES}, own_column = item % {LANES};",
        *(f"{t} acc{i}_{j} = 0;" for i in range(EACH) for j in range(EACH)),
    )
    fetch = [
        "const int k = k0 + n / " + f"{SIDE};",
        f"const int r = top + n % {SIDE}, c = side + n % {SIDE};",
        f"left[n] = k < {m.depth} && r < {m.rows} ? {m.left} : 0;",
        f"right[n] = k < {m.depth} && c < {m.columns} ? {m.right} : 0;",
    ]
    work = [
        *(f"const {t} a{i} = left[k * {SIDE} + own_row + {i * LANES}];" for i in range(EACH)),
        *(f"const {t} b{j} = right[k * {SIDE} + own_column + {j * LANES}];" for j in range(EACH)),
        *(f"acc{i}_{j} += a{i} * b{j};" for i in range(EACH) for j in range(EACH)),
    ]
    turn = [
        *loop("n", "item", DEPTH * SIDE, items, fetch),
        d.barrier,
        *loop("k", 0, DEPTH, 1, work),
        d.barrier,
    ]
    text.add(*loop("k0", 0, m.depth, DEPTH, turn))
    for i in range(EACH):
        for j in range(EACH):
            text.block(
                "",
                [
                    f"const int r = top + own_row + {i * LANES}, c = side + own_column + {j * LANES};",
                    f"const {t} value = acc{i}_{j};",
                    *block(f"if (r < {m.rows} && c < {m.columns})", m.store),
                ],
            )
    return text.source(count, items)
