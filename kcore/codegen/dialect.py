"""What differs between OpenCL C and CUDA C: qualifiers, indices, barrier, types, vectors, math names, extensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kcore.codegen.rational import rational
from kcore.dtypes import is_float, is_unsigned, numpy_dtype


def compute_dtype(dtype: str) -> str:
    """The dtype a value is held in while a kernel works on it: 16-bit floats are only stored."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def own(helpers: Mapping[str, Mapping[str, str]], name: str, dtype: str) -> str | None:
    """C text of a function that is not the language's own for a dtype that is computed in: a quotient, or a helper."""
    quotient = rational(name) if dtype == "float32" else None
    return quotient or helpers.get(name, {}).get(kind_of(dtype))


def kind_of(dtype: str) -> str:
    """``"float"``, ``"int"`` or ``"unsigned"`` (bool is unsigned)."""
    if is_float(dtype):
        return "float"
    return "unsigned" if dtype == "bool" or is_unsigned(dtype) else "int"


@dataclass(frozen=True, eq=False)
class Dialect:
    """One C-family language, as a table.

    Attributes:
        name: ``"opencl"`` or ``"cuda"``.
        kernel: head of a kernel, with ``{name}`` and ``{local}`` (work-items per group).
        function: qualifiers of a helper function.
        memory: qualifier of a pointer into device memory.
        shared: qualifier of an array that a work-group shares.
        constant: qualifier of a table that never changes, outside of all functions.
        group, lane, item: index of the work-group, of the work-item in it, and of the work-item among all.
        barrier: all work-items of a group wait here, and then see each other's shared writes.
        wide_barrier: the same for writes to device memory as well.
        atomic_or: function of (address of a shared int, bits).
        addresses: whether a pointer can be kept in memory as a number. If not, a segmented group finds its arrays as
            (base buffer, byte offset).
        types: C type of each dtype.
        suffix: what a math function's name ends with for float32.
        infinity, nan: those numbers as float32.
        loads, stores: templates over ``{p}``, ``{i}``, ``{v}`` for dtypes that are not read and written plainly.
        rounds: dtype -> helper that rounds a float32 to what that dtype can hold.
        vectors: (dtype, width) -> vector type.
        vector_load, vector_store: templates over ``{t}``, ``{w}``, ``{p}``, ``{i}``, ``{v}``.
        preludes: dtype -> text that must stand before any kernel which uses it.
        wide: whether there are vectors of 16 with arithmetic and functions of their own.
    """

    name: str
    kernel: str
    function: str
    memory: str
    shared: str
    constant: str
    group: str
    lane: str
    item: str
    barrier: str
    wide_barrier: str
    atomic_or: str
    addresses: bool
    types: Mapping[str, str]
    suffix: str
    infinity: str
    nan: str
    loads: Mapping[str, str]
    stores: Mapping[str, str]
    rounds: Mapping[str, str]
    vectors: Mapping[tuple[str, int], str]
    vector_load: str
    vector_store: str
    preludes: Mapping[str, str] = field(default_factory=dict)
    wide: bool = False

    def type(self, dtype: str) -> str:
        """C type in which a value of that dtype is computed."""
        return self.types[compute_dtype(dtype)]

    def pointer(self, dtype: str, const: bool) -> str:
        """Pointer type, ready for a name: ``__global const float *``."""
        return " ".join(p for p in (self.memory, "const" if const else "", self.types[dtype], "*") if p)

    def load(self, dtype: str, pointer: str, index: str) -> str:
        return self.loads.get(dtype, "{p}[{i}]").format(p=pointer, i=index)

    def store(self, dtype: str, pointer: str, index: str, value: str) -> str:
        return self.stores.get(dtype, "{p}[{i}] = {v}").format(p=pointer, i=index, v=value) + ";"

    def literal(self, value: Any, dtype: str) -> str:
        """A number as C text of exactly that value; negative ones stand in parentheses."""
        dtype = compute_dtype(dtype)
        number = numpy_dtype(dtype).type(value)
        if dtype == "bool":
            return "1" if number else "0"
        if not is_float(dtype):
            return self._integer(int(number), dtype)
        if math.isnan(number):
            text = self.nan
        elif math.isinf(number):
            text = self.infinity
        else:
            text = str(np.abs(number)) + ("f" if dtype == "float32" else "")
        return f"(-{text})" if number < 0 or (number == 0 and math.copysign(1, number) < 0) else text

    def _integer(self, number: int, dtype: str) -> str:
        suffix = ("u" if is_unsigned(dtype) else "") + (
            ("L" if self.types["int64"] == "long" else "LL") if dtype.endswith("64") else ""
        )
        if number >= 0:
            return f"{number}{suffix}"
        if number in (-(2**31), -(2**63)):  # C has no such literal
            return f"(-{-number - 1}{suffix} - 1)"
        return f"(-{-number}{suffix})"

    def call(self, name: str, dtype: str) -> tuple[str, str | None]:
        """What a function named in an op's expression is called here, and the helper that defines it, if any."""
        dtype = compute_dtype(dtype)
        text = own(HELPERS, name, dtype)
        if text is not None:
            ctype = self.types[dtype]
            helper = f"{name}_{ctype.replace(' ', '_')}"
            unsigned = self.types[dtype if kind_of(dtype) != "int" else "u" + dtype]
            math_suffix = self.suffix if dtype == "float32" else ""
            return helper, self.function + " " + text.format(T=ctype, U=unsigned, name=helper, f=math_suffix)
        if name.startswith("is"):
            return name, None
        return (name + self.suffix if dtype == "float32" else name), None


