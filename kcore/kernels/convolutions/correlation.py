"""Gradient of a convolution's kernel: patches of it are summed in named vectors while positions go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod

from kcore.codegen.dialect import OPENCL, compute_dtype
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code, Source
from kcore.graph.core import Node
from kcore.kernels.convolutions.adding import emit_adding
from kcore.kernels.convolutions.geometry import Axis, Walk
from kcore.kernels.convolutions.lanes import Lanes, Piece, blocks, span
from kcore.kernels.convolutions.tiling import Patch
from kcore.kernels.traits import Traits


def with_rows(walk: Walk) -> Walk:
    """The same walk with at least two axes."""
    if len(walk.axes) > 1:
        return walk
    return replace(walk, axes=(Axis(1, 0, 1, 1, 1, 1, 0, 1, 1), *walk.axes), window=(1, *walk.window))


class _Patches:
    """The kernel that sums patches, being written."""

    def __init__(self, walk: Walk, node: Node, traits: Traits, patch: Patch):
        self.walk, self.node, self.traits, self.patch = walk, node, traits, patch
        x, g = node.inputs
        assert x is not None and g is not None
        self.axis, self.last = walk.axes[-1], len(walk.axes) - 1
        self.group = group_of(node)
        self.sig = sig = Signature(OPENCL, index_dtype(2 * max(x.size, g.size)), starts=True)
        self.statements = Statements(OPENCL, numbered(self.group.nodes))
        dtype = node.outputs[0].dtype
        self.direct = patch.splits == 1 and dtype in ("float32", "float64")
        sig.buffer("x", "input", x.dtype, 0, const=True)
        sig.buffer("g", "input", g.dtype, 1, const=True)
        sums = compute_dtype(dtype)
        sig.buffer("sums", "output" if self.direct else "scratch", sums, 0)
        self.x, self.g = Lanes(self.statements, x.dtype), Lanes(self.statements, g.dtype)
        self.sums = Lanes(self.statements, sums)
        self.blocks = blocks(walk.outer, patch.lanes, patch.vectors)

    def source(self) -> Source:
        """The finished kernel."""
        walk, patch, sig = self.walk, self.patch, self.sig
        lines, last = walk.axes[-2], self.axis
        parts = {"rows": ceil(lines.out / patch.rows), "pixels": ceil(last.out / patch.pixels)}
        units = walk.batch * prod(a.out for a in walk.axes[:-2]) * prod(parts.values())
        for name, value in parts.items():
            sig.size(f"{name}_parts", value)
            sig.size(f"{name}_each", getattr(patch, name))
        sig.size("units", units)
        sig.size("units_each", ceil(units / patch.splits))
        columns = len(self.blocks) * walk.groups
        width = span(self.blocks[0])
        index = sig.index
        head = [f"const {index} split = ({index}){OPENCL.group}{f' / {columns}' if columns > 1 else ''};"]
        if columns > 1:
            head.append(f"const {index} column = ({index}){OPENCL.group} % {columns};")
        many = len(self.blocks)
        if walk.groups == 1:
            head.append(f"const {index} f = {f'column * {width}' if columns > 1 else '0'};  // first output channel")
        else:
            of = f"column / {many} * {walk.outer} + column % {many} * {width}" if many > 1 else f"column * {walk.outer}"
            head.append(f"const {index} f = {of};  // first output channel")
            group = f"column / {many}" if many > 1 else "column"
            head.append(f"const {index} xf = {group} * {walk.inner};  // first input channel")
        head.append(f"sums += split * (long){prod(walk.window) * walk.inner * walk.written} + f;")
        first, tail = self.blocks[0], self.blocks[-1]
        if first == tail:
            body = self._block(first)
        else:
            inside = "column" if walk.groups == 1 else f"column % {many}"
            body = [
                f"if ({inside} < {many - 1}) {{",
                *indented(self._block(first)),
                "} else {",
                *indented(self._block(tail)),
                "}",
            ]
        return sig.source(self.group, self.statements, [*head, *body], 1, patch.splits * columns)

    def _block(self, block: Sequence[Piece]) -> list[str]:
        """All units of the work-item, by one block of output channels."""
        index, walk, sig = self.sig.index, self.walk, self.sig
        taps = prod(walk.window) * walk.inner
        zeros = [
            self.sums.store("sums", f"e * {walk.written}{f' + {p.at}' if p.at else ''}", p, f"({self.sums.type(p)})0")
            for p in block
        ]
        where = [
            f"const {index} o{self.last}_begin = unit % pixels_parts * pixels_each;",
            f"const {index} rest = unit / pixels_parts;",
            f"const {index} o{self.last - 1}_begin = rest % rows_parts * rows_each;",
            f"const {index} rest{self.last - 1} = rest / rows_parts;",
        ]
        rest = f"rest{self.last - 1}"
        for k in range(self.last - 2, -1, -1):
            out = sig.size(f"out{k}", walk.axes[k].out)
            where += [f"const {index} o{k} = {rest} % {out};", f"const {index} rest{k} = {rest} / {out};"]
            rest = f"rest{k}"
        where.append(f"const {index} n = {rest};")
        for k, name in ((self.last - 1, "rows"), (self.last, "pixels")):
            out = sig.size(f"out{k}", walk.axes[k].out)
            where.append(f"const {index} o{k}_end = min(o{k}_begin + {name}_each, {out});")
        return [
            f"for ({index} e = 0; e < {taps}; ++e) {{",
            *indented(zeros),
            "}",
            f"const {index} units_end = min((split + 1) * units_each, units);",
            f"for ({index} unit = split * units_each; unit < units_end; ++unit) {{",
            *indented([*where, *self._taps(block)]),
            "}",
        ]

    def _taps(self, block: Sequence[Piece]) -> list[str]:
        """Loops over the taps of a patch's place in the kernel."""
        index, walk, sig, patch = self.sig.index, self.walk, self.sig, self.patch
        head: list[str] = []
        position, results, depth, tap = "n", "n", 0, "0"

        def add(line: str) -> None:
            head.append("    " * depth + line)

        for k, axis in enumerate(walk.axes):
            if k == self.last and patch.row:
                break
            size = sig.size(f"in{k}", axis.size)
            tap = f"{tap} * {axis.taps}" if tap != "0" and axis.taps > 1 else tap
            if axis.taps > 1:
                add(f"for ({index} t{k} = 0; t{k} < {axis.taps}; ++t{k}) {{")
                depth += 1
                tap = f"t{k}" if tap == "0" else f"({tap} + t{k})"
            spread = "0" if axis.taps == 1 else f"t{k}" if axis.spacing == 1 else f"t{k} * {axis.spacing}"
            start = f" - {sig.size(f'low{k}', -axis.start)}" if axis.start else ""
            add(f"const {index} reach{k} = {spread}{start};")
            if k < self.last - 1:
                step = f"o{k} * {axis.step}" if axis.step > 1 else f"o{k}"
                add(f"const {index} i{k} = {step} + reach{k};")
                if not axis.inside:
                    add(f"if (i{k} >= 0 && i{k} < {size}) {{")
                    depth += 1
                position = f"({position} * {size} + i{k})"
                results = f"({results} * {sig.size(f'out{k}', axis.out)} + o{k})"
            else:
                for line in self._clipped(k, axis, f"reach{k}", size):
                    add(line)
        body = self._channels(block, position, results, tap)
        return [*head, *indented(body, depth), *("    " * d + "}" for d in range(depth - 1, -1, -1))]

    def _clipped(self, k: int, axis: Axis, reach: str, size: str, mark: str = "") -> list[str]:
        """The results along an axis whose tap lies inside."""
        index = self.sig.index
        if axis.inside:
            return [f"const {index} o{k}_low{mark} = o{k}_begin, o{k}_high{mark} = o{k}_end;"]
        low, high = f"max(-({reach}), ({index})0)", f"max({size} - ({reach}), ({index})0)"
        if axis.step > 1:
            low, high = (f"({text} + {axis.step - 1}) / {axis.step}" for text in (low, high))
        return [
            f"const {index} o{k}_low{mark} = max(o{k}_begin, {low});",
            f"const {index} o{k}_high{mark} = min(o{k}_end, {high});",
        ]

    def _channels(self, block: Sequence[Piece], position: str, results: str, tap: str) -> list[str]:
        """The loop over patches of input channels."""
        index, walk, patch = self.sig.index, self.walk, self.patch
        if walk.channelwise:
            return self._patch(1, block, position, results, tap)
        full, rest = divmod(walk.inner, patch.channels)
        lines = []
        if full == 1:
            lines += [
                "{",
                f"    const {index} c = 0;",
                *indented(self._patch(patch.channels, block, position, results, tap)),
                "}",
            ]
        elif full:
            lines += [
                f"for ({index} c = 0; c < {full * patch.channels}; c += {patch.channels}) {{",
                *indented(self._patch(patch.channels, block, position, results, tap)),
                "}",
            ]
        if rest:
            lines += [
                "{",
                f"    const {index} c = {full * patch.channels};",
                *indented(self._patch(rest, block, position, results, tap)),
                "}",
            ]
        return lines

    def _patch(self, channels: int, block: Sequence[Piece], position: str, results: str, tap: str) -> list[str]:
        """Load the sums of one patch, walk over the positions, store them."""
        index, walk, sig, patch, last = self.sig.index, self.walk, self.sig, self.patch, self.last
        axis, lines_axis = self.axis, walk.axes[-2]
        taps = axis.taps if patch.row else 1
        tap_size = walk.inner * walk.written
        base = f"{tap} * {tap_size * taps}" if tap != "0" else "0"
        lines = [f"const {index} si = {base}{'' if walk.channelwise else f' + c * {walk.written}'};"]
        names = [(t, c, v, p) for t in range(taps) for c in range(channels) for v, p in enumerate(block)]
        for t, c, v, piece in names:
            at = _plus("si", t * tap_size + c * walk.written + piece.at)
            lines.append(f"{self.sums.type(piece)} a{t}_{c}_{v} = {self.sums.load('sums', at, piece)};")
        row = last - 1
        size, wide = sig.size(f"in{row}", lines_axis.size), sig.size(f"in{last}", axis.size)
        out, width = sig.size(f"out{row}", lines_axis.out), sig.size(f"out{last}", axis.out)
        step = f"o{row} * {lines_axis.step}" if lines_axis.step > 1 else f"o{row}"
        channel = "f" if walk.channelwise else "xf + c" if walk.groups > 1 else "c"
        inner = [
            f"const {index} i{row} = {step} + reach{row};",
            f"const {index} xi = ({position} * {size} + i{row}) * {wide} * {walk.read} + {channel};",
            f"const {index} gi = ({results} * {out} + o{row}) * {width} * {walk.written} + f;",
        ]
        if patch.row and not axis.inside:
            reach = (axis.taps - 1) * axis.spacing + axis.start
            inner += [
                *self._range(f"max({-axis.start}, 0)", f"max({wide} - {reach}, ({index})0)"),
                *self._pixels(f"o{last}_begin", f"o{last}_low", channels, block, True),
                *self._pixels(f"o{last}_low", f"o{last}_high", channels, block, False),
                *self._pixels(f"o{last}_high", f"o{last}_end", channels, block, True),
            ]
        elif patch.row:
            inner += self._pixels(f"o{last}_begin", f"o{last}_end", channels, block, False)
        else:
            inner += self._pixels(f"o{last}_low", f"o{last}_high", channels, block, False)
        lines += [f"for ({index} o{row} = o{row}_low; o{row} < o{row}_high; ++o{row}) {{", *indented(inner), "}"]
        for t, c, v, piece in names:
            at = _plus("si", t * tap_size + c * walk.written + piece.at)
            lines.append(self.sums.store("sums", at, piece, f"a{t}_{c}_{v}"))
        return lines

    def _range(self, low: str, high: str) -> list[str]:
        """The results along the last axis all of whose taps lie inside."""
        index, step, last = self.sig.index, self.axis.step, self.last
        if step > 1:
            low, high = (f"({text} + {step - 1}) / {step}" for text in (low, high))
        return [
            f"const {index} o{last}_low = min(max(o{last}_begin, ({index})({low})), o{last}_end);",
            f"const {index} o{last}_high = max(min(o{last}_end, ({index})({high})), o{last}_low);",
        ]

    def _pixels(self, begin: str, end: str, channels: int, block: Sequence[Piece], guarded: bool) -> list[str]:
        """The innermost loop: products of the inputs and gradients at one position after another."""
        index, walk, axis, last, patch = self.sig.index, self.walk, self.axis, self.last, self.patch
        o = f"o{last}"
        step = f"{o} * {axis.step}" if axis.step > 1 else o
        lines = []
        if patch.row:
            start = _plus("", axis.start).strip() if axis.start else ""
            lines.append(f"const {index} i = {step}{' ' + start if start else ''};")
        else:
            lines.append(f"const {index} i = {step} + reach{last};")
        for v, piece in enumerate(block):
            at = _plus(f"gi + {o} * {walk.written}", piece.at)
            lines.append(f"const {self.g.type(piece)} g{v} = {self.g.load('g', at, piece)};")
        wide = self.sig.size(f"in{last}", axis.size)
        for t in range(axis.taps if patch.row else 1):
            place = _plus("i", t * axis.spacing)
            if guarded:
                lines.append(f"const int in_{t} = {place} >= 0 && {place} < {wide};")
                place = f"clamp({place}, ({index})0, {wide} - 1)"
            if guarded or t:
                lines.append(f"const {index} i_{t} = {place};")
                place = f"i_{t}"
            for c in range(channels):
                at = _plus(f"xi + {place} * {walk.read}", c)
                if walk.channelwise:
                    for v, piece in enumerate(block):
                        value, ctype = self.x.load("x", _plus(at, piece.at), piece), self.x.type(piece)
                        lines += self._read(ctype, f"x{t}_{v}", value, t, guarded)
                        lines.append(self._fma(f"a{t}_0_{v}", f"x{t}_{v}", f"g{v}"))
                    continue
                lines += self._read(self.x.scalar, f"x{t}_{c}", self.x.element("x", at), t, guarded)
                for v, piece in enumerate(block):
                    broadcast = f"x{t}_{c}" if piece.width == 1 else f"({self.sums.type(piece)})x{t}_{c}"
                    lines.append(self._fma(f"a{t}_{c}_{v}", broadcast, f"g{v}"))
        return [f"for ({index} {o} = {begin}; {o} < {end}; ++{o}) {{", *indented(lines), "}"]

    def _read(self, ctype: str, name: str, load: str, tap: int, guarded: bool) -> list[str]:
        if not guarded:
            return [f"const {ctype} {name} = {load};"]
        return [f"const {ctype} {name}_ = {load};", f"const {ctype} {name} = in_{tap} ? {name}_ : ({ctype})0;"]

    def _fma(self, total: str, a: str, b: str) -> str:
        return f"{total} = {self.traits.fma.format(a=a, b=b, c=total)};"


def _plus(text: str, number: int) -> str:
    return text if not number else f"{text} {'-' if number < 0 else '+'} {abs(number)}"


def emit_correlation(walk: Walk, node: Node, traits: Traits, patch: Patch) -> Code:
    """The kernels of a kernel gradient: sums of patches by parts of the batch, then the parts added in order."""
    out = node.outputs[0]
    if not node.inputs[1].size:  # type: ignore[union-attr]
        return Code((emit_adding(node, 0),))
    patches = _Patches(walk, node, traits, patch)
    source = patches.source()
    if patches.direct:
        return Code((source,))
    nbytes = patch.splits * out.size * (8 if out.dtype == "float64" else 4)
    return Code((source, emit_adding(node, patch.splits)), nbytes)
