"""Runs CUDA C on a CPU: a kernel's text in OpenCL's words, on a driver whose pointers are the host's.

Only words are exchanged, those of the dialects' table; pointers stay without address space, which OpenCL 3.0 calls
generic. It serves tests of what is around kernels: which array is bound to which argument, and in which order.
"""

from __future__ import annotations

import ctypes
import re
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pyopencl as cl

#: CUDA C -> OpenCL C. What stands alone in a table of types comes longest first.
_WORDS = [
    (r"#include <cuda_fp16.h>\n", ""),
    (r"static __device__ __forceinline__ float round_float16[^\n]*\n", ""),
    (r'extern "C" __global__ __launch_bounds__\((\d+)\)', r"__kernel __attribute__((reqd_work_group_size(\1, 1, 1)))"),
    (r"static __device__ __forceinline__", "static inline"),
    (r"__shared__", "__local"),
    (r"__constant__", "__constant"),
    (r"\(blockIdx\.x \* \(size_t\)blockDim\.x \+ threadIdx\.x\)", "get_global_id(0)"),
    (r"blockIdx\.x", "get_group_id(0)"),
    (r"threadIdx\.x", "get_local_id(0)"),
    (r"__syncthreads\(\);", "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);"),
    (r"atomicOr\(", "atomic_or("),
    (r"__umul(?:64)?hi", "mul_hi"),
    (r"\bunsigned long long\b", "ulong"),
    (r"\blong long\b", "long"),
    (r"\bunsigned int\b", "uint"),
    (r"\bunsigned short\b", "ushort"),
    (r"\bunsigned char\b", "uchar"),
    (r"\bsigned char\b", "char"),
    (r"\b__half\b", "half"),
    (r"__int_as_float\(0x7f800000\)", "INFINITY"),
    (r"__int_as_float\(0x7fffffff\)", "NAN"),
    (r"__uint_as_float", "as_float"),
    (r"__float_as_uint", "as_uint"),
    (r"\bmake_(\w+?[24])\(", r"(\1)("),
    (r"\b(\d+u?)LL\b", r"\1L"),
    (r"__half2float\((\w+)\[(.*)\]\);", r"vload_half(\2, \1);"),
    (r"(\w+)\[(.*?)\] = __float2half_rn\((.*)\);", r"vstore_half_rte(\3, \2, \1);"),
]  # fmt: skip
_FLOAT = (
    "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt pow tanh sinh cosh sin cos tan asin acos atan atan2 asinh acosh "
    "atanh erf erfc floor ceil rint trunc round fabs fmod copysign fma fmax fmin hypot ldexp lgamma "
    "tgamma cbrt nextafter"
).split()
#: Arguments that are no pointers.
_SCALARS = {
    "signed char": np.int8, "short": np.int16, "int": np.int32, "long long": np.int64, "unsigned char": np.uint8,
    "unsigned short": np.uint16, "unsigned int": np.uint32, "unsigned long long": np.uint64,
}  # fmt: skip
#: Kernels kept, those that ran last: each holds some 3 MB of the driver's memory.
KEPT = 64
_HALF = """static inline float round_float16(const float value) {
    ushort bits;
    vstore_half_rte(value, 0, (half *)&bits);
    return vload_half(0, (const half *)&bits);
}
"""


def to_opencl(text: str) -> str:
    """CUDA C as the generators write it, in OpenCL's words."""
    half = "round_float16" in text
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    text = re.sub(rf"\b({'|'.join(_FLOAT)})f\(", r"\1(", text)
    # a kernel's pointers must say what they point to; all others follow
    head = re.search(r"__kernel.*?\)\)\)\s*void \w+\(", text, re.S)
    assert head is not None, text
    end = text.index(")", head.end())
    parameters = ",".join(
        re.sub(r"^(\s*)", r"\1__global ", p) if "*" in p else p for p in text[head.end() : end].split(",")
    )
    text = text[: head.end()] + parameters + text[end:]
    return (_HALF if half else "") + "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n" + text


class Executor:
    """Computes launches of the fake on an OpenCL CPU device.

    Args:
        device: PyOpenCL's device, whose kernels may be given addresses of any host memory.
    """

    def __init__(self, device: Any):
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context, device)
        self._kernels: OrderedDict[str, Any] = OrderedDict()

    def __call__(self, launched: Any) -> None:
        function = launched.function
        text = _alone(function.text, function.name)
        kernel = self._kernels.get(text)
        if kernel is None:
            program = cl.Program(self.context, to_opencl(text))
            with warnings.catch_warnings():  # the driver says that it compiled
                warnings.simplefilter("ignore", cl.CompilerWarning)
                program.build(options=["-cl-std=CL3.0", "-w"], cache_dir=False)
            kernel = self._kernels[text] = cl.Kernel(program, function.name)
            if len(self._kernels) > KEPT:
                self._kernels.popitem(last=False)
        self._kernels.move_to_end(text)
        for i, (ctype, name) in enumerate(function.parameters):
            value = launched.arguments[name]
            if ctype.endswith("*"):
                kernel.set_arg(i, cl.SVM(_memory(value)))
            else:
                kernel.set_arg(i, _SCALARS[ctype](value))
        size = launched.groups * function.local
        cl.enqueue_nd_range_kernel(self.queue, kernel, (size,), (function.local,))
        self.queue.finish()


def device_of_host_memory() -> Any | None:
    """An OpenCL device for `Executor`; None where there is none."""
    from kcore_opencl import drivers

    found = (d for p in drivers.load().platforms for d in p.get_devices() if "Intel" in p.name)
    return next(found, None)


def _memory(address: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * 1).from_address(address), np.uint8)


def _alone(text: str, name: str) -> str:
    """One kernel of a program and all helpers."""
    pieces = re.split(r'(?=extern "C" __global__)', text)
    return pieces[0] + next(p for p in pieces[1:] if re.search(rf"void {re.escape(name)}\(", p))
