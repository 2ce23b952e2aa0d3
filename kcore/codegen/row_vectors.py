"""Row programs for CPUs: one work-item goes along a row in explicit vectors, what is left over one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from kcore.codegen.dialect import HELPERS, compute_dtype, kind_of
from kcore.codegen.group import _CALL, Statements, indented
from kcore.codegen.reduction import REDUCERS
from kcore.codegen.row_kernels import Rows, _Operand
from kcore.codegen.row_program import RowProgram
from kcore.dtypes import is_float, itemsize
from kcore.graph.core import Node, Value

#: Bytes of a vector.
VECTOR = 64
#: Helpers of the dialect whose text is right for vectors, too.
_VECTOR_HELPERS = ("max", "min")
_PLAIN = re.compile(r"^[^?a-z]*$")


def lanes_of(program: RowProgram) -> int:
    """Elements of a vector in which a row can be gone along, or 0 where it cannot."""
    lanes, elements = _vectorisable(program)
    return lanes if elements else 0


@lru_cache(1024)
def _vectorisable(program: RowProgram) -> tuple[int, bool]:
    varying = [v for v in program.strides if program.varies(v)]
    sizes = {itemsize(compute_dtype(v.dtype)) for v in varying if v.dtype != "bool"}
    if len(sizes) != 1 or not sizes <= {4, 8}:
        return 0, False
    leaves = [v for v in varying if v.node is None and v not in program.counting]
    if any(v.dtype in ("bool", "bfloat16") for v in (*leaves, *program.body.outputs) if program.varies(v)):
        return 0, False
    if not all(_contiguous(program, v) for v in [*leaves, *program.body.outputs]):
        return 0, False
    for node in program.body.nodes:
        if node.outputs[0] in program.aliases or not any(program.varies(v) for v in (*node.sources, *node.outputs)):
            continue
        if node.op.elementwise and not _elementwise(node):
            return 0, False
        if node.op.family == "reduction" and (node.outputs[0].dtype == "bool" or node.sources[0].dtype == "bool"):
            return 0, False
    return VECTOR // sizes.pop(), True


def _contiguous(program: RowProgram, value: Value) -> bool:
    """Whether the elements of a row lie side by side in a value, or are one."""
    along = [(s, d) for s, d, a in zip(program.strides[value], program.shape, program.along, strict=True) if a]
    if not any(s for s, _ in along):
        return True
    step = 1
    for stride, size in reversed(along):
        if stride != step:
            return False
        step *= size
    return True


def _elementwise(node: Node) -> bool:
    """Whether an op's expression means the same for vectors."""
    source, target, template = node.sources[0].dtype, node.outputs[0].dtype, node.op.expr or ""
    if "{dtype}" in template:
        return target not in ("float16", "bfloat16") or target == source
    if template.startswith("{0} ?") and source != "bool":
        return False
    for name in _CALL.findall(template):
        if HELPERS.get(name, {}).get(kind_of(compute_dtype(source))) is not None:
            if name not in _VECTOR_HELPERS or source == "bool":
                return False
        elif not is_float(source):
            return False
    return True


class Vectors:
    """Turns nodes into statements on vectors; a bool is a mask: an integer vector of 0 and -1."""

    def __init__(self, statements: Statements, width: int):
        self.statements, self.width = statements, width
        self._mask = "int" if width * 4 == VECTOR else "long"

    def type(self, dtype: str, width: int = 0) -> str:
        base = self._mask if dtype == "bool" else self.statements.dialect.type(dtype)
        return f"{base}{width or self.width}"

    def spread(self, text: str, dtype: str) -> str:
        """A number as a vector of it."""
        if dtype == "bool":
            text = f"{text} ? -1 : 0"
        return f"({self.type(dtype)})({text})"

    def of(self, node: Node, names: dict[Value, str], vectors: set[Value], suffix: str) -> str:
        """One statement; where no operand is a vector it is a plain one."""
        value = node.outputs[0]
        operands = [self.statements.operand(v, names) for v in node.sources]
        if not any(v in vectors for v in node.sources):
            return self.statements.of([node], names, suffix)[0]
        name = f"v{self.statements.number[node]}{suffix}"
        text = self.expression(node, operands, vectors)
        names[value] = name
        vectors.add(value)
        return f"const {self.type(value.dtype)} {name} = {text};  // {node.op.name}"

    def expression(self, node: Node, operands: Sequence[str], vectors: set[Value]) -> str:
        template, source, target = node.op.expr or "", node.sources[0].dtype, node.outputs[0].dtype
        if "{dtype}" in template:
            return self.converted(operands[0], source, target)
        if not _PLAIN.match(template.replace("{", "").replace("}", "")) or any(v.dtype == "bool" for v in node.sources):
            operands = [
                t if v in vectors else self.spread(t, v.dtype) for v, t in zip(node.sources, operands, strict=True)
            ]
        return self.filled(template, operands, source, node.attrs, target)

    def filled(
        self,
        template: str,
        operands: Sequence[str],
        dtype: str,
        attrs: Mapping[str, object] | None = None,
        target: str = "",
        width: int = 0,
    ) -> str:
        """A template with its operands, functions resolved for vectors."""
        dialect, vector = self.statements.dialect, self.type(dtype, width)

        def called(match: re.Match[str]) -> str:
            text = HELPERS.get(match[1], {}).get(kind_of(compute_dtype(dtype)))
            if text is None:
                return match[1]
            name = f"{match[1]}_{vector}"
            self.statements.helpers.setdefault(
                f"{dialect.function} " + text.format(T=vector, U=vector, name=name, f=dialect.suffix)
            )
            return name

        literals = {
            k: dialect.literal(v, target or dtype) for k, v in (attrs or {}).items() if isinstance(v, int | float)
        }
        return _CALL.sub(called, template).format(*operands, **literals)

    def converted(self, operand: str, source: str, target: str) -> str:
        """A cast between dtypes of one size, or to and from masks."""
        if target == "bool":
            return operand if source == "bool" else f"{operand} != 0"
        if source == "bool":
            return f"{operand} ? ({self.type(target)})(1) : ({self.type(target)})(0)"
        if compute_dtype(source) == compute_dtype(target):
            return operand
        return f"convert_{self.type(target)}({operand})"

    def load(self, dtype: str, pointer: str, place: str) -> str:
        if dtype == "float16":
            return f"vload_half{self.width}(0, {pointer} + {place})"
        return f"vload{self.width}(0, {pointer} + {place})"

    def store(self, dtype: str, pointer: str, place: str, value: str) -> str:
        if dtype == "float16":
            return f"vstore_half{self.width}_rte({value}, 0, {pointer} + {place});"
        return f"vstore{self.width}({value}, 0, {pointer} + {place});"


