"""Recurrent layers on a GPU: a work-group takes a few rows of the batch through all steps, its lanes are units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kcore.codegen import Code, Dialect, Source
from kcore.graph.core import Node
from kcore.kernels.recurrent import matrices
from kcore.kernels.recurrent.cells import Cell, sigmoid
from kcore.kernels.recurrent.matrices import Matrices
from kcore.kernels.recurrent.sizes import Sizes, sizes_of
from kcore.kernels.tiles import Real, Scratch, Text, block, loop
from kcore.kernels.traits import Traits

#: Rows of the batch of a work-group, and the depth of a tile of the state in local memory.
ROWS = 4
DEPTH = 64


def _lanes(sizes: Sizes, traits: Traits) -> int:
    """Work-items of a group: a lane for each unit, in whole subgroups."""
    return max(32, min(-(-sizes.units // 32) * 32, 256, traits.group))


def _walk(text: Text, sizes: Sizes, backward: bool) -> None:
    """Arguments and places of a kernel that walks over the steps."""
    d = text.dialect
    text.sizes({"steps": sizes.steps, "batch": sizes.batch, "units": sizes.units, **sizes.walk(backward)})
    text.add(
        f"{d.shared} {d.types[sizes.dtype]} tile[{ROWS * DEPTH}];",
        f"const int lane = {d.lane};",
        f"const int first = {d.group} * {ROWS};",
        f"const int rows = min({ROWS}, batch - first);",
    )


def _own(lines: list[str], lanes: int) -> list[str]:
    """A loop over the units of a lane."""
    return loop("u", "lane", "units", lanes, lines)


def _gathered(dialect: Dialect, accumulate: list[str], depth: str, element: str, lanes: int) -> list[str]:
    """Lines that add up over `depth`, `DEPTH` elements of each row at a time in local memory."""
    fetch = [
        f"const int row = n / {DEPTH}, k = k0 + n % {DEPTH};",
        f"tile[n] = row < rows && k < {depth} ? {element} : 0;",
    ]
    turn = [
        *loop("n", "lane", ROWS * DEPTH, lanes, fetch),
        dialect.barrier,
        f"const int end = u < units ? min({DEPTH}, {depth} - k0) : 0;",
        *loop("k", 0, "end", 1, accumulate),
        dialect.barrier,
    ]
    return loop("k0", 0, depth, DEPTH, turn)


# -- forward ---------------------------------------------------------------------------------------------------------


def forward(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Kernels of a recurrent node: one product for all inputs, then the walk over the steps.

    `wanted` says which outputs are read by anybody, all if None.
    """
    sizes = sizes_of(node)
    cell = sizes.cell
    given = dict(zip(cell.inputs, node.inputs, strict=True))
    biased = given["bias"] is not None
    names = cell.outputs
    read = frozenset(names if wanted is None else (n for n, want in zip(names, wanted, strict=True) if want))
    scratch = Scratch(sizes.dtype)
    scratch.take("through", sizes.rows * sizes.columns)
    scratch.take("states", 2 * sizes.batch * sizes.units)
    if cell.has_cell:
        scratch.take("cell", sizes.batch * sizes.units)
    if cell.late:
        scratch.take("kept_state", sizes.batch * sizes.units)
    long = traits.dialect.types["int64"]
    text = Text(node, "inputs", traits.dialect)
    for name in ("x", "kernel_", *(["bias"] if biased else [])):
        text.buffer(name, "input", sizes.dtype, cell.inputs.index(name))
    text.pieces(scratch, ["through"])
    text.sizes({"rows": sizes.rows, "columns": sizes.columns, "features": sizes.features})
    product = Matrices(
        "rows", "columns", "features", f"x[({long})r * features + k]", f"kernel_[({long})k * columns + c]",
        [f"through[({long})r * columns + c] = value{' + bias[c]' if biased else ''};"],
    )  # fmt: skip
    inputs = matrices.source(text, sizes.dtype, product, matrices.groups(sizes.rows, sizes.columns))
    return Code((inputs, _forward_steps(node, sizes, scratch, traits, read)), scratch.bytes)


