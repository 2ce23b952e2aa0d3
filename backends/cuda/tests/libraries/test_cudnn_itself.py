"""What cuDNN itself says of our graphs, where it is installed: the frontend checks them, and it plans for an H100."""

from __future__ import annotations

import deviceless
import pytest
from library_stage import node_of

import kcore.ops  # noqa: F401
from kcore.graph.op import sample
from kcore_cuda.libraries import cudnn, missing
from kcore_cuda.libraries.attention import attention_of
from kcore_cuda.libraries.convolution import OPERATIONS

installed = pytest.mark.skipif(not cudnn.available(), reason=f"cuDNN: {cudnn.library()}")


@installed
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [None, (1, 3, 5, 7)])
def test_the_frontend_takes_attention_and_its_gradient(bias, causal):
    shapes = (2, 5, 3, 8), (2, 7, 3, 8), (2, 7, 3, 16)
    forward, _ = node_of("attention", sample(*shapes, bias, None, scale=0.3, causal=causal), "bfloat16")
    _, tensors = cudnn.new_graph(attention_of(forward))
    assert len(tensors) == (5 if bias is None else 6)
    assert tuple(tensors[-1].get_dim()) == (2, 3, 5, 1)
    out = (2, 5, 3, 16)
    case = sample(out, *shapes, bias, None, out, (2, 3, 5), scale=0.3, causal=causal)
    backward, _ = node_of("attention_grad", case, "bfloat16")
    _, tensors = cudnn.new_graph(attention_of(backward))
    assert [tuple(t.get_dim()) for t in tensors[-3:]] == [(2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 16)]


@installed
def test_cudnn_takes_every_sample_as_described_and_has_a_plan_for_it_on_an_h100(tmp_path):
    reason = deviceless.why_not(tmp_path)
    if reason:
        pytest.skip(reason)
    found = deviceless.ask(tmp_path)
    assert len(found) == 4 * len(OPERATIONS)
    assert all(asked == planned > 15 for asked, planned in found.values()), found


def test_what_is_missing_is_said_with_what_it_would_gain(monkeypatch):
    from kcore_cuda.libraries import cublaslt

    monkeypatch.setattr(cudnn, "library", lambda: ModuleNotFoundError("No module named 'cudnn'", name="cudnn"))
    monkeypatch.setattr(cublaslt, "library", lambda: ModuleNotFoundError("No module named 'nvmath'", name="nvmath"))
    problems = missing(12)
    assert [p.what for p in problems] == ["cuda: cuDNN is not installed", "cuda: nvmath-python is not installed"]
    assert problems[0].hint == 'pip install "kcore-cuda[cudnn-cuda12]"'
    assert "tensor cores" in problems[0].why
    assert missing(13)[0].hint == 'pip install "kcore-cuda[cudnn]"'
    monkeypatch.setattr(cudnn, "library", lambda: RuntimeError("Unable to find symbol cudnnGetVersion"))
    assert missing(13)[0].what.startswith("cuda: cuDNN is installed and does not load: Unable to find")
    monkeypatch.setattr(cudnn, "library", object)
    monkeypatch.setattr(cublaslt, "library", object)
    assert missing(13) == []