class WideRows(Rows):
    """A row program in vectors: a work-item takes rows in turn and goes along each by itself."""

    def __init__(self, *args: object):
        super().__init__(*args)  # type: ignore[arg-type]
        if self.dialect.name != "opencl" or lanes_of(self.program) != self.tile.vector:
            raise ValueError(f"{self.node.op.name} cannot be written in vectors of {self.tile.vector}")
        self.width = self.tile.vector
        self.vectors = Vectors(self.statements, self.width)

    @property
    def turns(self) -> bool:
        return True

    def _framed(self, row: list[str]) -> list[str]:
        index, width = self.sig.index, self.width
        self.sig.size("share", self.tile.share)
        group = f"({index}){self.dialect.group}"
        lines = [
            f"const {index} first = {group} * share;",
            f"const {index} end = first + share < rows ? first + share : rows;",
        ]
        counted = {v.dtype for v in self.program.counting}
        for dtype in sorted(counted):
            numbers = ", ".join(map(str, range(width)))
            lines.append(f"const {self.vectors.type(dtype)} count_{dtype} = ({self.vectors.type(dtype)})({numbers});")
        lines += [*self._keepers(), *self._cleared()]
        return [*lines, f"for ({index} row = first; row < end; ++row) {{", *indented(row), "}"]

    # -- loops -------------------------------------------------------------------------------------------------------

    def _wide(self, targets: Sequence[Value], names: dict[Value, str], k: str, suffix: str = "") -> list[str]:
        """Statements that compute the targets for a vector of elements from `k` on; returns them."""
        vectors, lines = self._vector_names, []
        known = [v for v in self.filled if v in self.kept]
        nodes = self._inner(targets, known)
        wanted = {v for n in nodes for v in n.sources} | set(targets)
        for value in known:
            if value in wanted:
                names[value] = f"{self._keeper(value)}_{suffix}"
                vectors.add(value)
                load = self.vectors.load(compute_dtype(value.dtype), self._keeper(value), k)
                lines.append(f"const {self.vectors.type(value.dtype)} {names[value]} = {load};")
        for operand in self._loads(nodes, targets):
            dtype = operand.value.dtype
            self.statements.uses(dtype)
            names[operand.value] = f"{operand.name}_{suffix}"
            vectors.add(operand.value)
            load = self.vectors.load(dtype, operand.name, self._place(operand, k, lines, "q"))
            lines.append(f"const {self.vectors.type(dtype)} {operand.name}_{suffix} = {load};")
        for value in self._counts(nodes):
            start, step = self.program.counting[value]
            counted = f"({self.vectors.type(value.dtype)})({k}) + count_{value.dtype}"
            names[value] = f"({counted})" if (start, step) == (0, 1) else f"({start} + {step} * ({counted}))"
            vectors.add(value)
        for node in nodes:
            value, source = node.outputs[0], node.sources[0]
            if value in self.program.aliases:
                names[value] = self.statements.operand(source, names)
                if source in vectors:
                    vectors.add(value)
                continue
            lines.append(self.vectors.of(node, names, vectors, suffix))
            if value in self.kept:
                text = names[value] if value in vectors else self.vectors.spread(names[value], value.dtype)
                lines.append(self.vectors.store(compute_dtype(value.dtype), self._keeper(value), k, text))
        return lines

    def _text(self, value: Value, names: dict[Value, str]) -> str:
        """A value as a vector."""
        text = self.statements.operand(value, names)
        return text if value in self._vector_names else self.vectors.spread(text, value.dtype)

    def _stage(self, reductions: Sequence[Node]) -> list[str]:
        index, width, number = self.sig.index, self.width, self.statements.number
        targets = [n.sources[0] for n in reductions]
        lines = [
            f"{self.vectors.type(self.held(n))} acc{number[n]}_{u} = "
            f"{self.vectors.spread(self._identity(n), self.held(n))};"
            for n in reductions
            for u in range(2)
        ]
        lines += [f"{self._ctype(n)} rest{number[n]} = {self._identity(n)};" for n in reductions]

        def step(u: int) -> list[str]:
            self._vector_names: set[Value] = set()
            names = dict(self.names)
            k = "k" if not u else "k_1"
            inner = [] if not u else [f"const {index} k_1 = k + {width};"]
            inner += self._wide(targets, names, k, f"_{u}" if u else "")
            for n in reductions:
                acc = f"acc{number[n]}_{u}"
                joined = self.vectors.filled(
                    REDUCERS[n.op.name].expr, (acc, self._text(n.sources[0], names)), self.held(n)
                )
                inner.append(f"{acc} = {joined};")
            return inner

        both = [*step(0), *step(1)]
        one = step(0)
        names = dict(self.names)
        rest = self._element(targets, names, "k")
        for n in reductions:
            acc = f"rest{number[n]}"
            rest.append(f"{acc} = {self._joined(n, acc, self._operand(n, names))};")
        lines += [
            f"{index} k = 0;",
            f"for (; k + {2 * width} <= n; k += {2 * width}) {{",
            *indented(both),
            "}",
            f"for (; k + {width} <= n; k += {width}) {{",
            *indented(one),
            "}",
            "for (; k < n; ++k) {",
            *indented(rest),
            "}",
        ]
        self._keep(self._inner(targets))
        results = [f"{self._ctype(n)} {self._result(n)};  // {n.op.name}" for n in reductions]
        for n in reductions:
            lines += self._across(n)
            self.names[n.outputs[0]] = self._result(n)
        return [*results, "{", *indented(lines), "}"]

    def _across(self, node: Node) -> list[str]:
        """The partial results of a vector joined to one, halving it at each step."""
        number, held, expr = self.statements.number[node], self.held(node), REDUCERS[node.op.name].expr
        acc, width = f"acc{number}", self.width
        joined = self.vectors.filled(expr, (f"{acc}_0", f"{acc}_1"), held)
        lines = [f"const {self.vectors.type(held)} {acc} = {joined};"]
        before = acc
        while width > 2:
            width //= 2
            name = f"{acc}_of_{width}"
            joined = self.vectors.filled(expr, (f"{before}.lo", f"{before}.hi"), held, width=width)
            lines.append(f"const {self.vectors.type(held, width)} {name} = {joined};")
            before = name
        inner = self._joined(node, f"{before}.x", f"{before}.y")
        lines.append(f"const {self._ctype(node)} {acc}_of_1 = {inner};")
        lines.append(f"{self._result(node)} = {self._joined(node, f'{acc}_of_1', f'rest{number}')};")
        return lines

    def _final(self, full: Sequence[_Operand]) -> list[str]:
        index, width = self.sig.index, self.width
        roots = [self.program.root(w.value) for w in full]
        targets = [*roots, *(n.sources[0] for n in self.columns)]
        self._vector_names = set()
        names = dict(self.names)
        wide = self._wide(targets, names, "k")
        for j, node in enumerate(self.columns):
            text = f"{self.vectors.load(self.column_dtype, f'part{j}', 'k')} + {self._text(node.sources[0], names)}"
            wide.append(self.vectors.store(self.column_dtype, f"part{j}", "k", text))
        for operand, root in zip(full, roots, strict=True):
            place = self._place(operand, "k", wide, "q")
            wide.append(self.vectors.store(operand.value.dtype, operand.name, place, self._text(root, names)))
        names = dict(self.names)
        rest = self._element(targets, names, "k")
        for j, node in enumerate(self.columns):
            rest.append(f"part{j}[k] += {self.statements.operand(node.sources[0], names)};")
        for operand, root in zip(full, roots, strict=True):
            value = self.statements.operand(root, names)
            rest.append(
                self.dialect.store(operand.value.dtype, operand.name, self._place(operand, "k", rest, "q"), value)
            )
        return [
            f"{index} k = 0;",
            f"for (; k + {width} <= n; k += {width}) {{",
            *indented(wide),
            "}",
            "for (; k < n; ++k) {",
            *indented(rest),
            "}",
        ]
