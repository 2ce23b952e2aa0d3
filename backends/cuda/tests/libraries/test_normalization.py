"""Batch normalization on cuDNN: the graphs that are described, acted on the host, and where they are put."""

from __future__ import annotations

import numpy as np
import pytest
from library_stage import Stage, aligned_copy, kernel_for

import kcore
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS, Spec
from kcore_cuda.kernels import normalization
from kcore_cuda.kernels.normalization import BACKWARD, FORWARD, expected, substitute
from kcore_cuda.libraries import cudnn
from kcore_cuda.libraries.normalization import batch_norm_of, takes

SHAPES = [(12, 8), (3, 5, 16), (2, 3, 5, 8), (2, 3, 4, 5, 8)]
DTYPES = ["float32", "float16", "bfloat16"]


@pytest.fixture
def stage(monkeypatch):
    kcore.use_backend("numpy")
    return Stage(monkeypatch)


def drawn(shape, dtype, low=-1.0, high=1.0):
    return np.random.default_rng(sum(shape)).uniform(low, high, shape).astype(numpy_dtype(dtype))


def forward_node(shape, dtype, epsilon=1e-3):
    graph, c = Graph(), shape[-1:]
    x, gamma, beta = graph.placeholder(shape, dtype), graph.placeholder(c, "float32"), graph.placeholder(c, "float32")
    specs = [Spec(shape, dtype), Spec(c, "float32"), Spec(c, "float32")]
    return Node(FORWARD, [x, gamma, beta], {"epsilon": epsilon}, specs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_with_its_statistics(stage, shape, dtype):
    x, gamma, beta = drawn(shape, dtype), drawn(shape[-1:], "float32", 0.5, 2), drawn(shape[-1:], "float32")
    node = forward_node(shape, dtype)
    y, mean, rstd = stage.act(kernel_for(FORWARD.name, node), node, [x, gamma, beta])
    wanted = OPS["batch_norm_train"].fn
    results = kcore.function(lambda: wanted(x.astype("float32"), gamma, beta, epsilon=1e-3))()
    relative, absolute = OPS["batch_norm_train"].tolerance[dtype]
    np.testing.assert_allclose(y.astype("float32"), results[0].numpy(), rtol=relative, atol=absolute)
    np.testing.assert_allclose(mean, results[1].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rstd, results[3].numpy(), rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients(stage, dtype):
    shape = SHAPES[2]
    x, slope, gamma = drawn(shape, dtype), drawn(shape, dtype)[::-1], drawn(shape[-1:], "float32", 0.5, 2)
    axes = (0, 1, 2)
    mean = x.astype("float32").mean(axes)
    rstd = 1 / np.sqrt(x.astype("float32").var(axes) + np.float32(1e-3))
    graph, c = Graph(), Spec(shape[-1:], "float32")
    inputs = [graph.placeholder(a.shape, str(a.dtype)) for a in (x, gamma, mean, rstd, slope)]
    node = Node(BACKWARD, inputs, {}, [Spec(shape, dtype), c, c])
    made = stage.act(kernel_for(BACKWARD.name, node), node, [x, gamma, mean, rstd, slope])
    fn = OPS["batch_norm_grad"].fn
    given = [a.astype("float32") for a in (x, gamma, mean, rstd, slope)]
    relative, absolute = OPS["batch_norm_grad"].tolerance[dtype]
    for got, want in zip(made, kcore.function(lambda: fn(*given))(), strict=True):
        np.testing.assert_allclose(got.astype("float32"), want.numpy(), rtol=relative, atol=absolute * 4)


def test_results_that_nobody_reads_lie_in_scratch_memory(stage):
    node = forward_node(SHAPES[2], "float16")
    x, ones = drawn(SHAPES[2], "float16"), np.ones(8, "float32")
    kernel = kernel_for(FORWARD.name, node)
    whole = stage.act(kernel, node, [x, ones, ones])
    for kept in range(3):
        made = [aligned_copy(w * 0) if i == kept else None for i, w in enumerate(whole)]
        got = stage_with_holes(stage, kernel, node, [x, ones, ones], made)
        np.testing.assert_array_equal(got[kept].values, whole[kept])


def stage_with_holes(stage, kernel, node, inputs, made):
    """Act where some outputs have no array."""
    from library_stage import Memory

    from kcore.backend.kernel import Site

    memory = Memory(kernel.scratch(node))
    kernel.bind(Site(node, tuple(map(aligned_copy, inputs)), tuple(made), None, "cuda:0", (memory, None, 0)))()
    return made


def test_the_image_s_channels_stand_second_and_vectors_are_float32():
    d = batch_norm_of((2, 9, 7, 16), "bfloat16")
    assert (d.image.dims, d.image.strides) == ((2, 16, 9, 7), (9 * 7 * 16, 1, 7 * 16, 16))
    assert d.channels.dims == (1, 16, 1, 1)
    assert d.channels.strides[1] == 1
    assert batch_norm_of((5, 16), "float32").image.dims == (5, 16, 1, 1)
    assert batch_norm_of((5, 3, 16), "float32").image.dims == (5, 16, 1, 3)
    assert not takes((2, 3, 4, 12), "float16")
    assert not takes((0, 8), "float32")
    assert not takes((4, 8), "float64")
    assert not takes((2, 2, 2, 2, 2, 8), "float32")


def test_what_is_expected_of_the_traffic():
    assert expected("batch_norm_train", 0) == (4, 3)
    assert expected("batch_norm_train", 1) == (4, 5)
    assert expected("batch_norm_grad", 0) == (5, 5)


def traced(call, *shapes, dtype="float32"):
    """The graph of a call, as `lower` shows it to a backend."""
    from kcore.graph.passes import rewrite

    lowered = {}
    backend = kcore.use_backend("numpy").backend

    def look(graph):
        lowered["it"] = rewrite(graph, None, lambda *_: None)

    backend.substitute, before = look, backend.substitute
    try:
        kcore.function(call).concrete(*(np.zeros(s, numpy_dtype(dtype)) for s in shapes))
    finally:
        backend.substitute = before
    return lowered["it"]


def names(graph):
    return [n.op.name for n in graph.nodes]


def between(behind):
    """A convolution, batch normalization of its result, and something behind it."""

    def call(x, kernel):
        y = kcore.ops.conv(x, kernel, padding="same")
        return behind(kcore.ops.batch_norm_train(y)[0], kernel)

    return call


def conv(y, kernel):
    return kcore.ops.conv(y, kernel, padding="same")


def relu(y, kernel):
    return kcore.ops.relu(y)


SIZES = ((2, 4, 4, 8), (3, 3, 8, 8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("behind", "setting", "chosen"), [
    (conv, None, True), (relu, None, False), (conv, "0", False), (relu, "1", True),
])  # fmt: skip
def test_it_is_chosen_where_nothing_could_be_joined(stage, monkeypatch, behind, setting, chosen, dtype):
    monkeypatch.delenv("KCORE_CUDA_CUDNN_BATCH_NORM", raising=False)
    if setting is not None:
        monkeypatch.setenv("KCORE_CUDA_CUDNN_BATCH_NORM", setting)
    graph = traced(between(behind), *SIZES, dtype=dtype)
    before = names(graph)
    assert "batch_norm_train" in before
    substitute(graph)
    assert (FORWARD.name in names(graph)) == chosen
    assert ("batch_norm_train" in names(graph)) != chosen
    if chosen and dtype != "float32":
        assert names(graph).count("cast") == before.count("cast") - 2
        (own,) = (n for n in graph.nodes if n.op is FORWARD)
        assert own.inputs[0].dtype == own.outputs[0].dtype == dtype
    if not chosen:
        assert names(graph) == before


def test_it_stays_where_cudnn_has_no_plan_is_not_there_or_the_sizes_do_not_fit(stage, monkeypatch):
    monkeypatch.setenv("KCORE_CUDA_CUDNN_BATCH_NORM", "1")
    odd = traced(between(relu), (2, 4, 4, 6), (3, 3, 6, 6))
    substitute(odd)
    assert FORWARD.name not in names(odd)
    graph = traced(between(relu), *SIZES)
    monkeypatch.setattr(stage.libraries.cudnn, "plan", lambda description, options: None)
    substitute(graph)
    assert FORWARD.name not in names(graph)
    monkeypatch.undo()
    monkeypatch.setenv("KCORE_CUDA_CUDNN_BATCH_NORM", "1")
    monkeypatch.setattr(cudnn, "library", lambda: ModuleNotFoundError("No module named 'cudnn'", name="cudnn"))
    substitute(graph)
    assert FORWARD.name not in names(graph)


def test_the_variance_comes_from_the_deviation(stage, monkeypatch):
    """It is what kcore's own op gives, to the roundings of float32 of variance + epsilon."""
    monkeypatch.setenv("KCORE_CUDA_CUDNN_BATCH_NORM", "1")
    graph = traced(lambda x: kcore.ops.batch_norm_train(x)[2], (6, 8))
    substitute(graph)
    own = next(n for n in graph.nodes if n.op is FORWARD)
    values = {own.outputs[2]: np.float32(1) / np.sqrt(np.array([0.0, 0.25, 4.0], "float32") + np.float32(1e-3))}
    for node in graph.nodes[graph.nodes.index(own) + 1 :]:
        values[node.outputs[0]] = node.op.fn(*(values.get(v, v.constant) for v in node.inputs), **node.attrs)
    np.testing.assert_allclose(values[graph.outputs[0]], [0.0, 0.25, 4.0], rtol=1e-6, atol=1e-9)
    assert normalization.supports(own)
