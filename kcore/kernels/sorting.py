"""Sorting: runs of a few elements one by one, then merges in which every element finds its place by bisection."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code, Dialect, Source
from kcore.graph.core import Node
from kcore.kernels.lines import Kernel, Lines, lines_of, ordered
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

#: Work-items of a group.
LOCAL = 64
#: Elements a work-item sorts by itself.
RUN = 16


def _lines(node: Node) -> Lines:
    shape = node.inputs[0].shape  # type: ignore[union-attr]
    return lines_of(shape, len(shape) - 1)


def _merges(n: int) -> int:
    """How often runs must be merged in pairs."""
    return max(-(-n // RUN) - 1, 0).bit_length()


@generated("argsort", scratch=True)
def argsort_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernels of ``argsort``: stable, NaN last in both directions."""
    lines = _lines(node)
    merges = _merges(lines.n)
    # the last merge must write the output
    launches = [_runs(traits.dialect, node, lines, into_output=merges % 2 == 0)]
    launches += [
        _merge(traits.dialect, node, lines, RUN << m, into_output=(merges - m) % 2 == 1) for m in range(merges)
    ]
    return Code(tuple(launches), lines.size * 4 if merges else 0)


def _begin(d: Dialect, node: Node, lines: Lines, part: str) -> tuple[Kernel, str, str]:
    k = Kernel(d, node, lines.size, part)
    ctype = k.input("x")
    return k, ctype, k.index


def _runs(d: Dialect, node: Node, lines: Lines, into_output: bool) -> Source:
    """Each work-item sorts a run of a line by insertion."""
    k, ctype, index = _begin(d, node, lines, "_runs")
    k.output("order") if into_output else k.scratch("order", "int32")
    k.size("lines", lines.count)
    k.size("n", lines.n)
    runs = -(-lines.n // RUN)
    k.size("runs", runs)
    dtype = node.inputs[0].dtype  # type: ignore[union-attr]
    body = f"""
        const {index} run = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
        if (run < lines * runs) {{
            const {index} start = run / runs * n;
            const {index} first = run % runs * {RUN};
            const {index} end = first + {RUN} < n ? first + {RUN} : n;
            for ({index} i = first; i < end; ++i) {{
                const {ctype} key = {d.load(dtype, "x", "start + i")};
                {index} at = i;
                for (; at > first; --at) {{
                    const int before = order[start + at - 1];
                    const {ctype} other = {d.load(dtype, "x", "start + before")};
                    if (!{ordered(dtype, "key", "other", node.attrs["descending"])}) break;
                    order[start + at] = before;
                }}
                order[start + at] = (int)i;
            }}
        }}"""
    return k.source(body, LOCAL, -(-lines.count * runs // LOCAL))


def _merge(d: Dialect, node: Node, lines: Lines, run: int, into_output: bool) -> Source:
    """Each element of two neighbouring runs counts those of the other run that come before it."""
    k, ctype, index = _begin(d, node, lines, "_merge")
    if into_output:
        k.scratch("order", "int32")
        k.output("merged")
    else:
        k.output("order")
        k.scratch("merged", "int32")
    k.size("lines", lines.count)
    k.size("n", lines.n)
    k.size("run", run)
    dtype, descending = node.inputs[0].dtype, node.attrs["descending"]  # type: ignore[union-attr]
    body = f"""
        const {index} element = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
        if (element < lines * n) {{
            const {index} start = element / n * n;
            const {index} i = element - start;
            const {index} pair = i / (2 * run) * (2 * run);
            const {index} middle = pair + run < n ? pair + run : n;
            const {index} end = middle + run < n ? middle + run : n;
            const int left = i < middle;  // of equal elements those of the left run come first
            const int own = order[element];
            const {ctype} key = {d.load(dtype, "x", "start + own")};
            {index} low = left ? middle : pair;
            {index} high = left ? end : middle;
            const {index} first = low;
            while (low < high) {{
                const {index} half_way = (low + high) / 2;
                const int there = order[start + half_way];
                const {ctype} other = {d.load(dtype, "x", "start + there")};
                const int sooner = left ? {ordered(dtype, "other", "key", descending)}
                                        : !{ordered(dtype, "key", "other", descending)};
                low = sooner ? half_way + 1 : low;
                high = sooner ? high : half_way;
            }}
            merged[start + (left ? i : pair + i - middle) + low - first] = own;
        }}"""
    return k.source(body, LOCAL, -(-lines.size // LOCAL))


@generated("searchsorted")
def searchsorted_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of ``searchsorted``: a bisection for each value."""
    sequence, values = node.inputs[0], node.inputs[1]
    assert sequence is not None and values is not None
    d = traits.dialect
    k = Kernel(d, node, max(sequence.size, values.size))
    ctype, index = k.input("sequence", 0), k.index
    k.input("values", 1)
    k.output("y")
    k.size("n", sequence.size)
    k.size("count", values.size)
    dtype = sequence.dtype
    before = ordered(dtype, "other", "value")
    if node.attrs["side"] == "right":
        before = f"!{ordered(dtype, 'value', 'other')}"
    body = f"""
        const {index} i = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
        if (i < count) {{
            const {ctype} value = {d.load(dtype, "values", "i")};
            {index} low = 0;
            {index} high = n;
            while (low < high) {{
                const {index} half_way = (low + high) / 2;
                const {ctype} other = {d.load(dtype, "sequence", "half_way")};
                const int before = {before};
                low = before ? half_way + 1 : low;
                high = before ? high : half_way;
            }}
            y[i] = (int)low;
        }}"""
    return Code((k.source(body, LOCAL, -(-values.size // LOCAL)),))
