"""Patterns: small trees of ops that one kernel computes, and the pass that finds them in a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS, Op, Sample


@dataclass(frozen=True)
class Term:
    """One op of a pattern; arguments are other terms or names of the pattern's inputs."""

    ops: tuple[str, ...]
    args: tuple[Term | str, ...]
    label: str = ""
    attrs: tuple[tuple[str, Any], ...] = ()

    def size(self) -> int:
        return 1 + sum(a.size() for a in self.args if isinstance(a, Term))


def term(ops: str | Sequence[str], *args: Term | str, label: str = "", **attrs: Any) -> Term:
    """A pattern term: ``term("add", term("matmul", "x", "w"), "b")``.

    Args:
        ops: the op, or several of which any will do.
        args: sub-terms, or names that capture a value (the same name twice must be the same value).
        label: key under which the matched op's name and attributes stand in the fused node's attributes;
            the first op's name if not given.
        attrs: attributes that must have these values.
    """
    names = (ops,) if isinstance(ops, str) else tuple(ops)
    return Term(names, args, label or names[0], tuple(sorted(attrs.items())))


class Pattern:
    """A tree of ops replaced by one fused node.

    The fused node's inputs are the captured values in order of `inputs`; its attrs hold, for each label, a tuple
    ``(op name, attributes)``. A value inside the pattern that something else reads prevents the match.

    Args:
        name: name of the fused op, e.g. ``"dense_bias_relu"``.
        root: the tree; its last op's output is the fused node's output.
        accepts: further condition on the dict of captured values and the list of matched nodes.
        samples: conformance samples of the fused op (inputs in the pattern's order).
    """

    def __init__(
        self,
        name: str,
        root: Term,
        accepts: Callable[[dict[str, Value], dict[str, Node]], bool] | None = None,
        samples: Sequence[Sample] = (),
    ):
        self.name = name
        self.root = root
        self.accepts = accepts
        self.size = root.size()
        self.inputs: tuple[str, ...] = tuple(dict.fromkeys(_names(root)))
        self.commutes = frozenset({"add", "multiply", "maximum", "minimum"})
        self.op = Op(name, self._decompose, primitive=False, family="fused", inputs=self.inputs, samples=samples)

    def _decompose(self, *inputs: Any, **attrs: Any) -> Any:
        """Run the ops the pattern stands for."""
        captured = dict(zip(self.inputs, inputs, strict=True))

        def build(t: Term | str) -> Any:
            if isinstance(t, str):
                return captured[t]
            op, op_attrs = attrs.get(t.label, (t.ops[0], dict(t.attrs)))
            return OPS[op](*map(build, t.args), **op_attrs)

        return build(self.root)

    def match(
        self, node: Node, uses: dict[Value, int], producers: dict[Value, Node]
    ) -> tuple[dict[str, Value], dict[str, Node]] | None:
        """Captured values and matched nodes by label if `node` is the root of this pattern."""
        captured: dict[str, Value] = {}
        matched: dict[str, Node] = {}
        if not self._match(self.root, node, captured, matched, uses, producers):
            return None
        if self.accepts is not None and not self.accepts(captured, matched):
            return None
        return captured, matched

    def _match(self, t: Term, node: Node, captured: dict, matched: dict, uses: dict, producers: dict) -> bool:
        if (
            node.op.name not in t.ops
            or any(node.attrs.get(k) != v for k, v in t.attrs)
            or len(node.inputs) != len(t.args)
        ):
            return False
        orders = [node.inputs]
        if node.op.name in self.commutes and len(node.inputs) == 2:
            orders.append(node.inputs[::-1])
        for inputs in orders:
            trial_captured, trial_matched = dict(captured), {**matched, t.label: node}
            if all(
                self._match_arg(a, v, trial_captured, trial_matched, uses, producers)
                for a, v in zip(t.args, inputs, strict=True)
            ):
                captured.update(trial_captured)
                matched.update(trial_matched)
                return True
        return False

    def _match_arg(
        self, arg: Term | str, value: Value | None, captured: dict, matched: dict, uses: dict, producers: dict
    ) -> bool:
        if value is None:
            return False
        if isinstance(arg, str):
            return captured.setdefault(arg, value) is value
        inner = producers.get(value)
        if inner is None or uses.get(value, 0) != 1 or any(v is not value and uses.get(v, 0) for v in inner.outputs):
            return False
        return self._match(arg, inner, captured, matched, uses, producers)


def _names(t: Term) -> list[str]:
    found: list[str] = []
    for arg in t.args:
        found += [arg] if isinstance(arg, str) else _names(arg)
    return found


def fuse_patterns(graph: Graph, kernels: Sequence[Any], chosen: Callable[[Node], Any] = lambda node: None) -> int:
    """Replace, in place, every match of a pattern kernel that supports it by one fused node; return how many.

    `kernels` are tried in order (highest priority and largest pattern first).
    """
    if not kernels:
        return 0
    by_root: dict[str, list[Any]] = {}
    for k in kernels:
        for op in k.pattern.root.ops:
            by_root.setdefault(op, []).append(k)
    if not any(node.op.name in by_root for node in graph.nodes):
        return 0
    uses = graph.uses()
    producers = {v: node for node in graph.nodes for v in node.outputs}
    dead: set[Node] = set()
    replaced: dict[Node, Node] = {}
    renamed: dict[Value, Value] = {}
    for node in reversed(graph.nodes):
        if node in dead:
            continue
        for k in by_root.get(node.op.name, ()):
            found = k.pattern.match(node, uses, producers)
            if found is None:
                continue
            captured, matched = found
            if any(n in dead or n in replaced for n in matched.values()):
                continue
            attrs = {label: (n.op.name, n.attrs) for label, n in matched.items()}
            fused = Node(
                k.pattern.op,
                [captured[i] for i in k.pattern.inputs],
                attrs,
                [v.spec for v in node.outputs],
                node.path,
                node.where,
                node.device,
            )
            if not k.supports(fused):
                continue
            dead.update(n for n in matched.values() if n is not node)
            replaced[node] = fused
            renamed.update(zip(node.outputs, fused.outputs, strict=True))
            break
    if not replaced:
        return 0
    nodes = []
    for node in graph.nodes:
        if node in dead:
            continue
        node = replaced.get(node, node)
        if any(v in renamed for v in node.inputs):
            node.inputs = tuple(renamed.get(v, v) if v is not None else None for v in node.inputs)
        nodes.append(node)
    graph.nodes = nodes
    graph.outputs = [renamed.get(v, v) for v in graph.outputs]
    graph.updates = {k: renamed.get(v, v) for k, v in graph.updates.items()}
    return len(replaced)
