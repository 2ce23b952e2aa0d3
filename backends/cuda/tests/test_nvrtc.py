"""Every generated kernel compiles for the GPUs there are: machine code by NVRTC, which needs no GPU.

The default run compiles the longest kernel of each op for the oldest and the newest architecture. All kernels, for each
architecture, are a step of the test command: the compiler takes a minute and a half for one.
"""

from __future__ import annotations

import itertools

import pytest

from kcore.backend.programs import Refused
from kcore.codegen import Source
from kcore.codegen.joining import join
from kcore_cuda.programs import compiled

pytest.importorskip("cupy", reason='no NVRTC; to install it, type: pip install "cupy-cuda13x[ctk]"')

_sources: list[Source] = []


@pytest.fixture
def sources(request) -> list[Source]:
    """Every kernel, collected once in a process."""
    if not _sources:
        from collecting import all_sources

        request.getfixturevalue("machine")
        _sources.extend(all_sources())
        _sources.sort(key=lambda s: s.name)
    return _sources


def longest(sources: list[Source]) -> list[Source]:
    """The longest kernel of each op."""
    groups = itertools.groupby(sources, lambda s: s.name)
    return [max(group, key=lambda s: len(s.text)) for _, group in groups]


@pytest.fixture
def nvrtc(monkeypatch):
    """CuPy's NVRTC in place of the fake one."""
    import cupy.cuda

    from kcore_cuda import cuda

    monkeypatch.setattr(cuda, "nvrtc", cupy.cuda.nvrtc)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
def test_the_longest_kernel_of_each_op_compiles(sources, nvrtc, architecture):
    check(longest(sources), architecture)


@pytest.mark.nvrtc
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_every_kernel_compiles(sources, nvrtc, architecture):
    check(sources, architecture)


def test_a_gpu_that_is_newer_than_the_compiler_gets_ptx(nvrtc):
    """Which the driver finishes; machine code is for the GPU at hand otherwise."""
    text = 'extern "C" __global__ void set(float *y)\n{\n    y[0] = 2.0f;\n}\n'
    assert compiled(text, "set", "sm_90").startswith(b"\x7fELF")
    ptx = compiled(text, "set", "sm_990").decode()
    assert ".target sm_" in ptx and ".entry set(" in ptx


def check(wanted: list[Source], architecture: str) -> None:
    """Compile kernels together, and where that fails one by one, to name those that do not compile."""
    assert len(wanted) > 50
    failed = []
    for joined in join(wanted):
        try:
            compiled(joined.text, "kernels", architecture)
        except Refused:
            failed += [f"{s.name}: {why}" for s in joined.sources if (why := _refused(s, architecture))]
    assert not failed, f"{len(failed)} kernels do not compile for {architecture}:\n" + "\n".join(failed[:5])


def _refused(source: Source, architecture: str) -> str:
    try:
        compiled(source.text, source.name, architecture)
    except Refused as refused:
        return refused.log
    return ""