#: Functions of op expressions that C does not have, or not with NumPy's meaning (those that it has, and that are ours
#: none the less, are in `kcore.codegen.rational`): name -> kind of dtype -> C text.
#: NaN wins in max and min; mod and floor division follow the divisor's sign; integer division by zero gives 0.
HELPERS: Mapping[str, Mapping[str, str]] = {
    "max": {
        "float": "{T} {name}({T} a, {T} b) {{ return a > b || a != a ? a : b; }}",
        "int": "{T} {name}({T} a, {T} b) {{ return a > b ? a : b; }}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return a > b ? a : b; }}",
    },
    "min": {
        "float": "{T} {name}({T} a, {T} b) {{ return a < b || a != a ? a : b; }}",
        "int": "{T} {name}({T} a, {T} b) {{ return a < b ? a : b; }}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return a < b ? a : b; }}",
    },
    "sign": {
        "float": "{T} {name}({T} a) {{ return a != a ? a : ({T})((a > 0) - (a < 0)); }}",
        "int": "{T} {name}({T} a) {{ return ({T})((a > 0) - (a < 0)); }}",
        "unsigned": "{T} {name}({T} a) {{ return ({T})(a > 0); }}",
    },
    "fabs": {
        "int": "{T} {name}({T} a) {{ return ({T})(a < 0 ? -a : a); }}",
        "unsigned": "{T} {name}({T} a) {{ return a; }}",
    },
    "pymod": {
        "float": "{T} {name}({T} a, {T} b) {{\n    const {T} r = fmod{f}(a, b);\n"
        "    return r != 0 ? ((r < 0) != (b < 0) ? r + b : r) : copysign{f}(r, b);\n}}",
        "int": "{T} {name}({T} a, {T} b) {{\n    if (b == 0 || b == -1) return 0;\n"
        "    const {T} r = a % b;\n    return r != 0 && (r < 0) != (b < 0) ? r + b : r;\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return b == 0 ? 0 : a % b; }}",
    },
    "pyfloordiv": {
        "float": "{T} {name}({T} a, {T} b) {{\n    if (b == 0) return a / b;\n    const {T} r = fmod{f}(a, b);\n"
        "    const {T} q = (a - r) / b - (r != 0 && (r < 0) != (b < 0) ? 1 : 0);\n"
        "    const {T} whole = floor{f}(q);\n"
        "    return q == 0 ? copysign{f}(({T})0, a / b) : q - whole > ({T})0.5 ? whole + 1 : whole;\n}}",
        "int": "{T} {name}({T} a, {T} b) {{\n    if (b == 0) return 0;\n    if (b == -1) return ({T})(0 - ({U})a);\n"
        "    const {T} q = a / b;\n    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return b == 0 ? 0 : a / b; }}",
    },
    "pow": {
        "int": "{T} {name}({T} a, {T} b) {{\n    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;\n"
        "    {U} result = 1, base = ({U})a;\n"
        "    for (; b > 0; b /= 2, base *= base)\n        if (b % 2) result *= base;\n    return ({T})result;\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{\n    {T} result = 1;\n"
        "    for (; b > 0; b /= 2, a *= a)\n        if (b % 2) result *= a;\n    return result;\n}}",
    },
    "shift_left": {
        "int": "{T} {name}({T} a, {T} b) {{\n"
        "    return b < 0 || b >= (int)(8 * sizeof({T})) ? ({T})0 : ({T})(({U})a << b);\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return b >= 8 * sizeof({T}) ? ({T})0 : ({T})(a << b); }}",
    },
    "shift_right": {
        "int": "{T} {name}({T} a, {T} b) {{\n"
        "    return b < 0 || b >= (int)(8 * sizeof({T})) ? ({T})(a < 0 ? -1 : 0) : ({T})(a >> b);\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{ return b >= 8 * sizeof({T}) ? ({T})0 : ({T})(a >> b); }}",
    },
    "gcd": {
        "int": "{T} {name}({T} a, {T} b) {{\n    {U} x = a < 0 ? ({U})(0 - ({U})a) : ({U})a;\n"
        "    {U} y = b < 0 ? ({U})(0 - ({U})b) : ({U})b;\n"
        "    while (y) {{ const {U} rest = x % y; x = y; y = rest; }}\n    return ({T})x;\n}}",
        "unsigned": "{T} {name}({T} a, {T} b) {{\n"
        "    while (b) {{ const {T} rest = a % b; a = b; b = rest; }}\n    return a;\n}}",
    },
}

