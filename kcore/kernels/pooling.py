"""Source for pooling over (batch, *spatial, channels), of any rank.

Forward kernels go through the outputs and look at each window; gradients go through the inputs and look at the windows
an element lies in, so that nothing is atomic. On a CPU a work-item walks along rows in vectors of channels; elsewhere,
and where there are few channels, it has one element. Window, strides and padding are compiled in, sizes are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from kcore.codegen import Code
from kcore.codegen.dialect import compute_dtype
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Statements, indented
from kcore.codegen.philox import Lanes
from kcore.codegen.signature import Signature, coordinates, index_dtype
from kcore.dtypes import is_float, itemsize
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

#: Work-items of a group that handles an element each.
LOCAL = 64

#: Elements of a row's part that a CPU's work-group takes at least.
GRAIN = 4096

#: Ops that go through the inputs of the pooling they belong to.
GRADIENTS = ("max_pool_grad", "average_pool_grad")


def supports(node: Node) -> bool:
    """Whether `emit_pool` can do a fused product: a pooling gradient of floats, with elementwise work behind it."""
    head, *after = node.attrs["body"].nodes
    return (
        head.op.name in GRADIENTS
        and is_float(head.outputs[0].dtype)
        and all(n.op.elementwise and n.op.expr is not None for n in after)
    )


@generated(FUSED_PRODUCT.name, supports=supports)
@generated("max_pool", "max_pool_grad", "max_pool_pick", "average_pool", "average_pool_grad")
def emit_pool(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """The kernel of a pooling op or a pooling gradient.

    Args:
        node: a node of `max_pool`, `max_pool_grad`, `max_pool_pick`, `average_pool` or `average_pool_grad`, or a fused
            product that begins with a gradient of them and of which all outputs are read.
        traits: the device.
        wanted: for each output whether it is read.
    """
    return _Pool(node, traits, wanted).code()


class _Pool:
    """One pooling kernel being written.

    In its text p0 is the image, p1, p2, ... the place on the side that is gone through; n1, n2, ... are the sizes of
    the pooling's inputs and m1, m2, ... those of its outputs.
    """

    def __init__(self, node: Node, traits: Traits, wanted: Sequence[bool]):
        self.epilogue = Epilogue(node)
        self.node, self.wanted = self.epilogue.product, wanted
        node = self.node
        self.name = node.op.name
        self.backward = self.name in GRADIENTS
        attrs = node.attrs
        self.pool, self.strides = attrs["pool_size"], attrs["strides"]
        self.lows = tuple(low for low, _ in attrs["padding"])
        self.rank = len(self.pool)
        large = node.outputs[0].shape if self.backward else node.sources[0].shape
        small = node.sources[-1].shape if self.backward else node.outputs[0].shape
        self.large, self.small, self.channels = large[1:-1], small[1:-1], large[-1]
        self.sizes = self.large if self.backward else self.small
        self.batch = large[0]
        self.dtype = node.outputs[0].dtype
        # flags of vector comparisons are as wide as what is compared: short integers are compared as int32
        self.wide = self.dtype if is_float(self.dtype) or itemsize(self.dtype) >= 4 else "int32"
        self.wide = compute_dtype(self.wide)
        width = 8 if itemsize(self.wide) == 8 else 16
        plain = self.dtype not in ("float16", "bfloat16")
        wide = traits.cpu and plain and self.channels >= width and self.epilogue.widens
        self.dialect = traits.dialect
        self.lanes = Lanes(self.dialect, width if wide else 1)
        self.units = traits.units
        largest = max(self.batch * prod(large[1:]), self.batch * prod(small[1:]))
        self.sig = Signature(self.dialect, index_dtype(largest + LOCAL), starts=True)
        self.index = self.sig.index
        self.statements: Statements = (
            self.epilogue.wide_statements(self.sig, width) if wide else self.epilogue.statements(self.sig)
        )
        self.statements.uses(self.dtype)

    def code(self) -> Code:
        names = {
            "max_pool": ("x", "y", "offsets"),
            "average_pool": ("x", "y"),
            "max_pool_grad": ("offsets", "g", "dx"),
            "max_pool_pick": ("u", "offsets", "y"),
            "average_pool_grad": ("g", "dx"),
        }[self.name]
        values = self.node.sources
        for k, (value, place) in enumerate(zip(values, self.epilogue.inputs, strict=True)):
            assert place is not None
            self.sig.buffer(names[k], "input", value.dtype, place, const=True)
        if self.epilogue.plain:
            for k, value in enumerate(self.node.outputs):
                if self.wanted[k]:
                    self.sig.buffer(names[len(values) + k], "output", value.dtype, k)
        else:
            self.epilogue.declare(self.sig)
        self.sig.size("channels", self.channels)
        element = {
            "max_pool": self._max,
            "average_pool": self._average,
            "max_pool_grad": self._max_grad,
            "max_pool_pick": self._pick,
            "average_pool_grad": self._average_grad,
        }[self.name]()
        body, local, groups = self._rows(element) if self.lanes.width > 1 else self._elements(element)
        return Code((self.sig.source(self.epilogue.group, self.statements, body, local, groups),))

    # -- going through one side ----------------------------------------------------------------------------------

    def _size(self, axis: int, large: bool) -> str:
        """The argument that holds the size of a spatial axis, counted from 1."""
        return self.sig.size(f"{'n' if large else 'm'}{axis}", (self.large if large else self.small)[axis - 1])

    def _rows(self, element: list[str]) -> tuple[list[str], int, int]:
        """A work-item takes some rows, the last spatial axis, and in each place all channels by vectors."""
        rows = self.batch * prod(self.sizes[:-1])
        row = max(self.sizes[-1] * self.channels, 1)
        share = max(-(-rows // (8 * self.units)), -(-GRAIN // row), 1)
        width, last = self.lanes.width, self._size(self.rank, self.backward)
        names = ["", *(self._size(k, self.backward) for k in range(1, self.rank))]
        self.sig.size("rows", rows)
        self.sig.size("share", share)
        place = [
            *self._reach(self.rank),
            f"for ({self.index} vector = 0; vector < channels; vector += {width}) {{",
            f"    const {self.index} c = min(vector, channels - {width});  // the last one overlaps the one before",
            f"    const {self.index} i = (row * {last} + p{self.rank}) * channels + c;",
            *indented(element),
            "}",
        ]
        body = [
            f"const {self.index} first = ({self.index}){self.dialect.group} * share;",
            f"for ({self.index} row = first; row < first + share && row < rows; ++row) {{",
            *indented(coordinates(self.index, "row", "p", names, range(self.rank))),
            *indented([line for k in range(1, self.rank) for line in self._reach(k)]),
            f"    for ({self.index} p{self.rank} = 0; p{self.rank} < {last}; ++p{self.rank}) {{",
            *indented(place, 2),
            "    }",
            "}",
        ]
        return body, 1, -(-rows // share) if row and self.sizes[-1] else 0

    def _elements(self, element: list[str]) -> tuple[list[str], int, int]:
        """A work-item has one element."""
        n = self.batch * prod(self.sizes) * self.channels
        names = ["", *(self._size(k, self.backward) for k in range(1, self.rank + 1))]
        self.sig.size("n", n)
        inner = [
            f"const {self.index} c = i % channels, place = i / channels;",
            *coordinates(self.index, "place", "p", names, range(self.rank + 1)),
            *(line for k in range(1, self.rank + 1) for line in self._reach(k)),
            *element,
        ]
        body = [
            f"const {self.index} i = ({self.index}){self.dialect.group} * {LOCAL} + ({self.index}){self.dialect.lane};",
            "if (i < n) {",
            *indented(inner),
            "}",
        ]
        return body, LOCAL, -(-n // LOCAL)

    def _cut(self, axis: int) -> bool:
        """Whether some windows reach beyond the inputs along an axis."""
        k = axis - 1
        end = (self.small[k] - 1) * self.strides[k] - self.lows[k] + self.pool[k]
        return self.lows[k] > 0 or end > self.large[k]

    def _reach(self, axis: int) -> list[str]:
        """Statements for one axis: the taps begin .. end of a window, or the windows an input element lies in."""
        k = axis - 1
        pool, stride, low, index = self.pool[k], self.strides[k], self.lows[k], self.index
        if self.backward:
            return [
                f"const {index} reach{axis} = p{axis}{f' + {low}' if low else ''};",
                f"const {index} begin{axis} = reach{axis} < {pool} ? 0 : (reach{axis} - {pool}) / {stride} + 1;",
                f"const {index} end{axis} = min(reach{axis} / {stride} + 1, {self._size(axis, False)});",
            ]
        lines = [f"const {index} start{axis} = p{axis} * {stride}{f' - {low}' if low else ''};"]
        if self._cut(axis):
            lines += [
                f"const {index} begin{axis} = max(-start{axis}, ({index})0);",
                f"const {index} end{axis} = min({self._size(axis, True)} - start{axis}, ({index}){pool});",
            ]
        return lines

    def _bounds(self, axis: int) -> tuple[str, str]:
        if self.backward or self._cut(axis):
            return f"begin{axis}", f"end{axis}"
        return "0", str(self.pool[axis - 1])

    def _loops(self, body: Sequence[str]) -> list[str]:
        """`body` for all combinations of t1, t2, ...: the taps of a window, or the windows of an element."""
        lines = list(body)
        for axis in range(self.rank, 0, -1):
            begin, end = self._bounds(axis)
            head = f"for ({self.index} t{axis} = {begin}; t{axis} < {end}; ++t{axis}) {{"
            lines = [head, *indented(lines), "}"]
        return lines

    def _offset(self, places: Sequence[str], large: bool) -> str:
        """Where channel c of a place lies in an array of the inputs' or the outputs' side."""
        text = "p0"
        for axis, place in enumerate(places, 1):
            text = f"({text} * {self._size(axis, large)} + {place})"
        return f"{text} * channels + c"

    def _tap(self, taps: Sequence[str]) -> str:
        """Number of a tap in its window, row-major."""
        text = taps[0]
        for tap, pool in zip(taps[1:], self.pool[1:], strict=True):
            text = f"{f'({text})' if ' ' in text else text} * {pool} + {tap}"
        return text

    # -- memory ----------------------------------------------------------------------------------------------------

    def _load(self, name: str, at: str, dtype: str | None = None) -> str:
        dtype = dtype or self.dtype
        if self.lanes.width == 1:
            return self.dialect.load(dtype, name, at)
        text = f"vload{self.lanes.width}(0, {name} + {at})"
        return text if dtype in (self.wide, "int32") else self.lanes.convert(self.wide, text)

    def _store(self, name: str, value: str, dtype: str | None = None) -> str:
        dtype = dtype or self.dtype
        if self.lanes.width == 1:
            return self.dialect.store(dtype, name, "i", value)
        if dtype != self.wide:
            value = self.lanes.convert(dtype, value)
        return f"vstore{self.lanes.width}({value}, 0, {name} + i);"

    def _finish(self, total: str) -> list[str]:
        """Statements that store an element of a gradient, or what becomes of it."""
        if self.epilogue.plain:
            return [self._store("dx", total)]
        return self.epilogue.element(self.statements, total, "i", "c")

    @property
    def _flags(self) -> str:
        """dtype of what comparisons of elements give."""
        return "int64" if self.lanes.width > 1 and itemsize(self.wide) == 8 else "int32"

    def _offsets(self, at: str) -> str:
        """Offsets as flags' dtype, to be compared with a tap's number."""
        text = self._load("offsets", at, "int32")
        return self.lanes.convert("int64", text) if self._flags == "int64" else text

    # -- the ops -----------------------------------------------------------------------------------------------------

    def _max(self) -> list[str]:
        real, flags = self.lanes.type(self.wide), self.lanes.type(self._flags)
        places = [f"start{k} + t{k}" for k in range(1, self.rank + 1)]
        begins = [self._bounds(k)[0] for k in range(1, self.rank + 1)]
        firsts = [f"start{k}" if b == "0" else f"start{k} + {b}" for k, b in enumerate(begins, 1)]
        nan = " || (v != v && best == best)" if self.lanes.width == 1 else " | ((v != v) & (best == best))"
        greater = "(v > best)" + (nan if is_float(self.dtype) else "")  # the first NaN is the largest
        number = self._tap([f"t{k}" for k in range(1, self.rank + 1)])
        lines = [
            f"{real} best = {self._load('x', self._offset(firsts, True))};",
            f"{flags} which = {self._tap(begins)};",
            *self._loops(
                [
                    f"const {real} v = {self._load('x', self._offset(places, True))};",
                    f"const {flags} greater = {greater};",
                    "best = greater ? v : best;",
                    f"which = greater ? {self._splat(number)} : which;",
                ]
            ),
        ]
        if self.wanted[0]:
            lines.append(self._store("y", "best"))
        if self.wanted[1]:
            which = "which" if self._flags == "int32" else "convert_int8(which)"
            width = self.lanes.width
            lines.append(f"vstore{width}({which}, 0, offsets + i);" if width > 1 else "offsets[i] = which;")
        return lines

    def _splat(self, number: str) -> str:
        """A number of a tap, as flags' dtype."""
        return f"({self.lanes.type(self._flags)})({number})"

    def _max_grad(self) -> list[str]:
        real = self.lanes.type(self.wide)
        axes = range(1, self.rank + 1)
        number = self._tap([f"reach{k} - t{k} * {s}" for k, s in zip(axes, self.strides, strict=True)])
        zero = self.lanes.literal(0, self.wide)
        body = [
            f"const {self.index} at = {self._offset([f't{k}' for k in axes], False)};",
            f"const {self.lanes.type(self._flags)} took = {self._offsets('at')} == {self._splat(number)};",
            f"total += took ? {self._load('g', 'at')} : {zero};",
        ]
        return [f"{real} total = {zero};", *self._loops(body), *self._finish("total")]

    def _pick(self) -> list[str]:
        real = self.lanes.type(self.wide)
        axes = range(1, self.rank + 1)
        number = self._tap([f"t{k}" for k in axes])
        places = [f"start{k} + t{k}" for k in axes]
        body = [f"y_ = chosen == {self._splat(number)} ? {self._load('u', self._offset(places, True))} : y_;"]
        return [
            f"const {self.lanes.type(self._flags)} chosen = {self._offsets('i')};",
            f"{real} y_ = {self.lanes.literal(0, self.wide)};",
            *self._loops(body),
            self._store("y", "y_"),
        ]

    def _average(self) -> list[str]:
        real, scalar = self.lanes.type(self.wide), self.dialect.type(self.wide)
        axes = range(1, self.rank + 1)
        places = [f"start{k} + t{k}" for k in axes]
        count = " * ".join(
            f"(end{k} - begin{k})" if self._cut(k) else str(p) for k, p in zip(axes, self.pool, strict=True)
        )
        return [
            f"{real} total = {self.lanes.literal(0, self.wide)};",
            *self._loops([f"total += {self._load('x', self._offset(places, True))};"]),
            self._store("y", f"total * ({self.lanes.literal(1, self.wide)} / ({scalar})({count}))"),
        ]

    def _average_grad(self) -> list[str]:
        real, scalar = self.lanes.type(self.wide), self.dialect.type(self.wide)
        axes = range(1, self.rank + 1)
        counts = []
        body = []
        for k, pool, stride, low in zip(axes, self.pool, self.strides, self.lows, strict=True):
            if self._cut(k):
                start = f"t{k} * {stride}{f' - {low}' if low else ''}"
                body.append(
                    f"const {self.index} inside{k} = min({start} + {pool}, {self._size(k, True)}) "
                    f"- max({start}, ({self.index})0);"
                )
                counts.append(f"inside{k}")
            else:
                counts.append(str(pool))
        at = self._offset([f"t{k}" for k in axes], False)
        body.append(f"total += {self._load('g', at)} * (({scalar})1 / ({scalar})({' * '.join(counts)}));")
        return [
            f"{real} total = {self.lanes.literal(0, self.wide)};",
            *self._loops(body),
            *self._finish("total"),
        ]
