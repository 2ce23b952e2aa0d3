"""The rotation in C, for every backend that compiles a dialect of it: OpenCL C and CUDA C, from one generator.

Pairs lie half a row apart, so that the decomposition cuts the tensor in two, computes two halves and joins them: four
passes over memory. Here each element is read once and written once.
"""

from __future__ import annotations

from math import prod

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import Code
from kcore.codegen.layout import Layout, aligned, collapse, contiguous
from kcore.graph.core import Node
from kcore.kernels import Traits, home
from kcore.kernels.lines import Kernel

#: Work-items of a group of a GPU.
LOCAL = 128
#: Rows with the same angles that a GPU's work-item turns: it finds and loads the angles once for all of them.
TURNS = 8
#: Elements of a CPU's vectors.
VECTOR = {"float32": 16, "float64": 8}


def supports(node: Node) -> bool:
    """Floats of one dtype, and at least one."""
    dtypes = {v.dtype for v in node.sources}
    return len(dtypes) == 1 and dtypes <= {"float16", "bfloat16", "float32", "float64"} and node.outputs[0].size > 0


def rows_of(node: Node) -> Layout:
    """The axes before the last, merged where they can be, and how far the angles move along them."""
    x, cos = node.sources[:2]
    lead = x.shape[:-1]
    own = [s // x.shape[-1] for s in contiguous(x.shape)[:-1]]
    return collapse(lead, [own, aligned(cos.shape[:-1], contiguous(cos.shape)[:-1], lead)])


def rotate_code(node: Node, traits: Traits) -> Code:
    """The kernel of a ``rotate`` node: vectors along rows on a CPU, an element for each work-item on a GPU."""
    wide = traits.cpu and traits.dialect.wide and node.outputs[0].dtype in VECTOR
    return _along_rows(node, traits) if wide else _side_by_side(node, traits)


def _begin(node: Node, traits: Traits) -> tuple[Kernel, str]:
    """The kernel's arguments, and the type it computes in."""
    k = Kernel(traits.dialect, node, node.outputs[0].size)
    ctype = k.input("x")
    k.input("cosine", 1)
    k.input("sine", 2)
    k.output("y")
    k.size("n", node.outputs[0].shape[-1] // 2)
    return k, ctype


def _angle(k: Kernel, dims: tuple[int, ...], strides: tuple[int, ...], row: str) -> str:
    """C text for where the angles of a row begin."""
    terms = []
    for axis, (size, stride) in enumerate(zip(dims, strides, strict=True)):
        if stride:
            k.size(f"d{axis}", size)
            k.size(f"q{axis}", prod(dims[axis + 1 :]))
            k.size(f"s{axis}", stride)
            terms.append(f"{row} / q{axis} % d{axis} * s{axis}")
    return " + ".join(terms) or "0"


def _along_rows(node: Node, traits: Traits) -> Code:
    """A work-item is a core that goes along some rows in vectors; rows of the same angles follow one another."""
    k, ctype = _begin(node, traits)
    layout, width, index = rows_of(node), VECTOR[node.outputs[0].dtype], k.index
    alike = layout.dims[-1] if layout.dims and not layout.strides[1][-1] else 1
    dims, strides = (layout.dims[:-1], layout.strides[1][:-1]) if alike > 1 else (layout.dims, layout.strides[1])
    rows = prod(dims)
    share = -(-rows // (4 * traits.units))
    k.size("alike", alike)
    k.size("rows", rows)
    k.size("share", share)
    vector, d = f"{ctype}{width}", traits.dialect
    text = f"""
        const {index} first = ({index}){d.group} * share;
        const {index} end = first + share < rows ? first + share : rows;
        for ({index} row = first; row < end; ++row) {{
            {d.memory} const {ctype} *cosines = cosine + ({_angle(k, dims, strides, "row")});
            {d.memory} const {ctype} *sines = sine + (cosines - cosine);
            for ({index} r = row * alike; r < (row + 1) * alike; ++r) {{
                {d.memory} const {ctype} *a = x + r * 2 * n;
                {d.memory} {ctype} *left = y + r * 2 * n;
                {index} j = 0;
                for (; j + {width} <= n; j += {width}) {{
                    const {vector} p = vload{width}(0, a + j), q = vload{width}(0, a + n + j);
                    const {vector} c = vload{width}(0, cosines + j), s = vload{width}(0, sines + j);
                    vstore{width}(p * c - q * s, 0, left + j);
                    vstore{width}(q * c + p * s, 0, left + n + j);
                }}
                for (; j < n; ++j) {{
                    const {ctype} p = a[j], q = a[n + j], c = cosines[j], s = sines[j];
                    left[j] = p * c - q * s;
                    left[n + j] = q * c + p * s;
                }}
            }}
        }}"""
    return Code((k.source(text, 1, -(-rows // share)),))


def _side_by_side(node: Node, traits: Traits) -> Code:
    """Neighbouring work-items turn neighbouring pairs, each in some rows that have the same angles."""
    k, ctype = _begin(node, traits)
    layout, index, dtype, d = rows_of(node), k.index, node.outputs[0].dtype, traits.dialect
    repeats = layout.dims[0] if layout.dims and not layout.strides[1][0] else 1
    dims, strides = (layout.dims[1:], layout.strides[1][1:]) if repeats > 1 else (layout.dims, layout.strides[1])
    rows, half = prod(dims), node.outputs[0].shape[-1] // 2
    k.size("rows", rows)
    k.size("repeats", repeats)
    items = rows * half * -(-repeats // TURNS)
    k.size("items", items)
    text = f"""
        const {index} i = ({index}){d.group} * {LOCAL} + ({index}){d.lane};
        if (i < items) {{
            const {index} j = i % n;
            const {index} row = i / n % rows;
            const {index} first = i / n / rows * {TURNS};
            const {index} end = first + {TURNS} < repeats ? first + {TURNS} : repeats;
            const {index} at = {_angle(k, dims, strides, "row")} + j;
            const {ctype} c = {d.load(dtype, "cosine", "at")};
            const {ctype} s = {d.load(dtype, "sine", "at")};
            for ({index} turn = first; turn < end; ++turn) {{
                const {index} left = (turn * rows + row) * 2 * n + j;
                const {ctype} p = {d.load(dtype, "x", "left")};
                const {ctype} q = {d.load(dtype, "x", "left + n")};
                {d.store(dtype, "y", "left", "p * c - q * s")}
                {d.store(dtype, "y", "left + n", "q * c + p * s")}
            }}
        }}"""
    return Code((k.source(text, LOCAL, -(-items // LOCAL)),))


def rotate(site: Site) -> Thunk:
    """The code, bound to the site's arrays."""
    backend = home(site)
    return backend.bind(site, rotate_code(site.node, backend.traits(site.device)))


for _backend in ("opencl", "cuda"):
    kernel("kcore_rotary>rotate", backend=_backend, supports=supports)(rotate)
