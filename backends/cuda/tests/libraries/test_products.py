"""Matrix products on cuBLAS: operand order, leading dimensions and strides, by an acted column-major library."""

from __future__ import annotations

import ctypes
import re
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from library_stage import Stage, aligned_copy, kernel_for, node_of
from products import MATMUL, acted, drawn, fused

import kcore.ops  # noqa: F401
from kcore.graph.op import sample
from kcore_cuda.kernels import contraction, splitting
from kcore_cuda.libraries import cublas
from kcore_cuda.libraries.cublas import row_major


@pytest.fixture
def stage(monkeypatch):
    return Stage(monkeypatch)


MORE = [
    sample((7, 3, 4), (7, 4, 5), transpose_a=False),
    sample((7, 4, 3), (1, 5, 4), transpose_a=True, transpose_b=True),
    sample((3, 1, 2, 6), (3, 5, 6, 4)),
    sample((1, 1), (1, 1)),
]


@pytest.mark.parametrize("dtype", cublas.CUDA_TYPES)
@pytest.mark.parametrize("case", [*MATMUL.samples, *MORE], ids=lambda c: f"{c.inputs}{c.attrs or ''}")
def test_every_sample_is_what_numpy_says(stage, case, dtype):
    node, arrays = node_of("matmul", case, dtype)
    kernel = kernel_for("matmul", node)
    if not all(v.size for v in node.sources):
        assert kernel is None, "what is empty is left to the generated kernels"
        return
    (result,) = stage.act(kernel, node, arrays)
    exact = MATMUL.fn(*(a.astype("float64") for a in arrays), **node.attrs)
    relative, absolute = MATMUL.tolerance[dtype]
    np.testing.assert_allclose(result.astype("float64"), exact, rtol=relative, atol=absolute)


def test_a_batch_is_one_call_and_a_broadcast_one_a_few(stage):
    node, arrays = node_of("matmul", sample((7, 3, 4), (7, 4, 5)), "float32")
    stage.act(kernel_for("matmul", node), node, arrays)
    assert [c[2] for c in stage.library.calls if c[0] == "gemm"] == [7]
    stage.library.calls.clear()
    node, arrays = node_of("matmul", sample((2, 1, 3, 4), (5, 4, 3)), "float32")
    stage.act(kernel_for("matmul", node), node, arrays)
    assert [c[2] for c in stage.library.calls if c[0] == "gemm"] == [5, 5]


def test_a_product_of_too_many_calls_is_left_to_the_generated_kernel():
    node, _ = node_of("matmul", sample((40, 1, 3, 4), (1, 41, 4, 3)), "float32")
    assert not contraction.supports(node)


@pytest.mark.parametrize(
    ("dtype", "tf32", "computed"),
    [("float32", "0", 68), ("float32", "1", 77), ("float64", "1", 70), ("bfloat16", "1", 68), ("float16", "0", 68)],
)
def test_sums_are_float32_and_tf32_is_asked_for(stage, monkeypatch, dtype, tf32, computed):
    monkeypatch.setenv("KCORE_CUDA_TF32", tf32)
    node, arrays = node_of("matmul", sample((3, 4), (4, 5)), dtype)
    stage.act(kernel_for("matmul", node), node, arrays)
    assert stage.library.calls[-1] == ("gemm", computed, 1)


def test_the_stream_is_set_before_the_workspace_which_it_would_take_away(stage):
    stage.library.calls.clear()
    cublas.Cublas(5, (1024, 64))
    assert stage.library.calls == [("create",), ("stream", 7, 5), ("workspace", 7, 1024, 64), ("math", 7, 16)]


@pytest.mark.parametrize(
    ("capability", "megabytes"), [((7, 5), 4), ((8, 0), 4), ((8, 9), 4), ((9, 0), 32), ((10, 0), 32), ((12, 0), 12)]
)
def test_the_workspace_is_what_nvidia_recommends(capability, megabytes):
    assert cublas.workspace_bytes(capability) == megabytes << 20


def test_bfloat16_is_left_to_the_generated_kernel_before_ampere(stage, monkeypatch):
    monkeypatch.setattr(stage.place, "gpu", SimpleNamespace(capability=(7, 5)))
    taken = {d: contraction.supports(node_of("matmul", MATMUL.samples[0], d)[0]) for d in cublas.CUDA_TYPES}
    assert taken == {"float16": True, "bfloat16": False, "float32": True, "float64": True}


def test_sizes_beyond_32_bits_are_refused():
    assert row_major(3, 4, 5, False, False).fits
    assert not row_major(1 << 31, 4, 5, False, False).fits
    assert not row_major(3, 0, 5, False, False).fits


@pytest.fixture(autouse=True)
def take_small_ones(monkeypatch):
    monkeypatch.setattr(contraction, "SMALL", 0)


def test_what_follows_is_one_generated_kernel(stage):
    shapes = (6, 4), (4, 5), (5,)
    node, order = fused(*shapes, body=lambda op, y, b: [op("maximum", op("add", y, b), 0.0)])
    a, b, bias = drawn(*shapes)
    (result,) = acted(stage, node, order, [a, b, bias])
    np.testing.assert_allclose(result, np.maximum(a @ b + bias, 0), rtol=1e-5, atol=1e-6)
    assert stage.ran == ["fused"]
    assert splitting.split(node).scratch_bytes == 0, "the product lies in the output until then"


