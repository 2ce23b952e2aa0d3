"""What Winograd's convolutions share: which walks they can do, and 4x4 tiles of what is read, transformed.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015: ``Y = A^T [(G g G^T) * (B^T d B)] A`` for a
tile d of 4x4 of what is read and the weights g; summed over the channels read, the products of one of the 16 places are
a matrix product of tiles by channels. B and A hold 0, 1 and -1, G also halves: rounding grows little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from kcore.codegen.group import indented
from kcore.codegen.signature import Signature
from kcore.kernels.convolutions.geometry import Axis, Walk
from kcore.kernels.convolutions.tiling import lanes_of
from kcore.kernels.tiles import Real, loop
from kcore.kernels.traits import Traits

#: Places of a transformed tile; results along a side of a tile, and what is read for them.
PLACES, OUT, IN = 16, 2, 4
#: Tiles from which on it pays.
LEAST = 256
#: Pairs of channels from which on it is faster than direct sums; with 16 by 16 both take as long.
CHANNELS = 512


@dataclass(frozen=True)
class Tiles:
    """How a convolution is cut.

    Attributes:
        rows, vectors: the piece of a product held in registers: tiles (or, of a kernel gradient, channels read), and
            vectors of channels.
        count: tiles transformed at a time.
        lanes: channels of a vector.
    """

    rows: int
    vectors: int
    count: int
    lanes: int


def fits(walk: Walk, dtype: str, traits: Traits) -> bool:
    """Whether a walk is a 3x3 convolution without strides, over whole vectors of channels on both sides."""
    lanes = lanes_of(dtype, traits)
    return (
        traits.cpu
        and dtype in ("float32", "float64")
        and len(walk.axes) == 2
        and all(_plain(a) for a in walk.axes)
        and walk.groups == 1
        and not walk.channelwise
        and lanes >= 4
        and walk.inner % lanes == walk.outer % lanes == 0
    )


def _plain(axis: Axis) -> bool:
    return axis.taps == 3 and axis.step == axis.spacing == axis.every == 1 and axis.place == 0


def wins(walk: Walk) -> bool:
    """Whether it is the default: so many tiles and channels that transforming both costs little beside the products."""
    return tiles_of(walk) >= LEAST and walk.inner * walk.outer >= CHANNELS


def tiles_of(walk: Walk) -> int:
    """How many tiles there are."""
    return walk.batch * ceil(walk.axes[0].out / OUT) * ceil(walk.axes[1].out / OUT)


def shares(walk: Walk, count: int, most: int) -> tuple[int, int]:
    """Work-items, at most so many, and the tiles each goes through, a multiple of `count`."""
    turns = ceil(tiles_of(walk) / count)
    each = ceil(turns / max(1, min(turns, most)))
    return ceil(turns / each), each * count


def up(elements: int) -> int:
    """Elements of a piece of scratch memory, in whole lines."""
    return -(-elements // 32) * 32


class Seeing:
    """Writes how a kernel finds its tiles and transforms what they read.

    In its text `first` is the first tile at hand, `tile` counts from there, and `seen` points to (16, count, inner).
    """

    def __init__(self, walk: Walk, sig: Signature, real: Real, tiles: Tiles):
        self.walk, self.sig, self.real, self.tiles = walk, sig, real, tiles

    def place(self) -> list[str]:
        """Image `n` of a tile, and the first row and column of its results."""
        index, sig, (rows, columns) = self.sig.index, self.sig, self.walk.axes
        down, across = sig.size("down", ceil(rows.out / OUT)), sig.size("across", ceil(columns.out / OUT))
        return [
            f"const {index} row = (first + tile) / {across} % {down} * {OUT};",
            f"const {index} column = (first + tile) % {across} * {OUT};",
            f"const {index} n = (first + tile) / {across} / {down};",
        ]

    def see(self) -> list[str]:
        """Transform what a tile reads: zero where it lies outside of the array."""
        index, sig, (rows, columns), real = self.sig.index, self.sig, self.walk.axes, self.real
        height, width = sig.size("height", rows.size), sig.size("width", columns.size)
        inner, lanes, v = self.walk.inner, self.tiles.lanes, self.real.vector
        lines = [
            f"const {index} top = row{shift(rows.start)}, left = column{shift(columns.start)};",
            f"{real.pointer()}to = seen + tile * {inner};",
        ]
        size = self.tiles.count * inner
        transform: list[str] = []
        for b in range(IN):
            transform += differences(v, "t{}" + str(b), [f"d{a}{b}" for a in range(IN)])
        for a in range(IN):
            transform += differences(v, f"v{a}{{}}", [f"t{a}{b}" for b in range(IN)])
        transform += [real.store(f"v{a}{b}", f"to + {(IN * a + b) * size} + c") for a in range(IN) for b in range(IN)]
        whole = [
            f"const {v} d{a}{b} = {real.load(f'from + ({a} * {width} + {b}) * {inner} + c')};"
            for a in range(IN)
            for b in range(IN)
        ]
        inside = f"top >= 0 && top + {IN} <= {height} && left >= 0 && left + {IN} <= {width}"
        within = [
            f"{real.pointer(const=True)}from = x + ((n * {height} + top) * {width} + left) * {inner};",
            *loop("c", 0, inner, lanes, [*whole, *transform]),
        ]
        if all(a.inside and a.out % OUT == 0 for a in self.walk.axes):
            return [*lines, *within]
        clipped, cut = [], []
        for a in range(IN):
            clipped.append(f"const int in_row{a} = top + {a} >= 0 && top + {a} < {height};")
            clipped.append(f"const int in_column{a} = left + {a} >= 0 && left + {a} < {width};")
            clipped.append(
                f"const {index} row{a} = (n * {height} + clamp(top + {a}, ({index})0, {height} - 1)) * {width};"
            )
            clipped.append(f"const {index} column{a} = clamp(left + {a}, ({index})0, {width} - 1);")
        zero = real.splat(real.number(0))
        for a in range(IN):
            for b in range(IN):
                load = real.load(f"x + (row{a} + column{b}) * {inner} + c")
                cut.append(f"const {v} d{a}{b} = in_row{a} && in_column{b} ? {load} : {zero};")
        outside = [*clipped, *loop("c", 0, inner, lanes, [*cut, *transform])]
        return [*lines, f"if ({inside}) {{", *indented(within), "} else {", *indented(outside), "}"]


def shift(start: int) -> str:
    """A number to add, as C text."""
    return f" {'-' if start < 0 else '+'} {abs(start)}" if start else ""


def differences(vector: str, target: str, d: Sequence[str]) -> list[str]:
    """``B^T`` times four vectors."""
    sums = [f"{d[0]} - {d[2]}", f"{d[1]} + {d[2]}", f"{d[2]} - {d[1]}", f"{d[1]} - {d[3]}"]
    return [f"const {vector} {target.format(k)} = {text};" for k, text in enumerate(sums)]


def half_sums(target: str, kind: str, g: Sequence[str], half: str) -> list[str]:
    """``G`` times three numbers."""
    sums = [g[0], f"{half} * ({g[0]} + {g[2]} + {g[1]})", f"{half} * ({g[0]} + {g[2]} - {g[1]})", g[2]]
    return [f"const {kind} {target.format(k)} = {text};" for k, text in enumerate(sums)]


def sums(vector: str, target: str, m: Sequence[str]) -> list[str]:
    """``A^T`` times four vectors."""
    both = [f"{m[0]} + {m[1]} + {m[2]}", f"{m[1]} - {m[2]} - {m[3]}"]
    return [f"const {vector} {target.format(k)} = {text};" for k, text in enumerate(both)]