_BFLOAT16 = """\
{function} float load_bfloat16(const {ushort} bits) {{ return {as_float}(({uint})bits << 16); }}
{function} {ushort} store_bfloat16(const float value) {{
    const {uint} bits = {as_uint}(value);
    if (value != value) return ({ushort})((bits >> 16) | 64);
    return ({ushort})((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);  // to nearest, halves to even
}}
{function} float round_bfloat16(const float value) {{ return load_bfloat16(store_bfloat16(value)); }}
"""

OPENCL = Dialect(
    name="opencl",
    kernel="__kernel __attribute__((reqd_work_group_size({local}, 1, 1)))\nvoid {name}",
    function="static inline",
    memory="__global",
    shared="__local",
    constant="__constant",
    group="get_group_id(0)",
    lane="get_local_id(0)",
    item="get_global_id(0)",
    barrier="barrier(CLK_LOCAL_MEM_FENCE);",
    wide_barrier="barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);",
    atomic_or="atomic_or",
    addresses=False,
    types={
        "bool": "uchar", "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
        "int8": "char", "int16": "short", "int32": "int", "int64": "long",
        "bfloat16": "ushort", "float16": "half", "float32": "float", "float64": "double",
    },
    suffix="",
    infinity="INFINITY",
    nan="NAN",
    loads={"float16": "vload_half({i}, {p})", "bfloat16": "load_bfloat16({p}[{i}])"},
    stores={"float16": "vstore_half_rte({v}, {i}, {p})", "bfloat16": "{p}[{i}] = store_bfloat16({v})"},
    rounds={"float16": "round_float16", "bfloat16": "round_bfloat16"},
    vectors={
        (dtype, width): f"{ctype}{width}"
        for dtype, ctype in (("float32", "float"), ("float64", "double"), ("int32", "int"), ("uint32", "uint"))
        for width in (2, 4)
    },
    vector_load="vload{w}(0, {p} + {i})",
    vector_store="vstore{w}(({t})({v}), 0, {p} + {i});",
    preludes={
        "float64": "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n",
        # vload_half and vstore_half need no extension: half is only stored, arithmetic is float's
        "float16": "static inline float round_float16(const float value) {\n    ushort bits;\n"
        "    vstore_half_rte(value, 0, (half *)&bits);\n    return vload_half(0, (const half *)&bits);\n}\n",
        "bfloat16": _BFLOAT16.format(
            function="static inline", ushort="ushort", uint="uint", as_float="as_float", as_uint="as_uint"
        ),
    },
    wide=True,
)  # fmt: skip

CUDA = Dialect(
    name="cuda",
    kernel='extern "C" __global__ __launch_bounds__({local})\nvoid {name}',
    function="static __device__ __forceinline__",
    memory="",
    shared="__shared__",
    constant="__constant__",
    group="blockIdx.x",
    lane="threadIdx.x",
    item="(blockIdx.x * (size_t)blockDim.x + threadIdx.x)",
    barrier="__syncthreads();",
    wide_barrier="__syncthreads();",
    atomic_or="atomicOr",
    addresses=True,
    types={
        "bool": "unsigned char", "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int",
        "uint64": "unsigned long long", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
        "bfloat16": "unsigned short", "float16": "__half", "float32": "float", "float64": "double",
    },
    suffix="f",
    infinity="__int_as_float(0x7f800000)",
    nan="__int_as_float(0x7fffffff)",
    loads={"float16": "__half2float({p}[{i}])", "bfloat16": "load_bfloat16({p}[{i}])"},
    stores={"float16": "{p}[{i}] = __float2half_rn({v})", "bfloat16": "{p}[{i}] = store_bfloat16({v})"},
    rounds={"float16": "round_float16", "bfloat16": "round_bfloat16"},
    vectors={
        ("float32", 2): "float2", ("float32", 4): "float4", ("float64", 2): "double2",
        ("int32", 2): "int2", ("int32", 4): "int4", ("uint32", 2): "uint2", ("uint32", 4): "uint4",
    },
    vector_load="*(const {t} *)({p} + {i})",
    vector_store="*({t} *)({p} + {i}) = make_{t}({v});",
    preludes={
        "float16": "#include <cuda_fp16.h>\n"
        "static __device__ __forceinline__ float round_float16(const float value) "
        "{ return __half2float(__float2half_rn(value)); }\n",
        "bfloat16": _BFLOAT16.format(
            function="static __device__ __forceinline__", ushort="unsigned short", uint="unsigned int",
            as_float="__uint_as_float", as_uint="__float_as_uint",
        ),
    },
)  # fmt: skip
