"""cuBLAS: matrix products of row-major arrays, one call for a batch of them.

It is called through ctypes and not through CuPy, whose functions set the handle's stream to CuPy's own before each
call: the wrong one, and setting it takes the workspace away, without which a call cannot be recorded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product as combinations
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.dtypes import itemsize
from kcore_cuda.errors import CUDAError

if TYPE_CHECKING:
    from kcore.kernels.products import Product

#: dtypes cuBLAS multiplies, all with sums in float32 but float64's, and their cudaDataType.
CUDA_TYPES = {"float16": 2, "bfloat16": 14, "float32": 0, "float64": 1}
#: Most calls of one product whose batch is no single run of memory.
CALLS = 16
#: cublasOperation_t, cublasComputeType_t, cublasGemmAlgo_t.
OP_N, OP_T = 0, 1
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
GEMM_DEFAULT = -1
#: cublasMath_t: sums of 16-bit products are float32 throughout.
DISALLOW_REDUCED_PRECISION_REDUCTION = 16

_LARGEST = 2**31
_P, _I, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
#: The functions that are called, and the C types of their arguments.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (_P,),
    "cublasSetStream_v2": (_P, _P),
    "cublasSetWorkspace_v2": (_P, _P, ctypes.c_size_t),
    "cublasSetMathMode": (_P, _I),
    "cublasGemmEx": (_P, _I, _I, _I, _I, _I, _P, _P, _I, _I, _P, _I, _I, _P, _P, _I, _I, _I, _I),
    "cublasGemmStridedBatchedEx": (
        _P, _I, _I, _I, _I, _I, _P, _P, _I, _I, _S, _P, _I, _I, _S, _P, _P, _I, _I, _S, _I, _I, _I,
    ),
}  # fmt: skip


class CublasError(CUDAError):
    """A call of cuBLAS failed."""


class Bindings:
    """cuBLAS's functions, which raise where they fail.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL):
        self._name = library.cublasGetStatusName
        self._name.argtypes, self._name.restype = [_I], ctypes.c_char_p
        self._functions: dict[str, Any] = {}
        for name, types in SIGNATURES.items():
            function = self._functions[name] = getattr(library, name)
            function.argtypes, function.restype = types, _I

    def bound(self, name: str, *arguments: int) -> Callable[[], None]:
        """A call with its arguments, to be made as often as wanted."""
        return partial(self._checked, name, self._functions[name], arguments)

    def call(self, name: str, *arguments: int) -> None:
        """Make a call now.

        Raises:
            CublasError: it failed.
        """
        self._checked(name, self._functions[name], arguments)

    def _checked(self, name: str, function: Any, arguments: tuple[int, ...]) -> None:
        status = function(*arguments)
        if status:
            raise CublasError(f"{name} failed: {self._name(status).decode()}")


@cache
def library() -> Bindings:
    """cuBLAS as CuPy's wheel, or the system, brings it.

    Raises:
        CublasError: neither does.
    """
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        path = load_nvidia_dynamic_lib("cublas").abs_path
    except DynamicLibNotFoundError as error:
        raise CublasError(
            f"cuBLAS cannot be loaded ({str(error).splitlines()[0]}); it comes with CuPy's extra [ctk], type: "
            'pip install "kcore[cuda13]", or "kcore[cuda12]" for a driver of CUDA 12'
        ) from None
    assert path is not None
    return Bindings(ctypes.CDLL(path))


@dataclass(frozen=True)
class Gemm:
    """The arguments of a column-major product that computes a row-major one: ``C^T = B^T A^T``.

    A row-major matrix is, to a column-major library, its own transpose, so the operands change places and none is
    moved.

    Attributes:
        transpose_first, transpose_second: of the library's first operand (our b) and its second (our a).
        m, n, k: columns and rows of our result, and what is summed over.
        lda, ldb, ldc: elements from one column to the next, as the library counts columns.
        strides: elements from one matrix of the batch to the next, of first, second and result.
        batch: matrices of one call.
        starts: for each call the first element in first, second and result.

    Example:
        >>> from kcore_cuda.libraries.cublas import Gemm, row_major
        >>> row_major(rows=2, columns=5, inner=3, transposed_a=False, transposed_b=True)
        Gemm(transpose_first=True, transpose_second=False, m=5, n=2, k=3, lda=3, ldb=3, ldc=5, ...)
    """

    transpose_first: bool
    transpose_second: bool
    m: int
    n: int
    k: int
    lda: int
    ldb: int
    ldc: int
    strides: tuple[int, int, int] = (0, 0, 0)
    batch: int = 1
    starts: tuple[tuple[int, int, int], ...] = ((0, 0, 0),)

    @property
    def fits(self) -> bool:
        """Whether cuBLAS takes it: nothing empty, sizes of 32 bits, few calls."""
        sizes = (self.m, self.n, self.k, self.batch)
        small = all(0 < size < _LARGEST for size in (*sizes, self.lda, self.ldb, self.ldc))
        return small and 0 < len(self.starts) <= CALLS


