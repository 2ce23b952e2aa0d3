"""The rotation in C: on every OpenCL device, in the GPU's form as well, and in CUDA C as far as its compiler goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kcore
from kcore.codegen import CUDA, OPENCL
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore.kernels import Traits
from kcore.testing import check_op
from kcore_rotary import c_kernels, rotate

DEVICES = [str(d) for d in kcore.devices() if d.backend == "opencl"]
GPU = Traits("gpu", "nvidia", 132, 1, 48 << 10, 1024, 256, 1 << 36, 1 << 36)
CPU = Traits("cpu", "other", 4, 16, 1 << 15, 4096, 128, 1 << 30, 1 << 34)
SHAPES = [((8, 40, 6), (40, 3)), ((3, 5, 2, 8), (5, 1, 4)), ((4, 2), (1,)), ((6,), (3,))]


@pytest.fixture(autouse=True)
def back_to_numpy():
    yield
    kcore.use_backend("numpy")


def node_of(shape, angles, dtype):
    graph = Graph()
    values = [graph.placeholder(s, dtype) for s in (shape, angles, angles)]
    return Node(OPS["kcore_rotary>rotate"], values, {}, [values[0].spec], "model/rotary_embedding")


@pytest.mark.parametrize("device", DEVICES)
def test_a_gpu_s_kernel_conforms_on_a_cpu_too(device, monkeypatch):
    own = c_kernels.rotate_code
    calls = []

    def for_gpus(node, traits):
        calls.append(node)
        return own(node, replace(traits, kind="gpu", vector=1))

    monkeypatch.setattr(c_kernels, "rotate_code", for_gpus)
    assert check_op("kcore_rotary>rotate", device)["compiled"]
    assert calls


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_the_cuda_kernel_compiles(architecture, dtype):
    programs = pytest.importorskip("kcore_cuda.programs")
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC is not installed")
    for shape, angles in SHAPES:
        (source,) = c_kernels.rotate_code(node_of(shape, angles, dtype), replace(GPU, dialect=CUDA)).launches
        assert programs.compiled(source.text, source.name, architecture)


def test_both_languages_differ_by_the_table_only():
    node = node_of(*SHAPES[1], "float32")
    texts = [c_kernels.rotate_code(node, replace(GPU, dialect=d)).launches[0].text for d in (OPENCL, CUDA)]
    table = [
        (OPENCL.kernel.format(name="", local=c_kernels.LOCAL), CUDA.kernel.format(name="", local=c_kernels.LOCAL)),
        ("__global ", ""),
        (f"(int){OPENCL.group}", f"(int){CUDA.group}"),
        (f"(int){OPENCL.lane}", f"(int){CUDA.lane}"),
        ("const long ", "const long long "),
    ]
    for theirs, ours in table:
        texts[0] = texts[0].replace(theirs, ours)
    assert texts[0] == texts[1]


def test_one_program_for_all_sizes():
    keys = set()
    for batch, length in ((2, 16), (7, 33), (1, 5)):
        for traits in (CPU, GPU):
            node = node_of((batch + 1, length, 3, 8), (length, 1, 4), "float32")
            keys.add((traits.kind, c_kernels.rotate_code(node, traits).launches[0].key))
    assert len(keys) == 2


def test_angles_that_all_rows_share_are_found_once_for_several_rows():
    node = node_of((20, 5, 3, 8), (5, 1, 4), "float32")
    (source,) = c_kernels.rotate_code(node, GPU).launches
    items = next(a.value for a in source.arguments if a.name == "items")
    assert items == 5 * 3 * 4 * 3, "20 rows by 8 at a time"


@pytest.mark.parametrize("device", DEVICES)
def test_the_plan_names_the_kernel_and_one_launch_replaces_five(device):
    from kcore.backend.compile import primitives_only

    kcore.use_backend(device)
    x, angle = np.ones((2, 3, 4), "float32"), np.ones((3, 2), "float32")
    turned = kcore.function(lambda x, c, s: rotate(x, c, s)).concrete(x, angle, angle)
    assert [str(step.kernel) for step in turned.plan.steps] == ["kcore-rotary:kcore_rotary>rotate"]
    with primitives_only():
        apart = kcore.function(lambda x, c, s: rotate(x, c, s)).concrete(x, angle, angle)
    assert len(apart.plan.steps) == 5


def test_a_tensor_without_elements_and_mixed_dtypes_are_left_to_the_decomposition():
    assert not c_kernels.supports(node_of((0, 3, 4), (3, 2), "float32"))
    graph = Graph()
    values = [graph.placeholder((3, 4), "float32"), *(graph.placeholder((3, 2), "float64") for _ in range(2))]
    assert not c_kernels.supports(Node(OPS["kcore_rotary>rotate"], values, {}, [values[0].spec]))