def _real(sizes: Sizes, traits: Traits) -> Real:
    """The float type of one lane."""
    return Real(sizes.dtype, 1, traits.fma, dialect=traits.dialect)


def _forward_steps(node: Node, sizes: Sizes, scratch: Scratch, traits: Traits, wanted: frozenset[str]) -> Source:
    cell, lanes, real = sizes.cell, _lanes(sizes, traits), _real(sizes, traits)
    t, long = real.type, real.long
    given = {name for name, value in zip(cell.inputs, node.inputs, strict=True) if value is not None}
    # Blocks of the bias that the product over the inputs has not added.
    late = "bias" in given and any(b >= cell.blocks for blocks in cell.bias_blocks for b in blocks)
    text = Text(node, "steps", traits.dialect)
    used = {"h0", "c0", "recurrent", "mask"} | ({"bias"} if late else set())
    for index, name in enumerate(cell.inputs):
        if name in used & given:
            text.buffer(name, "input", "bool" if name == "mask" else sizes.dtype, index)
    for index, name in enumerate(cell.outputs):
        if name in wanted:
            text.buffer(name, "output", sizes.dtype, index)
    more = [*(["cell"] if cell.has_cell else []), *(["kept_state"] if cell.late else [])]
    text.pieces(scratch, ["through", "states", *more])
    text.helper(*sigmoid(real))
    _walk(text, sizes, backward=False)
    start = [f"const {long} at = ({long})(first + row) * units + u;", "state[at] = h0[at];"]
    start += ["cell[at] = c0[at];"] if cell.has_cell else []
    text.add(
        f"{real.pointer()}state = states, *next_state = states + ({long})batch * units;",
        *_own(loop("row", 0, "rows", 1, start), lanes),
        real.dialect.wide_barrier,
    )

    def sweep(source: str, blocks: range, rows: list[list[str]]) -> list[str]:
        """All units: what the state gives to some blocks of the weights, then what becomes of each row."""
        weights = [f"const {t} w{g} = weight[{g} * units];" for g in blocks]
        sums = [f"acc{r}_{g} += tile[{r * DEPTH} + k] * w{g};" for r in range(ROWS) for g in blocks]
        weight = f"{real.pointer(const=True)}weight = recurrent + ({long})(k0 + k) * {cell.blocks} * units + u;"
        body = ["const int u = u0 + lane;", *(f"{t} acc{r}_{g} = 0;" for r in range(ROWS) for g in blocks)]
        element = f"{source}[({long})(first + row) * units + k]"
        body += _gathered(real.dialect, [weight, *weights, *sums], "units", element, lanes)
        for r, lines in enumerate(rows):
            body += block(f"if (u < units && {r} < rows)", lines)
        return [*loop("u0", 0, "units", lanes, body), real.dialect.wide_barrier]

    steps = [_step(cell, r, real, "mask" in given, late, wanted) for r in range(ROWS)]
    if cell.late:
        early = sweep("state", range(cell.early_count), [_early(cell, r, real, wanted) for r in range(ROWS)])
        sweeps = [*early, *sweep("kept_state", range(cell.early_count, cell.count), steps)]
    else:
        sweeps = sweep("state", range(cell.blocks), steps)
    turn = [
        "const int t = first_step + turn * direction;",
        *sweeps,
        f"{real.pointer()}spare = state;",
        "state = next_state;",
        "next_state = spare;",
    ]
    text.add(*loop("turn", 0, "steps", 1, turn))
    ends = ["last_h[at] = state[at];"] * ("last_h" in wanted) + ["last_c[at] = cell[at];"] * ("last_c" in wanted)
    if ends:
        text.add(*_own(loop("row", 0, "rows", 1, [start[0], *ends]), lanes))
    return text.source(-(-sizes.batch // ROWS), lanes)


def _early(cell: Cell, r: int, real: Real, wanted: frozenset[str]) -> list[str]:
    """The early slots of one unit of one row; the next state holds the one carried on meanwhile."""
    t = real.type
    sums = [f"(z_in[{cell.kernel_blocks[k]} * units] + acc{r}_{cell.recurrent_blocks[k]})" for k in range(cell.count)]
    lines = [*_place(cell, r, real), f"const {t} h_old = state[at];"]
    lines += cell.early(real, sums[: cell.early_count])
    lines += ["kept_state[at] = kept;", f"next_state[at] = {cell.carried};"]
    return lines + (_keep(cell, real, range(cell.early_count)) if cell.kept in wanted else [])


def _place(cell: Cell, r: int, real: Real) -> list[str]:
    return [
        f"const {real.long} at = ({real.long})(first + {r}) * units + u, step = ({real.long})t * batch + first + {r};",
        f"{real.pointer(const=True)}z_in = through + step * {cell.blocks} * units + u;",
    ]


def _keep(cell: Cell, real: Real, slots: range) -> list[str]:
    """Lines that store slots for the gradient."""
    lines = [f"{real.pointer()}gate = {cell.kept} + step * {cell.count} * units + u;"]
    return lines + [f"gate[{k} * units] = {cell.slots[k]};" for k in slots]


def _step(cell: Cell, r: int, real: Real, masked: bool, late: bool, wanted: frozenset[str]) -> list[str]:
    """Slots, states and output of one unit of one row."""
    t = real.type
    sums = []
    slots = range(cell.early_count if cell.late else 0, cell.count)
    for slot in slots:
        from_inputs, from_state = cell.kernel_blocks[slot], cell.recurrent_blocks[slot]
        parts = [] if from_inputs is None else [f"z_in[{from_inputs} * units]"]
        parts += [] if from_state is None else [f"acc{r}_{from_state}"]
        parts += [f"bias[{b} * units + u]" for b in cell.bias_blocks[slot] if late and b >= cell.blocks]
        sums.append(" + ".join(parts))
    lines = _place(cell, r, real)
    if masked or "h_old" in cell.remembers:
        lines.append(f"const {t} h_old = state[at];")
    if cell.late:
        lines.append(f"const {t} {cell.carried} = next_state[at];")
    if cell.has_cell:
        lines.append(f"const {t} c_old = cell[at];")
    lines += cell.step(real, [f"({s})" if "+" in s else s for s in sums])
    if masked:
        lines += block("if (!mask[step])", [*(["c = c_old;"] if cell.has_cell else []), "h = h_old;"])
    lines += [*(["cell[at] = c;"] if cell.has_cell else []), "next_state[at] = h;"]
    if "hidden" in wanted:
        lines.append("hidden[step * units + u] = h;")
    if "cells" in wanted:
        lines.append("cells[step * units + u] = c;")
    if cell.kept in wanted:
        lines += _keep(cell, real, slots)
    return lines


# -- backward --------------------------------------------------------------------------------------------------------


def backward(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Kernels of a gradient node: the walk backwards over the steps, then products over all steps.

    `wanted` says which outputs are read by anybody, all if None.
    """
    sizes = sizes_of(node)
    cell, wide = sizes.cell, sizes.wide
    names = cell.grad_outputs
    read = frozenset(names if wanted is None else (n for n, want in zip(names, wanted, strict=True) if want))
    scratch = Scratch(sizes.dtype)
    scratch.take("turned", sizes.columns * sizes.units)
    scratch.take("slopes", sizes.rows * wide)
    scratch.take("dh", sizes.batch * sizes.units)
    if cell.has_cell:
        scratch.take("dc", sizes.batch * sizes.units)
    long = traits.dialect.types["int64"]
    launches = [_turned(node, sizes, scratch, traits.dialect), _backward_steps(node, sizes, scratch, traits, read)]
    numbers = {"rows": sizes.rows, "columns": sizes.columns, "wide": wide}
    numbers.update({"features": sizes.features, "units": sizes.units})
    by_inputs, by_state = _column(cell, state=False), _column(cell, state=True)
    products = {
        "dx": (
            ["kernel_"],
            Matrices(
                "rows", "features", "columns",
                f"slopes[({long})r * wide + {by_inputs('k')}]", f"kernel_[({long})c * columns + k]", [],
            ),
            (sizes.rows, sizes.features),
        ),
        "d_kernel": (
            ["x"],
            Matrices(
                "features", "columns", "rows",
                f"x[({long})k * features + r]", f"slopes[({long})k * wide + {by_inputs('c')}]", [],
            ),
            (sizes.features, sizes.columns),
        ),
        "d_recurrent": (
            ["h0", "hidden"],
            Matrices(
                "units", "columns", "rows",
                _before(sizes, long), f"slopes[({long})k * wide + {by_state('c')}]", [],
            ),
            (sizes.units, sizes.columns),
        ),
    }  # fmt: skip
    if cell.late:
        # The left operand of the late columns is not the state but what was kept of it.
        _, early, _ = products["d_recurrent"]
        first, slot = cell.early_count * sizes.units, cell.late_slopes(_real(sizes, traits))[0]
        numbers |= {"early": first, "late": cell.late * sizes.units}
        late = replace(
            early,
            columns="late",
            left=f"{early.left} * {cell.kept}[({long})k * wide + {slot} * units + r]",
            right=f"slopes[({long})k * wide + early + c]",
            store=[f"d_recurrent[({long})r * columns + early + c] = value;"],
        )
        early = replace(early, columns="early", store=[f"d_recurrent[({long})r * columns + c] = value;"])
        products["d_recurrent"] = (["h0", "hidden"], early, (sizes.units, first))
        products["d_recurrent_late"] = (["h0", "hidden", "gates"], late, (sizes.units, sizes.columns - first))
    for part, (inputs, product, (height, width)) in products.items():
        name = part.removesuffix("_late")
        if name in read:
            text = Text(node, part, traits.dialect)
            for operand in inputs:
                text.buffer(operand, "input", sizes.dtype, cell.grad_inputs.index(operand))
            text.buffer(name, "output", sizes.dtype, names.index(name))
            text.pieces(scratch, ["slopes"])
            text.sizes({**numbers, "batch": sizes.batch})
            store = product.store or [f"{name}[({long})r * {product.columns} + c] = value;"]
            product = replace(product, store=store)
            launches.append(matrices.source(text, sizes.dtype, product, matrices.groups(height, width)))
    if "d_bias" in read:
        launches.append(_bias(node, sizes, scratch, traits.dialect))
    return Code(tuple(launches), scratch.bytes)


def _column(cell: Cell, *, state: bool) -> Callable[[str], str]:
    """Where the slopes of a column of the (recurrent) kernel lie, as an expression of the column."""
    slots = [cell.slot_of(b, state=state) for b in range(cell.blocks)]
    turn = slots[0]
    if slots == list(range(cell.blocks)):
        return lambda column: column
    if slots == [turn + b for b in range(cell.blocks)]:
        return lambda column: f"({column} + {turn} * units)"
    assert slots == [(turn + b) % cell.blocks for b in range(cell.blocks)], "slots in another order need a table"
    return lambda column: f"({column} + {turn} * units) % columns"


def _before(sizes: Sizes, long: str) -> str:
    """The state before the step of row `k`, unit `r`."""
    if sizes.reverse:
        last = f"h0[({long})(k - rows + batch) * units + r]"
        return f"(k < rows - batch ? hidden[({long})(k + batch) * units + r] : {last})"
    return f"(k < batch ? h0[({long})k * units + r] : hidden[({long})(k - batch) * units + r])"


def _turned(node: Node, sizes: Sizes, scratch: Scratch, dialect: Dialect) -> Source:
    """The recurrent weights transposed, so that lanes read along units."""
    text = Text(node, "turned", dialect)
    text.buffer("recurrent", "input", sizes.dtype, sizes.cell.grad_inputs.index("recurrent"))
    text.pieces(scratch, ["turned"])
    text.sizes({"units": sizes.units, "columns": sizes.columns})
    side, t, long = 16, dialect.types[sizes.dtype], dialect.types["int64"]
    text.add(
        f"{dialect.shared} {t} tile[{side * (side + 1)}];  // a column more than it holds, against bank conflicts",
        f"const int across = (columns + {side - 1}) / {side};",
        f"const int top = {dialect.group} / across * {side}, side = {dialect.group} % across * {side};",
        f"const int i = {dialect.lane} / {side}, j = {dialect.lane} % {side};",
        f"if (top + i < units && side + j < columns) tile[j * {side + 1} + i] = "
        f"recurrent[({long})(top + i) * columns + side + j];",
        dialect.barrier,
        f"if (side + i < columns && top + j < units) turned[({long})(side + i) * units + top + j] = "
        f"tile[i * {side + 1} + j];",
    )
    return text.source(-(-sizes.units // side) * -(-sizes.columns // side), side * side)


def _backward_steps(node: Node, sizes: Sizes, scratch: Scratch, traits: Traits, wanted: frozenset[str]) -> Source:
    cell, lanes, real = sizes.cell, _lanes(sizes, traits), _real(sizes, traits)
    t, long = real.type, real.long
    given = {name for name, value in zip(cell.grad_inputs, node.inputs, strict=True) if value is not None}
    used = {"g_hidden", "g_h", "g_c", "c0", "mask", "cells", "gates"}
    used |= {"h0", "hidden"} if "h_old" in cell.recalls else {"hidden"} if "h" in cell.recalls else set()
    text = Text(node, "steps", traits.dialect)
    for index, name in enumerate(cell.grad_inputs):
        if name in used & given:
            text.buffer(name, "input", "bool" if name == "mask" else sizes.dtype, index)
    ends = [name for name in ("dh0", "dc0") if name in wanted]
    for name in ends:
        text.buffer(name, "output", sizes.dtype, cell.grad_outputs.index(name))
    text.pieces(scratch, ["turned", "slopes", "dh", *(["dc"] if cell.has_cell else [])])
    _walk(text, sizes, backward=True)
    start = [
        f"const {long} at = ({long})(first + row) * units + u;",
        f"dh[at] = {'g_h[at]' if 'g_h' in given else '0'};",
        *([f"dc[at] = {'g_c[at]' if 'g_c' in given else '0'};"] if cell.has_cell else []),
    ]
    text.add(*_own(loop("row", 0, "rows", 1, start), lanes))

    def sweep(first: int, blocks: int, ends: list[str]) -> list[str]:
        """All units: the sum over the slopes of some blocks times the weights, then what becomes of each row's."""
        skipped = f"{first} * units + " if first else ""
        column = _column(cell, state=True)("k")
        element = f"slopes[(({long})t * batch + first + row) * {cell.count} * units + {skipped}{column}]"
        weight = f"const {t} weight = turned[({long})({skipped}k0 + k) * units + u];"
        sums = [f"acc{r} += tile[{r * DEPTH} + k] * weight;" for r in range(ROWS)]
        body = ["const int u = u0 + lane;", *(f"{t} acc{r} = 0;" for r in range(ROWS))]
        body += _gathered(real.dialect, [weight, *sums], f"{blocks} * units", element, lanes)
        return [*loop("u0", 0, "units", lanes, [*body, *ends]), real.dialect.wide_barrier]

    add = [f"if (u < units && {r} < rows) dh[({long})(first + {r}) * units + u] += acc{r};" for r in range(ROWS)]
    turn = ["const int t = first_step + turn * direction;"]
    for state, name, sequence in (("c", "c_old", "cells"), ("h", "h_old", "hidden")):
        if name in cell.recalls:
            after = f"{sequence} + ({long})(t + direction) * batch * units"
            turn.append(f"{real.pointer(const=True)}{state}_before = turn + 1 < steps ? {after} : {state}0;")
    turn += [
        *_own(loop("row", 0, "rows", 1, _slopes(cell, given, real)), lanes),
        real.dialect.wide_barrier,
    ]
    if cell.late:
        late: list[str] = []
        for r in range(ROWS):
            late += block(f"if (u < units && {r} < rows)", _late_slopes(cell, r, real))
        turn += sweep(cell.early_count, cell.late, late)
    turn += sweep(0, cell.early_count if cell.late else cell.blocks, add)
    text.add(*loop("turn", 0, "steps", 1, turn))
    if ends:
        copies = [f"{name}[at] = {name[:2]}[at];" for name in ends]
        text.add(*_own(loop("row", 0, "rows", 1, [start[0], *copies]), lanes))
    return text.source(-(-sizes.batch // ROWS), lanes)


def _slopes(cell: Cell, given: set[str], real: Real) -> list[str]:
    """The gradients of one unit's slots before their activation; dh is left as what does not pass through them."""
    t = real.type
    lines = [
        f"const {real.long} at = ({real.long})(first + row) * units + u, step = ({real.long})t * batch + first + row;",
        f"const {t} to_h = dh[at]{' + g_hidden[step * units + u]' if 'g_hidden' in given else ''};",
        f"{real.pointer()}slope = slopes + step * {cell.count} * units + u;",
    ]
    if "mask" in given:
        zeros = [f"slope[{k} * units] = 0;" for k in range(cell.count)]
        lines += block("if (!mask[step])", ["dh[at] = to_h;", *zeros, "continue;"])
    if cell.kept:
        lines.append(f"{real.pointer(const=True)}gate = {cell.kept} + step * {cell.count} * units + u;")
        lines += [f"const {t} {name} = gate[{k} * units];" for k, name in enumerate(cell.slots)]
    recalled = {
        "c_old": "c_before[at]",
        "h_old": "h_before[at]",
        "c": "cells[step * units + u]",
        "h": "hidden[step * units + u]",
    }
    lines += [f"const {t} {name} = {value};" for name, value in recalled.items() if name in cell.recalls]
    if cell.has_cell:
        lines.append(f"const {t} dc_now = dc[at];")
    before, slopes, handed_h, handed_c = cell.slopes(real)
    lines += before
    lines += [f"slope[{k} * units] = {value};" for k, value in enumerate(slopes) if value]
    if cell.has_cell:
        lines.append(f"dc[at] = {handed_c};")
    return [*lines, f"dh[at] = {handed_h or 0};"]


def _late_slopes(cell: Cell, r: int, real: Real) -> list[str]:
    """What the gradient of the state let through gives to the slot that let it, and to dh, of one unit of one row."""
    slot, slope, handed = cell.late_slopes(real)
    place = f"(step * {cell.count} + {slot}) * units + u"
    return [
        f"const {real.long} at = ({real.long})(first + {r}) * units + u, step = ({real.long})t * batch + first + {r};",
        f"const {real.type} {cell.slots[slot]} = {cell.kept}[{place}];",
        f"const {real.type} h_old = h_before[at], to_kept = acc{r};",
        f"slopes[{place}] = {slope};",
        f"dh[at] += {handed};",
    ]


def _bias(node: Node, sizes: Sizes, scratch: Scratch, dialect: Dialect) -> Source:
    """The sum of all slopes of each slot, for every place of the bias; a lane per element."""
    cell = sizes.cell
    text = Text(node, "d_bias", dialect)
    text.buffer("d_bias", "output", sizes.dtype, cell.grad_outputs.index("d_bias"))
    text.pieces(scratch, ["slopes"])
    text.sizes({"rows": sizes.rows, "columns": sizes.columns, "wide": sizes.wide, "units": sizes.units})
    t, lanes, size = dialect.types[sizes.dtype], 64, cell.bias_size
    column = _column(cell, state=False)("c")
    if size > cell.blocks:
        column = f"c < columns ? {column} : {_column(cell, state=True)('c - columns')}"
    text.add(
        f"const int c = (int){dialect.item};",
        f"if (c >= {size} * units) return;",
        f"const int column = {column};",
        f"{t} sum = 0;",
    )
    add = f"sum += slopes[({dialect.types['int64']})r * wide + column];"
    text.add(*loop("r", 0, "rows", 1, [add]), "d_bias[c] = sum;")
    return text.source(-(-size * sizes.units // lanes), lanes)