def test_the_product_itself_may_be_wanted_too(stage):
    shapes = (6, 4), (4, 5), (5,)
    node, order = fused(*shapes, body=_with_mask)
    a, b, bias = drawn(*shapes)
    product, total, mask = acted(stage, node, order, [a, b, bias])
    np.testing.assert_allclose(product, a @ b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, a @ b + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(mask, total > 0)


def _with_mask(op, y, b):
    total = op("add", y, b)
    return [y, total, op("greater", total, 0.0)]


def test_an_output_that_may_lie_over_an_operand_is_not_written_before_it_is_read(stage):
    shapes = (6, 4), (4, 5), (6, 5)
    node, order = fused(*shapes, body=lambda op, y, r: [y, op("add", y, r)])
    assert splitting.split(node).target is None
    a, b, residual = drawn(*shapes)
    shared = aligned_copy(residual)
    for first in (0, 1):  # the plan may put either over the residual
        shared.values[...] = residual
        outputs = [aligned_copy(np.zeros((6, 5), "float32")) for _ in range(2)]
        outputs[first] = shared
        acted(stage, node, order, [a, b, shared], outputs)
        np.testing.assert_allclose(outputs[0].values, a @ b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(outputs[1].values, a @ b + residual, rtol=1e-5, atol=1e-6)


def test_a_small_fused_product_is_left_to_one_generated_kernel(monkeypatch):
    node, _ = fused((6, 4), (4, 5), (5,), body=lambda op, y, b: [op("add", y, b)])
    assert contraction.supports(node)
    monkeypatch.setattr(contraction, "SMALL", 1 << 18)
    assert not contraction.supports(node)


# -- the library itself ----------------------------------------------------------------------------------------------

C_TYPES = {
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "long long int": ctypes.c_longlong,
    "cublasHandle_t": ctypes.c_void_p,
    "cudaStream_t": ctypes.c_void_p,
}


def header():
    """NVIDIA's header of cuBLAS, as its wheel brings it."""
    found = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/*/include/cublas_api.h"))
    if not found:
        pytest.skip('no header of cuBLAS; to install it, type: pip install "cupy-cuda13x[ctk]"')
    return found[0].read_text()


@pytest.mark.parametrize("name", cublas.SIGNATURES)
def test_functions_are_called_as_their_header_declares_them(name):
    text = header()
    declared = re.search(rf"CUBLASWINAPI {name}\(([^)]*)\)", text)[1]
    types = []
    for argument in declared.split(","):
        words = " ".join(argument.split()).replace("const ", "")
        kind = words.rpartition("*")[0] + "*" if "*" in words else words.rpartition(" ")[0]
        # an enumeration is an int
        types.append(ctypes.c_void_p if kind.endswith("*") else C_TYPES.get(kind, ctypes.c_int))
    assert tuple(types) == cublas.SIGNATURES[name]


def test_numbers_are_those_of_the_header():
    text = header()
    for ours, theirs in (
        (cublas.OP_N, "CUBLAS_OP_N"),
        (cublas.OP_T, "CUBLAS_OP_T"),
        (cublas.COMPUTE_32F, "CUBLAS_COMPUTE_32F"),
        (cublas.COMPUTE_32F_FAST_TF32, "CUBLAS_COMPUTE_32F_FAST_TF32"),
        (cublas.COMPUTE_64F, "CUBLAS_COMPUTE_64F"),
        (cublas.GEMM_DEFAULT, "CUBLAS_GEMM_DEFAULT"),
        (cublas.DISALLOW_REDUCED_PRECISION_REDUCTION, "CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION"),
    ):
        assert int(re.search(rf"\b{theirs}\s*=\s*(-?\d+)", text)[1]) == ours
    runtime = pytest.importorskip("cupy").cuda.runtime
    names = {"float16": "CUDA_R_16F", "bfloat16": "CUDA_R_16BF", "float32": "CUDA_R_32F", "float64": "CUDA_R_64F"}
    assert {dtype: getattr(runtime, name) for dtype, name in names.items()} == cublas.CUDA_TYPES


def test_the_library_loads_and_its_errors_have_names():
    pytest.importorskip("cuda.pathfinder")
    try:
        library = cublas.library()
    except cublas.CublasError as error:
        pytest.skip(str(error))
    with pytest.raises(cublas.CublasError, match="cublasSetMathMode failed: CUBLAS_STATUS_NOT_INITIALIZED"):
        library.call("cublasSetMathMode", 0, 0)


def test_a_missing_library_is_an_error_that_says_what_to_type(monkeypatch):
    pathfinder = pytest.importorskip("cuda.pathfinder")

    def missing(name):
        raise pathfinder.DynamicLibNotFoundError(f"no lib{name}\nwhere it was looked for")

    monkeypatch.setattr(pathfinder, "load_nvidia_dynamic_lib", missing)
    with pytest.raises(cublas.CublasError, match=r'cannot be loaded \(no libcublas\).*pip install "kcore\[cuda13\]"'):
        cublas.library.__wrapped__()
