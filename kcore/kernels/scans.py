"""Running sums and products along an axis, and the index of the largest or smallest element."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.dtypes import is_float
from kcore.graph.core import Node
from kcore.kernels.lines import Kernel, Lines, lines_of
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

#: Work-items of a group.
LOCAL = 64


def _shared(lines: Lines) -> bool:
    """Whether a whole work-group goes along each line: long ones, of which there are few."""
    return lines.n >= 16 * LOCAL and lines.count < 16 * LOCAL


@generated("cumsum", "cumprod_exclusive", inplace=((0, 0),))
def scan_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of ``cumsum`` or ``cumprod_exclusive``."""
    exclusive = node.op.name == "cumprod_exclusive"
    shape, dtype = node.inputs[0].shape, node.inputs[0].dtype  # type: ignore[union-attr]
    lines = lines_of(shape, len(shape) - 1 if exclusive else node.attrs["axis"])
    first = "1" if exclusive else "0"
    sign = ("&&" if exclusive else "||") if dtype == "bool" else "*" if exclusive else "+"
    d = traits.dialect
    k = Kernel(d, node, lines.size)
    ctype, index = k.input("x"), k.index
    k.output("y")
    k.size("lines", lines.count)
    k.size("n", lines.n)
    k.size("inner", lines.inner)
    load, store = d.load(dtype, "x", "at"), d.store(dtype, "y", "at", "total")
    if exclusive:  # the element is read before its place is written: y may be x
        step = f"const {ctype} next = total {sign} {load}; {store} total = next;"
    else:
        step = f"total = total {sign} {load}; {store}"
    if not _shared(lines):
        body = f"""
            const {index} line = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
            if (line < lines) {{
                const {index} start = line / inner * n * inner + line % inner;
                {ctype} total = {first};
                for ({index} i = 0; i < n; ++i) {{
                    const {index} at = start + i * inner;
                    {step}
                }}
            }}"""
        return Code((k.source(body, LOCAL, -(-lines.count // LOCAL)),))
    body = f"""
            {d.shared} {ctype} totals[{LOCAL}];
            const {index} line = ({index}){d.group};
            const {index} lane = ({index}){d.lane};
            const {index} start = line / inner * n * inner + line % inner;
            const {index} share = (n + {LOCAL - 1}) / {LOCAL};
            const {index} first = lane * share;
            const {index} end = first + share < n ? first + share : n;
            {ctype} own = {first};
            for ({index} i = first; i < end; ++i) {{
                const {index} at = start + i * inner;
                own = own {sign} {load};
            }}
            totals[lane] = own;
            {d.barrier}
            {ctype} total = {first};  // of all lanes before this one
            for ({index} other = 0; other < lane; ++other) total = total {sign} totals[other];
            for ({index} i = first; i < end; ++i) {{
                const {index} at = start + i * inner;
                {step}
            }}"""
    return Code((k.source(body, LOCAL, lines.count),))


@generated("argmax", "argmin")
def extreme_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of ``argmax`` or ``argmin``: the first extreme element, or the first NaN."""
    shape, dtype = node.inputs[0].shape, node.inputs[0].dtype  # type: ignore[union-attr]
    lines = lines_of(shape, node.attrs["axis"])
    d = traits.dialect
    k = Kernel(d, node, lines.size)
    ctype, index = k.input("x"), k.index
    k.output("y")
    k.size("lines", lines.count)
    k.size("n", lines.n)
    k.size("inner", lines.inner)
    sign = ">" if node.op.name == "argmax" else "<"

    def better(a: str, b: str) -> str:
        """Whether a beats b, which came before it."""
        plain = f"{a} {sign} {b}"
        return f"{plain} || ({a} != {a} && {b} == {b})" if is_float(dtype) else plain

    def even(a: str, b: str) -> str:
        plain = f"{a} == {b}"
        return f"({plain} || ({a} != {a} && {b} != {b}))" if is_float(dtype) else plain

    load = d.load(dtype, "x", "start + i * inner")
    if not _shared(lines):
        body = f"""
            const {index} line = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
            if (line < lines) {{
                const {index} start = line / inner * n * inner + line % inner;
                {ctype} best = {d.load(dtype, "x", "start")};
                {index} found = 0;
                for ({index} i = 1; i < n; ++i) {{
                    const {ctype} other = {load};
                    const int beats = {better("other", "best")};
                    best = beats ? other : best;
                    found = beats ? i : found;
                }}
                y[line] = (int)found;
            }}"""
        return Code((k.source(body, LOCAL, -(-lines.count // LOCAL)),))
    body = f"""
            {d.shared} {ctype} bests[{LOCAL}];
            {d.shared} {index} places[{LOCAL}];
            const {index} line = ({index}){d.group};
            const {index} lane = ({index}){d.lane};
            const {index} start = line / inner * n * inner + line % inner;
            {index} found = lane;
            {ctype} best = {d.load(dtype, "x", "start + lane * inner")};
            for ({index} i = lane + {LOCAL}; i < n; i += {LOCAL}) {{
                const {ctype} other = {load};
                const int beats = {better("other", "best")};
                best = beats ? other : best;
                found = beats ? i : found;
            }}
            bests[lane] = best;
            places[lane] = found;
            for (int step = {LOCAL // 2}; step; step /= 2) {{
                {d.barrier}
                if (lane < step) {{
                    const {ctype} other = bests[lane + step];
                    const {index} place = places[lane + step];
                    const int sooner = {even("other", "bests[lane]")} && place < places[lane];
                    if ({better("other", "bests[lane]")} || sooner) {{
                        bests[lane] = other;
                        places[lane] = place;
                    }}
                }}
            }}
            if (lane == 0) y[line] = (int)places[0];"""
    return Code((k.source(body, LOCAL, lines.count),))
