"""nvmath-python's bindings of cuBLASLt acted out on the host, with the names and numbers of version 1.0.0."""

from __future__ import annotations

import enum
import itertools
import math
from functools import partial

import numpy as np
from library_stage import CUDA_TYPES, at_once, strided


class Epilogue(enum.IntEnum):
    DEFAULT = 1
    RELU = 2
    BIAS = 4
    RELU_BIAS = 6
    GELU = 32
    GELU_BIAS = 36
    GELU_AUX = 160
    GELU_AUX_BIAS = 164
    DGELU = 192


class MatmulDescAttribute(enum.IntEnum):
    TRANSA = 3
    TRANSB = 4
    EPILOGUE = 7
    BIAS_POINTER = 8
    EPILOGUE_AUX_POINTER = 11
    EPILOGUE_AUX_LD = 12
    BIAS_DATA_TYPE = 26


class ReductionScheme(enum.IntEnum):
    COMPUTE_TYPE = 2


class MatmulPreferenceAttribute(enum.IntEnum):
    MAX_WORKSPACE_BYTES = 1
    REDUCTION_SCHEME_MASK = 3
    MIN_ALIGNMENT_A_BYTES = 5
    MIN_ALIGNMENT_B_BYTES = 6
    MIN_ALIGNMENT_C_BYTES = 7
    MIN_ALIGNMENT_D_BYTES = 8


_DESCRIBED = {3: "int32", 4: "int32", 7: "uint32", 8: "int64", 11: "int64", 12: "int64", 26: "int32"}


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_slope(x):
    step = 1e-6
    return (gelu(x + step) - gelu(x - step)) / (2 * step)


class Lt:
    """The bindings; `refuse` makes the heuristics find nothing.

    Args:
        submit: what puts work onto a stream.
    """

    Epilogue = Epilogue
    MatmulDescAttribute = MatmulDescAttribute
    MatmulPreferenceAttribute = MatmulPreferenceAttribute
    ReductionScheme = ReductionScheme
    matmul_heuristic_result_dtype = np.dtype(
        [("algo", [("data_", "<u8", (8,))]), ("workspace_size", "<u8"), ("state", "<i4"), ("waves", "<f4")]
    )

    def __init__(self, submit=at_once):
        self.refuse = False
        self._submit = submit
        self.alive = {}
        self.preferred = {}
        self._numbers = itertools.count(1)

    def _new(self, thing):
        number = next(self._numbers)
        self.alive[number] = thing
        return number

    def create(self):
        return 5

    def matmul_desc_create(self, compute, scale):
        return self._new({"compute": compute, "scale": scale})

    def matmul_desc_destroy(self, desc):
        del self.alive[desc]

    def get_matmul_desc_attribute_dtype(self, attribute):
        return np.dtype(_DESCRIBED[attribute]).type

    def matmul_desc_set_attribute(self, desc, attribute, buffer, nbytes):
        dtype = np.dtype(_DESCRIBED[attribute])
        assert nbytes == dtype.itemsize
        self.alive[desc][MatmulDescAttribute(attribute)] = int(strided(buffer, (1,), (1,), str(dtype))[0])

    def matrix_layout_create(self, kind, rows, columns, leading):
        assert leading >= rows, "columns overlap"
        return self._new((CUDA_TYPES[kind], rows, columns, leading))

    def matrix_layout_destroy(self, layout):
        del self.alive[layout]

    def matmul_preference_create(self):
        return self._new({})

    def matmul_preference_destroy(self, preference):
        self.preferred = self.alive.pop(preference)

    def get_matmul_preference_attribute_dtype(self, attribute):
        return np.uint64 if attribute == MatmulPreferenceAttribute.MAX_WORKSPACE_BYTES else np.uint32

    def matmul_preference_set_attribute(self, preference, attribute, buffer, nbytes):
        dtype = "uint64" if attribute == MatmulPreferenceAttribute.MAX_WORKSPACE_BYTES else "uint32"
        self.alive[preference][MatmulPreferenceAttribute(attribute).name] = int(strided(buffer, (1,), (1,), dtype)[0])

    def matmul_algo_get_heuristic(self, handle, desc, a, b, c, d, preference, most, results, count):
        assert handle == 5 and most == 1 and c == d
        strided(count, (1,), (1,), "int32")[0] = 0 if self.refuse else 1
        strided(results, (8,), (1,), "uint64")[...] = 42

    def matmul(self, handle, desc, alpha, a, ad, b, bd, beta, c, cd, d, dd, algorithm, workspace, nbytes, stream):
        assert handle == 5 and (c, cd) == (d, dd)
        assert workspace and nbytes
        self._submit(stream, partial(self._compute, desc, alpha, a, ad, b, bd, beta, d, dd, algorithm))

    def _compute(self, desc, alpha, a, ad, b, bd, beta, d, dd, algorithm):
        assert (strided(algorithm, (8,), (1,), "uint64") == 42).all()
        told = self.alive[desc]
        assert [strided(p, (1,), (1,), "float32")[0] for p in (alpha, beta)] == [1, 0]

        def matrix(address, layout, transposed=0):
            dtype, rows, columns, leading = self.alive[layout]
            found = strided(address, (rows, columns), (1, leading), dtype)
            return found.T if transposed else found

        names, kind = MatmulDescAttribute, Epilogue(told[MatmulDescAttribute.EPILOGUE])
        first = matrix(a, ad, told[names.TRANSA]).astype("float64")
        second = matrix(b, bd, told[names.TRANSB]).astype("float64")
        result = matrix(d, dd)
        dtype = self.alive[dd][0]
        total = first @ second
        if names.BIAS_POINTER in told:
            assert "BIAS" in kind.name and CUDA_TYPES[told[names.BIAS_DATA_TYPE]] == dtype
            total = total + strided(told[names.BIAS_POINTER], (len(total), 1), (1, 1), dtype).astype("float64")
        aux = None
        if names.EPILOGUE_AUX_POINTER in told:
            assert told[names.EPILOGUE_AUX_LD] % 8 == 0
            aux = strided(told[names.EPILOGUE_AUX_POINTER], total.shape, (1, told[names.EPILOGUE_AUX_LD]), dtype)
        if "AUX" in kind.name:
            aux[...] = total.astype(aux.dtype)
        if kind is Epilogue.DGELU:
            total = total * gelu_slope(aux.astype("float64"))
        elif "GELU" in kind.name:
            total = gelu(total)
        elif "RELU" in kind.name:
            total = np.maximum(total, 0)
        result[...] = total.astype(result.dtype)