def row_major(
    rows: int,
    columns: int,
    inner: int,
    transposed_a: bool,
    transposed_b: bool,
    dims: tuple[int, ...] = (),
    strides: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
) -> Gemm:
    """The arguments for ``y[rows, columns] = a[rows, inner] @ b[inner, columns]``, all row-major.

    Args:
        rows, columns, inner: sizes of one product.
        transposed_a: whether `a` lies as (inner, rows).
        transposed_b: whether `b` lies as (columns, inner).
        dims: axes of the batch.
        strides: elements from one matrix to the next along them, of `a` and of `b`; 0 where one is used again.
    """
    longest = max(range(len(dims)), key=dims.__getitem__, default=None)
    own = [rows * columns * prod(dims[i + 1 :]) for i in range(len(dims))]
    along = list(zip(strides[1], strides[0], own, strict=True))  # in the library's order: b, a, result
    others = [i for i in range(len(dims)) if i != longest]
    starts = []
    for place in combinations(*(range(dims[i]) for i in others)):
        steps = [tuple(at * step for step in along[i]) for at, i in zip(place, others, strict=True)]
        starts.append(tuple(map(sum, zip((0, 0, 0), *steps, strict=True))))
    return Gemm(
        transpose_first=transposed_b,
        transpose_second=transposed_a,
        m=columns,
        n=rows,
        k=inner,
        lda=inner if transposed_b else columns,
        ldb=rows if transposed_a else inner,
        ldc=columns,
        strides=(0, 0, 0) if longest is None else along[longest],
        batch=1 if longest is None else dims[longest],
        starts=tuple(starts),  # type: ignore[arg-type]
    )


def gemm_of(product: Product) -> Gemm:
    """The arguments for the product of a ``matmul`` node."""
    return row_major(
        product.rows,
        product.columns,
        product.inner,
        product.transposed_a,
        product.transposed_b,
        product.batch.dims,
        (product.batch.strides[0], product.batch.strides[1]),
    )


def workspace_bytes(capability: tuple[int, int]) -> int:
    """Bytes of workspace that NVIDIA recommends: 32 MiB from Hopper on, 12 on smaller Blackwells, else 4."""
    major, _ = capability
    return {9: 32, 10: 32, 11: 32, 12: 12}.get(major, 32 if major > 12 else 4) << 20


@cache
def scalar(value: float, dtype: str) -> np.ndarray:
    """A factor in the dtype that products of `dtype` are scaled in; it stays, so that its address may be kept."""
    return np.array(value, "float64" if dtype == "float64" else "float32")


class Cublas:
    """One handle, for one stream.

    Args:
        stream: address of the stream all calls go to.
        workspace: address and bytes of device memory that the calls share, one after the other. With it cuBLAS
            allocates nothing, so that its calls may be captured.
    """

    def __init__(self, stream: int, workspace: tuple[int, int]):
        self._library = library()
        handle = ctypes.c_void_p()
        self._library.call("cublasCreate_v2", ctypes.addressof(handle))
        self.handle = handle.value or 0
        self._library.call("cublasSetStream_v2", self.handle, stream)  # takes a workspace away: it comes first
        self._library.call("cublasSetWorkspace_v2", self.handle, *workspace)
        self._library.call("cublasSetMathMode", self.handle, DISALLOW_REDUCED_PRECISION_REDUCTION)

    def gemm(self, gemm: Gemm, dtype: str, a: int, b: int, y: int, tf32: bool) -> list[Callable[[], None]]:
        """The calls that compute a product.

        Args:
            gemm: what is computed.
            dtype: of operands and result.
            a, b, y: addresses, in our order: ``y = a @ b``.
            tf32: whether float32 may be rounded to TF32.
        """
        kind, computed = CUDA_TYPES[dtype], compute_type(dtype, tf32)
        one, zero = scalar(1.0, dtype).ctypes.data, scalar(0.0, dtype).ctypes.data
        ops = [OP_T if transposed else OP_N for transposed in (gemm.transpose_first, gemm.transpose_second)]
        calls: list[Callable[[], None]] = []
        for starts in gemm.starts:
            first, second, result = (p + s * itemsize(dtype) for p, s in zip((b, a, y), starts, strict=True))
            head = (self.handle, *ops, gemm.m, gemm.n, gemm.k, one)
            tail = (computed, GEMM_DEFAULT)
            if gemm.batch == 1:
                single = (first, kind, gemm.lda, second, kind, gemm.ldb, zero, result, kind, gemm.ldc)
                calls.append(self._library.bound("cublasGemmEx", *head, *single, *tail))
                continue
            along = gemm.strides
            operands = (first, kind, gemm.lda, along[0], second, kind, gemm.ldb, along[1])
            into = (zero, result, kind, gemm.ldc, along[2], gemm.batch)
            calls.append(self._library.bound("cublasGemmStridedBatchedEx", *head, *operands, *into, *tail))
        return calls


def compute_type(dtype: str, tf32: bool) -> int:
    """cublasComputeType_t: what products of a dtype are added up in."""
    if dtype == "float64":
        return COMPUTE_64F
    return COMPUTE_32F_FAST_TF32 if tf32 and dtype == "float32" else COMPUTE_32F
