"""Direct convolution: strips of neighbouring results by blocks of channels, accumulated in named vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from kcore.codegen.dialect import OPENCL
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Statements, indented
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Source
from kcore.kernels.convolutions.finishing import Finisher
from kcore.kernels.convolutions.geometry import Walk
from kcore.kernels.convolutions.lanes import Lanes, Piece, blocks, span
from kcore.kernels.convolutions.tiling import Strip
from kcore.kernels.traits import Traits


class _Strips:
    """One kernel being written.

    Args:
        walk: what is computed.
        read, weights: (kind, index, dtype) of the arrays.
    """

    def __init__(
        self,
        walk: Walk,
        epilogue: Epilogue,
        read: tuple[str, int, str],
        weights: tuple[str, int, str],
        traits: Traits,
        strip: Strip,
    ):
        self.walk, self.strip, self.epilogue, self.traits = walk, strip, epilogue, traits
        self.axis = walk.axes[-1]
        self.last = len(walk.axes) - 1
        largest = max(
            walk.batch * prod(a.size for a in walk.axes) * walk.read,
            walk.batch * prod(a.full for a in walk.axes) * walk.written,
        )
        self.sig = sig = Signature(OPENCL, index_dtype(2 * largest), starts=True)
        self.statements: Statements = epilogue.statements(sig)
        sig.buffer("x", read[0], read[2], read[1], const=True)
        sig.buffer("w", weights[0], weights[2], weights[1], const=True)
        epilogue.declare(sig)
        self.x, self.w = Lanes(self.statements, read[2]), Lanes(self.statements, weights[2])
        self.finisher = Finisher(epilogue, sig, self.statements, strip.lanes)
        self.y = self.finisher.y
        self.blocks = blocks(walk.outer, strip.lanes, strip.vectors)
        self.packed = weights[0] == "scratch"
        #: Elements from the weights of one input channel to those of the next.
        self.pitch = span(self.blocks[0]) if self.packed else walk.written

    def source(self, part: str) -> Source:
        """The finished kernel."""
        walk, sig, strip = self.walk, self.sig, self.strip
        per_row = ceil(self.axis.out / strip.pixels)
        strips = walk.rows * per_row
        turns = ceil(strips / strip.each)
        columns = len(self.blocks) * walk.groups
        body = [*self._where(columns), *self._rows()]
        sig.size("strips", strips)
        sig.size("each", strip.each)
        sig.size("per_row", per_row)
        return sig.source(self.epilogue.group, self.finisher.joined(), body, 1, turns * columns, part=part)

    # -- which results ---------------------------------------------------------------------------------------------

    def _where(self, columns: int) -> list[str]:
        """Which strips and channels the work-item computes."""
        index, walk, width = self.sig.index, self.walk, span(self.blocks[0])
        lines = [f"const {index} turn = ({index}){OPENCL.group}{f' / {columns}' if columns > 1 else ''};"]
        if columns == 1:
            return [*lines, f"const {index} f = 0;  // first channel of the block"]
        lines.append(f"const {index} column = ({index}){OPENCL.group} % {columns};")
        if walk.groups == 1:
            return [*lines, f"const {index} f = column * {width};  // first channel of the block"]
        many = len(self.blocks)
        if many == 1:
            return [
                *lines,
                f"const {index} f = column * {walk.outer};  // first channel of the block",
                f"const {index} xf = column * {walk.inner};  // first channel its group reads",
            ]
        return [
            *lines,
            f"const {index} f = column / {many} * {walk.outer} + column % {many} * {width};"
            "  // first channel of the block",
            f"const {index} xf = column / {many} * {walk.inner};  // first channel its group reads",
        ]

    def _rows(self) -> list[str]:
        """The loop over strips: row by row."""
        index, sig, last = self.sig.index, self.sig, self.last
        where = ["const {i} row = strip / per_row;", "const {i} begin = strip % per_row;"]
        rest = "row"
        for k in range(last - 1, -1, -1):
            out = sig.size(f"out{k}", self.walk.axes[k].out)
            where.append(f"const {{i}} o{k} = {rest} % {out};")
            where.append(f"const {{i}} rest{k} = {rest} / {out};")
            rest = f"rest{k}"
        where.append(f"const {{i}} n = {rest};")
        return [
            f"const {index} end = min((turn + 1) * each, strips);",
            f"for ({index} strip = turn * each; strip < end;) {{",
            *indented([line.format(i=index) for line in where]),
            *indented(
                [
                    f"const {index} until = min(per_row, begin + end - strip);",
                    f"for ({index} k = begin; k < until; ++k) {{",
                    *indented(self._strip()),
                    "}",
                    "strip += until - begin;",
                ]
            ),
            "}",
        ]

    def _strip(self) -> list[str]:
        """One strip: at an end of its row, where what is outside is left out, or between."""
        index, pixels = self.sig.index, self.strip.pixels
        per_row = ceil(self.axis.out / pixels)
        rest = self.axis.out - (per_row - 1) * pixels
        cases = [("k == 0", pixels if per_row > 1 else rest, range(1))]
        if per_row > 1:
            cases.append(("k == per_row - 1", rest, range(per_row - 1, per_row)))
        if per_row > 2:
            cases.append(("", pixels, range(1, per_row - 1)))
        bodies: list[tuple[str, list[str]]] = []
        for condition, count, ks in cases:
            body = self._blocks(count, ks)
            if bodies and body == bodies[-1][1]:
                joined = f"{bodies[-1][0]} || {condition}" if condition else ""
                bodies[-1] = (joined, body)
            else:
                bodies.append((condition, body))
        first = bodies[0][1]
        if len(bodies) == 3 and first == bodies[2][1]:  # the inner strips are like the first
            bodies = [bodies[1], ("", first)]
        lines = [f"const {index} o{self.last} = k * {pixels};"]
        if len(bodies) == 1:
            return [*lines, *first]
        for i, (condition, body) in enumerate(bodies):
            head = "} else {" if i == len(bodies) - 1 else f"if ({condition}) {{"
            lines += [head if i in (0, len(bodies) - 1) else f"}} else {head}", *indented(body)]
        return [*lines, "}"]

    def _blocks(self, pixels: int, ks: range) -> list[str]:
        """The body of a strip for a full block of channels, or the last."""
        first, last = self.blocks[0], self.blocks[-1]
        if first == last:
            return self._body(pixels, ks, first)
        many = len(self.blocks)
        inside = "column" if self.walk.groups == 1 else f"column % {many}"
        return [
            f"if ({inside} < {many - 1}) {{",
            *indented(self._body(pixels, ks, first)),
            "} else {",
            *indented(self._body(pixels, ks, last)),
            "}",
        ]

    # -- the sums --------------------------------------------------------------------------------------------------

    def _body(self, pixels: int, ks: range, block: Sequence[Piece]) -> list[str]:
        """Sum and store `pixels` results by a block of channels."""
        lines = []
        for v, piece in enumerate(block):
            names = ", ".join(f"a{p}_{v} = 0" for p in range(pixels))
            lines.append(f"{self.y.type(piece)} {names};")
        if all(a.taps for a in self.walk.axes):
            lines += self._taps(pixels, ks, block)
        return lines + self._finish(pixels, block)

    def _taps(self, pixels: int, ks: range, block: Sequence[Piece]) -> list[str]:
        """Loops over the taps of all axes but the last, clipped to what is inside."""
        index, sig, walk = self.sig.index, self.sig, self.walk
        head: list[str] = []
        position, weight = "n", ""
        depth = 0
        strides = walk.tap_strides()
        for k, axis in enumerate(walk.axes[:-1]):
            size = sig.size(f"in{k}", axis.size)
            tap = "0" if axis.taps == 1 else f"t{k}"
            if axis.taps > 1:
                head.append("    " * depth + f"for ({index} t{k} = 0; t{k} < {axis.taps}; ++t{k}) {{")
                depth += 1
            start = "" if not axis.start else " - " + sig.size(f"low{k}", -axis.start)
            step = f"o{k}" if axis.step == 1 else f"o{k} * {axis.step}"
            reach = "" if axis.taps == 1 else f" + t{k}" if axis.spacing == 1 else f" + t{k} * {axis.spacing}"
            head.append("    " * depth + f"const {index} i{k} = {step}{reach}{start};")
            if not axis.inside:
                skip = f"if (i{k} < 0 || i{k} >= {size})"
                if depth:
                    head.append("    " * depth + f"{skip} continue;")
                else:
                    head.append(f"if (i{k} >= 0 && i{k} < {size}) {{")
                    depth += 1
            position = f"({position} * {size} + i{k})"
            weight += _tap_offset(axis.first, axis.stride, tap, strides[k])
        inner = self._last_axis(pixels, ks, block, position, weight)
        return [*head, *indented(inner, depth), *("    " * d + "}" for d in range(depth - 1, -1, -1))]

    def _last_axis(self, pixels: int, ks: range, block: Sequence[Piece], position: str, weight: str) -> list[str]:
        """The taps of the last axis, written out or as one more loop."""
        index, axis, walk, last = self.sig.index, self.axis, self.walk, self.last
        size = self.sig.size(f"in{last}", axis.size)
        unrolled = self.strip.unrolled or axis.taps == 1
        taps = range(axis.taps) if unrolled else range(1)
        spread = "" if unrolled else f" + t{last}" if axis.spacing == 1 else f" + t{last} * {axis.spacing}"
        step = f"o{last}" if axis.step == 1 else f"o{last} * {axis.step}"
        start = f" {'-' if axis.start < 0 else '+'} {abs(axis.start)}" if axis.start else ""
        reads = sorted({p * axis.step + t * axis.spacing for p in range(pixels) for t in taps})
        inner = walk.inner * self.pitch
        stride = walk.tap_strides()[last]
        tap_text = "" if unrolled else _tap_offset(axis.first, axis.stride, f"t{last}", stride)
        origin = (axis.first if unrolled else 0) * stride * inner
        channels = "f" if walk.channelwise else "xf" if walk.groups > 1 else ""
        lines = [
            f"const {index} i{last} = {step}{spread}{start};",
            f"const {index} xi = ({position} * {size} + i{last}) * {walk.read}{f' + {channels}' if channels else ''};",
            f"const {index} wi = {self._weights()}{weight.replace('@', str(inner))}{tap_text.replace('@', str(inner))}"
            f"{f' + {origin}' if origin else ''};",
        ]
        dropped, guarded = self._outside(reads, ks, unrolled)
        for j in reads:
            if j in guarded and j not in dropped:
                lines += [
                    f"const {index} i_{j} = i{last} + {j};",
                    f"const int in_{j} = i_{j} >= 0 && i_{j} < {size};",
                    f"const {index} xi_{j} = xi + (clamp(i_{j}, ({index})0, {size} - 1) - i{last}) * {walk.read};",
                ]
        sums: list[str] = []
        for t in taps:
            if any((p * axis.step + t * axis.spacing) not in dropped for p in range(pixels)):
                for v, piece in enumerate(block):
                    at = _sum(
                        f"wi + c * {self.pitch}" if walk.inner > 1 else "wi",
                        (t * axis.stride * stride if unrolled else 0) * inner + piece.at,
                    )
                    sums.append(f"const {self.w.type(piece)} w{t}_{v} = {self.w.load('w', at, piece)};")
        for j in reads:
            if j not in dropped:
                users = [(p, t) for t in taps for p in range(pixels) if p * axis.step + t * axis.spacing == j]
                sums += self._read(j, j in guarded, users, block)
        if walk.inner > 1 and not walk.channelwise:
            sums = [f"for ({index} c = 0; c < {walk.inner}; ++c) {{", *indented(sums), "}"]
        lines += sums
        if unrolled:
            return lines
        return [f"for ({index} t{last} = 0; t{last} < {axis.taps}; ++t{last}) {{", *indented(lines), "}"]

    def _weights(self) -> str:
        """Where the block's weights begin."""
        if not self.packed:
            return "f"
        many = len(self.blocks) * self.walk.groups
        return f"column * {prod(self.walk.window) * self.walk.inner * self.pitch}" if many > 1 else "0"

    def _outside(self, reads: Sequence[int], ks: range, unrolled: bool) -> tuple[set[int], set[int]]:
        """Positions of a strip that lie outside of the row in all of the strips `ks`, and in some of them."""
        axis = self.axis
        if not unrolled:
            return set(), set() if axis.inside else set(reads)
        step = self.strip.pixels * axis.step
        out = [{j for j in reads if not 0 <= k * step + axis.start + j < axis.size} for k in (ks[0], ks[-1])]
        return out[0] & out[1], out[0] | out[1]

    def _read(self, j: int, guarded: bool, users: Sequence[tuple[int, int]], block: Sequence[Piece]) -> list[str]:
        """Load what lies at position j of the strip and add its products."""
        walk = self.walk
        at = f"xi_{j}" if guarded else _sum("xi", j * walk.read)
        if walk.channelwise:
            lines = []
            for v, piece in enumerate(block):
                text = self.x.load("x", _sum(at, piece.at), piece)
                ctype = self.x.type(piece)
                lines += self._guard(ctype, f"x{j}_{v}", text, j, guarded)
            return lines + [
                self._fma(f"a{p}_{v}", f"x{j}_{v}", f"w{t}_{v}") for p, t in users for v in range(len(block))
            ]
        text = self.x.element("x", at + " + c" if walk.inner > 1 else at)
        lines = self._guard(self.x.scalar, f"x{j}", text, j, guarded)
        return lines + [
            self._fma(f"a{p}_{v}", f"x{j}" if piece.width == 1 else f"({self.y.type(piece)})x{j}", f"w{t}_{v}")
            for p, t in users
            for v, piece in enumerate(block)
        ]

    def _guard(self, ctype: str, name: str, load: str, j: int, guarded: bool) -> list[str]:
        if not guarded:
            return [f"const {ctype} {name} = {load};"]
        return [f"const {ctype} {name}_ = {load};", f"const {ctype} {name} = in_{j} ? {name}_ : ({ctype})0;"]

    def _fma(self, total: str, a: str, b: str) -> str:
        return f"{total} = {self.traits.fma.format(a=a, b=b, c=total)};"

    # -- the results -----------------------------------------------------------------------------------------------

    def _finish(self, pixels: int, block: Sequence[Piece]) -> list[str]:
        """Store the sums, or what the epilogue makes of them."""
        index, walk, axis = self.sig.index, self.walk, self.axis
        position = "n"
        for k, a in enumerate(walk.axes):
            full = self.sig.size(f"full{k}", a.full) if a.full != a.out else (self.sig.size(f"out{k}", a.out))
            at = f"o{k}" if a.every == 1 else f"o{k} * {a.every}"
            if a.place:
                at += f" + {self.sig.size(f'at{k}', a.place)}"
            position = f"({position} * {full} + {at})" if k < self.last else f"{position} * {full} + {at}"
        lines = [f"const {index} yi = ({position}) * {walk.written} + f;"]
        step = axis.every * walk.written
        for p in range(pixels):
            for v, piece in enumerate(block):
                at, column = _sum("yi", p * step + piece.at), _sum("f", piece.at)
                lines.append(self.finisher.store(f"a{p}_{v}", at, column, piece))
        return lines


def _tap_offset(first: int, stride: int, tap: str, taps: int) -> str:
    """Offset of a tap in the weights, as text to append; "@" stands for the elements of one tap."""
    text = f" + {first * taps} * @" if first else ""
    if tap != "0":
        text += f" {'-' if stride < 0 else '+'} {tap} * {abs(stride) * taps} * @"
    return text


def _sum(text: str, number: int) -> str:
    return text if not number else f"{text} {'-' if number < 0 else '+'} {abs(number)}"


def emit_strips(
    walk: Walk,
    epilogue: Epilogue,
    read: tuple[str, int, str],
    weights: tuple[str, int, str],
    traits: Traits,
    strip: Strip,
    part: str = "",
) -> Source:
    """The kernel of a walk.

    Args:
        read, weights: kind, index and dtype of the arrays, as in `Argument`.
        part: what the kernel's name ends with.
    """
    return _Strips(walk, epilogue, read, weights, traits, strip).source(part)
