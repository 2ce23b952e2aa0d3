"""cuBLASLt through nvmath-python's bindings: a matrix product with bias and activation in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from kcore.backend.base import Problem
from kcore_cuda.libraries.cublas import CUDA_TYPES, Gemm, compute_type, scalar

#: dtypes of products that have epilogues.
DTYPES = ("float16", "bfloat16", "float32")
#: The package that brings the bindings.
PACKAGE = "nvmath-python"


@cache
def library() -> Any:
    """The bindings, or the reason why they are not there."""
    try:
        from nvmath.bindings import cublasLt
    except Exception as error:  # an optional package that does not load is one that is missing, and is reported so
        return error
    return cublasLt


def available() -> bool:
    """Whether the bindings are installed and load."""
    return not isinstance(library(), Exception)


def missing() -> Problem | None:
    """What `kcore doctor` says where they are not."""
    if available():
        return None
    installed = not isinstance(library(), ModuleNotFoundError) or library().name != "nvmath"
    return Problem(
        f"cuda: {PACKAGE} is " + (f"installed and does not load: {library()}" if installed else "not installed"),
        "dense layers' bias, ReLU and GELU are a kernel of their own behind each product, rather than part of it",
        'pip install "kcore-cuda[cublaslt]"',
    )


@dataclass(frozen=True)
class Layout:
    """A matrix as cuBLASLt is told of it: by columns.

    Attributes:
        rows, columns: its sizes, as it lies and before any transpose.
        leading: elements from one column to the next.
    """

    rows: int
    columns: int
    leading: int


def layouts(gemm: Gemm) -> tuple[Layout, Layout, Layout]:
    """The first operand, the second and the result of a product."""
    first = Layout(gemm.k, gemm.m, gemm.lda) if gemm.transpose_first else Layout(gemm.m, gemm.k, gemm.lda)
    second = Layout(gemm.n, gemm.k, gemm.ldb) if gemm.transpose_second else Layout(gemm.k, gemm.n, gemm.ldb)
    return first, second, Layout(gemm.m, gemm.n, gemm.ldc)


class NoAlgorithmError(RuntimeError):
    """cuBLASLt has no algorithm for a product with an epilogue."""


def alignment(address: int) -> int:
    """Bytes an address is a multiple of, up to the 256 that algorithms may ask for."""
    return min(address & -address, 256) or 256


class CublasLt:
    """One handle, for one stream.

    Args:
        stream: address of the stream all calls go to.
        workspace: address and bytes of device memory that the calls share.
    """

    def __init__(self, stream: int, workspace: tuple[int, int]):
        self._lt = library()
        self._stream = stream
        self._workspace = workspace
        self.handle = self._lt.create()

    def matmul(
        self,
        gemm: Gemm,
        dtype: str,
        epilogue: str,
        *,
        a: int,
        b: int,
        y: int,
        bias: int = 0,
        aux: int = 0,
        tf32: bool = False,
    ) -> tuple[Callable[[], None], Any]:
        """The call that computes a product and its epilogue, with the algorithm that cuBLASLt thinks best.

        Args:
            gemm: what is computed; one product.
            dtype: of operands, result, bias and aux.
            epilogue: a name of `Epilogue`: ``"RELU_BIAS"``.
            a, b, y: addresses, in our order.
            bias: address of one number per column, where the epilogue has one.
            aux: address of what the epilogue keeps or reads, of the result's shape.
            tf32: whether float32 may be rounded to TF32.

        Returns:
            The call, and what must live as long as it.

        Raises:
            NoAlgorithmError: cuBLASLt has none for it.
        """
        lt = self._lt
        kind = CUDA_TYPES[dtype]
        made = Descriptors(lt, gemm, kind, compute_type(dtype, tf32), CUDA_TYPES["float32"])
        made.epilogue(epilogue, bias, aux, gemm.ldc)
        algorithm = made.algorithm(self.handle, self._workspace[1], (b, a, y, y))
        one, zero = scalar(1.0, dtype).ctypes.data, scalar(0.0, dtype).ctypes.data
        first, second, result = made.matrices
        call = partial(
            lt.matmul, self.handle, made.operation, one, b, first, a, second, zero, y, result, y, result,
            algorithm.ctypes.data, *self._workspace, self._stream,
        )  # fmt: skip
        return call, (made, algorithm)


class Descriptors:
    """cuBLASLt's description of one product, freed with this object.

    Args:
        lt: the bindings.
        gemm: the product.
        kind: cudaDataType of its matrices.
        compute, scale: cublasComputeType, and cudaDataType of its factors.
    """

    def __init__(self, lt: Any, gemm: Gemm, kind: int, compute: int, scale: int):
        self._lt = lt
        self._kind = kind
        self.operation = lt.matmul_desc_create(compute, scale)
        self.matrices = [lt.matrix_layout_create(kind, x.rows, x.columns, x.leading) for x in layouts(gemm)]
        names = lt.MatmulDescAttribute
        self._set(names.TRANSA, int(gemm.transpose_first))  # CUBLAS_OP_N is 0, CUBLAS_OP_T is 1
        self._set(names.TRANSB, int(gemm.transpose_second))

    def epilogue(self, name: str, bias: int, aux: int, leading: int) -> None:
        """Say what follows the product."""
        names = self._lt.MatmulDescAttribute
        self._set(names.EPILOGUE, int(getattr(self._lt.Epilogue, name)))
        if bias:
            self._set(names.BIAS_POINTER, bias)
            self._set(names.BIAS_DATA_TYPE, self._kind)
        if aux:
            self._set(names.EPILOGUE_AUX_POINTER, aux)
            self._set(names.EPILOGUE_AUX_LD, leading)

    def algorithm(self, handle: int, workspace: int, addresses: tuple[int, int, int, int]) -> np.ndarray:
        """The algorithm cuBLASLt thinks best: with no more workspace than there is, for matrices that lie so."""
        lt = self._lt
        names = lt.MatmulPreferenceAttribute
        # where a sum is split, its parts are added up in float32
        wanted = {names.MAX_WORKSPACE_BYTES: workspace, names.REDUCTION_SCHEME_MASK: lt.ReductionScheme.COMPUTE_TYPE}
        for letter, at in zip("ABCD", addresses, strict=True):
            wanted[getattr(names, f"MIN_ALIGNMENT_{letter}_BYTES")] = alignment(at)
        preference = lt.matmul_preference_create()
        try:
            for name, value in wanted.items():
                word = np.array([value], lt.get_matmul_preference_attribute_dtype(name))
                lt.matmul_preference_set_attribute(preference, name, word.ctypes.data, word.nbytes)
            found = np.zeros(1, lt.matmul_heuristic_result_dtype)
            count = np.zeros(1, np.int32)
            first, second, result = self.matrices
            lt.matmul_algo_get_heuristic(
                handle, self.operation, first, second, result, result, preference, 1, found.ctypes.data,
                count.ctypes.data,
            )  # fmt: skip
        finally:
            lt.matmul_preference_destroy(preference)
        if not count[0]:
            raise NoAlgorithmError("cuBLASLt has no algorithm for this product and epilogue")
        return found["algo"].copy()

    def _set(self, attribute: int, value: int) -> None:
        word = np.array([value], self._lt.get_matmul_desc_attribute_dtype(attribute))
        self._lt.matmul_desc_set_attribute(self.operation, attribute, word.ctypes.data, word.nbytes)

    def __del__(self) -> None:
        for matrix in self.matrices:
            self._lt.matrix_layout_destroy(matrix)
        self._lt.matmul_desc_destroy(self.operation)
