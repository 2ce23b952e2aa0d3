"""Vector loads and stores for PoCL, whose own are function calls: around each of them every register is saved.

PoCL's ``vload16`` and ``vstore16`` come from a library that is not inlined, and a call may overwrite every vector
register, so that sums held in registers are written to memory and read back each time (measured with PoCL 3.0 on
AVX-512: a convolution twice as slow, its kernel gradient four times).
"""

from __future__ import annotations

import re

#: Elements and their bytes.
_TYPES = {
    "char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "long": 8, "ulong": 8, "float": 4, "double": 8,
}  # fmt: skip
_USED = re.compile(r"\bv(?:load|store)(2|4|8|16)\b")
_HEAD = "static inline __attribute__((overloadable, always_inline))"


def inlined(text: str) -> str:
    """OpenCL C with functions of its own in place of ``vloadn`` and ``vstoren``, where it uses them."""
    widths = sorted({int(w) for w in _USED.findall(text)})
    if not widths:
        return text
    types = [t for t in _TYPES if re.search(rf"\b{t}", text)]
    lines = ["#pragma OPENCL EXTENSION cl_khr_fp64 : enable"] if "double" in types else []
    for width in widths:
        for element in types:
            vector = f"{element}{width}"
            lines.append(f"typedef {vector} {vector}_at __attribute__((aligned({_TYPES[element]})));")
            for space in ("__global", "__local", "__private"):
                at = f"{space} {vector}_at *)(p + i * {width})"
                lines.append(f"{_HEAD} {vector} load{width}_at(size_t i, const {space} {element} *p)")
                lines.append(f"{{ return *(const {at}; }}")
                lines.append(f"{_HEAD} void store{width}_at({vector} v, size_t i, {space} {element} *p)")
                lines.append(f"{{ *({at} = v; }}")
        lines += [f"#define vload{width} load{width}_at", f"#define vstore{width} store{width}_at"]
    return "\n".join([*lines, "#line 1", text])
