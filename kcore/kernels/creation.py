"""Arrays made from nothing: of one value, of indices, of numbers known when the graph was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from kcore.backend.kernel import Site, Thunk
from kcore.codegen import Argument, Code, Source
from kcore.codegen.group import Group, Statements, indented
from kcore.codegen.signature import index_dtype
from kcore.graph.core import Node
from kcore.kernels.movement import Block, moves
from kcore.kernels.shape import bits, movement
from kcore.kernels.table import bound, generated, home
from kcore.kernels.traits import Traits


@movement("full")
def full(node: Node) -> list[Block]:
    """One value everywhere."""
    out = node.outputs[0]
    return [Block((out.size,), (1,), input=None, value=bits(node.attrs["value"], out.dtype))]


def constant_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """A copy of the numbers, which were uploaded once."""
    return moves(node, [Block((node.outputs[0].size,), (1,), (1,))], traits)


@bound("constant", emit=constant_code)
def constant(site: Site) -> Thunk:
    """Uploaded once, and copied from there."""
    backend, node = home(site), site.node
    value = node.attrs["value"]
    array = backend.empty(node.outputs[0].shape, value.dtype, site.device)
    backend.upload(array, value.array)
    return backend.bind(replace(site, inputs=(array,)), constant_code(node, backend.traits(site.device)))


@generated("iota")
def iota_code(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """Each element's index along an axis: what lies behind the axis is repeated, what lies before repeats it all."""
    d, out = traits.dialect, node.outputs[0]
    shape, axis = out.shape, node.attrs["axis"]
    index = index_dtype(out.size + 4096)
    ctype = d.types[index]
    group = Group([node], [], [])
    statements = Statements(d, {})
    value = statements.converted("(i / inner % steps)", index, out.dtype)
    statements.uses(out.dtype)
    sizes = {"n": out.size, "inner": prod(shape[axis + 1 :]), "steps": shape[axis]}
    local = 64 if traits.cpu else 256
    lines = [
        *group.comment,
        *statements.prelude(),
        d.kernel.format(name=group.name, local=local) + "(",
        f"    {d.pointer(out.dtype, const=False)}y,",
        f"    const {d.types['int64']} y_start,",
        ",\n".join(f"    const {ctype} {name}" for name in sizes) + ")",
        "{",
        "    y += y_start;",
        f"    const {ctype} i = ({ctype}){d.group} * {local} + ({ctype}){d.lane};",
        "    if (i < n)",
        *indented([d.store(out.dtype, "y", "i", value)], 2),
        "}",
        "",
    ]
    arguments = (
        Argument("y", "output", out.dtype),
        Argument("y_start", "start", "int64", 0),
        *(Argument(name, "size", index, value=n) for name, n in sizes.items()),
    )
    groups = -(-out.size // local)
    return Code((Source(group.name, "\n".join(lines), arguments, local, groups, d.name),))
