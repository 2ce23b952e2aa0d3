"""The table that `summary()` prints: layers, output shapes, parameters, connections."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from kcore.dtypes import itemsize
from kcore.models.calls import OpCall
from kcore.models.functional import Functional
from kcore.tree import flatten, is_nested

#: Columns of a summary on a terminal that says it is narrower, or says nothing of use.
NARROWEST = 40


def count_params(weights: Sequence[Any]) -> int:
    """Number of scalars in some weights."""
    return sum(math.prod(w.shape) for w in weights)


def memory_size(weights: Sequence[Any]) -> int:
    """Bytes some weights take, each counted once."""
    return sum(math.prod(w.shape) * itemsize(w.dtype) for w in {id(w): w for w in weights}.values())


def readable_size(nbytes: float) -> str:
    """Bytes in the unit that suits them.

    Example:
        >>> readable_size(104), readable_size(4400)
        ('104.00 B', '4.30 KB')
    """
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if nbytes < 1024:
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.2f} PB"


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: tuple[str, str] | None = None,
) -> None:
    """Print the summary of a model; see `Model.summary`."""
    from rich.console import Console
    from rich.table import Column, Table

    is_graph = isinstance(model, Functional)
    layers = model.operations if is_graph else model.layers
    chain = not is_graph or _is_chain(model)
    header = ["Layer (type)", "Output Shape", "Param #"]
    alignment = ["left", "left", "right"]
    width, ends = (88, [0.45, 0.80, 1.0]) if chain else (108, [0.3, 0.56, 0.74, 1.0])
    if not chain:
        header.append("Connected to")
        alignment.append("left")
    if positions is not None and (len(positions) != len(header) or list(positions) != sorted(positions)):
        raise ValueError(
            f"positions={positions!r}: expected {len(header)} rising shares of the line, one for each of "
            f"{', '.join(header)}"
        )
    ends = list(positions or ends)
    if show_trainable:
        width += 12
        ends = [end * 0.9 for end in ends] + [1.0]
        header.append("Trainable")
        alignment.append("center")
    width = line_length or max(NARROWEST, min(width, shutil.get_terminal_size().columns - 4))
    edges = [0, *(int(end * width) for end in ends)]
    widths = [right - left for left, right in zip(edges, edges[1:], strict=False)]
    if min(widths) < 4:
        raise ValueError(f"a summary needs a wider line than {width}")
    columns = [Column(h, justify=a, width=w) for h, a, w in zip(header, alignment, widths, strict=False)]  # type: ignore[arg-type]
    table = Table(*columns, width=width, show_lines=True)
    first, last = _range(layers, layer_range)
    for layer in layers[first:last]:
        for row in _rows(model, layer, chain, expand_nested, show_trainable, 0):
            table.add_row(*row)
    # A line length that was asked for is kept, also where the terminal is narrower.
    room = max(line_length or NARROWEST, shutil.get_terminal_size().columns)
    console = (
        Console(highlight=False, force_terminal=False, color_system=None, width=room)
        if print_fn
        else Console(highlight=False, width=room)
    )
    with console.capture() as captured:
        console.print(f'[bold]Model: "{_escape(model.name)}"[/]')
        console.print(table)
        for line in _totals(model):
            console.print(line)
    (print_fn or _write)(captured.get())


def _write(text: str) -> None:
    print(text, end="")


def _totals(model: Any) -> list[str]:
    trainable, fixed = model.trainable_weights, model.non_trainable_weights
    optimizer = model.optimizer.variables if model.optimizer is not None and model.optimizer.built else []
    lines = [("Total", [*trainable, *fixed, *optimizer]), ("Trainable", trainable), ("Non-trainable", fixed)]
    if optimizer:
        lines.append(("Optimizer", optimizer))
    return [
        f"[bold] {name} params: [/][color(34)]{count_params(w):,}[/] ({readable_size(memory_size(w))})"
        for name, w in lines
    ]


def _is_chain(model: Functional) -> bool:
    """Whether the model is one layer after the other."""
    for group in model._graph.by_depth:
        if len(group) > 1 or len(group[0].inputs) > 1:
            return False
    return len(model._graph.calls) == len(model._graph.operations)


def _rows(model: Any, layer: Any, chain: bool, nested: bool, trainable: bool, level: int) -> list[list[str]]:
    prefix = "   " * level + "└ " if level else ""
    kind = layer.op.name if isinstance(layer, OpCall) else type(layer).__name__
    params = "[color(34)]0[/] (unbuilt)" if not layer.built else f"[color(34)]{layer.count_params():,}[/]"
    row = [f"{_escape(prefix + layer.name)} ([color(33)]{_escape(kind)}[/])", _shape(model, layer), params]
    if not chain:
        row.append(_connections(model, layer))
    if trainable:
        weights = getattr(layer, "weights", ())
        row.append(
            "[bold]-[/]"
            if not weights
            else "[bold][color(34)]Y[/][/]"
            if layer.trainable
            else "[bold][color(9)]N[/][/]"
        )
    rows = [row]
    if nested:
        for inner in getattr(layer, "layers", ()):
            rows += _rows(model, inner, chain, nested, trainable, level + 1)
    return rows


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _shape(model: Any, layer: Any) -> str:
    """The output shape of a layer's last call, or what it would be for the shape it was built for."""
    if isinstance(layer, OpCall):
        outputs = [call.structure for call in model._graph.calls_of(layer)][-1]
    elif layer._records:
        outputs = layer._records[-1].outputs
    elif layer._build_shapes and layer.built:
        try:
            return _format_shape(layer.compute_output_shape(*layer._build_shapes.values()))
        except (NotImplementedError, TypeError, ValueError):
            return "?"
    else:
        return "?"
    flat = flatten(outputs)
    if len(flat) == 1:
        return _format_shape(flat[0].shape)
    if isinstance(outputs, dict):
        return "{" + ", ".join(f"{key}: {_format_shape(value.shape)}" for key, value in outputs.items()) + "}"
    texts = ", ".join(_format_shape(x.shape) for x in flat)
    return f"\\[{texts}]" if isinstance(outputs, list) else f"({texts})"


def _format_shape(shape: Any) -> str:
    if is_nested(shape) and any(is_nested(part) for part in shape):
        return "?"
    return "(" + ", ".join(f"[color(45)]{d}[/]" if d is None else f"[color(34)]{d}[/]" for d in shape) + ")"


def _connections(model: Functional, layer: Any) -> str:
    """Where a layer's inputs come from: ``dense[0][0]`` is the first output of the first call of `dense`."""
    graph = model._graph
    if layer not in graph.operations:
        return "-"
    sources = []
    for call in graph.calls_of(layer):
        for tensor in () if call.is_input else call.inputs:
            source, place = graph.producer(tensor)
            sources.append(f"{_escape(source.operation.name)}\\[[color(34)]{source.index}[/]]\\[[color(34)]{place}[/]]")
    return ", ".join(sources) or "-"


def _range(layers: Sequence[Any], names: tuple[str, str] | None) -> tuple[int, int]:
    if names is None:
        return 0, len(layers)
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"layer_range must be a pair of names or patterns, received {names!r}")
    firsts = [i for i, layer in enumerate(layers) if re.match(names[0], layer.name)]
    lasts = [i for i, layer in enumerate(layers) if re.match(names[1], layer.name)]
    if not firsts or not lasts:
        raise ValueError(f"layer_range {names!r} matches no layer of {[layer.name for layer in layers]}")
    if min(firsts) > max(lasts):  # given the other way round
        firsts, lasts = lasts, firsts
    return min(firsts), max(lasts) + 1
