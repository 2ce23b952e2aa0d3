"""The rotation in NumPy: pieces of every kind give what the definition says, and working memory stays small."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore_rotary import numpy_kernels, rotate


@pytest.fixture(autouse=True)
def on_numpy():
    kcore.use_backend("numpy")


def turned(x, cos, sin):
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


@pytest.mark.parametrize("piece", [1, 200, 1 << 17])
@pytest.mark.parametrize(
    ("shape", "angles"),
    [((3, 7, 2, 6), (7, 1, 3)), ((5, 8), (4,)), ((6,), (3,)), ((4, 9, 10), (4, 9, 5)), ((4, 9, 10), (4, 1, 5))],
)
def test_pieces_of_any_size_join_without_a_seam(monkeypatch, piece, shape, angles):
    monkeypatch.setattr(numpy_kernels, "PIECE", piece)
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    cos, sin = np.cos(rng.normal(size=angles)), np.sin(rng.normal(size=angles))
    compiled = kcore.function(lambda x, c, s: rotate(x, c, s))
    assert "kcore-rotary" in str(compiled.concrete(x, cos, sin).plan)
    np.testing.assert_allclose(compiled(x, cos, sin).numpy(), turned(x, cos, sin), rtol=1e-12)


def test_a_transposed_tensor_is_read_right():
    x = np.random.default_rng(1).normal(size=(4, 6, 8))
    cos = np.random.default_rng(2).normal(size=(6, 2))
    compiled = kcore.function(lambda x, c: rotate(kcore.ops.transpose(x, (0, 1, 2))[..., ::2], c, c))
    np.testing.assert_allclose(compiled(x, cos).numpy(), turned(x[..., ::2], cos, cos), rtol=1e-12)


def test_working_memory_is_three_pieces_however_large_the_tensor():
    graph = Graph()
    values = [graph.placeholder(s, "float32") for s in ((64, 512, 8, 64), (512, 1, 32), (512, 1, 32))]
    node = Node(OPS["kcore_rotary>rotate"], values, {}, [values[0].spec])
    assert numpy_kernels._scratch(node) <= 3 * numpy_kernels.PIECE
