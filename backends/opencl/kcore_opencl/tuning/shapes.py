"""Products and convolutions from texts: ``"matmul 128x784x256"``, ``"conv 32x28x28x64 3x3x64 same"``."""

from __future__ import annotations

import re
from typing import Any

from kcore.errors import KcoreError
from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS

USAGE = (
    "write 'matmul 128x784x256' (rows x inner x columns), 'dense 128x784x256' (that product and its two gradients) or "
    "'conv 32x28x28x64 3x3x32' (images x positions x channels, window x filters; and its two gradients), then what "
    "differs from the usual: transpose_a, transpose_b, same, strides=2, dilation=2, groups=2, float64"
)


def nodes_of(text: str) -> list[Node]:
    """The nodes a text stands for.

    Args:
        text: ``"matmul MxKxN"``, ``"dense MxKxN"`` or ``"conv BxHxWxC hxwxF"`` with options, see `USAGE`.

    Raises:
        KcoreError: the text says something else; the message tells what can be said.

    Example:
        >>> [node.op.name for node in nodes_of("dense 128x784x256")]
        ['matmul', 'matmul', 'matmul']
    """
    kind, *words = text.split() or [""]
    sizes = [tuple(map(int, w.split("x"))) for w in words if re.fullmatch(r"\d+(x\d+)+", w)]
    options = [w for w in words if not re.fullmatch(r"\d+(x\d+)+", w)]
    dtype = next((w for w in options if w in ("float16", "bfloat16", "float32", "float64")), "float32")
    options = [w for w in options if w != dtype]
    try:
        if kind in ("matmul", "dense") and [len(s) for s in sizes] == [3]:
            return _products(kind, sizes[0], dtype, options)
        if kind == "conv" and len(sizes) == 2 and len(sizes[0]) == len(sizes[1]) + 1:
            return _convolutions(sizes[0], sizes[1], dtype, options)
    except ValueError as error:
        raise KcoreError(f"{text!r}: {error}; {USAGE}") from error
    raise KcoreError(f"{text!r} is no shape to tune; {USAGE}")


def _products(kind: str, sizes: tuple[int, ...], dtype: str, options: list[str]) -> list[Node]:
    rows, inner, columns = sizes
    if kind == "matmul":
        attrs = {name: name in options for name in ("transpose_a", "transpose_b")}
        _none_left([w for w in options if w not in attrs])
        a = (inner, rows) if attrs["transpose_a"] else (rows, inner)
        b = (columns, inner) if attrs["transpose_b"] else (inner, columns)
        return [_node("matmul", dtype, a, b, **attrs)]
    _none_left(options)
    return [
        _node("matmul", dtype, (rows, inner), (inner, columns), transpose_a=False, transpose_b=False),
        _node("matmul", dtype, (rows, columns), (inner, columns), transpose_a=False, transpose_b=True),
        _node("matmul", dtype, (rows, inner), (rows, columns), transpose_a=True, transpose_b=False),
    ]


def _convolutions(x: tuple[int, ...], kernel: tuple[int, ...], dtype: str, options: list[str]) -> list[Node]:
    *window, filters = kernel
    numbers = dict.fromkeys(("strides", "dilation", "groups"), 1)
    for word in list(options):
        name, _, value = word.partition("=")
        if name in numbers and value.isdigit() and int(value):
            numbers[name] = int(value)
            options.remove(word)
    _none_left([w for w in options if w not in ("same", "valid")])
    strides, dilation, groups = numbers["strides"], numbers["dilation"], numbers["groups"]
    if x[-1] % groups:
        raise ValueError(f"{x[-1]} channels cannot be divided into {groups} groups")
    padding = []
    for size, taps in zip(x[1:-1], window, strict=True):
        missing = max((-(-size // strides) - 1) * strides + (taps - 1) * dilation + 1 - size, 0)
        padding.append((missing // 2, missing - missing // 2) if "same" in options else (0, 0))
    rank = len(window)
    attrs: dict[str, Any] = {
        "strides": (strides,) * rank,
        "padding": tuple(padding),
        "dilation": (dilation,) * rank,
        "groups": groups,
    }
    weights = (*window, x[-1] // groups, filters)
    forward = _node("conv", dtype, x, weights, **attrs)
    g = forward.outputs[0].shape
    return [
        forward,
        _node("conv_input_grad", dtype, g, weights, input_shape=x, **attrs),
        _node("conv_kernel_grad", dtype, x, g, kernel_shape=weights, **attrs),
    ]


def _node(name: str, dtype: str, *shapes: tuple[int, ...], **attrs: Any) -> Node:
    import kcore.ops  # noqa: F401  (registers the ops)

    graph, op = Graph(), OPS[name]
    inputs: list[Value] = [graph.placeholder(shape, dtype) for shape in shapes]
    return Node(op, inputs, attrs, op.infer(*(v.spec for v in inputs), **attrs))


def _none_left(words: list[str]) -> None:
    if words:
        raise ValueError(f"{words[0]!r} is not known")
