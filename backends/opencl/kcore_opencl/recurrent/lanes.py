"""LSTM and its gradient on a GPU: a work-group takes a few rows of the batch through all steps, its lanes are units."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import OPENCL, Code, Source
from kcore.graph.core import Node
from kcore_opencl.recurrent import matrices
from kcore_opencl.recurrent.backward import INPUTS, OUTPUTS
from kcore_opencl.recurrent.matrices import Matrices
from kcore_opencl.recurrent.sizes import GATES, Sizes, sizes_of
from kcore_opencl.tiles import Scratch, Text, block, loop
from kcore_opencl.traits import Traits

#: Rows of the batch of a work-group, and the depth of a tile of the state in local memory.
ROWS = 4
DEPTH = 64
_BARRIER = "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);"


def _lanes(sizes: Sizes, traits: Traits) -> int:
    """Work-items of a group: a lane for each unit, in whole subgroups."""
    return max(32, min(-(-sizes.units // 32) * 32, 256, traits.group))


def _walk(text: Text, sizes: Sizes, backward: bool) -> None:
    """Arguments and places of a kernel that walks over the steps."""
    t = OPENCL.types[sizes.dtype]
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "units": sizes.units, **sizes.walk(backward)})
    text.add(
        f"__local {t} tile[{ROWS * DEPTH}];",
        "const int lane = get_local_id(0);",
        f"const int first = get_group_id(0) * {ROWS};",
        f"const int rows = min({ROWS}, batch - first);",
    )


def _own(lines: list[str], lanes: int) -> list[str]:
    """A loop over the units of a lane."""
    return loop("u", "lane", "units", lanes, lines)


def _gathered(accumulate: list[str], depth: str, element: str, lanes: int) -> list[str]:
    """Lines that add up over `depth`, `DEPTH` elements of each row at a time in local memory."""
    fetch = [
        f"const int row = n / {DEPTH}, k = k0 + n % {DEPTH};",
        f"tile[n] = row < rows && k < {depth} ? {element} : 0;",
    ]
    turn = [
        *loop("n", "lane", ROWS * DEPTH, lanes, fetch),
        "barrier(CLK_LOCAL_MEM_FENCE);",
        f"const int end = u < units ? min({DEPTH}, {depth} - k0) : 0;",
        *loop("k", 0, "end", 1, accumulate),
        "barrier(CLK_LOCAL_MEM_FENCE);",
    ]
    return loop("k0", 0, depth, DEPTH, turn)


# -- forward ---------------------------------------------------------------------------------------------------------


def forward(node: Node, traits: Traits, wanted: Sequence[bool] = (True,) * 5) -> Code:
    """Kernels of an `lstm` node: one product for all inputs, then the walk over the steps."""
    sizes = sizes_of(node)
    scratch = Scratch(sizes.dtype)
    scratch.take("through", sizes.rows * GATES * sizes.units)
    scratch.take("states", 2 * sizes.batch * sizes.units)
    scratch.take("cell", sizes.batch * sizes.units)
    text = Text(node, "inputs")
    text.buffer("x", "input", sizes.dtype, 0)
    text.buffer("kernel_", "input", sizes.dtype, 3)
    biased = node.inputs[5] is not None
    if biased:
        text.buffer("bias", "input", sizes.dtype, 5)
    text.pieces(scratch, ["through"])
    text.sizes({"rows": sizes.rows, "columns": GATES * sizes.units, "features": sizes.features})
    product = Matrices(
        "rows", "columns", "features", "x[(long)r * features + k]", "kernel_[(long)k * columns + c]",
        [f"through[(long)r * columns + c] = value{' + bias[c]' if biased else ''};"],
    )  # fmt: skip
    count = matrices.groups(sizes.rows, GATES * sizes.units)
    inputs = matrices.source(text, sizes.dtype, product, count)
    return Code((inputs, _forward_steps(node, sizes, scratch, _lanes(sizes, traits), wanted)), scratch.bytes)


def _forward_steps(node: Node, sizes: Sizes, scratch: Scratch, lanes: int, wanted: Sequence[bool]) -> Source:
    t, masked = OPENCL.types[sizes.dtype], node.inputs[6] is not None
    text = Text(node, "steps")
    for name, index in (("h0", 1), ("c0", 2), ("recurrent", 4)):
        text.buffer(name, "input", sizes.dtype, index)
    if masked:
        text.buffer("mask", "input", "bool", 6)
    for index, name in enumerate(("hidden", "last_h", "last_c", "cells", "gates")):
        if wanted[index]:
            text.buffer(name, "output", sizes.dtype, index)
    text.pieces(scratch, ["through", "states", "cell"])
    text.helper(f"static inline {t} sigmoid(const {t} z) {{ return 1 / (1 + exp(-z)); }}")
    _walk(text, sizes, backward=False)
    start = ["const long at = (long)(first + row) * units + u;", "h_old[at] = h0[at];", "cell[at] = c0[at];"]
    text.add(
        f"__global {t} *h_old = states, *h_new = states + (long)batch * units;",
        *_own(loop("row", 0, "rows", 1, start), lanes),
        _BARRIER,
    )
    weights = [f"const {t} w{g} = weight[{g} * units];" for g in range(GATES)]
    sums = [f"acc{r}_{g} += tile[{r * DEPTH} + k] * w{g};" for r in range(ROWS) for g in range(GATES)]
    weight = f"const __global {t} *weight = recurrent + (long)(k0 + k) * {GATES} * units + u;"
    body = ["const int u = u0 + lane;"]
    body += [f"{t} acc{r}_{g} = 0;" for r in range(ROWS) for g in range(GATES)]
    body += _gathered([weight, *weights, *sums], "units", "h_old[(long)(first + row) * units + k]", lanes)
    for r in range(ROWS):
        body += block(f"if (u < units && {r} < rows)", _cell(r, t, masked, wanted))
    turn = [
        "const int t = first_step + turn * direction;",
        *loop("u0", 0, "units", lanes, body),
        _BARRIER,
        f"__global {t} *h_spare = h_old;",
        "h_old = h_new;",
        "h_new = h_spare;",
    ]
    text.add(*loop("turn", 0, "steps", 1, turn))
    ends = ["last_h[at] = h_old[at];"] * wanted[1] + ["last_c[at] = cell[at];"] * wanted[2]
    if ends:
        text.add(*_own(loop("row", 0, "rows", 1, ["const long at = (long)(first + row) * units + u;", *ends]), lanes))
    return text.source(-(-sizes.batch // ROWS), lanes)


def _cell(r: int, t: str, masked: bool, wanted: Sequence[bool]) -> list[str]:
    """Gates, cell and output of one unit of one row."""
    lines = [
        f"const long at = (long)(first + {r}) * units + u, step = (long)t * batch + first + {r};",
        f"const __global {t} *z = through + step * {GATES} * units + u;",
        *(
            f"const {t} {name} = {'tanh' if name == 'g' else 'sigmoid'}(z[{k} * units] + acc{r}_{k});"
            for k, name in enumerate("ifgo")
        ),
        f"{t} c = f * cell[at] + i * g;",
        f"{t} h = o * tanh(c);",
    ]
    if masked:
        lines += block("if (!mask[step])", ["c = cell[at];", "h = h_old[at];"])
    lines += ["cell[at] = c;", "h_new[at] = h;"]
    if wanted[0]:
        lines.append("hidden[step * units + u] = h;")
    if wanted[3]:
        lines.append("cells[step * units + u] = c;")
    if wanted[4]:
        lines.append(f"__global {t} *gate = gates + step * {GATES} * units + u;")
        lines += [f"gate[{k} * units] = {name};" for k, name in enumerate("ifgo")]
    return lines


# -- backward --------------------------------------------------------------------------------------------------------


def backward(node: Node, traits: Traits, wanted: Sequence[bool] = (True,) * 6) -> Code:
    """Kernels of an `lstm_grad` node: the walk backwards over the steps, then products over all steps."""
    sizes = sizes_of(node)
    gates = GATES * sizes.units
    scratch = Scratch(sizes.dtype)
    scratch.take("turned", gates * sizes.units)
    scratch.take("slopes", sizes.rows * gates)
    scratch.take("dh", sizes.batch * sizes.units)
    scratch.take("dc", sizes.batch * sizes.units)
    launches = [
        _turned(node, sizes, scratch),
        _backward_steps(node, sizes, scratch, _lanes(sizes, traits), wanted),
    ]
    numbers = {"rows": sizes.rows, "gates": gates, "features": sizes.features, "units": sizes.units}
    products = {
        "dx": (
            ["kernel_"],
            Matrices("rows", "features", "gates", "slopes[(long)r * gates + k]", "kernel_[(long)c * gates + k]", []),
            (sizes.rows, sizes.features),
        ),
        "d_kernel": (
            ["x"],
            Matrices("features", "gates", "rows", "x[(long)k * features + r]", "slopes[(long)k * gates + c]", []),
            (sizes.features, gates),
        ),
        "d_recurrent": (
            ["h0", "hidden"],
            Matrices("units", "gates", "rows", _before(sizes), "slopes[(long)k * gates + c]", []),
            (sizes.units, gates),
        ),
    }
    for name, (inputs, product, (height, width)) in products.items():
        if wanted[OUTPUTS.index(name)]:
            text = Text(node, name)
            for operand in inputs:
                text.buffer(operand, "input", sizes.dtype, INPUTS.index(operand))
            text.buffer(name, "output", sizes.dtype, OUTPUTS.index(name))
            text.pieces(scratch, ["slopes"])
            text.sizes({**numbers, "batch": sizes.batch})
            store = [f"{name}[(long)r * {product.columns} + c] = value;"]
            product = Matrices(**{**vars(product), "store": store})
            launches.append(matrices.source(text, sizes.dtype, product, matrices.groups(height, width)))
    if wanted[OUTPUTS.index("d_bias")]:
        launches.append(_bias(node, sizes, scratch))
    return Code(tuple(launches), scratch.bytes)


def _before(sizes: Sizes) -> str:
    """The state before the step of row `k`, unit `r`."""
    if sizes.reverse:
        return "(k < rows - batch ? hidden[(long)(k + batch) * units + r] : h0[(long)(k - rows + batch) * units + r])"
    return "(k < batch ? h0[(long)k * units + r] : hidden[(long)(k - batch) * units + r])"


def _turned(node: Node, sizes: Sizes, scratch: Scratch) -> Source:
    """The recurrent weights transposed, so that lanes read along units."""
    text = Text(node, "turned")
    text.buffer("recurrent", "input", sizes.dtype, INPUTS.index("recurrent"))
    text.pieces(scratch, ["turned"])
    text.sizes({"units": sizes.units, "gates": GATES * sizes.units})
    side, t = 16, OPENCL.types[sizes.dtype]
    text.add(
        f"__local {t} tile[{side * (side + 1)}];  // a column more than it holds, against bank conflicts",
        f"const int across = (gates + {side - 1}) / {side};",
        f"const int top = get_group_id(0) / across * {side}, side = get_group_id(0) % across * {side};",
        f"const int i = get_local_id(0) / {side}, j = get_local_id(0) % {side};",
        f"if (top + i < units && side + j < gates) tile[j * {side + 1} + i] = "
        "recurrent[(long)(top + i) * gates + side + j];",
        "barrier(CLK_LOCAL_MEM_FENCE);",
        "if (side + i < gates && top + j < units) turned[(long)(side + i) * units + top + j] = "
        f"tile[i * {side + 1} + j];",
    )
    return text.source(-(-sizes.units // side) * -(-GATES * sizes.units // side), side * side)


def _backward_steps(node: Node, sizes: Sizes, scratch: Scratch, lanes: int, wanted: Sequence[bool]) -> Source:
    t = OPENCL.types[sizes.dtype]
    given = {name for name, value in zip(INPUTS, node.inputs, strict=True) if value is not None}
    text = Text(node, "steps")
    for name in ("g_hidden", "g_h", "g_c", "c0", "mask", "cells", "gates"):
        if name in given:
            text.buffer(name, "input", "bool" if name == "mask" else sizes.dtype, INPUTS.index(name))
    ends = [name for name in ("dh0", "dc0") if wanted[OUTPUTS.index(name)]]
    for name in ends:
        text.buffer(name, "output", sizes.dtype, OUTPUTS.index(name))
    text.pieces(scratch, ["turned", "slopes", "dh", "dc"])
    _walk(text, sizes, backward=True)
    start = [
        "const long at = (long)(first + row) * units + u;",
        f"dh[at] = {'g_h[at]' if 'g_h' in given else '0'};",
        f"dc[at] = {'g_c[at]' if 'g_c' in given else '0'};",
    ]
    text.add(*_own(loop("row", 0, "rows", 1, start), lanes))
    sums = [f"acc{r} += tile[{r * DEPTH} + k] * weight;" for r in range(ROWS)]
    weight = f"const {t} weight = turned[(long)(k0 + k) * units + u];"
    element = f"slopes[((long)t * batch + first + row) * {GATES} * units + k]"
    body = ["const int u = u0 + lane;", *(f"{t} acc{r} = 0;" for r in range(ROWS))]
    body += _gathered([weight, *sums], f"{GATES} * units", element, lanes)
    body += [f"if (u < units && {r} < rows) dh[(long)(first + {r}) * units + u] += acc{r};" for r in range(ROWS)]
    turn = [
        "const int t = first_step + turn * direction;",
        f"const __global {t} *before = turn + 1 < steps ? cells + (long)(t + direction) * batch * units : c0;",
        *_own(loop("row", 0, "rows", 1, _slopes(given, t)), lanes),
        _BARRIER,
        *loop("u0", 0, "units", lanes, body),
        _BARRIER,
    ]
    text.add(*loop("turn", 0, "steps", 1, turn))
    if ends:
        copies = [f"{name}[at] = {name[:2]}[at];" for name in ends]
        text.add(*_own(loop("row", 0, "rows", 1, ["const long at = (long)(first + row) * units + u;", *copies]), lanes))
    return text.source(-(-sizes.batch // ROWS), lanes)


def _slopes(given: set[str], t: str) -> list[str]:
    """The gradients of one unit's gates before their activation; dh is left as what passes a masked step by."""
    lines = [
        "const long at = (long)(first + row) * units + u, step = (long)t * batch + first + row;",
        f"const {t} to_h = dh[at]{' + g_hidden[step * units + u]' if 'g_hidden' in given else ''};",
        f"__global {t} *slope = slopes + step * {GATES} * units + u;",
    ]
    if "mask" in given:
        zeros = [f"slope[{k} * units] = 0;" for k in range(GATES)]
        lines += block("if (!mask[step])", ["dh[at] = to_h;", *zeros, "continue;"])
    lines.append(f"const __global {t} *gate = gates + step * {GATES} * units + u;")
    lines += [f"const {t} {name} = gate[{k} * units];" for k, name in enumerate("ifgo")]
    return [
        *lines,
        f"const {t} flat = tanh(cells[step * units + u]);",
        f"const {t} to_c = dc[at] + to_h * o * (1 - flat * flat);",
        "slope[0] = to_c * g * (i * (1 - i));",
        "slope[units] = to_c * before[at] * (f * (1 - f));",
        "slope[2 * units] = to_c * i * (1 - g * g);",
        "slope[3 * units] = to_h * flat * (o * (1 - o));",
        "dc[at] = to_c * f;",
        "dh[at] = 0;",
    ]


def _bias(node: Node, sizes: Sizes, scratch: Scratch) -> Source:
    """The sum of all slopes; a lane per gate."""
    text = Text(node, "d_bias")
    text.buffer("d_bias", "output", sizes.dtype, OUTPUTS.index("d_bias"))
    text.pieces(scratch, ["slopes"])
    text.sizes({"rows": sizes.rows, "gates": GATES * sizes.units})
    t, lanes = OPENCL.types[sizes.dtype], 64
    text.add("const int c = get_global_id(0);", "if (c >= gates) return;", f"{t} sum = 0;")
    text.add(*loop("r", 0, "rows", 1, ["sum += slopes[(long)r * gates + c];"]), "d_bias[c] = sum;")
    return text.source(-(-GATES * sizes.units // lanes), lanes)
