"""Reductions where a work-item is a core: it goes along what it reduces in wide vectors; no group shares a result."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from kcore.codegen.dialect import Dialect
from kcore.codegen.group import Group, Statements, indented
from kcore.codegen.reduction import Read, Reduction
from kcore.codegen.signature import Signature, coordinates, offset_text
from kcore.codegen.source import Code, Source, SpanReductionTile
from kcore.codegen.wide import WideStatements, can_widen
from kcore.graph.core import Value


def emit_span_reduction(
    group: Group,
    dialect: Dialect,
    tile: SpanReductionTile,
    strides: Sequence[tuple[int, ...] | None] | None,
    starts: bool,
) -> Code:
    """The kernels of a reduction group: one, or two where the work of a result is split among work-items."""
    kernel = (_Columns if Reduction(group, dialect, strides, starts).columns else _Rows)(
        group, dialect, strides, starts, tile
    )
    if tile.splits == 1:
        return Code((kernel.kernel(),))
    return Code((kernel.kernel(), kernel.finish()), kernel.scratch_bytes(tile.splits))


class _Spans(Reduction):
    """What both kinds share: statements for elements, one by one or in vectors, and for results."""

    def __init__(
        self,
        group: Group,
        dialect: Dialect,
        strides: Sequence[tuple[int, ...] | None] | None,
        starts: bool,
        tile: SpanReductionTile,
    ):
        super().__init__(group, dialect, strides, starts)
        self.tile = tile
        self.scalar = Statements(dialect, self.number)
        self.wide = WideStatements(dialect, self.number, tile.vector)
        dims, labels = self.layout.dims, self.layout.labels
        self.kept = [k for k, r in enumerate(labels) if not r]
        self.reduced = [k for k, r in enumerate(labels) if r]
        self.kept_dims = [dims[k] for k in self.kept]
        self.reduced_dims = [dims[k] for k in self.reduced]
        self.moving = [*self.early_strides, *self.stored_strides]
        self.pointers = [*(r.name for r in self.early), *(name for _, name, _ in self.stored)]
        last = [s[-1] if s else 0 for s in self.moving]
        self.vector = tile.vector if can_widen(self.before) and all(s in (0, 1) for s in last) else 1
        reach = tile.share * 2 + tile.vector * tile.unroll
        self.index_dtype = self.index_for((self.rows + reach) * tile.splits, self.n + reach * tile.splits)
        self.sig = Signature(dialect, self.index_dtype, starts)
        self.index = dialect.types[self.index_dtype]

    # -- arguments and the head of a kernel --------------------------------------------------------------------------

    def _begin(self) -> list[str]:
        """Arguments; statements that find which `split` and which `part` of the results a work-item works on."""
        splits, index = self.tile.splits, self.index
        self.declare(self.sig, late=splits == 1)
        if splits > 1:
            self.sig.buffer("parts", "scratch", self.held)
        number = f"({index}){self.dialect.group}"
        if splits == 1:
            return [f"const {index} part = {number};"]
        return [f"const {index} split = {number} % {splits};", f"const {index} part = {number} / {splits};"]

    def _range(self, what: str, n: int, first: str, last: str, split: bool) -> list[str]:
        """Statements for the part of 0 to n that a split goes through."""
        end, index = self.sig.size(what, n), self.index
        if not split or self.tile.splits == 1:
            return [f"const {index} {first} = 0;", f"const {index} {last} = {end};"]
        share = self.sig.size(f"{what}_share", -(-n // self.tile.splits))
        return [
            f"const {index} {first} = min(split * {share}, {end});",
            f"const {index} {last} = min({first} + {share}, {end});",
        ]

    def _end(self, lines: Sequence[str], groups: int, part: str = "") -> Source:
        self.scalar.uses(self.held)
        return self.sig.source(self.group, self.wide.join(self.scalar), lines, 1, groups, part=part)

    # -- elements ----------------------------------------------------------------------------------------------------

    def _constant(self, read: Read, at: str) -> list[str]:
        """An operand that stays as it is within a loop, under the names `_element` knows it by."""
        dtype, name = read.value.dtype, f"{read.name}_"
        lines = [f"const {self.scalar.type(dtype)} {name} = {self.scalar.load(dtype, read.name, at)};"]
        if self.vector > 1:
            lines.append(f"const {self.wide.type(dtype)} {name}wide = {self.wide.everywhere(name, dtype)};")
        return lines

    def _element(
        self, statements: Statements, accumulator: str, suffix: str, places: Sequence[str], steps: Sequence[int],
        constant: set[Value],
    ) -> list[str]:  # fmt: skip
        """Statements that join the element, or vector, at `places` to an accumulator.

        Args:
            places: per pointer, its index as C text; `steps` says how it changes within a vector: 0 or 1.
            constant: operands that are there already.
        """
        wide = statements is self.wide
        names: dict[Value, str] = {}
        lines = []
        for read, at, step in zip(self.early, places, steps, strict=False):
            dtype = read.value.dtype
            if read.value in constant:
                names[read.value] = f"{read.name}_wide" if wide else f"{read.name}_"
                continue
            if wide and not step:
                load = self.wide.everywhere(self.scalar.load(dtype, read.name, at), dtype)
            else:
                load = statements.load(dtype, read.name, at)
            name = f"{read.name}{suffix or '_'}"
            lines.append(f"const {statements.type(dtype)} {name} = {load};")
            names[read.value] = name
        lines += statements.of(self.before, names, suffix)
        for (value, name, _), at in zip(self.stored, places[len(self.early) :], strict=True):
            lines.append(statements.store(value.dtype, name, at, names[value]))
        operand = statements.operand(self.source_value, names)
        operand = statements.converted(operand, self.source_value.dtype, self.held)
        lines.append(f"{accumulator} = {self.joined(statements, accumulator, operand)};")
        return lines

    def _accumulators(self, statements: Statements, names: Sequence[str]) -> list[str]:
        start = self.identity()
        if statements is self.wide:
            start = self.wide.everywhere(start, self.held)
        return [f"{statements.type(self.held)} {name} = {start};" for name in names]

    def _pairs(self, statements: Statements, names: Sequence[str]) -> list[str]:
        """Partial results joined to the first, in pairs and pairs of pairs."""
        lines, step = [], len(names) // 2
        while step:
            for a, b in zip(names[:step], names[step : 2 * step], strict=True):
                lines.append(f"{a} = {self.joined(statements, a, b)};")
            step //= 2
        return lines

    # -- results -----------------------------------------------------------------------------------------------------

    def _results(self, statements: Statements, total: str, at: str, late: Sequence[tuple[str, int]]) -> list[str]:
        """The epilogue, and the stores of everything of the shape of the result.

        Args:
            at: index of the result as C text.
            late: per operand of the epilogue its index, and how that changes within a vector: 0 or 1.
        """
        lines, names = [], {self.total: total}
        for read, (place, step) in zip(self.late, late, strict=True):
            dtype = read.value.dtype
            if statements is self.wide and not step:
                load = self.wide.everywhere(self.scalar.load(dtype, read.name, place), dtype)
            else:
                load = statements.load(dtype, read.name, place)
            names[read.value] = f"{read.name}_late"
            lines.append(f"const {statements.type(dtype)} {read.name}_late = {load};")
        lines += statements.of(self.after, names)
        done = {name for _, name, _ in self.stored}
        for value, name, _ in self.written:
            if name not in done:
                lines.append(statements.store(value.dtype, name, at, names[value]))
        return lines

    def _finished(self, statements: Statements, total: str, at: str, late: Sequence[tuple[str, int]]) -> list[str]:
        """What is done with a finished result, or with a part of one."""
        if self.tile.splits == 1:
            return self._results(statements, total, at, late)
        rows = self.sig.size("rows", self.rows)
        return [statements.store(self.held, "parts", f"split * {rows} + {at}", total)]

    def _late(self, names: Sequence[str], last: str) -> list[tuple[str, int]]:
        """Where the epilogue's operands lie: coordinates of all kept axes but the last are `names`, that is `last`."""
        found = []
        for read, strides in zip(self.late, self.late_strides, strict=True):
            along = [strides[k] for k in self.kept]
            terms = []
            coordinates = [*names, last] if along else []  # none where everything is reduced
            for j, (name, step) in enumerate(zip(coordinates, along, strict=True)):
                if step:
                    terms.append(name if step == 1 else f"{name} * {self.sig.size(f'{read.name}_e{j}', step)}")
            found.append((" + ".join(terms) or "0", along[-1] if along else 0))
        return found

    def _kept_coordinates(self, source: str, kept: Sequence[int]) -> tuple[list[str], list[str]]:
        """Statements that split a number into coordinates along kept axes, and their names."""
        names = [f"c{j}" for j in range(len(kept))]
        if len(kept) < 2:
            return [], [source] * len(kept)
        sizes = [self.sig.size(f"r{j}", d) if j else "" for j, d in enumerate(kept)]
        return coordinates(self.index, source, "c", sizes, set(range(len(kept)))), names

    def _offset(self, pointer: str, prefix: str, names: Sequence[str], strides: Sequence[int]) -> str:
        terms = []
        for j, (name, step) in enumerate(zip(names, strides, strict=True)):
            if step:
                terms.append(name if step == 1 else f"{name} * {self.sig.size(f'{pointer}_{prefix}{j}', step)}")
        return " + ".join(terms)

    def kernel(self) -> Source:
        """The kernel that goes through all elements."""
        raise NotImplementedError

    def finish(self) -> Source:
        """The second of two: the parts of each result joined in order, and the epilogue."""
        self.sig = sig = Signature(self.dialect, self.index_dtype, self.starts)
        self.scalar = Statements(self.dialect, self.number)
        self.wide = WideStatements(self.dialect, self.number, self.tile.vector)
        self.declare(sig, early=False)
        sig.buffer("parts", "scratch", self.held, const=True)
        rows, index, splits = sig.size("rows", self.rows), self.index, self.tile.splits
        share = 256

        def joined(statements: Statements, late: Sequence[tuple[str, int]]) -> list[str]:
            first, more = (statements.load(self.held, "parts", at) for at in ("row", f"split * {rows} + row"))
            return [
                f"{statements.type(self.held)} total = {first};",
                f"for (int split = 1; split < {splits}; ++split)",
                f"    total = {self.joined(statements, 'total', more)};",
                *self._results(statements, "total", "row", late),
            ]

        lines = [
            f"const {index} top = ({index}){self.dialect.group} * {share};",
            f"const {index} bottom = min(top + {share}, {rows});",
            f"{index} row = top;",
        ]
        w = self.tile.vector
        if self._wide_results and len(self.kept) <= 1:
            body = joined(self.wide, self._late([], "row"))
            lines += [f"for (; row + {w} <= bottom; row += {w}) {{", *indented(body), "}"]
        head, names = self._kept_coordinates("row", self.kept_dims)
        body = [*head, *joined(self.scalar, self._late(names[:-1], names[-1] if names else "row"))]
        lines += ["for (; row < bottom; ++row) {", *indented(body), "}"]
        return self._end(lines, -(-self.rows // share), "_finish")

    @property
    def _wide_results(self) -> bool:
        """Whether the epilogue can run on vectors along the last kept axis."""
        steps = [s[self.kept[-1]] for s in self.late_strides] if self.kept else []
        return can_widen(self.after) and all(s in (0, 1) for s in steps)


class _Rows(_Spans):
    """Elements of a result lie side by side: a work-item takes whole results, and goes along each."""

    def kernel(self) -> Source:
        sig, index, tile = self.sig, self.index, self.tile
        lines = self._begin()
        *outer, n = self.reduced_dims or [1]
        rows, share = sig.size("rows", self.rows), sig.size("share", tile.share)
        lines += [
            f"const {index} top = part * {share};",
            f"const {index} bottom = min(top + {share}, {rows});",
            *(self._range("turns", prod(outer), "first", "last", True) if outer else []),
            *self._range("n", n, "left", "right", not outer),
        ]
        head, names = self._kept_coordinates("row", self.kept_dims)
        constant: set[Value] = set()
        body = list(head)
        for read, strides in zip(self.early, self.early_strides, strict=True):
            if any(strides[k] for k in self.reduced):
                continue
            constant.add(read.value)
            if not any(strides):
                lines += self._constant(read, "0")
            else:
                at = self._offset(read.name, "c", names, [strides[k] for k in self.kept])
                body += self._constant(read, at)
        bases = []
        for pointer, strides in zip(self.pointers, self.moving, strict=True):
            at = self._offset(pointer, "c", names, [strides[k] for k in self.kept])
            if at and not any(r.name == pointer and r.value in constant for r in self.early):
                body.append(f"const {index} {pointer}_row = {at};")
                bases.append(f"{pointer}_row")
            else:
                bases.append("")
        unroll = [f"acc{u}" for u in range(tile.unroll)]
        if self.vector > 1:
            body += self._accumulators(self.wide, unroll)
        body += self._accumulators(self.scalar, ["rest"])
        body += self._along(bases, constant, outer)
        body += self._total(unroll)
        late = self._late(names[:-1], names[-1] if names else "row")
        body += self._finished(self.scalar, "total", "row", late)
        lines += [f"for ({index} row = top; row < bottom; ++row) {{", *indented(body), "}"]
        return self._end(lines, -(-self.rows // tile.share) * tile.splits, "_parts" if tile.splits > 1 else "")

    def _along(self, bases: Sequence[str], constant: set[Value], outer: Sequence[int]) -> list[str]:
        """Loops over all elements of a result."""
        index, w, unroll = self.index, self.tile.vector, self.tile.unroll
        reduced = self.reduced
        bases = list(bases)
        head: list[str] = []
        if outer:
            sizes = [self.sig.size(f"k{j}", d) if j else "" for j, d in enumerate(outer)]
            used = {j for s in self.moving for j, k in enumerate(reduced[:-1]) if s[k]}
            head = coordinates(index, "turn", "q", sizes, used)
            for j, (pointer, strides) in enumerate(zip(self.pointers, self.moving, strict=True)):
                text = offset_text(self.sig, pointer, "q", [strides[k] for k in reduced[:-1]], bases[j])
                if text not in ("0", bases[j]):
                    head.append(f"const {index} {pointer}_turn = {text};")
                    bases[j] = f"{pointer}_turn"
        steps = [s[reduced[-1]] if reduced else 0 for s in self.moving]

        def places(k: str) -> list[str]:
            found = []
            for pointer, base, step in zip(self.pointers, bases, steps, strict=True):
                moved = k if step == 1 else f"({k}) * {self.sig.size(f'{pointer}_k', step)}" if step else ""
                found.append(" + ".join(t for t in (base, moved) if t) or "0")
            return found

        lines = [*head, f"{index} k = left;"]
        if self.vector > 1:
            if unroll > 1:
                body = []
                for u in range(unroll):
                    at = f"k + {u * w}" if u else "k"
                    body += self._element(self.wide, f"acc{u}", f"_{u}", places(at), steps, constant)
                lines += [f"for (; k + {unroll * w} <= right; k += {unroll * w}) {{", *indented(body), "}"]
            body = self._element(self.wide, "acc0", "_0", places("k"), steps, constant)
            lines += [f"for (; k + {w} <= right; k += {w}) {{", *indented(body), "}"]
        body = self._element(self.scalar, "rest", "", places("k"), steps, constant)
        lines += ["for (; k < right; ++k) {", *indented(body), "}"]
        if outer:
            return [f"for ({index} turn = first; turn < last; ++turn) {{", *indented(lines), "}"]
        return lines

    def _total(self, unroll: Sequence[str]) -> list[str]:
        """The accumulators' elements joined in halves, and what was left over."""
        ctype = self.scalar.type(self.held)
        if self.vector == 1:
            return [f"const {ctype} total = rest;"]
        lines, whole, w = self._pairs(self.wide, unroll), "acc0", self.tile.vector // 2
        while w > 1:
            halves = WideStatements(self.dialect, self.number, w)
            text = self.joined(halves, f"{whole}.lo", f"{whole}.hi")
            lines.append(f"const {halves.type(self.held)} half{w} = {text};")
            self.wide.helpers.update(halves.helpers)
            whole, w = f"half{w}", w // 2
        pair = self.joined(self.scalar, f"{whole}.lo", f"{whole}.hi")
        return [*lines, f"const {ctype} total = {self.joined(self.scalar, f'({pair})', 'rest')};"]


class _Columns(_Spans):
    """Neighbours belong to different results: a work-item takes some columns, and goes down them side by side."""

    def kernel(self) -> Source:
        sig, index, tile = self.sig, self.index, self.tile
        lines = self._begin()
        *planes, n = self.kept_dims
        columns, share = sig.size("columns", n), sig.size("share", tile.share)
        column_parts = -(-n // tile.share)
        block = "part"
        if planes:
            parts = sig.size("column_parts", column_parts)
            lines.append(f"const {index} plane = part / {parts};")
            block = f"part % {parts}"
        lines += [
            f"const {index} left = {block} * {share};",
            f"const {index} right = min(left + {share}, {columns});",
            *self._range("n", self.n, "first", "last", True),
        ]
        head, self._names = self._kept_coordinates("plane", planes)
        lines += head
        self._bases = []
        for pointer, strides in zip(self.pointers, self.moving, strict=True):
            at = self._offset(pointer, "c", self._names, [strides[k] for k in self.kept[:-1]])
            if at:
                lines.append(f"const {index} {pointer}_plane = {at};")
            self._bases.append(f"{pointer}_plane" if at else "")
        self._constants: set[Value] = set()
        for read, strides in zip(self.early, self.early_strides, strict=True):
            if not any(strides):
                self._constants.add(read.value)
                lines += self._constant(read, "0")
        lines.append(f"{index} column = left;")
        w, unroll = tile.vector, tile.unroll
        if self.vector > 1:
            if unroll > 1:
                lines += self._side_by_side(unroll * w)
            lines += self._down(self.wide, f"for (; column + {w} <= right; column += {w}) {{")
        lines += self._down(self.scalar, "for (; column < right; ++column) {")
        groups = prod(planes) * column_parts * tile.splits
        return self._end(lines, groups, "_parts" if tile.splits > 1 else "")

    def _places(self, k: str, column: str, prefix: str) -> tuple[list[str], list[str]]:
        """Statements for the coordinates of the element `k` of the results, and where each pointer is then."""
        dims, lines, names = self.reduced_dims, [], [k]
        if len(dims) > 1:
            sizes = [self.sig.size(f"k{j}", d) if j else "" for j, d in enumerate(dims)]
            lines = coordinates(self.index, k if k == "k" else f"({k})", prefix, sizes, set(range(len(dims))))
            names = [f"{prefix}{j}" for j in range(len(dims))]
        found = []
        for pointer, base, strides in zip(self.pointers, self._bases, self.moving, strict=True):
            named = names if len(dims) > 1 or " " not in k else [f"({k})"]
            down = self._offset(pointer, "k", named, [strides[j] for j in self.reduced])
            step = strides[-1]
            across = column if step == 1 else f"({column}) * {self.sig.size(f'{pointer}_column', step)}" if step else ""
            found.append(" + ".join(t for t in (base, down, across) if t) or "0")
        return lines, found

    @property
    def _steps(self) -> list[int]:
        return [s[-1] for s in self.moving]

    def _side_by_side(self, width: int) -> list[str]:
        """Several vectors of columns at once, each with an accumulator."""
        tile, index = self.tile, self.index
        names = [f"acc{v}" for v in range(tile.unroll)]
        inner: list[str] = []
        for v, name in enumerate(names):
            at = f"column + {v * tile.vector}" if v else "column"
            head, places = self._places("k", at, "q")
            inner += [] if v else head
            inner += self._element(self.wide, name, f"_{v}", places, self._steps, self._constants)
        body = [
            *self._accumulators(self.wide, names),
            f"for ({index} k = first; k < last; ++k) {{",
            *indented(inner),
            "}",
        ]
        for v, name in enumerate(names):
            stored = self._stored(self.wide, name, f"column + {v * tile.vector}" if v else "column")
            body += stored if len(stored) == 1 else ["{", *indented(stored), "}"]
        return [f"for (; column + {width} <= right; column += {width}) {{", *indented(body), "}"]

    def _down(self, statements: Statements, loop: str) -> list[str]:
        """One vector of columns, or one column; some elements at once, each with an accumulator."""
        unroll, index = self.tile.unroll, self.index
        names = [f"acc{u}" for u in range(unroll)]
        body = [*self._accumulators(statements, names), f"{index} k = first;"]
        if unroll > 1:
            inner: list[str] = []
            for u, name in enumerate(names):
                head, places = self._places(f"k + {u}" if u else "k", "column", f"q{u}_")
                inner += [*head, *self._element(statements, name, f"_{u}", places, self._steps, self._constants)]
            body += [f"for (; k + {unroll} <= last; k += {unroll}) {{", *indented(inner), "}"]
        head, places = self._places("k", "column", "q0_")
        inner = [*head, *self._element(statements, "acc0", "_0", places, self._steps, self._constants)]
        body += ["for (; k < last; ++k) {", *indented(inner), "}", *self._pairs(statements, names)]
        return [loop, *indented([*body, *self._stored(statements, "acc0", "column")]), "}"]

    def _stored(self, statements: Statements, total: str, column: str) -> list[str]:
        at = column if len(self.kept) < 2 else f"plane * {self.sig.size('columns', self.kept_dims[-1])} + {column}"
        late = self._late(self._names, column if " " not in column else f"({column})")
        if statements is self.wide and not self._wide_results and self.tile.splits == 1:
            return self._one_by_one(total, column)
        return self._finished(statements, total, at, late)

    def _one_by_one(self, total: str, column: str) -> list[str]:
        """Results of a vector whose epilogue only runs on single elements."""
        w, ctype = self.tile.vector, self.scalar.type(self.held)
        at = "c" if len(self.kept) < 2 else f"plane * {self.sig.size('columns', self.kept_dims[-1])} + c"
        return [
            f"{ctype} totals[{w}];",
            f"vstore{w}({total}, 0, totals);",
            f"for (int lane = 0; lane < {w}; ++lane) {{",
            f"    const {self.index} c = {column} + lane;",
            *indented(self._results(self.scalar, "totals[lane]", at, self._late(self._names, "c"))),
            "}",
        ]
