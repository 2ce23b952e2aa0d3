"""Convolutions on cuDNN and cuBLAS: the graphs that are described, acted on the host for every sample of the ops."""

from __future__ import annotations

import numpy as np
import pytest
from library_stage import HostArray, Stage, kernel_for, node_of

import kcore.ops  # noqa: F401
from kcore.graph.op import OPS, sample
from kcore_cuda.kernels import convolution
from kcore_cuda.kernels.splitting import PRIORITY
from kcore_cuda.libraries import cudnn
from kcore_cuda.libraries.convolution import OPERATIONS, convolution_of, is_product, takes

CASES = [(name, case) for name in OPERATIONS for case in OPS[name].samples]
IDS = [f"{name}-{case.inputs}-{'-'.join(map(str, case.attrs.values()))}" for name, case in CASES]


@pytest.fixture
def stage(monkeypatch):
    return Stage(monkeypatch)


def agree(result, name, arrays, node):
    exact = OPS[name].fn(*(a.astype("float64") for a in arrays), **node.attrs)
    relative, absolute = OPS[name].tolerance[str(result.dtype)]
    np.testing.assert_allclose(result.astype("float64"), exact, rtol=relative, atol=absolute)


@pytest.mark.parametrize(("name", "case"), CASES, ids=IDS)
def test_every_sample_on_cudnn_is_what_numpy_says(stage, name, case):
    node, arrays = node_of(name, case, "float32")
    kernel = kernel_for(name, node, PRIORITY)
    if not all(v.size for v in (*node.sources, *node.outputs)):
        assert kernel is None, "what is empty is left to the generated kernels"
        return
    (result,) = stage.act(kernel, node, arrays)
    agree(result, name, arrays, node)
    assert stage.ran == ["transpose"], "the kernel, or its gradient, and nothing else is moved"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_other_dtypes(stage, name, dtype):
    node, arrays = node_of(name, OPS[name].samples[1], dtype)
    (result,) = stage.act(kernel_for(name, node, PRIORITY), node, arrays)
    agree(result, name, arrays, node)


@pytest.mark.parametrize("name", OPERATIONS)
def test_windows_of_one_element_are_products(stage, name):
    (case,) = (c for c in OPS[name].samples if is_product(node_of(name, c, "float32")[0]))
    node, arrays = node_of(name, case, "float32")
    kernel = kernel_for(name, node)
    assert kernel.priority > PRIORITY
    (result,) = stage.act(kernel, node, arrays)
    agree(result, name, arrays, node)
    assert [c[0] for c in stage.library.calls][-1] == "gemm"
    assert not stage.ran, "nothing is moved"


def test_channels_lie_side_by_side_and_stand_second():
    attrs = {"strides": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 3), "groups": 2}
    node, _ = node_of("conv", sample((2, 9, 8, 6), (3, 2, 3, 4), **attrs), "float32")
    d = convolution_of(node)
    assert d.image.dims == (2, 6, 9, 8)
    assert d.image.strides == (9 * 8 * 6, 1, 8 * 6, 6)
    assert (d.filter.dims, d.filter.strides) == ((4, 3, 3, 2), (3 * 2 * 3, 1, 2 * 3, 3))
    assert (d.before, d.after, d.steps, d.dilation) == ((1, 0), (0, 2), (2, 1), (1, 3))


def test_one_spatial_axis_becomes_two():
    attrs = {"strides": (2,), "padding": ((1, 2),), "dilation": (1,), "groups": 1}
    node, _ = node_of("conv", sample((2, 9, 3), (3, 3, 4), **attrs), "float32")
    d = convolution_of(node)
    assert (d.image.dims, d.filter.dims) == ((2, 3, 1, 9), (4, 3, 1, 3))
    assert (d.before, d.after, d.steps, d.dilation) == ((0, 1), (0, 2), (1, 2), (1, 1))


def test_four_spatial_axes_and_integers_are_not_cudnn_s():
    attrs = {"strides": (1,) * 4, "padding": ((0, 0),) * 4, "dilation": (1,) * 4, "groups": 1}
    node, _ = node_of("conv", sample((1, 3, 3, 3, 3, 2), (2, 2, 2, 2, 2, 2), **attrs), "float32")
    assert not takes(node)


def test_an_array_that_cudnn_cannot_read_where_it_lies_goes_to_the_generated_kernel(stage):
    node, arrays = node_of("conv", OPS["conv"].samples[0], "float32")
    raw = np.zeros(arrays[0].nbytes + 512, np.uint8)
    start = -raw.ctypes.data % 256 + 4
    odd = HostArray(np.zeros(0))
    odd.values = raw[start : start + arrays[0].nbytes].view("float32").reshape(arrays[0].shape)
    stage.act(kernel_for("conv", node, PRIORITY), node, [odd, arrays[1]])
    assert len(stage.left) == 1
    assert not stage.ran


def test_scratch_memory_holds_the_turned_kernel_and_the_workspace(stage):
    node, _ = node_of("conv", OPS["conv"].samples[0], "float32")
    kernel_at, workspace_at, total = convolution._layout(node, 1000)
    assert kernel_at == 0
    assert workspace_at >= node.inputs[1].nbytes
    assert total == workspace_at + 1000
    assert workspace_at % cudnn.ALIGNMENT == 0


def test_float32_stays_float32_unless_tf32_is_allowed():
    strict, loose = cudnn.Options(), cudnn.Options(tf32=True, deterministic=False)
    assert {"TENSOR_CORE", "DOWN_CONVERT_INPUTS", "NONDETERMINISTIC"} <= set(cudnn.forbidden("float32", strict))
    assert cudnn.forbidden("float32", loose) == ["REDUCED_PRECISION_REDUCTION"]
    assert "TENSOR_CORE" not in cudnn.forbidden("bfloat16", strict)


def test_determinism_is_given_up_only_where_nothing_asks_for_it(monkeypatch):
    from kcore import config

    assert convolution.options().deterministic
    monkeypatch.setenv("KCORE_CUDA_NONDETERMINISTIC", "1")
    assert not convolution.options().deterministic
    monkeypatch.setattr(config, "_determinism", True)
    assert convolution.options().deterministic
