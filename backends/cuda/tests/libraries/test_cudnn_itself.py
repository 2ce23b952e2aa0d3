"""What cuDNN itself says of our graphs, where it is installed: the frontend checks them, and it plans for an H100."""

from __future__ import annotations

import deviceless
import pytest

from kcore_cuda.libraries import cudnn, missing
from kcore_cuda.libraries.convolution import OPERATIONS

installed = pytest.mark.skipif(not cudnn.available(), reason=f"cuDNN: {cudnn.library()}")


@installed
def test_cudnn_takes_every_sample_as_described_and_has_a_plan_for_convolutions_on_an_h100(tmp_path):
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
