"""Statements on whole OpenCL vectors: what a work-item computes that is a CPU core, many elements at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kcore.codegen.dialect import Dialect, compute_dtype, kind_of, own
from kcore.codegen.group import Statements
from kcore.dtypes import itemsize
from kcore.graph.core import Node, Value

#: Functions of op expressions whose OpenCL namesake takes vectors, and means the same.
_BUILTIN = frozenset(
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf exp exp2 expm1 fabs floor fmod hypot "
    "isfinite isinf isnan log log10 log1p log2 nextafter pow rint rsqrt sin sinh sqrt tan tanh trunc".split()
)

#: Helpers with NumPy's meaning, as `kcore.codegen.dialect.HELPERS`, for vectors: name -> kind of dtype -> C text.
_HELPERS: Mapping[str, Mapping[str, str]] = {
    "max": {
        "float": "{T} {name}({T} a, {T} b) {{ return ((a > b) | (a != a)) ? a : b; }}",
        "int": "{T} {name}({T} a, {T} b) {{ return a > b ? a : b; }}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return a > b ? a : b; }}",
    },
    "min": {
        "float": "{T} {name}({T} a, {T} b) {{ return ((a < b) | (a != a)) ? a : b; }}",
        "int": "{T} {name}({T} a, {T} b) {{ return a < b ? a : b; }}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return a < b ? a : b; }}",
    },
    "sign": {
        "float": "{T} {name}({T} a) {{\n    const {T} zero = ({T})(0);\n"
        "    return a > zero ? ({T})(1) : a < zero ? ({T})(-1) : a == zero ? zero : a;\n}}",
        "int": "{T} {name}({T} a) {{\n    const {T} zero = ({T})(0);\n"
        "    return a > zero ? ({T})(1) : a < zero ? ({T})(-1) : zero;\n}}",
        "unsigned": "{T} {name}({T} a) {{ return a > ({T})(0) ? ({T})(1) : ({T})(0); }}",
    },
    "fabs": {
        "int": "{T} {name}({T} a) {{ return a < ({T})(0) ? -a : a; }}",
        "unsigned": "{T} {name}({T} a) {{ return a; }}",
    },
}

_HALF = """\
static inline float{w} round_float16_x{w}(const float{w} value) {{
    ushort bits[{w}];
    vstore_half{w}_rte(value, 0, (half *)bits);
    return vload_half{w}(0, (const half *)bits);
}}
"""

_BFLOAT16 = """\
static inline float{w} load_bfloat16_x{w}(const ushort{w} bits) {{ return as_float{w}(convert_uint{w}(bits) << 16); }}
static inline ushort{w} store_bfloat16_x{w}(const float{w} value) {{
    const uint{w} bits = as_uint{w}(value);
    const uint{w} nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // halves to even
    return convert_ushort{w}(value != value ? (bits >> 16) | 64 : nearest);
}}
static inline float{w} round_bfloat16_x{w}(const float{w} value) {{
    return load_bfloat16_x{w}(store_bfloat16_x{w}(value));
}}
"""

_CONDITION = "{0} ? {1} : {2}"
_CAST = "{dtype}"
_CALL = re.compile(r"[a-z_]\w*(?=\s*\()")


def can_widen(nodes: Iterable[Node]) -> bool:
    """Whether all expressions mean the same on vectors."""
    return all(_widens(node) for node in nodes)


def _widens(node: Node) -> bool:
    template = node.op.expr
    if template is None:
        return False
    if template == _CONDITION or _CAST in template:
        return True
    kind = kind_of(compute_dtype(node.sources[0].dtype))
    for name in _CALL.findall(template):
        helper = kind in _HELPERS.get(name, ())
        if not helper and (name not in _BUILTIN or kind != "float"):
            return False
    bare = re.sub(r"\{\d\}|!= 0\b", "", template)
    return not re.search(r"[?\d{]", bare)


class WideStatements(Statements):
    """As `Statements`, with every value a vector of `width` elements; truth values are vectors of unsigned char.

    Only for dialects with wide vectors (OpenCL C) and for nodes that `can_widen`.
    """

    def __init__(self, dialect: Dialect, number: Mapping[Node, int], width: int):
        super().__init__(dialect, number)
        self.width = width

    def type(self, dtype: str) -> str:
        """Vector type in which values of that dtype are computed."""
        return f"{self.dialect.type(dtype)}{self.width}"

    def load(self, dtype: str, pointer: str, index: str) -> str:
        """The vector that begins at an element."""
        self.uses(dtype)
        w = self.width
        at = pointer if index == "0" else f"{pointer} + {index}"
        if dtype == "float16":
            return f"vload_half{w}(0, {at})"
        if dtype == "bfloat16":
            return f"load_bfloat16_x{w}(vload{w}(0, {at}))"
        return f"vload{w}(0, {at})"

    def store(self, dtype: str, pointer: str, index: str, value: str) -> str:
        """A statement that writes a vector to where an element begins."""
        self.uses(dtype)
        w = self.width
        at = pointer if index == "0" else f"{pointer} + {index}"
        if dtype == "float16":
            return f"vstore_half{w}_rte({value}, 0, {at});"
        if dtype == "bfloat16":
            return f"vstore{w}(store_bfloat16_x{w}({value}), 0, {at});"
        return f"vstore{w}({value}, 0, {at});"

    def everywhere(self, scalar: str, dtype: str) -> str:
        """A vector of one value."""
        return f"({self.type(dtype)})({scalar})"

    def operand(self, value: Value, names: Mapping[Value, str]) -> str:
        known = names.get(value)
        if known is not None:
            return known
        text = super().operand(value, names)
        return self.everywhere(text[1:-1] if text.startswith("(") else text, value.dtype)

    def expression(self, node: Node, operands: Sequence[str]) -> str:
        if node.op.expr == _CONDITION:
            condition, target = node.sources[0].dtype, node.outputs[0].dtype
            truth = f"{operands[0]} != {self.everywhere('0', condition)}"
            if _mask(condition) != _mask(target):
                truth = f"convert_{_mask(target)}{self.width}({truth})"
            else:
                truth = f"({truth})"
            return f"{truth} ? {operands[1]} : {operands[2]}"
        return super().expression(node, operands)

    def filled(
        self, template: str, operands: Sequence[str], source: str, target: str, attrs: Mapping[str, Any] | None = None
    ) -> str:
        template = template.replace("!= 0", f"!= {self.everywhere('0', source)}")
        return super().filled(template, operands, source, target, attrs)

    def called(self, name: str, dtype: str) -> tuple[str, str | None]:
        text = own(_HELPERS, name, compute_dtype(dtype))
        if text is None:
            return name, None
        helper = f"{name}_{self.type(dtype)}"
        return helper, self.dialect.function + " " + text.format(T=self.type(dtype), name=helper, f="")

    def truth(self, text: str, source: str, known: bool) -> str:
        if not known:
            text = f"({text}) != {self.everywhere('0', source)}"
        return f"convert_{self.type('bool')}(-({text}))"  # a true element of a comparison is -1

    def converted(self, operand: str, source: str, target: str) -> str:
        if target == "bool":
            return operand if source == "bool" else self.truth(operand, source, False)
        self.uses(target)
        same = compute_dtype(source) == compute_dtype(target)
        text = operand if same else f"convert_{self.type(target)}({operand})"
        rounder = self.dialect.rounds.get(target)
        return f"{rounder}_x{self.width}({text})" if rounder and source != target else text

    def join(self, scalar: Statements) -> WideStatements:
        """Take over what other statements of the same kernel need."""
        self.helpers.update(scalar.helpers)
        self.dtypes.update(scalar.dtypes)
        return self

    def prelude_of(self, dtype: str) -> list[str]:
        own = {"float16": _HALF, "bfloat16": _BFLOAT16}.get(dtype)
        text = [own.format(w=self.width).rstrip("\n")] if own else []
        return super().prelude_of(dtype) + text


def _mask(dtype: str) -> str:
    """The element type of what a comparison of vectors gives."""
    return {1: "char", 2: "short", 4: "int", 8: "long"}[itemsize(compute_dtype(dtype))]
